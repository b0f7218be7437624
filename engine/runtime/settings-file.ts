// One configuration file, read: its text parsed as YAML, its environment references replaced. What its
// settings mean is for config-file.ts and campaign-file.ts; this file makes sure that whatever they object to
// is reported with file, line and column.

import { readFileSync, statSync } from "node:fs";

import { replaceReferences } from "./environment-reference.ts";
import type { Environment } from "./environment-reference.ts";
import { messageOf } from "./errors.ts";
import type { FileFault } from "./file-fault.ts";
import { pathText } from "./schema-check.ts";
import type { SchemaCheck, SchemaFault } from "./schema-check.ts";
import { parseYaml } from "./yaml-document.ts";
import type { PathSegments, YamlDocument } from "./yaml-document.ts";

/** A campaign takes about 1 kB, a page of Meta's template list at most a few hundred. */
export const SETTINGS_BYTES_MAX: number = 4 * 1024 * 1024;

export type TextResult =
  | { readonly kind: "read"; readonly text: string }
  /** `isMissing`: there is no such file; else it cannot be read or is too large. */
  | { readonly kind: "unreadable"; readonly isMissing: boolean; readonly fault: FileFault };

export interface Settings {
  readonly value: unknown;
  /** Secrets whose environment variable is not set; there the value is an empty text. */
  readonly unsetSecrets: readonly { readonly path: PathSegments; readonly variable: string }[];
  /** True where the value, or a part of it, came from the environment. */
  isFromEnvironment(path: PathSegments): boolean;
  locate(fault: Omit<SchemaFault, "expectedTypes">): FileFault;
}

export type SettingsResult =
  | { readonly kind: "read"; readonly settings: Settings; readonly faults: readonly FileFault[] }
  | { readonly kind: "malformed"; readonly faults: readonly FileFault[] };

export function readText(file: string): TextResult {
  try {
    const { size } = statSync(file);
    if (size > SETTINGS_BYTES_MAX) {
      const message = `${size} bytes exceed SETTINGS_BYTES_MAX ${SETTINGS_BYTES_MAX}`;
      return { kind: "unreadable", isMissing: false, fault: { file, line: 1, column: 1, path: "", message } };
    }
    return { kind: "read", text: readFileSync(file, "utf8").replace(/^\uFEFF/, "") };
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    const message = isMissing ? "there is no such file" : `cannot be read: ${messageOf(error)}`;
    return { kind: "unreadable", isMissing, fault: { file, line: 1, column: 1, path: "", message } };
  }
}

/**
 * @param isSecret Where an unset variable is no fault: a newcomer without credentials still gets an engine that
 *   runs, against the simulator. Its path is given as text, `senders.main.accessToken`.
 */
export function readSettings(options: {
  readonly file: string;
  readonly text: string;
  readonly environment: Environment;
  readonly isSecret: (path: string) => boolean;
}): SettingsResult {
  const { file, text, environment, isSecret } = options;
  const parsed = parseYaml(text);
  if (parsed.kind === "malformed") {
    return { kind: "malformed", faults: parsed.faults.map(({ at, message }) => ({ file, ...at, path: "", message })) };
  }
  const { value, replaced, unset, malformed } = replaceReferences(parsed.document.value, environment);
  const locate = (fault: Omit<SchemaFault, "expectedTypes">): FileFault => located(file, parsed.document, fault);
  const fromEnvironment = new Set(replaced.map(pathText));
  const faults = [
    ...unset
      .filter(({ path }) => !isSecret(pathText(path)))
      .map(({ path, variable }) => locate({ path, concerns: "value", message: unsetMessage(variable) })),
    ...malformed.map((path) => locate({ path, concerns: "value", message: MALFORMED_REFERENCE })),
  ];
  const settings: Settings = {
    value,
    unsetSecrets: unset.filter(({ path }) => isSecret(pathText(path))),
    isFromEnvironment: (path) => fromEnvironment.has(pathText(path)),
    locate,
  };
  return { kind: "read", settings, faults };
}

/**
 * Checks a value by a schema. `port: ${PORT}` is text to YAML, so where the schema asks for a number or a
 * boolean, a text from the environment is turned into one, in place.
 */
export function checkSettings(check: SchemaCheck, settings: Settings): SchemaFault[] {
  const faults = check(settings.value, settings.isFromEnvironment);
  const isConverted = faults.map((fault) => convertInPlace(fault, settings)).includes(true);
  return isConverted ? check(settings.value, settings.isFromEnvironment) : faults;
}

export function unsetMessage(variable: string): string {
  return `the environment variable ${variable} is not set`;
}

const MALFORMED_REFERENCE = "expected a reference such as ${SHOP_SECRET}: letters, digits and _ only";

function located(file: string, document: YamlDocument, fault: Omit<SchemaFault, "expectedTypes">): FileFault {
  const { path, concerns, message } = fault;
  const at = concerns === "key" ? document.positionOfKey(path) : document.positionOf(path);
  return { file, ...at, path: pathText(path), message };
}

function convertInPlace({ path, expectedTypes }: SchemaFault, settings: Settings): boolean {
  const key = path.at(-1);
  if (expectedTypes === undefined || key === undefined || !settings.isFromEnvironment(path)) return false;
  let parent = settings.value as Record<string | number, unknown>;
  for (const segment of path.slice(0, -1)) parent = parent[segment] as Record<string | number, unknown>;
  const text = String(parent[key]).trim();
  if (expectedTypes.includes("boolean") && (text === "true" || text === "false")) parent[key] = text === "true";
  else if (/^-?\d+(\.\d+)?$/.test(text)) parent[key] = Number(text);
  else return false;
  return true;
}
