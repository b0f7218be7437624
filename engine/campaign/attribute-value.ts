// What a payload's value becomes as an attribute of some type. Tools send everything as text (forms, Zapier, shop
// money), so text that clearly *is* the type is taken for it. Coercion never judges: what it cannot turn is passed
// on as it is, and the campaign's Ajv schema (attributeSchema) refuses it with all other faults of the payload.

import type { AttributeDefinition, AttributeType } from "../message/campaign.ts";
import { dateText } from "./date-text.ts";
import { decodeHtmlEntities } from "./html-entity.ts";

/** Characters of a text attribute, unless its `maxLength` says less: an event travels and is stored with them. */
export const ATTRIBUTE_LENGTH_MAX = 16_384;

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$/;
const INTEGER = /^([+-]?)0*(\d+)(?:\.0*)?$/;
const TRUE: ReadonlySet<string> = new Set(["true", "1", "yes", "on"]);
const FALSE: ReadonlySet<string> = new Set(["false", "0", "no", "off"]);

/** Longest text taken for a number. Also bounds the patterns above, which are quadratic on text made to hurt. */
const NUMBER_LENGTH_MAX = 64;

export type JsonSchema = Readonly<Record<string, unknown>>;

/** What the value of each type must look like after {@link coerce}. Phones are judged by phone.ts. */
const SCHEMAS: Readonly<Record<AttributeType, JsonSchema>> = {
  phone: { type: "string" },
  string: { type: "string" },
  // Integers beyond 2^53 are kept as their digits.
  number: { type: ["number", "string"], pattern: "^-?\\d{1,64}$" },
  integer: { type: ["integer", "string"], pattern: "^-?\\d{1,64}$" },
  boolean: { type: "boolean" },
  date: { type: "string", format: "date-or-time" },
  email: { type: "string", format: "email" },
  url: { type: "string", format: "web-url" },
};

const TEXT_TYPES: ReadonlySet<AttributeType> = new Set(["string", "email", "url"]);

export function attributeSchema(definition: AttributeDefinition): JsonSchema {
  const schema = SCHEMAS[definition.type];
  if (!TEXT_TYPES.has(definition.type)) return schema;
  return {
    ...schema,
    maxLength: Math.min(definition.maxLength ?? ATTRIBUTE_LENGTH_MAX, ATTRIBUTE_LENGTH_MAX),
  };
}

/** Absent, null and blank are the same; an empty list is how PHP writes an empty object. */
export function isBlank(raw: unknown): boolean {
  if (raw === undefined || raw === null) return true;
  if (typeof raw === "string") return raw.trim() === "";
  return Array.isArray(raw) && raw.length === 0;
}

/** @returns undefined when the value turns out to be blank (`&nbsp;`). */
export function coerce(type: Exclude<AttributeType, "phone">, raw: unknown): unknown {
  switch (type) {
    case "string":
    case "url":
    case "email":
      return coerceText(raw);
    case "number":
      return typeof raw === "string" ? coerceNumber(raw.trim()) : raw;
    case "integer":
      return coerceInteger(raw);
    case "boolean":
      return coerceBoolean(raw);
    case "date":
      return coerceDate(raw);
  }
}

function coerceText(raw: unknown): unknown {
  if (typeof raw === "string") {
    const text = decodeHtmlEntities(raw).trim();
    return text === "" ? undefined : text;
  }
  const isScalar = typeof raw === "boolean" || (typeof raw === "number" && Number.isFinite(raw));
  return isScalar ? String(raw) : raw;
}

function coerceNumber(text: string): unknown {
  if (text.length > NUMBER_LENGTH_MAX) return text;
  const integer = INTEGER.exec(text);
  if (integer !== null) return integerOf(integer);
  return NUMBER.test(text) ? Number(text) : text;
}

function coerceInteger(raw: unknown): unknown {
  if (typeof raw === "number") {
    return Number.isInteger(raw) && !Number.isSafeInteger(raw) ? BigInt(raw).toString() : raw;
  }
  if (typeof raw !== "string") return raw;
  const text = raw.trim();
  const integer = text.length > NUMBER_LENGTH_MAX ? null : INTEGER.exec(text);
  return integer === null ? text : integerOf(integer);
}

function integerOf(parts: RegExpExecArray): number | string {
  const digits = `${parts[1] === "-" ? "-" : ""}${parts[2] ?? ""}`;
  const value = Number(digits);
  if (Number.isSafeInteger(value)) return value === 0 ? 0 : value;
  return digits;
}

function coerceBoolean(raw: unknown): unknown {
  if (raw === 1) return true;
  if (raw === 0) return false;
  if (typeof raw !== "string") return raw;
  const word = raw.trim().toLowerCase();
  if (TRUE.has(word)) return true;
  return FALSE.has(word) ? false : raw;
}

function coerceDate(raw: unknown): unknown {
  if (typeof raw === "number") return dateText(raw) ?? raw;
  if (typeof raw !== "string") return raw;
  return dateText(raw.trim()) ?? raw.trim();
}
