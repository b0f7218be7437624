import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { createQuietHours } from "../../engine/consent/quiet-hours.ts";
import { zonesOfRegion } from "../../engine/consent/time-zones.ts";
import type { QuietHours } from "../../engine/message/marketing.ts";

const MINUTE_MS = 60_000;
const rule = createQuietHours(zonesOfRegion);

function hours(from: string, to: string, timeZone: string | null = null): QuietHours {
  return { fromMinute: minuteOf(from), toMinute: minuteOf(to), timeZone };
}

function minuteOf(time: string): number {
  const [hour = 0, minute = 0] = time.split(":").map(Number);
  return hour * 60 + minute;
}

/** When it may leave: `now` when at once. */
function leavesAt(region: string, quiet: QuietHours, now: string): string {
  const refusal = rule.refusal(region, quiet, Date.parse(now));
  if (refusal === null) return "now";
  assert.equal(refusal.kind, "wait");
  return refusal.kind === "wait" ? new Date(refusal.untilMs).toISOString() : "";
}

/** Asked of ICU directly, one zone and minute at a time. */
function isQuietIn(zone: string, { fromMinute, toMinute }: QuietHours, atMs: number): boolean {
  const text = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit" }).format(atMs);
  const minute = minuteOf(text);
  return fromMinute < toMinute ? minute >= fromMinute && minute < toMinute : minute >= fromMinute || minute < toMinute;
}

test("in a country of one zone it is the local night", () => {
  const night = hours("21:00", "08:00");
  assert.equal(leavesAt("IN", night, "2026-11-23T15:29:59Z"), "now");
  assert.equal(leavesAt("IN", night, "2026-11-23T15:30:00Z"), "2026-11-24T02:30:00.000Z");
  assert.equal(leavesAt("IN", night, "2026-11-24T02:29:59.999Z"), "2026-11-24T02:30:00.000Z");
  assert.equal(leavesAt("IN", night, "2026-11-24T02:30:00Z"), "now");
});

test("hours within a day, and of any minute", () => {
  assert.equal(leavesAt("NP", hours("12:07", "14:03"), "2026-11-23T06:21:59Z"), "now");
  assert.equal(leavesAt("NP", hours("12:07", "14:03"), "2026-11-23T06:22:00Z"), "2026-11-23T08:18:00.000Z");
});

test("from a time to the same time is none", () => {
  assert.equal(leavesAt("DE", hours("08:00", "08:00"), "2026-11-23T07:00:00Z"), "now");
});

test("a country with several zones is quiet while any of them is", () => {
  const night = hours("21:00", "08:00");
  // 21:00 in New York, and 08:00 in Hawaii and the western Aleutians.
  assert.equal(leavesAt("US", night, "2026-11-24T01:59:00Z"), "now");
  assert.equal(leavesAt("US", night, "2026-11-24T02:00:00Z"), "2026-11-24T18:00:00.000Z");
});

test("where no minute of the day would be left, most people's zone decides", () => {
  // Kaliningrad to Kamchatka are ten hours apart, and the day has eleven open ones.
  const long = hours("20:00", "10:00");
  assert.equal(leavesAt("RU", long, "2026-11-23T12:00:00Z"), "now", "15:00 in Moscow");
  assert.equal(leavesAt("RU", long, "2026-11-23T18:00:00Z"), "2026-11-24T07:00:00.000Z", "10:00 in Moscow");
});

test("hours of one named zone count for everybody", () => {
  const night = hours("22:00", "07:00", "Europe/Berlin");
  assert.equal(leavesAt("US", night, "2026-11-23T21:30:00Z"), "2026-11-24T06:00:00.000Z");
  assert.equal(leavesAt("JP", night, "2026-11-23T12:00:00Z"), "now");
});

test("the night in which clocks are set ends by the new time", () => {
  const night = hours("22:00", "08:00");
  assert.equal(leavesAt("DE", night, "2026-03-28T23:00:00Z"), "2026-03-29T06:00:00.000Z", "summer time begins");
  assert.equal(leavesAt("DE", night, "2026-10-24T22:00:00Z"), "2026-10-25T07:00:00.000Z", "summer time ends");
  // Lord Howe sets its clocks by half an hour.
  const island = hours("22:00", "08:00", "Australia/Lord_Howe");
  assert.equal(leavesAt("AU", island, "2026-10-03T12:00:00Z"), "2026-10-03T21:00:00.000Z");
});

test("the reason says hours, place and time", () => {
  const refusal = rule.refusal("IN", hours("21:00", "08:05"), Date.parse("2026-11-23T15:30:00Z"));
  assert.equal(
    refusal?.reason,
    "Quiet hours from 21:00 to 08:05 where the recipient lives: it may leave at 2026-11-24 02:35 UTC.",
  );
});

test("a number of no country goes by UTC, one of Kosovo by its neighbour", () => {
  assert.equal(leavesAt("", hours("21:00", "08:00"), "2026-11-23T21:00:00Z"), "2026-11-24T08:00:00.000Z");
  assert.equal(leavesAt("XK", hours("21:00", "08:00"), "2026-11-23T20:00:00Z"), "2026-11-24T07:00:00.000Z");
});

test("for all countries and hours: waits exactly until no zone is quiet, and never where none is", () => {
  const regions = ["DE", "US", "IN", "BR", "AU", "ID", "ES", "MX", "NP", "PT"];
  const minute = fc.integer({ min: 0, max: 1439 });
  const instant = fc.integer({ min: Date.UTC(2026, 0, 1), max: Date.UTC(2027, 0, 1) });
  fc.assert(
    fc.property(fc.constantFrom(...regions), minute, minute, instant, (region, fromMinute, toMinute, nowMs) => {
      if (fromMinute === toMinute) return;
      const quiet = { fromMinute, toMinute, timeZone: null };
      const zones = zonesOfRegion(region);
      const refusal = rule.refusal(region, quiet, nowMs);
      const isQuietAt = (atMs: number): boolean => zones.all.some((zone) => isQuietIn(zone, quiet, atMs));
      if (refusal === null) {
        assert.ok(!isQuietAt(nowMs) || !isQuietIn(zones.main, quiet, nowMs));
        return;
      }
      assert.equal(refusal.kind, "wait");
      if (refusal.kind !== "wait") return;
      assert.ok(isQuietAt(nowMs) && refusal.untilMs > nowMs);
      assert.equal(refusal.untilMs % MINUTE_MS, 0);
      assert.ok(!isQuietIn(zones.main, quiet, refusal.untilMs), "most people are awake");
      assert.ok(isQuietAt(refusal.untilMs - MINUTE_MS), "no minute too late");
    }),
    { numRuns: 150 },
  );
});
