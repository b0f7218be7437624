import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import {
  createLearnedRate,
  isNoticeable,
  lowerRate,
  raiseRate,
  usedPerSecond,
} from "../../engine/actor/learned-rate.ts";

/** A refusal of a message that left just now; the number rests for a second. */
function refuse(rate: ReturnType<typeof createLearnedRate>, nowMs: number): boolean {
  return lowerRate(rate, { sentAtMs: nowMs, resumesAtMs: nowMs + 1000 });
}

test("each new episode takes the rate to 0.7 of what it was", () => {
  const rate = createLearnedRate(1000);
  const used = [0, 2000, 4000].map((atMs) => {
    refuse(rate, atMs);
    return usedPerSecond(rate);
  });
  assert.deepEqual(used, [700, 490, 343]);
});

test("refusals of messages that left before the rate was lowered belong to the same episode", () => {
  const rate = createLearnedRate(80);
  assert.ok(refuse(rate, 5000));
  assert.ok(!lowerRate(rate, { sentAtMs: 4990, resumesAtMs: 6100 }));
  assert.ok(!lowerRate(rate, { sentAtMs: 5999, resumesAtMs: 6100 }));
  assert.equal(usedPerSecond(rate), 56);
  assert.ok(lowerRate(rate, { sentAtMs: 6000, resumesAtMs: 8000 }));
});

test("with each second in which something might leave and nothing is refused some of the limit comes back", () => {
  const rate = createLearnedRate(1000);
  refuse(rate, 0);
  assert.ok(!raiseRate(rate, 1999));
  assert.ok(raiseRate(rate, 2000));
  assert.equal(usedPerSecond(rate), 750);
  assert.ok(!raiseRate(rate, 2999));
  lowerRate(rate, { sentAtMs: 0, resumesAtMs: 3000 });
  assert.ok(!raiseRate(rate, 3999), "a refusal begins the second anew");
  raiseRate(rate, 8000);
  assert.equal(usedPerSecond(rate), 910, "slower near the rate that was refused");
});

test("past the rate that was refused last it grows faster again", () => {
  const rate = createLearnedRate(1000);
  for (const atMs of [0, 2000]) refuse(rate, atMs);
  raiseRate(rate, 3000 + 17_000);
  assert.equal(usedPerSecond(rate), 700);
  raiseRate(rate, 3000 + 19_000);
  assert.equal(usedPerSecond(rate), 740);
});

test("a number that takes less than it was granted is used well, and rarely refuses", () => {
  const takes = 50;
  const rate = createLearnedRate(80);
  let sent = 0;
  let refusals = 0;
  for (let nowMs = 0; nowMs < 600_000; nowMs += 1000) {
    raiseRate(rate, nowMs);
    if (nowMs < rate.cutThroughMs) continue;
    sent += Math.min(takes, usedPerSecond(rate));
    if (usedPerSecond(rate) <= takes) continue;
    refuse(rate, nowMs);
    refusals++;
  }
  assert.ok(sent / 600 >= 0.85 * takes, `${sent / 600} a second`);
  assert.ok(refusals <= 600 / 10, `${refusals} refusals`);
});

test("a long quiet time gives everything back at once, and no more than the limit", () => {
  const rate = createLearnedRate(80);
  for (const atMs of [0, 2000, 4000]) refuse(rate, atMs);
  raiseRate(rate, 3_600_000);
  assert.equal(usedPerSecond(rate), 80);
  assert.equal(rate.growsAtMs, Infinity);
  assert.ok(!raiseRate(rate, 7_200_000));
});

for (const [limit, floor] of [
  [1000, 100],
  [80, 8],
  [15, 2],
  [5, 1],
  [1, 1],
  [1.5, 1],
  [0.5, 0.5],
] as const) {
  test(`a limit of ${limit}/s is never lowered below ${floor}/s`, () => {
    const rate = createLearnedRate(limit);
    for (let atMs = 0; atMs < 60_000; atMs += 2000) refuse(rate, atMs);
    assert.equal(usedPerSecond(rate), floor);
  });
}

test("a change is told when the rate falls, when it has grown by a tenth of the limit, and at the limit", () => {
  const rate = createLearnedRate(1000);
  refuse(rate, 0);
  assert.ok(isNoticeable(rate));
  assert.ok(!isNoticeable(rate), "told twice");
  const told: number[] = [];
  for (let nowMs = 2000; nowMs <= 30_000; nowMs += 1000)
    if (raiseRate(rate, nowMs) && isNoticeable(rate)) told.push(usedPerSecond(rate));
  assert.deepEqual(told, [800, 900, 1000]);
});

test("the rate is within its bounds, and whole below the limit, whatever happens", () => {
  const limit = fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.double({ min: 0.05, max: 99, noNaN: true }));
  const steps = fc.array(fc.record({ afterMs: fc.integer({ min: 0, max: 5000 }), isRefused: fc.boolean() }));
  fc.assert(
    fc.property(limit, steps, (perSecond, all) => {
      const rate = createLearnedRate(perSecond);
      let nowMs = 0;
      for (const { afterMs, isRefused } of all) {
        nowMs += afterMs;
        raiseRate(rate, nowMs);
        if (isRefused) refuse(rate, nowMs);
        const used = usedPerSecond(rate);
        assert.ok(used <= perSecond && used >= Math.min(perSecond, Math.max(1, perSecond / 10)) - 1e-9);
        assert.ok(used === perSecond || Number.isInteger(used));
      }
    }),
  );
});
