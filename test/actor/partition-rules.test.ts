// The rules that a message is held against when it would leave, as the partition puts them together: consent and quiet
// hours, the frequency cap, the budget of recipients; and what operators are told of a sender.

import assert from "node:assert/strict";
import { test } from "node:test";

import { RecipientBudget } from "../../engine/actor/recipient-budget.ts";
import type { MarketingRules } from "../../engine/message/marketing.ts";
import { acceptedVerdict, type World } from "./partition-world.ts";
import {
  FAST,
  HOUR_MS,
  MINUTE_MS,
  REJECTED,
  sentIds,
  THROTTLED,
  TRANSIENT,
  UNKNOWN,
  worldOf,
} from "./partition-scene.ts";

const ANNA = "+4915111111111";
const BERT = "+4915122222222";
const DAY_MS = 24 * HOUR_MS;

function capOf(messages: number, periodMs: number): MarketingRules {
  return { refusal: () => null, cap: () => ({ messages, periodMs }) };
}

function start(world: World): void {
  world.setCampaign({ campaignNumber: 1, timeToLiveMs: 3 * DAY_MS });
  world.setCampaign({
    campaignNumber: 2,
    lane: "marketing",
    quietHours: { fromMinute: 0, toMinute: 60, timeZone: null },
  });
  world.setCampaign({ campaignNumber: 3, lane: "marketing" });
  world.partition.start();
}

async function accept(world: World, campaignNumber: number, phoneNumber: string): Promise<void> {
  world.accept(campaignNumber, 1, { phoneNumber });
  world.partition.appended();
  await world.settle();
}

test("what quiet hours told to wait leaves when the campaign has none any more, and not before its own time", async (context) => {
  const world = await worldOf(context);
  const untilMs = world.clock.nowMs() + 10 * HOUR_MS;
  world.marketing = {
    refusal: (_phoneNumber, quietHours) =>
      quietHours === null ? null : { kind: "wait", untilMs, reason: "It is night there." },
    cap: () => null,
  };
  start(world);
  await accept(world, 2, ANNA);
  await world.run(1_000);
  const [later] = world.accept(2, 1, { phoneNumber: BERT, sendAtMs: world.clock.nowMs() + HOUR_MS });
  world.partition.appended();
  await world.run(1_000);
  assert.equal(world.sends.length, 0);
  world.setCampaign({ campaignNumber: 2, lane: "marketing", quietHours: null });
  await world.run(1_000);
  assert.deepEqual(world.countOf(2), { sent: 1, queued: 1 });
  await world.run(HOUR_MS);
  assert.equal(sentIds(world).at(-1), later);
  assert.deepEqual(world.countOf(2), { sent: 2 });
  world.checkBooks();
});

test("a message that is told to wait for the same reason again and again has one line about it", async (context) => {
  const world = await worldOf(context);
  world.marketing = {
    refusal: () => ({ kind: "wait", untilMs: world.clock.nowMs() + MINUTE_MS, reason: "It is night there." }),
    cap: () => null,
  };
  start(world);
  await accept(world, 2, ANNA);
  await world.run(10 * MINUTE_MS);
  const [row] = world.rows(2);
  assert.deepEqual(
    row?.timeline.map(({ detail }) => detail),
    ["", "It is night there."],
  );
});

test("who stopped marketing gets none, and gets the notice of an order all the same", async (context) => {
  const world = await worldOf(context);
  const asked: unknown[] = [];
  world.marketing = {
    refusal: (phoneNumber, quietHours) => {
      asked.push(quietHours);
      return phoneNumber === ANNA ? { kind: "suppressed", reason: "The recipient stopped marketing." } : null;
    },
    cap: () => null,
  };
  start(world);
  for (const campaignNumber of [1, 2]) for (const phone of [ANNA, BERT]) await accept(world, campaignNumber, phone);
  await world.run(1_000);
  assert.deepEqual(world.countOf(1), { sent: 2 });
  assert.deepEqual(world.countOf(2), { sent: 1, suppressed: 1 });
  assert.equal(world.rows(2)[0]?.errorReason, "The recipient stopped marketing.");
  assert.deepEqual(asked[0], { fromMinute: 0, toMinute: 60, timeZone: null });
  world.checkBooks();
});

test("in quiet hours marketing waits for their end, thousands of it written once", async (context) => {
  const world = await worldOf(context);
  const endMs = world.clock.nowMs() + 8 * HOUR_MS;
  world.marketing = {
    refusal: (_phone, quietHours, nowMs) =>
      quietHours === null || nowMs >= endMs ? null : { kind: "wait", untilMs: endMs, reason: "Night." },
    cap: () => null,
  };
  start(world);
  world.accept(2, 2_000);
  world.accept(3, 10);
  world.partition.appended();
  await world.run(MINUTE_MS);
  assert.deepEqual(world.countOf(2), { queued: 2_000 });
  assert.deepEqual(world.countOf(3), { sent: 10 });
  const before = world.rowsWritten;
  await world.run(8 * HOUR_MS - 2 * MINUTE_MS);
  assert.equal(world.rowsWritten, before);
  await world.run(5 * MINUTE_MS);
  assert.deepEqual(world.countOf(2), { sent: 2_000 });
  world.checkBooks();
});

test("nobody gets more marketing in a period than the cap, over campaigns and crashes", async (context) => {
  const world = await worldOf(context);
  world.marketing = capOf(2, DAY_MS);
  start(world);
  await accept(world, 2, ANNA);
  await accept(world, 3, ANNA);
  await accept(world, 1, ANNA);
  await world.run(1_000);
  await world.crash();
  await accept(world, 3, ANNA);
  await accept(world, 2, BERT);
  await world.run(1_000);
  assert.deepEqual(world.countOf(1), { sent: 1 });
  assert.deepEqual(world.countOf(2), { sent: 2 });
  assert.deepEqual(world.countOf(3), { sent: 1, suppressed: 1 });
  const suppressed = world.rows(3).find(({ status }) => status === "suppressed");
  assert.equal(
    suppressed?.errorReason,
    "The recipient got the most that is allowed: 2 marketing messages within a day.",
  );
  await world.run(DAY_MS);
  await accept(world, 3, ANNA);
  await world.run(1_000);
  assert.deepEqual(world.countOf(3), { sent: 2, suppressed: 1 });
});

test("what other numbers of the engine sent counts for the cap", async (context) => {
  const world = await worldOf(context);
  world.marketing = capOf(2, DAY_MS);
  start(world);
  world.marketingSendsElsewhere = 1;
  await accept(world, 2, ANNA);
  await world.run(1_000);
  await accept(world, 2, ANNA);
  await world.run(1_000);
  assert.deepEqual(world.countOf(2), { sent: 1, suppressed: 1 });
});

test("what WhatsApp did not take does not count for the cap, and an attempt not against its own message", async (context) => {
  const world = await worldOf(context);
  world.marketing = capOf(1, DAY_MS);
  start(world);
  await accept(world, 2, ANNA);
  await world.run(100, () => REJECTED);
  await accept(world, 2, ANNA);
  const answers = [TRANSIENT, THROTTLED, UNKNOWN, acceptedVerdict()];
  await world.run(HOUR_MS, () => answers.shift() ?? acceptedVerdict());
  await accept(world, 2, ANNA);
  await world.run(1_000);
  assert.deepEqual(
    world.rows(2).map(({ status }) => status),
    ["failed", "sent", "suppressed"],
  );
});

test("marks of people who got no marketing for the period are swept away", async (context) => {
  const world = await worldOf(context);
  world.marketing = capOf(1, HOUR_MS);
  start(world);
  world.accept(2, 700);
  world.partition.appended();
  await world.run(5_000);
  const marks = (): number => world.ledger.marks({ from: "marketing/", to: "marketing/~", limit: 10_000 }).length;
  assert.equal(marks(), 700);
  await world.run(2 * HOUR_MS);
  assert.equal(marks(), 0);
});

test("a budget of recipients is kept over a restart: whom the number wrote to in 24 hours is read back first", async (context) => {
  const world = await worldOf(context);
  world.budgets.set("shop", new RecipientBudget({ allowance: 100 }));
  start(world);
  world.accept(1, 80);
  world.partition.appended();
  await world.run(5_000);
  // Accepted and delayed long before they were sent.
  world.accept(1, 10, { sendAtMs: world.clock.nowMs() + 30 * HOUR_MS });
  world.partition.appended();
  await world.run(20 * HOUR_MS);
  await world.run(10 * HOUR_MS + MINUTE_MS);
  assert.equal(world.budgets.get("shop")?.report(world.clock.nowMs()).used, 10);
  world.accept(1, 85);
  world.partition.appended();
  await world.run(5_000);
  assert.equal(world.sends.length, 175);
  await world.abandon();
  world.budgets.set("shop", new RecipientBudget({ allowance: 100 }));
  world.restart();
  world.accept(1, 50);
  world.partition.appended();
  await world.run(MINUTE_MS);
  assert.equal(world.sends.length, 180);
  assert.equal(world.budgets.get("shop")?.report(world.clock.nowMs()).used, 100);
  await world.run(1_000);
  const report = world.reports.get("shop");
  assert.equal(report?.recipients?.used, 100);
  assert.ok((report?.recipients?.refusedSince ?? 0) > 0);
  await world.run(30 * HOUR_MS);
  assert.equal(world.sends.length, 225);
  world.checkBooks();
});

test("a budget that is set while the engine runs knows whom the number wrote to before", async (context) => {
  const world = await worldOf(context);
  start(world);
  world.accept(1, 600);
  world.partition.appended();
  await world.run(5_000);
  world.budgets.set("shop", new RecipientBudget({ allowance: 610 }));
  world.partition.refreshSenders();
  world.accept(1, 50);
  world.partition.appended();
  await world.run(10_000);
  assert.equal(world.sends.length, 610);
});

test("what certainly was not taken uses up no recipient", async (context) => {
  const world = await worldOf(context);
  world.budgets.set("shop", new RecipientBudget({ allowance: 10 }));
  start(world);
  world.accept(1, 30);
  world.partition.appended();
  let answers = 0;
  await world.run(6 * HOUR_MS, () => (++answers <= 20 ? REJECTED : acceptedVerdict()));
  assert.deepEqual(world.countOf(1), { failed: 20, sent: 10 });
});

test("operators are told of blocks by scope, since when, and of nothing twice", async (context) => {
  const world = await worldOf(context, { senders: [{ ...FAST, inFlightMax: 5 }] });
  start(world);
  world.accept(1, 50);
  world.partition.appended();
  const sinceMs = world.clock.nowMs();
  await world.run(5 * MINUTE_MS, () => {
    return { kind: "blocked", scope: "token", errorCode: 190, reason: "The token has expired." };
  });
  const [block] = world.reports.get("shop")?.blocks ?? [];
  assert.equal(block?.scope, "token");
  assert.equal(block?.errorCode, 190);
  assert.equal(block?.sinceMs, sinceMs);
  assert.ok((block?.untilMs ?? 0) > world.clock.nowMs());
  assert.ok(world.reportsTold < 20, `${world.reportsTold} reports in five minutes`);
  world.partition.tokenChanged("shop");
  await world.run(1_000);
  assert.deepEqual(world.reports.get("shop")?.blocks, []);
  assert.equal(sentIds(world).length > 50, true);
});

test("a block that another number met holds this one too, until it finds out for itself", async (context) => {
  const world = await worldOf(context);
  start(world);
  await accept(world, 1, ANNA);
  await world.run(1_000);
  world.partition.blockedElsewhere("shop", { scope: "account", errorCode: 131_031, reason: "Locked." });
  await accept(world, 1, BERT);
  await world.run(10_000);
  assert.equal(world.sends.length, 1);
  assert.equal(world.reports.get("shop")?.blocks[0]?.scope, "account");
  await world.run(MINUTE_MS);
  assert.equal(world.sends.length, 2);
});
