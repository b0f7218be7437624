// Every WhatsApp error code the engine knows: what it means for the message and how it reads in the CSV. The codes
// decide, never the HTTP status: Meta no longer documents it and has used 400 for "slow down". docs/errors-whatsapp.md
// shows the same table and is tested against this one.

import { MESSAGE_ERRORS } from "./error-entries-message.ts";
import { PLATFORM_ERRORS } from "./error-entries-platform.ts";
import { TEMPLATE_ERRORS } from "./error-entries-template.ts";
import type { ErrorEntry } from "./error-entry.ts";

/** In the order of their codes. */
export const ERROR_CATALOGUE: readonly ErrorEntry[] = [
  ...PLATFORM_ERRORS,
  ...MESSAGE_ERRORS,
  ...TEMPLATE_ERRORS,
].toSorted((one, other) => one.code - other.code || (one.subcode ?? 0) - (other.subcode ?? 0));

/** WhatsApp's own words are cut after this many characters. */
export const DETAILS_LENGTH_MAX = 300;

const BY_CODE: ReadonlyMap<string, ErrorEntry> = new Map(
  ERROR_CATALOGUE.filter((entry) => entry.through === undefined).map((entry) => [
    keyOf(entry.code, entry.subcode),
    entry,
  ]),
);
const RANGES: readonly ErrorEntry[] = ERROR_CATALOGUE.filter((entry) => entry.through !== undefined);

/** @returns undefined for a code that this release does not know. */
export function entryOf(code: number, subcode?: number): ErrorEntry | undefined {
  return (
    (subcode === undefined ? undefined : BY_CODE.get(keyOf(code, subcode))) ??
    BY_CODE.get(keyOf(code, undefined)) ??
    RANGES.find((entry) => code >= entry.code && code <= (entry.through ?? entry.code))
  );
}

/** The CSV's `error_reason`: what happened in a plain sentence, with WhatsApp's details where they say more. */
export function reasonOf(code: number, details: string, subcode?: number): string {
  const entry = entryOf(code, subcode);
  if (entry === undefined) {
    return withDetails(
      `WhatsApp refused the message with error ${code}, which this release of Volley does not know.`,
      details,
    );
  }
  return entry.hasDetails === true ? withDetails(entry.reason, details) : entry.reason;
}

function withDetails(sentence: string, details: string): string {
  const words = shortened(details.replaceAll(/[\p{Cc}\s]+/gu, " ").trim());
  return words === "" ? sentence : `${sentence} WhatsApp says: ${words}`;
}

function shortened(text: string): string {
  if (text.length <= DETAILS_LENGTH_MAX) return text;
  // A cut through the middle of an emoji would leave half of it.
  return `${text.slice(0, DETAILS_LENGTH_MAX).replace(/[\uD800-\uDBFF]$/, "")}…`;
}

function keyOf(code: number, subcode: number | undefined): string {
  return subcode === undefined ? String(code) : `${code}/${subcode}`;
}
