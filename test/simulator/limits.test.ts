import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { PairLimit } from "../../engine/simulator/pair-limit.ts";
import { SlidingWindow } from "../../engine/simulator/sliding-window.ts";

test("counts exactly the events of the last second, whatever their rhythm", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 400, noNaN: true }), { maxLength: 400 }), (gaps) => {
      const window = new SlidingWindow(1000);
      const times: number[] = [];
      let nowMs = 0;
      let peak = 0;
      for (const gap of gaps) {
        nowMs += gap;
        times.push(nowMs);
        window.add(nowMs);
        const expected = times.filter((time) => time > nowMs - 1000).length;
        peak = Math.max(peak, expected);
        assert.equal(window.count(nowMs), expected);
      }
      assert.equal(window.peak, peak);
    }),
  );
});

test("an event leaves the window exactly one second later", () => {
  const window = new SlidingWindow(1000);
  window.add(5000);
  assert.equal(window.count(5999.999), 1);
  assert.equal(window.count(6000), 0);
});

test("a pair may send its burst at once and then one message a period", () => {
  const limit = new PairLimit({ periodMs: 6000, burst: 45 });
  const taken = Array.from({ length: 50 }, () => limit.take("pair", 1000)).filter(Boolean).length;
  assert.equal(taken, 45);
  assert.equal(limit.take("pair", 6999), false);
  assert.equal(limit.take("pair", 7000), true);
  assert.equal(limit.take("pair", 7001), false);
});

test("pairs do not limit each other, and forgetting idle pairs gives nobody extra quota", () => {
  const limit = new PairLimit({ periodMs: 6000, burst: 2 });
  assert.equal(limit.take("busy", 0), true);
  assert.equal(limit.take("busy", 0), true);
  for (let pair = 0; pair < 25_000; pair++) assert.equal(limit.take(`other-${pair}`, 1), true);
  assert.equal(limit.take("busy", 1), false);
});
