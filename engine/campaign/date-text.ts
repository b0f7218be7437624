// Dates as shops write them, brought to ISO 8601 so that the `date` filter reads them alike everywhere.

/** Seconds after 1970 that need more digits than this are milliseconds (11 digits reach the year 5138). */
export const EPOCH_SECONDS_MAX = 99_999_999_999;
/** The last moment that a Date can be. */
export const EPOCH_MS_MAX = 8_640_000_000_000_000;

const ISO =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s?(Z|z|[+-]\d{2}(?::?\d{2})?)?)?$/;
const RFC_2822 = /^(?:[A-Za-z]{3}, )?\d{1,2} [A-Za-z]{3} \d{4} \d{2}:\d{2}(?::\d{2})? (?:[+-]\d{4}|GMT|UTC|Z)$/;

/**
 * ISO 8601 text stays as written (its offset tells the shop's own day), RFC 2822 text and epoch numbers become UTC.
 * @returns undefined when it is no date.
 */
export function dateText(raw: string | number): string | undefined {
  if (typeof raw === "number") return epochText(raw);
  if (isIsoDate(raw)) return raw;
  if (!RFC_2822.test(raw)) return undefined;
  return isoText(Date.parse(raw));
}

/** True for a calendar day, or a day and a time, that exists. */
export function isIsoDate(text: string): boolean {
  return readIsoDate(text) !== undefined;
}

export interface IsoDate {
  /** Milliseconds from 1970 to that reading of a clock, wherever the clock is. */
  readonly wallMs: number;
  /** `Z`, `+02:00`, `-0500` or `+02`; undefined when the text names none. */
  readonly zone: string | undefined;
}

/** @returns undefined for anything but a calendar day, or a day and a time, that exists. */
export function readIsoDate(text: string): IsoDate | undefined {
  const parts = ISO.exec(text);
  if (parts === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1, 7)
    .map((part) => Number(part ?? 0));
  const isTime = hour <= 24 && minute <= 59 && second <= 60;
  if (!isTime || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined;
  const ms = Number((parts[7] ?? "").padEnd(3, "0").slice(0, 3));
  return { wallMs: Date.UTC(year, month - 1, day, hour, minute, second, ms), zone: parts[8] };
}

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

function epochText(epoch: number): string | undefined {
  if (!Number.isInteger(epoch) || epoch < 0 || epoch > EPOCH_MS_MAX) return undefined;
  return isoText(epoch > EPOCH_SECONDS_MAX ? epoch : epoch * 1000);
}

function isoText(atMs: number): string | undefined {
  return Number.isNaN(atMs) ? undefined : new Date(atMs).toISOString();
}
