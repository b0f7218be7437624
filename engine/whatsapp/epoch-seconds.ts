// Meta's times: whole seconds, as text here and as a number there.

import { asInteger } from "./foreign-json.ts";

/** 9999-12-31: a later time cannot be written in ISO 8601 with four digits of year. */
const EPOCH_SECONDS_MAX = 253_402_300_799;

/** @returns epoch milliseconds; null for what is no time after 1970. */
export function epochMsOf(value: unknown): number | null {
  const seconds = asInteger(value);
  return seconds !== null && seconds > 0 && seconds <= EPOCH_SECONDS_MAX ? seconds * 1000 : null;
}
