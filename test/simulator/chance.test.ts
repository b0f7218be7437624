import assert from "node:assert/strict";
import { test } from "node:test";

import { createChance } from "../../engine/simulator/chance.ts";
import { compileDelay, type Delay } from "../../engine/simulator/delay.ts";

const draws = (seed: number, count: number): number[] => {
  const chance = createChance(seed);
  return Array.from({ length: count }, () => chance());
};

const delays = (delay: Delay, count: number): number[] => {
  const draw = compileDelay(delay);
  const chance = createChance(1);
  return Array.from({ length: count }, () => draw(chance)).toSorted((a, b) => a - b);
};

test("the same seed gives the same sequence, another seed another one", () => {
  assert.deepEqual(draws(7, 100), draws(7, 100));
  assert.notDeepEqual(draws(7, 100), draws(8, 100));
});

test("draws are spread evenly over [0, 1)", () => {
  const tenths = Array.from({ length: 10 }, () => 0);
  for (const draw of draws(3, 100_000)) tenths[Math.floor(draw * 10)]! += 1;
  for (const count of tenths) assert.ok(Math.abs(count - 10_000) < 500, String(tenths));
});

test("a fixed delay is fixed, an even one stays within its bounds", () => {
  assert.deepEqual(delays(250, 3), [250, 250, 250]);
  const even = delays({ minMs: 100, maxMs: 300 }, 10_000);
  assert.ok((even.at(0) ?? 0) >= 100 && (even.at(-1) ?? 0) <= 300);
});

test("a long-tailed delay has the median and the 99th percentile it was given", () => {
  const tailed = delays({ medianMs: 80, p99Ms: 400 }, 50_000);
  const median = tailed[25_000] ?? 0;
  const p99 = tailed[49_500] ?? 0;
  assert.ok(Math.abs(median - 80) < 4, `median ${median}`);
  assert.ok(Math.abs(p99 - 400) < 40, `p99 ${p99}`);
  assert.ok((tailed.at(-1) ?? 0) <= 4000);
});
