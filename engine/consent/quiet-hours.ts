// When a message that came in the recipient's night may leave: at the first minute that is quiet in none of the zones in
// which the recipient may live.
//
// - A country with several zones is quiet while any of them is. Where that leaves no minute of the day (Russia from
//   21:00 to 10:00), the zone of most of its people decides alone.
// - Local time is Node's own (ICU), asked once a zone and quarter of an hour: clocks are set at quarters everywhere.
//   What is between is arithmetic.

import type { QuietHours, Refusal } from "../message/marketing.ts";
import type { ZonesOfRegion } from "./time-zones.ts";

const MINUTE_MS = 60_000;
const QUARTER_MS = 15 * MINUTE_MS;
const DAY_MS = 24 * 60 * MINUTE_MS;
const DAY_MINUTES = 24 * 60;
/** A day on which clocks are set forward or back lies within two. */
const SEARCH_QUARTERS_MAX = 2 * 96;
/** Quarters that a place remembers: some searches. Then it asks anew. */
const QUARTERS_MAX = 1_000;
/** Pairs of a country or zone and its quiet hours. */
const NIGHTS_MAX = 10_000;

export interface QuietHoursRule {
  /** Null: it may leave. @param region ISO 3166 alpha-2, or empty. */
  refusal(region: string, quietHours: QuietHours, nowMs: number): Refusal | null;
}

export function createQuietHours(zonesOf: ZonesOfRegion): QuietHoursRule {
  const places = new Map<string, Place>();
  let nights = new Map<string, Night>();

  const placeOf = (region: string, timeZone: string | null): Place => {
    const name = timeZone ?? region;
    let place = places.get(name);
    if (place === undefined) {
      const { all, main } = timeZone === null ? zonesOf(region) : { all: [timeZone], main: timeZone };
      place = { all: new Clocks(all), main: new Clocks([main]) };
      places.set(name, place);
    }
    return place;
  };

  const nightOf = (region: string, quietHours: QuietHours): Night => {
    const { fromMinute, toMinute, timeZone } = quietHours;
    const key = `${timeZone ?? region} ${fromMinute} ${toMinute}`;
    let night = nights.get(key);
    if (night === undefined) {
      if (nights.size >= NIGHTS_MAX) nights = new Map();
      night = new Night(placeOf(region, timeZone), quietHours);
      nights.set(key, night);
    }
    return night;
  };

  return {
    refusal(region, quietHours, nowMs) {
      // From a minute to the same minute is no time at all.
      if (quietHours.fromMinute === quietHours.toMinute) return null;
      return nightOf(region, quietHours).refusal(nowMs);
    },
  };
}

function reasonOf({ fromMinute, toMinute, timeZone }: QuietHours, untilMs: number): string {
  const place = timeZone === null ? "where the recipient lives" : `in ${timeZone}`;
  const until = `${new Date(untilMs).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  return `Quiet hours from ${timeText(fromMinute)} to ${timeText(toMinute)} ${place}: it may leave at ${until}.`;
}

function timeText(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
}

type Waiting = Extract<Refusal, { kind: "wait" }>;

interface Place {
  readonly all: Clocks;
  readonly main: Clocks;
}

/** The quiet hours of one place. What was found counts until the time that was found. */
class Night {
  readonly #place: Place;
  readonly #quietHours: QuietHours;
  /** The last night that was found: the same answer for all who wait for its end. */
  #quiet: { readonly fromMs: number; readonly refusal: Waiting } | null = null;
  /** Whose clocks decide, for a day. */
  #deciding: { readonly clocks: Clocks; readonly fromMs: number } | null = null;

  constructor(place: Place, quietHours: QuietHours) {
    this.#place = place;
    this.#quietHours = quietHours;
  }

  refusal(nowMs: number): Refusal | null {
    const known = this.#quiet;
    if (known !== null && nowMs >= known.fromMs && nowMs < known.refusal.untilMs) return known.refusal;
    const clocks = this.#clocksAt(nowMs);
    if (!this.#isQuiet(nowMs, clocks)) return null;
    const untilMs = this.#firstOpenMinute(nowMs, clocks) ?? nowMs + DAY_MS;
    const refusal: Waiting = { kind: "wait", untilMs, reason: reasonOf(this.#quietHours, untilMs) };
    this.#quiet = { fromMs: nowMs, refusal };
    return refusal;
  }

  #clocksAt(nowMs: number): Clocks {
    const known = this.#deciding;
    if (known !== null && nowMs >= known.fromMs && nowMs < known.fromMs + DAY_MS) return known.clocks;
    const { all, main } = this.#place;
    const clocks = this.#firstOpenMinute(nowMs, all) === null ? main : all;
    this.#deciding = { clocks, fromMs: nowMs };
    return clocks;
  }

  /** After now, within two days; null: there is none. */
  #firstOpenMinute(nowMs: number, clocks: Clocks): number | null {
    let quarterMs = nowMs - (nowMs % QUARTER_MS);
    for (let quarter = 0; quarter <= SEARCH_QUARTERS_MAX; quarter++, quarterMs += QUARTER_MS) {
      for (let atMs = quarterMs; atMs < quarterMs + QUARTER_MS; atMs += MINUTE_MS) {
        if (atMs > nowMs && !this.#isQuiet(atMs, clocks)) return atMs;
      }
    }
    return null;
  }

  #isQuiet(atMs: number, clocks: Clocks): boolean {
    const { fromMinute, toMinute } = this.#quietHours;
    const minuteUtc = Math.floor(atMs / MINUTE_MS);
    for (const offset of clocks.offsetsAt(atMs - (atMs % QUARTER_MS))) {
      const minute = (minuteUtc + offset) % DAY_MINUTES;
      const isAfter = minute >= fromMinute;
      const isBefore = minute < toMinute;
      if (fromMinute > toMinute ? isAfter || isBefore : isAfter && isBefore) return true;
    }
    return false;
  }
}

/** What the clocks of some zones show beside UTC. */
class Clocks {
  readonly #formats: readonly Intl.DateTimeFormat[];
  /** By the quarter of an hour: the different offsets, in minutes. */
  #offsets = new Map<number, readonly number[]>();

  constructor(zones: readonly string[]) {
    this.#formats = zones.map(
      (timeZone) =>
        new Intl.DateTimeFormat("en-US", {
          timeZone,
          calendar: "gregory",
          numberingSystem: "latn",
          hourCycle: "h23",
          year: "numeric",
          month: "2-digit",
          day: "2-digit",
          hour: "2-digit",
          minute: "2-digit",
        }),
    );
  }

  offsetsAt(quarterMs: number): readonly number[] {
    let offsets = this.#offsets.get(quarterMs);
    if (offsets === undefined) {
      offsets = [...new Set(this.#formats.map((format) => offsetOf(format, quarterMs)))];
      if (this.#offsets.size >= QUARTERS_MAX) this.#offsets = new Map();
      this.#offsets.set(quarterMs, offsets);
    }
    return offsets;
  }
}

/** From `11/23/2026, 21:00`. */
function offsetOf(format: Intl.DateTimeFormat, atMs: number): number {
  const [month = 0, day = 0, year = 0, hour = 0, minute = 0] = (format.format(atMs).match(/\d+/g) ?? []).map(Number);
  return Math.round((Date.UTC(year, month - 1, day, hour, minute) - atMs) / MINUTE_MS);
}
