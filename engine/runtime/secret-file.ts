// Secrets that stand in files, as containers and secret stores mount them: where NAME is not set, NAME_FILE may name
// the file that holds its value. Files can be replaced while the engine runs; an environment cannot.

import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";

import { type Environment, referencedVariables } from "./environment-reference.ts";
import { messageOf } from "./errors.ts";

/** Keys and tokens are far smaller; whoever names a disk image by mistake is told. */
const SECRET_BYTES_MAX = 64 * 1024;
const SUFFIX = "_FILE";

export interface FiledSecrets {
  /** With the files' contents in it. */
  readonly environment: Environment;
  /** Absolute paths of the files that were looked at. */
  readonly files: readonly string[];
  /** Variable → why its file gives no value. */
  readonly unreadable: ReadonlyMap<string, string>;
}

/** @param text in which `${NAME}` stands for variables: only the files of those are opened. */
export function readSecretFiles(text: string, environment: Environment): FiledSecrets {
  const files: string[] = [];
  const unreadable = new Map<string, string>();
  const contents: Record<string, string> = {};
  for (const variable of referencedVariables(text)) {
    const file = fileOf(variable, environment);
    if (file === null) continue;
    files.push(resolve(file));
    const secret = readSecret(file);
    if (secret.kind === "read") contents[variable] = secret.text;
    else unreadable.set(variable, `the file ${file}, named by ${variable}${SUFFIX}, ${secret.reason}`);
  }
  return { environment: files.length === 0 ? environment : { ...environment, ...contents }, files, unreadable };
}

function fileOf(variable: string, environment: Environment): string | null {
  if ((own(environment, variable) ?? "").trim() !== "") return null;
  const file = own(environment, variable + SUFFIX) ?? "";
  return file.trim() === "" ? null : file;
}

function own(environment: Environment, variable: string): string | undefined {
  return Object.hasOwn(environment, variable) ? environment[variable] : undefined;
}

type Secret =
  | { readonly kind: "read"; readonly text: string }
  | { readonly kind: "unreadable"; readonly reason: string };

/** Without the line end that editors and `echo` leave behind. */
function readSecret(file: string): Secret {
  try {
    const { size } = statSync(file);
    if (size > SECRET_BYTES_MAX)
      return { kind: "unreadable", reason: `has ${size} bytes, more than ${SECRET_BYTES_MAX}` };
    const text = readFileSync(file, "utf8").trim();
    return text === "" ? { kind: "unreadable", reason: "is empty" } : { kind: "read", text };
  } catch (error) {
    return { kind: "unreadable", reason: `cannot be read: ${messageOf(error)}` };
  }
}
