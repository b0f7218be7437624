// JSON Schema with faults that a person can act on: where, what is expected, and the nearest known word.
// A value that may be secret (`writeOnly` in the schema, or put in from the environment) is never repeated.

import { Ajv } from "ajv";
import type { ErrorObject, SchemaObject } from "ajv";

import { nearestKey } from "./nearest-key.ts";
import type { PathSegments } from "./yaml-document.ts";

export interface SchemaFault {
  readonly path: PathSegments;
  /** Whether the key itself is at fault, or the value behind it. */
  readonly concerns: "key" | "value";
  readonly message: string;
  /** The types that the schema asks for there. */
  readonly expectedTypes?: readonly string[];
}

export type SchemaCheckResult<Shape> =
  | { readonly kind: "fits"; readonly value: Shape }
  /** Every fault, in the schema's order. */
  | { readonly kind: "misfits"; readonly faults: readonly SchemaFault[] };

/** What stands at an `isHidden` path is not repeated in messages. */
export type SchemaCheck<Shape> = (
  value: unknown,
  isHidden?: (path: PathSegments) => boolean,
) => SchemaCheckResult<Shape>;

/** One file with a fault in every line must not make a report that nobody reads. */
const FAULTS_MAX = 100;
const QUOTED_CHARACTERS_MAX = 40;

/** Compiles once. `schema` is our own, never a client's, and describes `Shape`. */
export function compileSchema<Shape>(schema: SchemaObject): SchemaCheck<Shape> {
  const ajv = new Ajv({
    allErrors: true,
    verbose: true,
    strict: true,
    // A discriminated union has its tag in its branches, where this would not look for it.
    strictRequired: false,
    allowUnionTypes: true,
    discriminator: true,
  });
  const validate = ajv.compile<Shape>(schema);
  return (value, isHidden = () => false) => {
    if (validate(value)) return { kind: "fits", value };
    const faults = (validate.errors ?? [])
      .filter(isTelling)
      .slice(0, FAULTS_MAX)
      .map((error) => faultOf({ error, schema, value, isHidden }))
      .filter(isFirstAtItsPath);
    return { kind: "misfits", faults };
  };
}

/** `customer.phone`, `body[0]`, `senders["odd key"]`; the root is empty. */
export function pathText(path: PathSegments): string {
  let text = "";
  for (const segment of path) {
    if (typeof segment === "number") text += `[${segment}]`;
    else if (!/^[\w-]+$/.test(segment)) text += `[${JSON.stringify(segment)}]`;
    else text += text === "" ? segment : `.${segment}`;
  }
  return text;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `propertyNames` only repeats the fault of the name itself; a missing tag is already a missing key. */
function isTelling({ keyword, params }: ErrorObject): boolean {
  if (keyword === "propertyNames") return false;
  return !(keyword === "discriminator" && params["tagValue"] === undefined);
}

/** Nothing where `active` or `paused` belongs is no text and none of the two: one sentence will do. */
function isFirstAtItsPath({ path }: SchemaFault, index: number, all: readonly SchemaFault[]): boolean {
  return all.findIndex((fault) => pathText(fault.path) === pathText(path)) === index;
}

interface Found {
  readonly error: ErrorObject;
  readonly schema: SchemaObject;
  readonly value: unknown;
  readonly isHidden: (path: PathSegments) => boolean;
}

function faultOf(found: Found): SchemaFault {
  const { error, schema, value } = found;
  const { keyword, params, parentSchema = {} } = error;
  const path = segmentsOf(error.instancePath, value);
  if (keyword === "additionalProperties") {
    const key = String(params["additionalProperty"]);
    return {
      path: [...path, key],
      concerns: "key",
      message: unknownKey(key, Object.keys(partOf(parentSchema, "properties"))),
    };
  }
  if (keyword === "required") {
    const key = String(params["missingProperty"]);
    const expected = descriptionOf(propertySchema(parentSchema, key), schema);
    return { path: [...path, key], concerns: "key", message: `missing; expected ${expected}` };
  }
  if (keyword === "discriminator") {
    const tag = String(params["tag"]);
    const tags = tagsOf(parentSchema, tag);
    const message = `expected ${listed(tags)}${foundChoice(params["tagValue"], tags)}`;
    return { path: [...path, tag], concerns: "value", message };
  }
  if (error.propertyName !== undefined) {
    const message = `expected ${descriptionOf(parentSchema, schema)}`;
    return { path: [...path, error.propertyName], concerns: "key", message };
  }
  const isQuotable = parentSchema["writeOnly"] !== true && !found.isHidden(path);
  const message = valueMessage(error, descriptionOf(parentSchema, schema), isQuotable);
  const { type } = parentSchema;
  return { path, concerns: "value", message, expectedTypes: type === undefined ? [] : textsOf(type) };
}

function valueMessage(error: ErrorObject, expected: string, isQuotable: boolean): string {
  const { keyword, params, data } = error;
  const found = isQuotable ? `, found ${quoted(data)}` : "";
  const limit = String(params["limit"]);
  switch (keyword) {
    case "type":
      return `expected ${expected}, found ${kindOf(data)}${quotesHint(error)}`;
    case "enum": {
      const choices = textsOf(params["allowedValues"]);
      return `expected ${listed(choices)}${isQuotable ? foundChoice(data, choices) : ""}`;
    }
    case "minimum":
    case "maximum":
    case "exclusiveMinimum":
      return `expected ${expected}, ${comparison(String(params["comparison"]))} ${limit}${found}`;
    case "minLength":
      return `expected ${expected}, found empty text`;
    case "maxLength":
      return `expected ${expected}, at most ${limit} characters, found ${String(data).length}`;
    case "maxItems":
    case "maxProperties":
      return `expected ${expected}, at most ${limit}, found ${Object.keys(data ?? {}).length}`;
    case "pattern":
      return `expected ${expected}${found}`;
    default:
      return `expected ${expected}`;
  }
}

function unknownKey(key: string, known: readonly string[]): string {
  const nearest = nearestKey(key, known);
  return nearest === null ? "unknown key; none is known here" : `unknown key; the nearest known key is "${nearest}"`;
}

function foundChoice(data: unknown, choices: readonly string[]): string {
  if (typeof data !== "string") return `, found ${quoted(data)}`;
  const nearest = nearestKey(data, choices);
  return `, found ${quoted(data)}${nearest === null ? "" : `; the nearest is "${nearest}"`}`;
}

function listed(choices: readonly string[]): string {
  return choices.length < 2 ? choices.join("") : `${choices.slice(0, -1).join(", ")} or ${choices.at(-1) ?? ""}`;
}

function comparison(sign: string): string {
  return sign === ">=" ? "at least" : sign === "<=" ? "at most" : "above";
}

/** `phoneNumberId: 106540352242922` is the commonest slip of all: YAML takes it for a number. */
function quotesHint({ data, params }: ErrorObject): string {
  const wantsText = textsOf(params["type"]).includes("string");
  return wantsText && (typeof data === "number" || typeof data === "boolean") ? "; put it in quotes" : "";
}

function kindOf(data: unknown): string {
  if (data === null || data === undefined) return "nothing";
  if (Array.isArray(data)) return "a list";
  if (typeof data === "object") return "a mapping";
  if (typeof data === "string") return "text";
  return typeof data === "boolean" ? String(data) : "a number";
}

function quoted(data: unknown): string {
  if (typeof data === "number") return String(data);
  if (typeof data !== "string") return kindOf(data);
  return JSON.stringify(data.length > QUOTED_CHARACTERS_MAX ? `${data.slice(0, QUOTED_CHARACTERS_MAX)}…` : data);
}

function propertySchema(parent: Readonly<Record<string, unknown>>, key: string): Readonly<Record<string, unknown>> {
  const properties = partOf(parent, "properties");
  return Object.hasOwn(properties, key) ? partOf(properties, key) : partOf(parent, "additionalProperties");
}

function descriptionOf(part: Readonly<Record<string, unknown>>, root: Readonly<Record<string, unknown>>): string {
  const { $ref } = part;
  const target =
    typeof $ref === "string" ? partOf(partOf(root, "definitions"), $ref.replace("#/definitions/", "")) : part;
  return typeof target["description"] === "string" ? target["description"] : "another value";
}

function tagsOf(parent: Readonly<Record<string, unknown>>, tag: string): string[] {
  const choices: unknown = parent["oneOf"];
  if (!Array.isArray(choices)) return [];
  return choices.filter(isRecord).map((choice) => String(partOf(partOf(choice, "properties"), tag)["const"]));
}

/** An empty object where the schema has no such part. */
function partOf(schema: Readonly<Record<string, unknown>>, key: string): Readonly<Record<string, unknown>> {
  const part = schema[key];
  return isRecord(part) ? part : {};
}

/** One, or a list of them, as texts. */
function textsOf(value: unknown): string[] {
  return [value].flat().map(String);
}

/** A JSON pointer does not tell a list position from a key that is a number; the value does. */
function segmentsOf(pointer: string, root: unknown): (string | number)[] {
  let node: unknown = root;
  const segments: (string | number)[] = [];
  for (const part of pointer.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    segments.push(Array.isArray(node) ? Number(key) : key);
    node = Array.isArray(node) ? node[Number(key)] : isRecord(node) ? node[key] : undefined;
  }
  return segments;
}
