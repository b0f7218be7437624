// What an operator writes where a template wants a value: text with `{{ attribute }}` in it. Expressions are Liquid;
// those that only name attributes (nearly all do) are compiled to plain look-ups that answer like Liquid would.
// Only the operator's text is ever parsed: a payload's own `{{ }}` is data.

import type { AttributeValue, Attributes } from "../message/event.ts";
import { messageOf } from "../runtime/errors.ts";
import { liquidFor } from "./liquid.ts";

export interface Contact {
  readonly phoneNumber: string;
  readonly attributes: Attributes;
}

export interface Expression {
  readonly text: string;
  /** The attributes it names. */
  readonly references: readonly string[];
  /** The attribute without which it is surely empty, or null. */
  readonly needs: string | null;
  /** Its value when it names no attribute at all, or null. */
  readonly literal: string | null;
  /** @throws Error of the Liquid library, when a filter cannot work on the contact's values or a limit is reached. */
  evaluate(contact: Contact): string;
}

export type CompiledExpression =
  | { readonly kind: "compiled"; readonly expression: Expression }
  | { readonly kind: "malformed"; readonly message: string };

export const EXPRESSION_LENGTH_MAX = 4096;

const OUTPUT = /\{\{([^{}]*)\}\}/g;
const PLAIN = /^\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\|\s*default\s*:\s*(?:'([^'\\]*)'|"([^"\\]*)")\s*)?$/;
/** Liquid's own words are no attribute names. */
const LIQUID_WORDS: ReadonlySet<string> = new Set([
  "true",
  "false",
  "nil",
  "null",
  "empty",
  "blank",
  "forloop",
  "tablerowloop",
]);

interface Variable {
  readonly name: string;
  /** Of the `default` filter; null without one. */
  readonly fallback: string | null;
}

type Part = string | Variable;

/** @param language of the template, for the names of months and days. */
export function compileExpression(source: string, language: string): CompiledExpression {
  const text = source.trim();
  if (text.length > EXPRESSION_LENGTH_MAX) {
    return { kind: "malformed", message: `is longer than ${EXPRESSION_LENGTH_MAX} characters` };
  }
  const parts = plainParts(text);
  if (parts !== null) return { kind: "compiled", expression: plainExpression(text, parts) };
  return compileLiquid(text, language);
}

/** @returns null when Liquid has to read it. */
function plainParts(text: string): Part[] | null {
  // Liquid reads the third brace as part of the name.
  if (text.includes("{{{")) return null;
  const parts: Part[] = [];
  let end = 0;
  for (const output of text.matchAll(OUTPUT)) {
    const plain = PLAIN.exec(output[1] ?? "");
    const name = plain?.[1];
    if (name === undefined || LIQUID_WORDS.has(name)) return null;
    parts.push(text.slice(end, output.index), { name, fallback: plain?.[2] ?? plain?.[3] ?? null });
    end = output.index + output[0].length;
  }
  parts.push(text.slice(end));
  const isLiquid = parts.some((part) => typeof part === "string" && /\{\{|\{%/.test(part));
  return isLiquid ? null : parts.filter((part) => part !== "");
}

function plainExpression(text: string, parts: readonly Part[]): Expression {
  const variables = parts.filter((part) => typeof part !== "string");
  const [only] = variables;
  const isOnlyThat = variables.length === 1 && parts.every((part) => typeof part !== "string" || part.trim() === "");
  return {
    text,
    references: [...new Set(variables.map(({ name }) => name))],
    needs: isOnlyThat && only !== undefined && (only.fallback ?? "").trim() === "" ? only.name : null,
    literal: variables.length === 0 ? text : null,
    evaluate:
      parts.length === 1 && only !== undefined ? (contact) => look(contact, only) : (contact) => join(contact, parts),
  };
}

function join(contact: Contact, parts: readonly Part[]): string {
  let text = "";
  for (const part of parts) text += typeof part === "string" ? part : look(contact, part);
  return text;
}

function look(contact: Contact, { name, fallback }: Variable): string {
  const value = valueOf(contact, name) ?? "";
  // Liquid's `default` replaces false as well.
  return fallback !== null && (value === "" || value === false) ? fallback : String(value);
}

function valueOf(contact: Contact, name: string): AttributeValue | undefined {
  if (name === "phoneNumber") return contact.phoneNumber;
  return Object.hasOwn(contact.attributes, name) ? contact.attributes[name] : undefined;
}

function compileLiquid(text: string, language: string): CompiledExpression {
  const engine = liquidFor(language);
  try {
    const parsed = engine.parse(text);
    const references = engine.globalVariablesSync(parsed);
    const render = (contact: Contact): string =>
      String(engine.renderSync(parsed, { ...contact.attributes, phoneNumber: contact.phoneNumber }));
    return {
      kind: "compiled",
      expression: { text, references, needs: null, literal: null, evaluate: render },
    };
  } catch (error) {
    return { kind: "malformed", message: messageOf(error).split("\n", 1)[0] ?? "cannot be read" };
  }
}
