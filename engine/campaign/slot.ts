// One value that a template wants, and the form it must have there.

import type { Expression } from "./expression.ts";
import { momentOf } from "./time-text.ts";

export interface Slot {
  /** In the campaign's definition: `template.body[0]`. */
  readonly path: string;
  /** For people: `body {{1}}`. */
  readonly place: string;
  readonly form: SlotForm;
  readonly expression: Expression;
}

export type SlotForm =
  | { readonly kind: "text" }
  /** An https link that Meta fetches, or the id of media uploaded to Meta. */
  | { readonly kind: "media"; readonly by: "link" | "id" | "either" }
  | { readonly kind: "coordinate"; readonly degreesMax: number }
  | { readonly kind: "urlPart"; readonly prefix: string; readonly suffix: string }
  | { readonly kind: "payload" }
  | { readonly kind: "couponCode" }
  | { readonly kind: "oneTimeCode" }
  /** Becomes epoch milliseconds. */
  | { readonly kind: "moment" };

export type Formed =
  | { readonly kind: "formed"; readonly value: string }
  /** `reason` completes "button 0 …". */
  | { readonly kind: "unfit"; readonly reason: string };

const URL_LENGTH_MAX = 2000;
const PAYLOAD_LENGTH_MAX = 256;
/** Meta's pages say 15, its changelog of 2025-12-03 says 20. */
const COUPON_LENGTH_MAX = 20;
const ONE_TIME_CODE_LENGTH_MAX = 15;

const MEDIA_ID = /^\d{5,32}$/;
const WEB_URL = /^https?:\/\/[^\s/?#]+\S*$/i;
const SCHEME = /^https?:\/\//i;
const EMOJI_OR_URL = /\p{Extended_Pictographic}|:\/\/|^www\./u;

/** @param value sanitised, not blank. */
export function formValue(form: SlotForm, value: string): Formed {
  switch (form.kind) {
    case "text":
      return formed(value);
    case "media":
      return formMedia(value.trim(), form.by);
    case "coordinate":
      return formCoordinate(value.trim(), form.degreesMax);
    case "urlPart":
      return formUrlPart(value.trim(), form);
    case "payload":
      return value.length <= PAYLOAD_LENGTH_MAX ? formed(value) : tooLong(PAYLOAD_LENGTH_MAX);
    case "couponCode":
      return value.length <= COUPON_LENGTH_MAX ? formed(value) : tooLong(COUPON_LENGTH_MAX);
    case "oneTimeCode":
      if (EMOJI_OR_URL.test(value)) return unfit("holds an emoji or a link, which WhatsApp refuses in a code");
      return value.length <= ONE_TIME_CODE_LENGTH_MAX ? formed(value) : tooLong(ONE_TIME_CODE_LENGTH_MAX);
    case "moment":
      return formMoment(value);
  }
}

export function isMediaId(value: string): boolean {
  return MEDIA_ID.test(value);
}

function formMedia(value: string, by: "link" | "id" | "either"): Formed {
  if (by !== "link" && isMediaId(value)) return formed(value);
  if (by === "id") return unfit("is no media id");
  const otherwise = by === "link" ? "is no http(s) link" : "is neither an http(s) link nor a media id";
  if (!WEB_URL.test(value) || !URL.canParse(value)) return unfit(otherwise);
  return value.length <= URL_LENGTH_MAX ? formed(value) : tooLong(URL_LENGTH_MAX);
}

function formCoordinate(value: string, degreesMax: number): Formed {
  const isInRange = /^[+-]?\d+(?:\.\d+)?$/.test(value) && Math.abs(Number(value)) <= degreesMax;
  return isInRange ? formed(value) : unfit(`is no number of degrees between -${degreesMax} and ${degreesMax}`);
}

function formMoment(value: string): Formed {
  const atMs = momentOf(value, (utcMs) => utcMs);
  return atMs === undefined ? unfit("is no time that Volley can read") : formed(String(atMs));
}

/**
 * A URL button takes only what follows the template's fixed part. Shops send whole links (`abandoned_checkout_url`),
 * so the fixed part is taken off; a link that does not begin with it can never be reached by this button.
 */
function formUrlPart(value: string, form: { readonly prefix: string; readonly suffix: string }): Formed {
  const part = partOf(value, form.prefix);
  if (part === null) return unfit(`is a link that does not begin with the template's ${form.prefix}`);
  if (part === "") return unfit(`says nothing beyond the template's ${form.prefix}`);
  const encoded = encodeUrlPart(part);
  const length = form.prefix.length + encoded.length + form.suffix.length;
  return length <= URL_LENGTH_MAX ? formed(encoded) : unfit(`makes a URL of more than ${URL_LENGTH_MAX} characters`);
}

function partOf(value: string, prefix: string): string | null {
  if (!SCHEME.test(value)) return value;
  const [link, fixed] = [value.replace(SCHEME, ""), prefix.replace(SCHEME, "")];
  if (fixed !== "" && link.startsWith(fixed)) return link.slice(fixed.length);
  // Redirectors carry the whole link in their query (`https://r.example.com/?to={{1}}`).
  return prefix.includes("?") ? encodeURIComponent(value) : null;
}

/** Encodes what may not stand in a URL and leaves what already is encoded. */
function encodeUrlPart(part: string): string {
  return encodeURI(part).replaceAll(/%25([0-9a-f]{2})/gi, "%$1");
}

function formed(value: string): Formed {
  return { kind: "formed", value };
}

function unfit(reason: string): Formed {
  return { kind: "unfit", reason };
}

function tooLong(lengthMax: number): Formed {
  return unfit(`is longer than ${lengthMax} characters`);
}
