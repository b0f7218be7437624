// Dates as shops write them, brought to ISO 8601 so that the `date` filter reads them alike everywhere.

/** Seconds after 1970 that need more digits than this are milliseconds (11 digits reach the year 5138). */
const EPOCH_SECONDS_MAX = 99_999_999_999;
const EPOCH_MS_MAX = 8_640_000_000_000_000;

const ISO =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?\s?(?:Z|z|[+-]\d{2}(?::?\d{2})?)?)?$/;
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
  const parts = ISO.exec(text);
  if (parts === null) return false;
  const [year, month, day, hour, minute, second] = parts.slice(1).map((part) => Number(part ?? 0));
  if (year === undefined || month === undefined || day === undefined) return false;
  const isTime = (hour ?? 0) <= 24 && (minute ?? 0) <= 59 && (second ?? 0) <= 60;
  return isTime && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);
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
