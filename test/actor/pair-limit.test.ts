import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { PairLimit } from "../../engine/actor/pair-limit.ts";

const META = { periodMs: 6000, burst: 45 };
const ANNA = "+14155550100";

/** Leaves at once. */
function send(pairs: PairLimit, phoneNumber: string, atMs: number): void {
  pairs.take(phoneNumber, atMs);
  pairs.departed(phoneNumber, atMs);
}

function takeAll(pairs: PairLimit, nowMs: number): number {
  let taken = 0;
  while (taken < 1000 && pairs.freeAtMs(ANNA, false) <= nowMs) {
    send(pairs, ANNA, nowMs);
    taken++;
  }
  return taken;
}

test("one recipient gets a burst of 45, then a message each 6 seconds", () => {
  const pairs = new PairLimit(META);
  assert.equal(takeAll(pairs, 1000), 45);
  assert.equal(pairs.freeAtMs(ANNA, false), 7000);
  assert.equal(takeAll(pairs, 6999), 0);
  assert.equal(takeAll(pairs, 7000), 1);
  assert.equal(takeAll(pairs, 13_000), 1);
});

test("what waited for a long commit leaves at once, and the pair rests from then", () => {
  const pairs = new PairLimit({ periodMs: 6000, burst: 2 });
  pairs.take(ANNA, 0);
  pairs.take(ANNA, 0);
  assert.ok(pairs.freeAtMs(ANNA, false) > 60_000, "as many as may go at once are on their way");
  assert.equal(pairs.reserve(ANNA, { nowMs: 30_000, latestMs: 1e9 }), 36_000);
  pairs.departed(ANNA, 60_000);
  pairs.departed(ANNA, 60_000);
  assert.equal(pairs.freeAtMs(ANNA, true), 66_000);
});

test("other recipients are not held up", () => {
  const pairs = new PairLimit({ periodMs: 6000, burst: 1 });
  send(pairs, ANNA, 0);
  assert.ok(pairs.freeAtMs("+14155550101", false) <= 0);
});

test("waiting messages get places one period apart, and newcomers go behind them", () => {
  const pairs = new PairLimit({ periodMs: 6000, burst: 1 });
  send(pairs, ANNA, 0);
  assert.equal(pairs.reserve(ANNA, { nowMs: 0, latestMs: 1e9 }), 6000);
  assert.equal(pairs.reserve(ANNA, { nowMs: 0, latestMs: 1e9 }), 12_000);
  assert.equal(pairs.freeAtMs(ANNA, true), 6000);
  assert.equal(pairs.freeAtMs(ANNA, false), 12_000);
});

test("a message that would not live to use its place books none", () => {
  const pairs = new PairLimit({ periodMs: 6000, burst: 1 });
  send(pairs, ANNA, 0);
  assert.equal(pairs.reserve(ANNA, { nowMs: 0, latestMs: 5000 }), 5000);
  assert.equal(pairs.reserve(ANNA, { nowMs: 0, latestMs: 1e9 }), 6000);
});

test("each further throttle by WhatsApp waits four times as long, up to 256 s, until a message is accepted", () => {
  const pairs = new PairLimit(META);
  const waits = [0, 1, 2, 3, 4, 5].map(() => pairs.throttled(ANNA, 0, 0));
  assert.deepEqual(waits, [1000, 4000, 16_000, 64_000, 256_000, 256_000]);
  pairs.accepted(ANNA);
  assert.equal(pairs.throttled(ANNA, 0, 0), 1000);
});

test("after a throttle the burst is used up", () => {
  const pairs = new PairLimit(META);
  pairs.throttled(ANNA, 0, 0);
  assert.equal(pairs.freeAtMs(ANNA, false), 1000);
  assert.equal(takeAll(pairs, 1000), 1);
  assert.equal(takeAll(pairs, 1001), 0);
});

/** As a run after `sent` (monotonic of the one before) would know it, at `nowMs`. */
function recalled(
  sent: readonly number[],
  nowMs: number,
  settings: { periodMs: number; burst: number } = META,
): PairLimit {
  const pairs = new PairLimit(settings);
  const known = sent.filter((sentAtMs) => nowMs - sentAtMs < settings.burst * settings.periodMs);
  for (const sentAtMs of known) pairs.recall(ANNA, { sentAtMs, nowMs });
  return pairs;
}

test("a run recalls what the one before sent: a burst that was used up stays used up", () => {
  const burst = Array.from({ length: 45 }, () => 0);
  assert.equal(takeAll(recalled(burst, 3000), 3000), 0);
  assert.equal(takeAll(recalled(burst, 6000), 6000), 1);
  assert.equal(takeAll(recalled(burst, 260_000), 260_000), 43);
  assert.equal(takeAll(recalled(burst, 270_000), 270_000), 45);
});

test("a burst of one is recalled to the millisecond", () => {
  const settings = { periodMs: 6000, burst: 1 };
  assert.equal(recalled([1000], 5999, settings).freeAtMs(ANNA, false), 7000);
  assert.equal(takeAll(recalled([1000], 7000, settings), 7000), 1);
});

test("a pair that was at its limit for an hour gets no burst from a restart, though only the last minutes are known", () => {
  const pairs = new PairLimit(META);
  const sent: number[] = [];
  for (let nowMs = 0; nowMs < 3_600_000; nowMs += 1000)
    for (let count = takeAll(pairs, nowMs); count > 0; count--) sent.push(nowMs);
  assert.equal(takeAll(recalled(sent, 3_600_000), 3_600_000), takeAll(pairs, 3_600_000));
});

test("whatever was sent, a recalled pair may never send sooner than one that was not forgotten", () => {
  const times = fc.array(fc.integer({ min: 0, max: 400_000 }), { maxLength: 120 });
  const settings = fc.record({ periodMs: fc.integer({ min: 500, max: 8000 }), burst: fc.integer({ min: 1, max: 45 }) });
  fc.assert(
    fc.property(times, settings, fc.integer({ min: 0, max: 30_000 }), (wished, limits, pauseMs) => {
      const pairs = new PairLimit(limits);
      const sent: number[] = [];
      for (const atMs of wished.toSorted((one, other) => one - other)) {
        if (pairs.freeAtMs(ANNA, false) > atMs) continue;
        send(pairs, ANNA, atMs);
        sent.push(atMs);
      }
      const nowMs = (sent.at(-1) ?? 0) + pauseMs;
      const freeAtMs = recalled(sent, nowMs, limits).freeAtMs(ANNA, false);
      assert.ok(Math.max(nowMs, freeAtMs) >= Math.max(nowMs, pairs.freeAtMs(ANNA, false)));
    }),
  );
});

test("pairs at rest are forgotten, so that a busy number does not fill the memory", () => {
  const pairs = new PairLimit(META);
  for (let index = 0; index < 100_000; index++) send(pairs, `+1415${index}`, index);
  assert.ok(pairs.size <= 6000 * 2, `${pairs.size} pairs remembered, 6,000 of them not at rest`);
});
