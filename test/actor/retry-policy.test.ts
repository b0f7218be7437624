import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import {
  createRetryBudget,
  earnRetry,
  nextAttemptAtMs,
  retryDelayMsMax,
  retryFreeAtMs,
  spendRetry,
} from "../../engine/actor/retry-policy.ts";

test("waits double from 1 s up to 5 minutes", () => {
  const waits = [1, 2, 3, 8, 9, 10, 60].map(retryDelayMsMax);
  assert.deepEqual(waits, [1000, 2000, 4000, 128_000, 256_000, 300_000, 300_000]);
});

test("the jitter takes the whole range and nothing beyond", () => {
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), chance, (attempt, random) => {
      const atMs = nextAttemptAtMs({ attempt, nowMs: 5000, random: () => random });
      assert.ok(atMs >= 5000 && atMs <= 5000 + retryDelayMsMax(attempt));
    }),
  );
  assert.equal(nextAttemptAtMs({ attempt: 3, nowMs: 0, random: () => 0.5 }), 2000);
});

test("retries get a small allowance, then a tenth of what is sent", () => {
  const budget = createRetryBudget(0);
  let retries = 0;
  while (retryFreeAtMs(budget, 0) <= 0) {
    spendRetry(budget);
    retries++;
  }
  assert.equal(retries, 20);
  for (let sends = 0; sends < 100; sends++) earnRetry(budget);
  for (retries = 0; retryFreeAtMs(budget, 0) <= 0; retries++) spendRetry(budget);
  assert.ok(retries >= 9 && retries <= 10, `${retries} retries for 100 sends`);
});

test("a number that sends nothing else may still retry once a second", () => {
  const budget = createRetryBudget(0);
  while (retryFreeAtMs(budget, 0) <= 0) spendRetry(budget);
  const freeAtMs = retryFreeAtMs(budget, 0);
  assert.ok(freeAtMs > 0 && freeAtMs <= 1000);
  assert.ok(retryFreeAtMs(budget, freeAtMs) <= freeAtMs);
});
