import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { momentOf } from "../../engine/campaign/time-text.ts";
import { zonedTime } from "../../engine/campaign/zoned-time.ts";

const utc = (wallMs: number): number => wallMs;
const berlin = zonedTime("Europe/Berlin");

/** As ISO 8601 in UTC, for people. */
function read(raw: string | number, toMoment = utc): string | undefined {
  const atMs = momentOf(raw, toMoment);
  return atMs === undefined ? undefined : new Date(atMs).toISOString();
}

test("a time with a zone is that moment, whatever the campaign's zone", () => {
  for (const toMoment of [utc, berlin]) {
    assert.equal(read("2026-11-23T18:00:00Z", toMoment), "2026-11-23T18:00:00.000Z");
    assert.equal(read("2026-11-23T18:00:00.123456Z", toMoment), "2026-11-23T18:00:00.123Z");
    assert.equal(read("2021-12-31T19:00:00-05:00", toMoment), "2022-01-01T00:00:00.000Z");
    assert.equal(read("2026-11-23 18:00 +0530", toMoment), "2026-11-23T12:30:00.000Z");
    assert.equal(read("2026-11-23T18:00+01", toMoment), "2026-11-23T17:00:00.000Z");
    assert.equal(read("Tue, 05 Mar 2019 21:40:11 +0000", toMoment), "2019-03-05T21:40:11.000Z");
  }
});

test("a time without a zone is the campaign's, and UTC where it names none", () => {
  assert.equal(read("2026-11-23T18:00:00"), "2026-11-23T18:00:00.000Z");
  assert.equal(read("2026-11-23T18:00:00", berlin), "2026-11-23T17:00:00.000Z");
  assert.equal(read("2026-07-23 18:00", berlin), "2026-07-23T16:00:00.000Z");
  assert.equal(read("2026-11-23T24:00", berlin), "2026-11-23T23:00:00.000Z");
});

test("a day is its midnight", () => {
  assert.equal(read("2026-11-23"), "2026-11-23T00:00:00.000Z");
  assert.equal(read("2026-11-23", berlin), "2026-11-22T23:00:00.000Z");
});

test("numbers are seconds or milliseconds since 1970, also as text", () => {
  assert.equal(read(1_692_787_781), "2023-08-23T10:49:41.000Z");
  assert.equal(read("1692787781"), "2023-08-23T10:49:41.000Z");
  assert.equal(read(" 1692787781.25 "), "2023-08-23T10:49:41.250Z");
  assert.equal(read(1_692_787_781_005), "2023-08-23T10:49:41.005Z");
  assert.equal(read("1692787781005"), "2023-08-23T10:49:41.005Z");
});

test("what is no moment is none, and is not guessed", () => {
  const raws = [
    "",
    "tomorrow",
    "2026",
    "20261123",
    "18:00",
    "23.11.2026",
    "2026-02-30",
    "2026-11-23T25:00",
    "-1692787781",
  ];
  for (const raw of [...raws, "9".repeat(17)]) assert.equal(read(raw), undefined, raw);
  for (const raw of [0, 30, 20_261_123, -5, Number.NaN, Number.POSITIVE_INFINITY, 1e300]) {
    assert.equal(read(raw), undefined, String(raw));
  }
});

test("every moment is read back from each way to write it", () => {
  const moment = fc.integer({ min: Date.UTC(2000, 0), max: Date.UTC(2100, 0) });
  const zone = fc.integer({ min: -14 * 60, max: 14 * 60 });
  fc.assert(
    fc.property(moment, zone, (atMs, aheadMinutes) => {
      assert.equal(momentOf(new Date(atMs).toISOString(), utc), atMs);
      assert.equal(momentOf(atMs, utc), atMs);
      assert.equal(momentOf(String(atMs), utc), atMs);
      assert.equal(momentOf(Math.floor(atMs / 1000), utc), Math.floor(atMs / 1000) * 1000);
      const wall = new Date(atMs + aheadMinutes * 60_000).toISOString().slice(0, -1);
      const minutes = Math.abs(aheadMinutes);
      const two = (number: number): string => String(number).padStart(2, "0");
      const written = `${wall}${aheadMinutes < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
      assert.equal(momentOf(written, utc), atMs);
    }),
  );
});

test("any text gets an answer", () => {
  const anything = fc.oneof(
    fc.string(),
    fc.string({ unit: fc.constantFrom(...Array.from("0123456789-:.TZ+ ")) }),
    fc.double(),
  );
  fc.assert(
    fc.property(anything, (raw) => {
      const atMs = momentOf(raw, berlin);
      assert.ok(atMs === undefined || Number.isSafeInteger(atMs));
    }),
  );
});

test("a reading that summer time skips is an hour later, and of one that comes twice the first counts", () => {
  assert.equal(read("2026-03-29T02:30", berlin), "2026-03-29T01:30:00.000Z");
  assert.equal(read("2026-10-25T02:30", berlin), "2026-10-25T00:30:00.000Z");
  const newYork = zonedTime("America/New_York");
  assert.equal(read("2026-03-08T02:30", newYork), "2026-03-08T07:30:00.000Z");
  assert.equal(read("2026-11-01T01:30", newYork), "2026-11-01T05:30:00.000Z");
});

test("in any zone a moment's clock reading is that moment again, or the earlier of two", () => {
  const zones = [
    "Europe/Berlin",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "UTC",
  ];
  const clocks = zones.map((timeZone) => ({
    toMoment: zonedTime(timeZone),
    format: new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "medium" }),
  }));
  const second = fc.integer({ min: Date.UTC(2020, 0) / 1000, max: Date.UTC(2037, 0) / 1000 });
  fc.assert(
    fc.property(second, fc.constantFrom(...clocks), (atSeconds, { toMoment, format }) => {
      // The Swedish way to write a time is ISO 8601.
      const reading = format.format(atSeconds * 1000);
      const atMs = momentOf(reading, toMoment);
      assert(atMs !== undefined);
      assert.equal(format.format(atMs), reading);
      assert.ok(atMs <= atSeconds * 1000);
    }),
  );
});
