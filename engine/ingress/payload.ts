// From the bytes of a trigger to its events. Bytes are judged here and nowhere else: what leaves is plain data of
// bounded depth and count. Integers beyond 2^53 leave as strings of their digits; of duplicate keys the last wins;
// `__proto__` is a property like any other, and later stages read own properties only.

import { isUtf8 } from "node:buffer";

import { quoteBigIntegers } from "./big-integers.ts";
import { findJsonFault } from "./json-fault.ts";

export type Payload = Readonly<Record<string, unknown>>;

export type ParsedPayload =
  | { readonly kind: "one"; readonly payload: Payload }
  /** 1 to {@link PAYLOAD_ITEMS_MAX}; null stands for an item that is no object. */
  | { readonly kind: "many"; readonly payloads: readonly (Payload | null)[] }
  /** Not the format it claims to be. `detail` says where. */
  | { readonly kind: "malformed"; readonly detail: string }
  /** Readable, but no event. */
  | { readonly kind: "invalid"; readonly code: "required" | "wrong_type" | "too_long"; readonly message: string }
  | { readonly kind: "unsupported"; readonly detail: string };

export interface PayloadInput {
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly body: Buffer;
  /** True: what is not a form is read as JSON, whatever it is declared as. For platforms that declare nothing. */
  readonly isLenient: boolean;
}

const PAYLOAD_ITEMS_MAX = 1000;
/** Deeper than any order of any shop; a bound for everything that walks the payload. */
const PAYLOAD_DEPTH_MAX = 32;
const FORM_FIELDS_MAX = 1000;

const JSON_TYPE = /^application\/(?:[a-z0-9!#$&^_.-]+\+)?json$/;
const UTF8 = /^charset="?utf-?8"?$/;
const FORM_TYPE = "application/x-www-form-urlencoded";
const AMPERSAND = 38;
const HAS_LONG_RUN = /[0-9]{16}/;

export function parsePayload(input: PayloadInput): ParsedPayload {
  // The common case first: an exact header costs one comparison.
  const format = input.contentType === "application/json" ? "json" : formatOf(input.contentType ?? "", input.isLenient);
  if (typeof format === "object") return format;
  const { body, contentEncoding } = input;
  if (contentEncoding !== undefined && contentEncoding !== "identity")
    return unsupported("The body must not be compressed.");
  if (!isUtf8(body)) return { kind: "malformed", detail: `The body is not UTF-8: ${whereNotUtf8(body)}.` };
  const hasByteOrderMark = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  const text = body.toString("utf8", hasByteOrderMark ? 3 : 0);
  return format === "form" ? parseForm(text) : parseJson(text);
}

/** WooCommerce's unsigned ping on saving a webhook: the form `webhook_id=N` and nothing else. */
export function isWooCommercePing(contentType: string | undefined, body: Buffer): boolean {
  if (body.length > 40 || !(contentType ?? "").toLowerCase().startsWith(FORM_TYPE)) return false;
  return /^webhook_id=[0-9]+$/.test(body.toString("latin1"));
}

function formatOf(contentType: string, isLenient: boolean): "json" | "form" | ParsedPayload {
  const [type = "", ...parameters] = contentType.toLowerCase().split(";", 9);
  if (type.trim() === FORM_TYPE) return "form";
  if (isLenient) return "json";
  if (!JSON_TYPE.test(type.trim())) return unsupported(`Send application/json or ${FORM_TYPE}.`);
  const charset = parameters.map((text) => text.trim()).find((text) => text.startsWith("charset="));
  return charset === undefined || UTF8.test(charset) ? "json" : unsupported("The only charset is UTF-8.");
}

function unsupported(detail: string): ParsedPayload {
  return { kind: "unsupported", detail };
}

function parseJson(text: string): ParsedPayload {
  let value: unknown;
  try {
    value = JSON.parse(HAS_LONG_RUN.test(text) ? quoteBigIntegers(text) : text);
  } catch {
    return { kind: "malformed", detail: jsonFaultSentence(text) };
  }
  // An array of events is one level around them.
  if (isDeeperThan(value, Array.isArray(value) ? PAYLOAD_DEPTH_MAX + 1 : PAYLOAD_DEPTH_MAX)) {
    return { kind: "invalid", code: "too_long", message: `The body nests deeper than ${PAYLOAD_DEPTH_MAX} levels.` };
  }
  if (Array.isArray(value)) return manyOf(value);
  const payload = objectOf(value);
  if (payload === null)
    return { kind: "invalid", code: "wrong_type", message: "The body must be an object or an array of objects." };
  return { kind: "one", payload };
}

function manyOf(items: readonly unknown[]): ParsedPayload {
  if (items.length === 0) return { kind: "invalid", code: "required", message: "The array holds no event." };
  if (items.length <= PAYLOAD_ITEMS_MAX) return { kind: "many", payloads: items.map(objectOf) };
  const message = `The array holds ${items.length} events; at most ${PAYLOAD_ITEMS_MAX} are taken at once.`;
  return { kind: "invalid", code: "too_long", message };
}

function objectOf(value: unknown): Payload | null {
  return isObject(value) && !Array.isArray(value) ? value : null;
}

function isObject(value: unknown): value is Payload {
  return typeof value === "object" && value !== null;
}

/** The recursion is as deep as the limit, whatever the payload. */
function isDeeperThan(value: unknown, levels: number): boolean {
  if (!isObject(value)) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) {
    for (const item of value) if (isDeeperThan(item, levels - 1)) return true;
    return false;
  }
  for (const name in value) if (isDeeperThan(value[name], levels - 1)) return true;
  return false;
}

function parseForm(text: string): ParsedPayload {
  if (/^\s*[{[]/.test(text)) {
    return unsupported("The body looks like JSON but is declared as a form: send Content-Type: application/json.");
  }
  let fields = 1;
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) === AMPERSAND) fields++;
  if (fields > FORM_FIELDS_MAX) {
    return {
      kind: "invalid",
      code: "too_long",
      message: `The form has ${fields} fields; at most ${FORM_FIELDS_MAX} are taken.`,
    };
  }
  // fromEntries defines own properties, `__proto__` included.
  return { kind: "one", payload: Object.fromEntries(new URLSearchParams(text)) };
}

function jsonFaultSentence(text: string): string {
  const fault = findJsonFault(text);
  if (fault === null) return "The body is not JSON.";
  return `The body is not JSON: line ${fault.line}, column ${fault.column}: ${fault.reason}.`;
}

/** Only on the error path: halves the range until the first bad byte is left. */
function whereNotUtf8(body: Buffer): string {
  let good = 0;
  let bad = body.length;
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1;
    // A prefix may end inside a character; then it is judged at that character's start.
    if (isUtf8(body.subarray(0, characterStart(body, middle)))) good = middle;
    else bad = middle;
  }
  return `byte ${characterStart(body, good)} begins no character`;
}

function characterStart(body: Buffer, position: number): number {
  let start = position;
  while (start > 0 && start > position - 3 && ((body[start] ?? 0) & 0xc0) === 0x80) start--;
  return start;
}
