import assert from "node:assert/strict";
import { test } from "node:test";

import { assert as check, array, constantFrom, integer, property, record } from "fast-check";

import { RecipientBudget } from "../../engine/actor/recipient-budget.ts";
import type { Lane } from "../../engine/message/campaign.ts";

const START_MS = 1_790_000_000_000;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 3_600_000;

function phone(number: number): string {
  return `+1415555${String(number).padStart(6, "0")}`;
}

function filled(allowance: number, people: number, lane: Lane = "marketing"): RecipientBudget {
  const budget = new RecipientBudget({ allowance });
  for (let number = 0; number < people; number++) budget.remember(phone(number), START_MS, lane);
  return budget;
}

function isFree(budget: RecipientBudget, number: number, lane: Lane, nowMs = START_MS): boolean {
  return budget.refusal(phone(number), lane, nowMs) === null;
}

test("lets as many people through as it may, and none of them costs twice", () => {
  const budget = filled(100, 100);
  const refusal = budget.refusal(phone(100), "transactional", START_MS);
  assert.equal(refusal?.kind, "wait");
  assert.match(refusal?.reason ?? "", /100 people it may write to in 24 hours\.$/);
  assert.equal(budget.refusal(phone(7), "transactional", START_MS), null);
  assert.equal(budget.report(START_MS).used, 100);
});

test("without an allowance nobody is refused, but everybody is counted", () => {
  const budget = new RecipientBudget({ allowance: null });
  for (let number = 0; number < 500; number++) budget.remember(phone(number), START_MS);
  assert.equal(budget.refusal(phone(501), "marketing", START_MS), null);
  assert.equal(budget.report(START_MS).used, 500);
  budget.setAllowance(400);
  assert.equal(isFree(budget, 501, "transactional"), false);
});

test("a person counts for 24 hours from the latest message, and never a moment less", () => {
  const budget = filled(1, 1);
  budget.remember(phone(0), START_MS + 3_600_000);
  assert.equal(isFree(budget, 1, "transactional", START_MS + DAY_MS + MINUTE_MS), false);
  assert.equal(isFree(budget, 1, "transactional", START_MS + 3_600_000 + DAY_MS - 1), false);
  assert.equal(isFree(budget, 1, "transactional", START_MS + 3_600_000 + DAY_MS + MINUTE_MS), true);
});

test("marketing leaves a twentieth to transactional messages, and as much as they used lately", () => {
  const quiet = filled(1000, 949);
  assert.equal(isFree(quiet, 949, "marketing"), true);
  quiet.remember(phone(949), START_MS);
  assert.equal(isFree(quiet, 950, "marketing"), false);
  assert.equal(isFree(quiet, 950, "transactional"), true);
  const busy = filled(1000, 200, "transactional");
  for (let number = 200; number < 800; number++) busy.remember(phone(number), START_MS, "marketing");
  assert.equal(isFree(busy, 800, "marketing"), false);
  // More than half of what transactional messages leave is never kept from marketing.
  const full = filled(1000, 600, "transactional");
  assert.equal(isFree(full, 600, "marketing"), true);
});

test("a message that was not taken gives its place back, unless its recipient got another", () => {
  const budget = filled(1, 1, "transactional");
  budget.forget(phone(0), START_MS + 500);
  assert.equal(budget.report(START_MS).used, 0);
  budget.remember(phone(1), START_MS);
  budget.remember(phone(1), START_MS + 100);
  budget.forget(phone(1), START_MS + 500);
  assert.equal(budget.report(START_MS).used, 1);
});

test("those who wait are told of places that fall free, each of another one", () => {
  const budget = new RecipientBudget({ allowance: 100 });
  for (let number = 0; number < 100; number++) budget.remember(phone(number), START_MS + number * 5_000);
  const nowMs = START_MS + DAY_MS - MINUTE_MS;
  const times = Array.from({ length: 90 }, (_, index) => {
    const refusal = budget.refusal(phone(1000 + index), "marketing", nowMs);
    return refusal?.kind === "wait" ? refusal.untilMs : 0;
  });
  assert.ok(
    times.every((atMs, index) => atMs > (times[index - 1] ?? nowMs)),
    "each waits for a later place",
  );
  assert.ok((times[0] ?? 0) >= START_MS + DAY_MS && (times[89] ?? 0) <= START_MS + DAY_MS + 12 * MINUTE_MS);
});

test("a backlog of 100,000 neither comes due at once nor waits longer than a quarter of an hour to be asked for again", () => {
  const budget = filled(1000, 1000);
  const perSecond = new Map<number, number>();
  for (let number = 0; number < 100_000; number++) {
    const refusal = budget.refusal(`+4915${100_000_000 + number}`, "marketing", START_MS + MINUTE_MS);
    assert(refusal?.kind === "wait");
    const waitMs = refusal.untilMs - START_MS - MINUTE_MS;
    assert.ok(waitMs > 0 && waitMs <= 15 * MINUTE_MS, `${waitMs}`);
    const second = Math.floor(refusal.untilMs / 1_000);
    perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
  }
  assert.ok(Math.max(...perSecond.values()) < 400, `${Math.max(...perSecond.values())} in one second`);
});

test("a transactional message asks again within a minute, so that a raised limit reaches it", () => {
  const budget = filled(100, 100);
  for (let number = 0; number < 500; number++) {
    const refusal = budget.refusal(phone(1000 + number), "transactional", START_MS + MINUTE_MS);
    assert(refusal?.kind === "wait");
    assert.ok(refusal.untilMs <= START_MS + 2 * MINUTE_MS);
  }
  budget.setAllowance(200);
  assert.ok(isFree(budget, 1000, "transactional", START_MS + 2 * MINUTE_MS));
});

test("says since when it refuses, and when the next place falls free", () => {
  const budget = filled(10, 9);
  assert.deepEqual(budget.report(START_MS), {
    used: 9,
    allowance: 10,
    freesAtMs: Math.floor(START_MS / MINUTE_MS) * MINUTE_MS + DAY_MS + MINUTE_MS,
    refusedSince: null,
  });
  assert.equal(isFree(budget, 9, "marketing"), false);
  assert.equal(budget.report(START_MS + 5).refusedSince, START_MS);
  budget.setAllowance(20);
  assert.equal(budget.report(START_MS + 5).refusedSince, null);
});

test("what a run before this one sent is remembered in any order", () => {
  const budget = new RecipientBudget({ allowance: 2 });
  budget.remember(phone(1), START_MS);
  budget.remember(phone(0), START_MS - 3_600_000);
  budget.remember(phone(0), START_MS - 7_200_000);
  budget.remember(phone(2), START_MS - DAY_MS - MINUTE_MS);
  assert.equal(budget.report(START_MS).used, 2);
  assert.equal(isFree(budget, 3, "transactional", START_MS + DAY_MS - 7_100_000), false);
  assert.equal(isFree(budget, 3, "transactional", START_MS + DAY_MS - 3_500_000), true);
});

test("a clock that was a year ahead and is set back blocks nobody for a year", () => {
  const budget = filled(1, 0);
  budget.remember(phone(0), START_MS + 365 * DAY_MS);
  assert.equal(isFree(budget, 1, "transactional", START_MS), false);
  assert.equal(isFree(budget, 1, "transactional", START_MS + DAY_MS + MINUTE_MS), true);
});

test("never more people than allowed in any 24 hours, whatever comes", () => {
  const step = record({
    number: integer({ min: 0, max: 12 }),
    lane: constantFrom<Lane>("marketing", "transactional"),
    minutes: integer({ min: 0, max: 400 }),
    isReturned: constantFrom(false, false, false, true),
  });
  check(
    property(array(step, { maxLength: 120 }), integer({ min: 1, max: 8 }), (steps, allowance) => {
      const budget = new RecipientBudget({ allowance });
      const sent: { readonly number: number; readonly atMs: number }[] = [];
      let nowMs = START_MS;
      for (const { number, lane, minutes, isReturned } of steps) {
        nowMs += minutes * MINUTE_MS;
        if (budget.refusal(phone(number), lane, nowMs) !== null) continue;
        budget.remember(phone(number), nowMs, lane);
        if (isReturned) budget.forget(phone(number), nowMs);
        else sent.push({ number, atMs: nowMs });
        const latest = sent.filter(({ atMs }) => atMs > nowMs - DAY_MS).map((one) => one.number);
        assert.ok(new Set(latest).size <= allowance, `${new Set(latest).size} of ${allowance}`);
      }
    }),
  );
});
