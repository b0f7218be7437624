import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { durationMs } from "../../engine/runtime/duration-text.ts";

const MINUTE = 60_000;

test("a number is seconds, of either sign", () => {
  assert.equal(durationMs(90), 90_000);
  assert.equal(durationMs(-0.5), -500);
  assert.equal(durationMs(0), 0);
  assert.equal(durationMs("90"), 90_000);
  assert.equal(durationMs(" -90 "), -90_000);
});

test("text has units, the largest first, and one sign for all", () => {
  assert.equal(durationMs("30m"), 30 * MINUTE);
  assert.equal(durationMs("-2h"), -120 * MINUTE);
  assert.equal(durationMs("1d 12h"), 36 * 60 * MINUTE);
  assert.equal(durationMs("-1d12h"), -36 * 60 * MINUTE);
  assert.equal(durationMs("+ 1w 2d 3h 4m 5s"), ((7 + 2) * 24 * 60 + 3 * 60 + 4) * MINUTE + 5000);
  assert.equal(durationMs("1.5h"), 90 * MINUTE);
});

test("what is no length of time is none", () => {
  const texts = ["", " ", "-", "m", "1x", "1 h", "1h 1d", "1h 1h", "1h -1m", "an hour", "1:30", "1h 30", "1e3", "--1h"];
  for (const text of [...texts, `${"1".repeat(70)}s`]) assert.equal(durationMs(text), undefined, text);
  for (const number of [Number.NaN, Number.POSITIVE_INFINITY]) assert.equal(durationMs(number), undefined);
});

test("any mixture of units is the sum of its parts", () => {
  const count = fc.integer({ min: 0, max: 999 });
  fc.assert(
    fc.property(fc.constantFrom("", "-"), count, count, count, count, (sign, days, hours, minutes, seconds) => {
      const ms = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000;
      const text = `${sign}${days}d ${hours}h ${minutes}m ${seconds}s`;
      assert.equal(durationMs(text), sign === "-" && ms > 0 ? -ms : ms);
    }),
  );
});

test("any text gets an answer", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...Array.from("0123456789wdhms -+.")), maxLength: 80 }), (text) => {
      const ms = durationMs(text);
      assert.ok(ms === undefined || Number.isInteger(ms));
    }),
  );
});
