import assert from "node:assert/strict";
import { test } from "node:test";

import type { BudgetReport } from "../../engine/actor/partition-deps.ts";
import { Portfolios } from "../../engine/portfolio.ts";
import type { SenderConfig } from "../../engine/runtime/config.ts";
import type { Granted } from "../../engine/runtime/granted-limits.ts";
import { ManualClock } from "../actor/manual-clock.ts";
import { senderOf } from "./sender.ts";

function capped(dailyRecipients: number): Partial<SenderConfig> {
  return { configured: { messagesPerSecond: "auto", dailyRecipients } };
}

function report(used: number, allowance: number | null, more: Partial<BudgetReport> = {}): BudgetReport {
  return { used, allowance, freesAtMs: null, refusedSince: null, ...more };
}

interface Bench {
  readonly portfolios: Portfolios;
  readonly clock: ManualClock;
  readonly told: Record<string, number | null>;
  readonly granted: Map<string, Granted>;
  readonly elsewhere: Set<string>;
}

function benchOf(...senders: readonly SenderConfig[]): Bench {
  const clock = new ManualClock();
  const told: Bench["told"] = {};
  const granted: Bench["granted"] = new Map();
  const elsewhere: Bench["elsewhere"] = new Set();
  const portfolios = new Portfolios({
    senders: () => senders,
    grantedTo: (senderId) => granted.get(senderId) ?? null,
    isElsewhere: (senderId) => elsewhere.has(senderId),
    tell: (allowances) => allowances.forEach(({ senderId, allowance }) => (told[senderId] = allowance)),
    clock,
  });
  return { portfolios, clock, told, granted, elsewhere };
}

function grant(bench: Bench, dailyRecipients: number | "unlimited", ...senderIds: readonly string[]): void {
  for (const id of senderIds) bench.granted.set(id, { messagesPerSecond: 80, dailyRecipients });
  bench.portfolios.plan();
}

test("until Meta says what it grants, only the file's own numbers limit", () => {
  const { portfolios } = benchOf(senderOf("a"), senderOf("b", capped(500)));
  assert.deepEqual(
    portfolios.threadSenders().map(({ dailyRecipients }) => dailyRecipients),
    ["unlimited", 500],
  );
});

test("the senders of a portfolio share what Meta grants, and an unlimited one is not counted", () => {
  const bench = benchOf(senderOf("a"), senderOf("b"));
  grant(bench, 2000, "a");
  assert.deepEqual(bench.told, { a: 1000, b: 1000 });
  grant(bench, "unlimited", "a");
  assert.deepEqual(bench.told, { a: null, b: null });
});

test("who waits for more gets the others' part once they no longer hold it", () => {
  const bench = benchOf(senderOf("a"), senderOf("b"));
  grant(bench, 2000, "a", "b");
  bench.portfolios.reported("a", report(1000, 1000, { refusedSince: bench.clock.nowMs() }));
  bench.portfolios.reported("b", report(0, 1000));
  bench.clock.advance(1_000);
  assert.deepEqual(bench.told, { a: 1000, b: 100 });
  bench.portfolios.reported("b", report(0, 100));
  bench.clock.advance(1_000);
  assert.deepEqual(bench.told, { a: 1900, b: 100 });
});

test("a thread that has nothing to say gives up its part all the same", () => {
  const bench = benchOf(senderOf("a"), senderOf("b"));
  grant(bench, 2000, "a", "b");
  bench.portfolios.reported("b", report(0, 1000));
  bench.portfolios.reported("a", report(1000, 1000, { refusedSince: bench.clock.nowMs() }));
  bench.clock.advance(1_000);
  assert.deepEqual(bench.told, { a: 1000, b: 100 });
  bench.clock.advance(10_000);
  assert.deepEqual(bench.told, { a: 1900, b: 100 });
});

test("a sender of another node has an even part that nobody here touches", () => {
  const bench = benchOf(senderOf("a"), senderOf("b"));
  bench.elsewhere.add("b");
  grant(bench, 2000, "a", "b");
  assert.deepEqual(bench.told, { a: 1000 });
});

test("forecasts when the portfolio is used up at the pace of the last hour", () => {
  const bench = benchOf(senderOf("a"), senderOf("b"));
  grant(bench, 2000, "a", "b");
  const freesAtMs = bench.clock.nowMs() + 5_000;
  bench.portfolios.reported("a", report(100, 1000, { freesAtMs }));
  bench.portfolios.reported("b", report(0, 1000));
  bench.clock.advance(1_800_000);
  bench.portfolios.reported("a", report(600, 1000, { freesAtMs }));
  const view = bench.portfolios.viewOf(senderOf("a"));
  assert.deepEqual([view.used, view.limit, view.freesAtMs], [600, 2000, freesAtMs]);
  // 1,000 an hour, and 1,400 are left.
  assert.equal(view.runsOutAtMs, bench.clock.nowMs() + 1.4 * 3_600_000);
  bench.portfolios.reported("b", report(1400, 1400));
  assert.equal(bench.portfolios.viewOf(senderOf("b")).runsOutAtMs, bench.clock.nowMs());
  assert.equal(bench.portfolios.viewOf(senderOf("b", capped(300))).limit, 300);
});

test("a thread that starts anew is told again", () => {
  const bench = benchOf(senderOf("a"));
  grant(bench, 250, "a");
  delete bench.told["a"];
  bench.portfolios.tellAgain(["a"]);
  assert.deepEqual(bench.told, { a: 250 });
});
