// `${NAME}` in a configuration file stands for an environment variable, so that secrets stay out of the file.
// `${{` is left alone: a template text may well say "Total: ${{ total }}".

import type { PathSegments } from "./yaml-document.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Substitution {
  readonly value: unknown;
  /** Where an environment variable was put in. */
  readonly replaced: readonly PathSegments[];
  /** Variables that are not set, or blank. There the value is an empty text, or left out. */
  readonly unset: readonly { readonly path: PathSegments; readonly variable: string }[];
  /** `${…}` that names no variable, such as `${my-secret}`; left as it is. */
  readonly malformed: readonly PathSegments[];
}

const REFERENCE = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;
const UNREADABLE = /\$\{(?![{A-Za-z_])|\$\{[A-Za-z_][A-Za-z0-9_]*(?![A-Za-z0-9_}])/;

const OMITTED = Symbol("omitted");

/** The variables that a file's text refers to, each once. */
export function referencedVariables(text: string): readonly string[] {
  return [...new Set(Array.from(text.matchAll(REFERENCE), ([, variable = ""]) => variable))];
}

/**
 * A copy of `value` with every reference in its texts replaced. Keys are not looked at.
 *
 * @param isOmitted Where a value whose variable is not set is left out, rather than empty.
 */
export function replaceReferences(
  value: unknown,
  environment: Environment,
  isOmitted: (path: PathSegments) => boolean = () => false,
): Substitution {
  const replaced: PathSegments[] = [];
  const unset: { path: PathSegments; variable: string }[] = [];
  const malformed: PathSegments[] = [];

  const replaceText = (text: string, path: PathSegments): string | typeof OMITTED => {
    if (!text.includes("${")) return text;
    if (UNREADABLE.test(text)) malformed.push(path);
    let isReplaced = false;
    let isUnset = false;
    const result = text.replaceAll(REFERENCE, (_, variable: string) => {
      isReplaced = true;
      const content = Object.hasOwn(environment, variable) ? (environment[variable] ?? "") : "";
      if (content.trim() !== "") return content;
      isUnset = true;
      unset.push({ path, variable });
      return "";
    });
    if (isReplaced) replaced.push(path);
    if (!isUnset) return result;
    return isOmitted(path) ? OMITTED : "";
  };

  const walk = (node: unknown, path: PathSegments): unknown => {
    if (typeof node === "string") return replaceText(node, path);
    if (Array.isArray(node)) return node.map((item, index) => walk(item, [...path, index])).filter(isKept);
    if (typeof node !== "object" || node === null) return node;
    const entries = Object.entries(node).map(([key, item]) => [key, walk(item, [...path, key])] as const);
    return Object.fromEntries(entries.filter(([, item]) => isKept(item)));
  };

  return { value: walk(value, []), replaced, unset, malformed };
}

function isKept(item: unknown): boolean {
  return item !== OMITTED;
}
