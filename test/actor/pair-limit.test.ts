import assert from "node:assert/strict";
import { test } from "node:test";

import { PairLimit } from "../../engine/actor/pair-limit.ts";

const META = { periodMs: 6000, burst: 45 };
const ANNA = "+14155550100";

function takeAll(pairs: PairLimit, nowMs: number): number {
  let taken = 0;
  while (taken < 1000 && pairs.freeAtMs(ANNA, false) <= nowMs) {
    pairs.take(ANNA, nowMs);
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

test("other recipients are not held up", () => {
  const pairs = new PairLimit({ periodMs: 6000, burst: 1 });
  pairs.take(ANNA, 0);
  assert.ok(pairs.freeAtMs("+14155550101", false) <= 0);
});

test("waiting messages get places one period apart, and newcomers go behind them", () => {
  const pairs = new PairLimit({ periodMs: 6000, burst: 1 });
  pairs.take(ANNA, 0);
  assert.equal(pairs.reserve(ANNA, { nowMs: 0, latestMs: 1e9 }), 6000);
  assert.equal(pairs.reserve(ANNA, { nowMs: 0, latestMs: 1e9 }), 12_000);
  assert.equal(pairs.freeAtMs(ANNA, true), 6000);
  assert.equal(pairs.freeAtMs(ANNA, false), 12_000);
});

test("a message that would not live to use its place books none", () => {
  const pairs = new PairLimit({ periodMs: 6000, burst: 1 });
  pairs.take(ANNA, 0);
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

test("pairs at rest are forgotten, so that a busy number does not fill the memory", () => {
  const pairs = new PairLimit(META);
  for (let index = 0; index < 100_000; index++) pairs.take(`+1415${index}`, index);
  assert.ok(pairs.size <= 6000 * 2, `${pairs.size} pairs remembered, 6,000 of them not at rest`);
});
