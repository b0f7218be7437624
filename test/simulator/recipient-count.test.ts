import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { RecipientCount } from "../../engine/simulator/recipient-count.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 1440 * MINUTE_MS;

test("counts as a list of everybody's last minute would", () => {
  const step = fc.record({ gapMs: fc.nat({ max: 9 * 3_600_000 }), person: fc.integer({ min: 1, max: 12 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const count = new RecipientCount();
      const lastMinute = new Map<number, number>();
      let nowMs = 5 * DAY_MS;
      let peak = 0;
      for (const { gapMs, person } of steps) {
        nowMs += gapMs;
        const minute = Math.floor(nowMs / MINUTE_MS);
        const isRecent = (one: number): boolean => one > minute - 1440;
        const waId = `1415555000${person}`;
        assert.equal(count.has(waId, nowMs), isRecent(lastMinute.get(person) ?? -DAY_MS));
        count.add(waId, nowMs);
        lastMinute.set(person, minute);
        const expected = [...lastMinute.values()].filter(isRecent).length;
        assert.equal(count.lastDay(nowMs), expected);
        peak = Math.max(peak, expected);
      }
      assert.equal(count.peak, peak);
    }),
  );
});

test("keeps many people apart, and forgets those of yesterday instead of growing", () => {
  const count = new RecipientCount();
  for (let person = 0; person < 20_000; person++) count.add(String(491_500_000_000 + person * 7), 0);
  assert.equal(count.lastDay(0), 20_000);
  assert.equal(count.has("491500000007", 0), true);
  assert.equal(count.has("491500000008", 0), false);
  for (let person = 0; person < 20_000; person++) count.add(String(341_500_000_000 + person), DAY_MS);
  assert.deepEqual([count.lastDay(DAY_MS), count.peak], [20_000, 20_000]);
});
