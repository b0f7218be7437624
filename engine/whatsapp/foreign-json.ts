// JSON that WhatsApp wrote: its shapes vary between versions, locales and mistakes, so every field is `unknown` until
// one of these readers has looked at it. Ids longer than a JavaScript number keeps come out as text, digit for digit.

import { parse as parseLossless } from "lossless-json";

export type ForeignObject = Readonly<Record<string, unknown>>;

/** A number of 16 digits or more outside a string may lose digits in JSON.parse. A false alarm only costs time. */
const LONG_NUMBER = /[:,[]\s*-?\d{16,}/;

/** @returns undefined when the text is not JSON. */
export function parseForeignJson(text: string): unknown {
  if (LONG_NUMBER.test(text)) {
    try {
      return parseLossless(text, null, {
        parseNumber: exactNumber,
        onDuplicateKey: ({ newValue }) => newValue,
      });
    } catch {
      // The slow parser recurses and so refuses deep nesting that the native one takes: rounded ids beat no statuses.
    }
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function exactNumber(digits: string): number | string {
  const value = Number(digits);
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? digits : value;
}

/** @returns null for anything but an object, arrays included. */
export function asObject(value: unknown): ForeignObject | null {
  return isObject(value) ? value : null;
}

/** @returns an empty list for anything but an array. */
export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Ids come as text here and as a number there. @returns empty for anything but those two. */
export function asText(value: unknown): string {
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : "";
}

/** @returns null for anything but a safe integer, written as a number or as its digits. */
export function asInteger(value: unknown): number | null {
  const number = typeof value === "string" && /^-?\d{1,16}$/.test(value) ? Number(value) : value;
  return typeof number === "number" && Number.isSafeInteger(number) ? number : null;
}

function isObject(value: unknown): value is ForeignObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
