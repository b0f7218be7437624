// A template's text with its variables, and the check of the values that a send brings for them.
//
// Written for the simulator alone and on purpose not shared with the engine: what it renders is the independent
// opinion that the engine's CSV is compared with.

import type { GraphFault } from "./graph-error.ts";

export interface TextPattern {
  /** Text before, between and behind the variables: one more than `names`. */
  readonly pieces: readonly string[];
  /** Variables in order of appearance; one may appear twice. */
  readonly names: readonly string[];
  /** How many values a send has to bring. */
  readonly parameterCount: number;
}

export type FilledText =
  | { readonly kind: "filled"; readonly text: string }
  | { readonly kind: "faulty"; readonly fault: GraphFault };

type Values = { readonly kind: "values"; readonly values: ReadonlyMap<string, string> };
type Faulty = { readonly kind: "faulty"; readonly fault: GraphFault };

const VARIABLE = /\{\{\s*([A-Za-z0-9_]+)\s*\}\}/;
/** Meta: "new-line/tab characters or more than 4 consecutive spaces". */
const FORBIDDEN_SPACE = /[\n\r\t]| {5}/;
/** Before this version the same fault came as a plain 100. */
const VALIDATION_CODE_SINCE = 23;

export function readPattern(text: string): TextPattern {
  // Splitting by a pattern with a group yields text and names in turn.
  const parts = text.split(VARIABLE);
  const pieces = parts.filter((_part, index) => index % 2 === 0);
  const names = parts.filter((_part, index) => index % 2 === 1);
  return { pieces, names, parameterCount: new Set(names).size };
}

/**
 * @param label how Meta names the component in details: `body`, `header`.
 * @param apiVersion major version of the call.
 */
export function fillPattern(
  pattern: TextPattern,
  given: {
    readonly label: string;
    readonly parameters: readonly unknown[];
    readonly isNamed: boolean;
    readonly apiVersion: number;
  },
): FilledText {
  const { label, parameters } = given;
  if (parameters.length !== pattern.parameterCount) {
    return faulty(132000, countDetails(label, parameters.length, pattern.parameterCount));
  }
  const reading = given.isNamed ? namedValues(pattern, given) : positionalValues(given);
  if (reading.kind === "faulty") return reading;
  let text = pattern.pieces[0] ?? "";
  for (const [index, name] of pattern.names.entries()) {
    text += (reading.values.get(name) ?? "") + (pattern.pieces[index + 1] ?? "");
  }
  return { kind: "filled", text };
}

export function countDetails(label: string, given: number, expected: number): string {
  return `${label}: number of localizable_params (${given}) does not match the expected number of params (${expected})`;
}

/** The text that one parameter shows, checked. */
export function parameterText(
  parameter: unknown,
  apiVersion: number,
): { readonly kind: "text"; readonly text: string } | Faulty {
  const text = shownText(parameter);
  if (text === null) return faulty(132012, "Parameter type is not text, currency or date_time");
  if (text === "") return faulty(131008, "Parameter of type text is missing text value");
  if (FORBIDDEN_SPACE.test(text)) {
    const code = apiVersion >= VALIDATION_CODE_SINCE ? 132018 : 100;
    return faulty(code, "Param text cannot have new-line/tab characters or more than 4 consecutive spaces");
  }
  return { kind: "text", text };
}

function positionalValues(given: {
  readonly parameters: readonly unknown[];
  readonly apiVersion: number;
}): Values | Faulty {
  const values = new Map<string, string>();
  for (const [index, parameter] of given.parameters.entries()) {
    const reading = parameterText(parameter, given.apiVersion);
    if (reading.kind === "faulty") return reading;
    values.set(String(index + 1), reading.text);
  }
  return { kind: "values", values };
}

function namedValues(
  pattern: TextPattern,
  given: { readonly parameters: readonly unknown[]; readonly apiVersion: number },
): Values | Faulty {
  const values = new Map<string, string>();
  for (const parameter of given.parameters) {
    const name = fieldOf(parameter, "parameter_name");
    if (typeof name !== "string" || name === "") return faulty(100, "Parameter name is missing or empty");
    if (!pattern.names.includes(name)) return faulty(100, `Parameter name ${name} does not exist in the template`);
    const reading = parameterText(parameter, given.apiVersion);
    if (reading.kind === "faulty") return reading;
    values.set(name, reading.text);
  }
  if (values.size === pattern.parameterCount) return { kind: "values", values };
  return faulty(100, "Parameter name is given more than once");
}

/** @returns null for a kind of parameter that texts do not take. */
function shownText(parameter: unknown): string | null {
  switch (fieldOf(parameter, "type")) {
    case "text":
      return textOf(fieldOf(parameter, "text"));
    case "currency":
      return textOf(fieldOf(fieldOf(parameter, "currency"), "fallback_value"));
    case "date_time":
      return textOf(fieldOf(fieldOf(parameter, "date_time"), "fallback_value"));
    default:
      return null;
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** A field of what may not be an object at all. */
export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

/** Such a field in upper case: Meta takes types in either case. Empty where there is none. */
export function typeOf(value: unknown, field: string): string {
  const type = fieldOf(value, field);
  return typeof type === "string" ? type.toUpperCase() : "";
}

function faulty(code: number, details: string): Faulty {
  return { kind: "faulty", fault: { code, details } };
}
