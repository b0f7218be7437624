// Moments as payloads write them: ISO 8601 with or without a zone, RFC 2822, seconds or milliseconds since 1970.

import { dateText, EPOCH_MS_MAX, EPOCH_SECONDS_MAX, readIsoDate } from "./date-text.ts";
import type { ToMoment } from "./zoned-time.ts";

/** March 1973. What is smaller is something else: a year, a number of minutes, a day written without dashes. */
const EPOCH_SECONDS_MIN = 100_000_000;
const EPOCH = /^\d{9,16}(?:\.\d{1,9})?$/;
const ZONE = /^([+-])(\d{2}):?(\d{2})?$/;

/**
 * @param toMoment of times that name no zone.
 * @returns epoch milliseconds; undefined when it is no moment.
 */
export function momentOf(raw: string | number, toMoment: ToMoment): number | undefined {
  if (typeof raw === "number") return momentOfEpoch(raw);
  const text = raw.trim();
  if (EPOCH.test(text)) return momentOfEpoch(Number(text));
  const date = readIsoDate(text);
  if (date !== undefined) {
    return date.zone === undefined ? toMoment(date.wallMs) : date.wallMs - zoneMs(date.zone);
  }
  const utc = dateText(text);
  return utc === undefined ? undefined : Date.parse(utc);
}

function momentOfEpoch(epoch: number): number | undefined {
  if (!(epoch >= EPOCH_SECONDS_MIN && epoch <= EPOCH_MS_MAX)) return undefined;
  return Math.round(epoch > EPOCH_SECONDS_MAX ? epoch : epoch * 1000);
}

/** How far a written zone is ahead of UTC. */
function zoneMs(zone: string): number {
  const [, sign, hours = 0, minutes = 0] = ZONE.exec(zone) ?? [];
  const ms = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return sign === "-" ? -ms : ms;
}
