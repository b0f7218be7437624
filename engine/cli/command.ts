// What a command of `volley` is, and how its line is read: one table of options makes the parser, the help and the
// usage errors, so that the three cannot disagree.

import { parseArgs } from "node:util";

import { EngineError, messageOf } from "../runtime/errors.ts";
import type { Terminal } from "./stdout-terminal.ts";

export interface Command {
  /** One or two words: `export`, `campaign list`. */
  readonly name: string;
  /** What it does, in one line. */
  readonly summary: string;
  /** `<name>` must be given, `[name]` may be, `<name>...` takes one or more. */
  readonly positionals: readonly string[];
  readonly options: Readonly<Record<string, CommandOption>>;
  readonly examples: readonly string[];
  /** @returns the exit code. */
  run(call: CommandCall): Promise<number>;
}

export interface CommandOption {
  readonly description: string;
  /** What the value stands for (`file`); absent: a switch without a value. */
  readonly value?: string;
  readonly isRepeatable?: boolean;
}

export interface CommandCall {
  readonly positionals: readonly string[];
  readonly options: OptionValues;
  readonly terminal: Terminal;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

interface OptionValues {
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  has(name: string): boolean;
  /** @throws EngineError ERR_CLI_USAGE when it is no whole number within the bounds. */
  integer(name: string, bounds: { readonly min: number; readonly max: number }): number | undefined;
}

/** Of every command that talks to a running engine. */
export const ENGINE_OPTIONS: Readonly<Record<string, CommandOption>> = {
  url: {
    value: "url",
    description: "the engine (default $VOLLEY_URL, else where the configuration says it listens)",
  },
  key: {
    value: "key",
    description: "an API key (default $VOLLEY_API_KEY, else <dataDir>/admin.key)",
  },
  config: { value: "file", description: "the configuration (default config/volley.yaml)" },
};

export const JSON_OPTION: Readonly<Record<string, CommandOption>> = {
  json: { description: "print JSON" },
};

const HELP_OPTION: Readonly<Record<string, CommandOption>> = {
  help: { description: "print this help" },
};

export type ParsedLine =
  | { readonly kind: "help" }
  | {
      readonly kind: "call";
      readonly positionals: readonly string[];
      readonly options: OptionValues;
    };

/** @throws EngineError ERR_CLI_USAGE */
export function parseLine(command: Command, words: readonly string[]): ParsedLine {
  const { values, positionals } = parseWords(command, words);
  if (values["help"] === true) return { kind: "help" };
  checkPositionals(command, positionals);
  return { kind: "call", positionals, options: optionValues(values) };
}

export function helpText(command: Command): string {
  const usage = ["volley", command.name, ...command.positionals, "[options]"].join(" ");
  const rows = Object.entries({ ...command.options, ...HELP_OPTION }).map(
    ([name, option]) => [optionUsage(name, option), option.description] as const,
  );
  const width = Math.max(...rows.map(([left]) => left.length));
  return [
    command.summary,
    "",
    `Usage: ${usage}`,
    "",
    "Options:",
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
    "",
    command.examples.length === 1 ? "Example:" : "Examples:",
    ...command.examples.map((example) => `  ${example}`),
  ].join("\n");
}

export function usageError(message: string): EngineError {
  return new EngineError("ERR_CLI_USAGE", message);
}

type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

function parseWords(command: Command, words: readonly string[]): { values: Values; positionals: string[] } {
  const options = Object.fromEntries(
    Object.entries({ ...command.options, ...HELP_OPTION }).map(([name, option]) => [
      name,
      {
        type: option.value === undefined ? "boolean" : "string",
        multiple: option.isRepeatable ?? false,
      } as const,
    ]),
  );
  try {
    return parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
  } catch (error) {
    // Node's own sentence goes on with advice about `--`; its first sentence says it all.
    const [sentence = ""] = messageOf(error).split(/\. |\n/);
    throw new EngineError("ERR_CLI_USAGE", `${sentence}; see volley ${command.name} --help`, {
      cause: error,
    });
  }
}

function checkPositionals(command: Command, positionals: readonly string[]): void {
  const required = command.positionals.filter((name) => name.startsWith("<"));
  const missing = required[positionals.length];
  if (missing !== undefined) {
    throw usageError(`${command.name} needs ${missing.replace("...", "")}; see volley ${command.name} --help`);
  }
  const takesMore = command.positionals.some((name) => name.endsWith("..."));
  const excess = positionals[command.positionals.length];
  if (!takesMore && excess !== undefined) {
    throw usageError(`${command.name} does not take ${JSON.stringify(excess)}; see volley ${command.name} --help`);
  }
}

function optionValues(values: Values): OptionValues {
  const texts = (name: string): readonly string[] =>
    [values[name]].flat().filter((value): value is string => typeof value === "string");
  return {
    texts,
    text: (name) => texts(name).at(-1),
    has: (name) => values[name] === true,
    integer(name, { min, max }) {
      const text = texts(name).at(-1);
      if (text === undefined) return undefined;
      const value = Number(text.replaceAll("_", ""));
      if (text.trim() !== "" && Number.isInteger(value) && value >= min && value <= max) return value;
      throw usageError(`--${name} must be a whole number from ${min} to ${max}, not ${JSON.stringify(text)}`);
    },
  };
}

function optionUsage(name: string, option: CommandOption): string {
  return option.value === undefined ? `--${name}` : `--${name} <${option.value}>`;
}
