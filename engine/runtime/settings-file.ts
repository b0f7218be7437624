// One configuration file, read: its text parsed as YAML, its environment references replaced. What its
// settings mean is for config-file.ts and campaign-file.ts; this file makes sure that whatever they object to
// is reported with file, line and column.

import { readFileSync, statSync } from "node:fs";

import { replaceReferences } from "./environment-reference.ts";
import type { Environment } from "./environment-reference.ts";
import { messageOf } from "./errors.ts";
import type { FileFault } from "./file-fault.ts";
import { isRecord, pathText } from "./schema-check.ts";
import type { SchemaCheck, SchemaCheckResult, SchemaFault } from "./schema-check.ts";
import { readSecretFiles } from "./secret-file.ts";
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
  /** Secrets whose environment variable is not set. */
  readonly unsetSecrets: readonly { readonly path: PathSegments; readonly variable: string }[];
  /** Absolute paths of files that hold secrets, whether they can be read or not. */
  readonly secretFiles: readonly string[];
  /** True where the value, or a part of it, came from the environment. */
  readonly isFromEnvironment: (path: PathSegments) => boolean;
  readonly locate: (fault: SchemaFault) => FileFault;
}

export type SettingsResult =
  | { readonly kind: "read"; readonly settings: Settings; readonly faults: readonly FileFault[] }
  | { readonly kind: "malformed"; readonly faults: readonly FileFault[] };

export function readText(file: string): TextResult {
  try {
    const { size } = statSync(file);
    if (size > SETTINGS_BYTES_MAX) {
      const message = `${size} bytes exceed SETTINGS_BYTES_MAX ${SETTINGS_BYTES_MAX}`;
      return {
        kind: "unreadable",
        isMissing: false,
        fault: { file, line: 1, column: 1, path: "", message },
      };
    }
    return { kind: "read", text: readFileSync(file, "utf8").replace(/^\uFEFF/, "") };
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    const message = isMissing ? "there is no such file" : `cannot be read: ${messageOf(error)}`;
    return {
      kind: "unreadable",
      isMissing,
      fault: { file, line: 1, column: 1, path: "", message },
    };
  }
}

export interface SettingsSource {
  readonly file: string;
  readonly text: string;
  readonly environment: Environment;
  /**
   * Where an unset variable is no fault, as a pattern of path texts such as `senders.main.accessToken`: a newcomer
   * without credentials still gets an engine that runs, against the simulator.
   */
  readonly secrets: RegExp;
  /** What an unset secret leaves behind: an empty text, or nothing. */
  readonly unsetSecret: "empty" | "omitted";
}

export function readSettings(source: SettingsSource): SettingsResult {
  const { file, text } = source;
  const isSecret = (path: PathSegments): boolean => source.secrets.test(pathText(path));
  const isOmitted = (path: PathSegments): boolean => source.unsetSecret === "omitted" && isSecret(path);
  const parsed = parseYaml(text);
  if (parsed.kind === "malformed") {
    return {
      kind: "malformed",
      faults: parsed.faults.map(({ at, message }) => ({ file, ...at, path: "", message })),
    };
  }
  const { environment, files, unreadable } = readSecretFiles(text, source.environment);
  const { value, replaced, unset, malformed } = replaceReferences(parsed.document.value, environment, isOmitted);
  const locate = (fault: SchemaFault): FileFault => located(file, parsed.document, fault);
  const fromEnvironment = new Set(replaced.map(pathText));
  const faults = [
    // A secret may be missing, but not where somebody says which file has it.
    ...unset
      .filter(({ path, variable }) => !isSecret(path) || unreadable.has(variable))
      .map(({ path, variable }) => {
        return locate({ path, concerns: "value", message: unreadable.get(variable) ?? unsetMessage(variable) });
      }),
    ...malformed.map((path) => locate({ path, concerns: "value", message: MALFORMED_REFERENCE })),
  ];
  const settings: Settings = {
    value,
    unsetSecrets: unset.filter(({ path }) => isSecret(path)),
    secretFiles: files,
    isFromEnvironment: (path) => fromEnvironment.has(pathText(path)),
    locate,
  };
  return { kind: "read", settings, faults };
}

/**
 * Checks settings by a schema. `port: ${PORT}` is text to YAML, so where the schema asks for a number or a boolean,
 * a text from the environment is taken for one.
 */
export function checkSettings<Shape>(check: SchemaCheck<Shape>, settings: Settings): SchemaCheckResult<Shape> {
  const { value, isFromEnvironment } = settings;
  const result = check(value, isFromEnvironment);
  if (result.kind === "fits") return result;
  const convertible = result.faults.filter((fault) => isFromEnvironment(fault.path));
  if (convertible.length === 0) return result;
  const converted = convertible.reduce(
    (rest, { path, expectedTypes = [] }) => convertedAt(rest, path, expectedTypes),
    value,
  );
  return check(converted, isFromEnvironment);
}

export function unsetMessage(variable: string): string {
  return `the environment variable ${variable} is not set`;
}

const MALFORMED_REFERENCE = "expected a reference such as ${SHOP_SECRET}: letters, digits and _ only";

function located(file: string, document: YamlDocument, fault: SchemaFault): FileFault {
  const { path, concerns, message } = fault;
  const at = concerns === "key" ? document.positionOfKey(path) : document.positionOf(path);
  return { file, ...at, path: pathText(path), message };
}

function convertedAt(node: unknown, path: PathSegments, types: readonly string[]): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return typeof node === "string" ? convertedText(node.trim(), types) : node;
  if (Array.isArray(node)) return node.map((item, index) => (index === key ? convertedAt(item, rest, types) : item));
  return isRecord(node) ? { ...node, [key]: convertedAt(node[key], rest, types) } : node;
}

function convertedText(text: string, types: readonly string[]): unknown {
  if (types.includes("boolean") && (text === "true" || text === "false")) return text === "true";
  const isNumeric = types.includes("number") || types.includes("integer");
  return isNumeric && /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}
