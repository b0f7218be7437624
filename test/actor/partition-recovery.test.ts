// What a partition finds again after a crash, and after its clock was set: over a real ledger.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Verdict } from "../../engine/message/verdict.ts";
import {
  dispatched,
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
import { acceptedVerdict, statusOf } from "./partition-world.ts";

test("a backlog that a crash interrupts is found again, in order, without a second send", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  const ids = world.accept(1, 3_000);
  world.partition.appended();
  await world.run(700);
  await world.crash();
  await world.run(10_000);
  assert.deepEqual(sentIds(world), ids);
  world.checkBooks();
});

test("rows that had moved on do not hide the queued ones behind them", async (context) => {
  const world = await worldOf(context, { bounds: { liveRecordsMax: 500, liveShareMin: 8, refillRowsMax: 16 } });
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  const ids = world.accept(1, 900);
  world.partition.appended();
  const [slowest] = ids;
  // The first stays in flight while many behind it are settled.
  for (let step = 0; step < 400 && world.sends.length < 600; step++) {
    await world.settle();
    for (const send of world.inFlight) if (send.messageId !== slowest) send.answer(acceptedVerdict());
    world.clock.advance(5);
  }
  await world.settle();
  world.inFlight.find(({ messageId }) => messageId === slowest)?.answer(THROTTLED);
  await world.settle();
  await world.crash();
  await world.run(HOUR_MS);
  assert.deepEqual(world.countOf(1), { sent: 900 });
});

test("a send without a verdict is uncertain after a restart, and waits for a status before it is sent again", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, uncertain: { waitMs: MINUTE_MS, then: "resend" } });
  world.partition.start();
  world.accept(1, 1);
  world.partition.appended();
  await dispatched(world, 1);
  await world.crash();
  await world.settle();
  assert.deepEqual(world.countOf(1), { uncertain: 1 });
  await world.run(MINUTE_MS - 10);
  assert.equal(world.sends.length, 1);
  await world.run(5_000);
  assert.deepEqual(world.countOf(1), { sent: 1 });
  assert.deepEqual(
    world.sends.map(({ attempt }) => attempt),
    [1, 2],
  );
});

test("a send of a row that came from the due index is uncertain after a restart as well", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, uncertain: { waitMs: MINUTE_MS, then: "fail" } });
  world.partition.start();
  const [id] = world.accept(1, 1);
  assert.ok(id);
  world.partition.appended();
  await dispatched(world, 1);
  world.inFlight[0]?.answer(TRANSIENT);
  await dispatched(world, 1);
  // Others settle, so that the campaign's marks are past the row.
  world.accept(1, 10);
  world.partition.appended();
  await dispatched(world, 11);
  for (const send of world.inFlight) if (send.messageId !== id) send.answer(acceptedVerdict());
  await world.settle();
  await world.crash("durable");
  await world.run(MINUTE_MS);
  assert.deepEqual(world.countOf(1), { sent: 10, uncertain: 1 });
  await world.run(MINUTE_MS + 1_000);
  assert.deepEqual(world.countOf(1), { sent: 10, failed: 1 });
  assert.equal(world.sends.length, 12);
});

test("a status that the last run left in the stream is read before anything is sent again", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, uncertain: { waitMs: MINUTE_MS, then: "resend" } });
  world.partition.start();
  const [id] = world.accept(1, 1);
  assert.ok(id);
  world.partition.appended();
  await dispatched(world, 1);
  world.inFlight[0]?.answer(UNKNOWN);
  await world.settle();
  // More entries than one look into the stream brings.
  for (let entry = 0; entry < 9; entry++) world.accept(1, 1);
  world.updates(statusOf(id, "sent", world.clock.nowMs()));
  world.clock.advance(0);
  await world.abandon();
  world.clock.advance(2 * MINUTE_MS);
  world.restart();
  await world.run(10_000);
  assert.deepEqual(world.countOf(1), { sent: 10 });
  assert.equal(world.sends.length, 10);
});

test("a status for a message that was never dispatched here keeps it from being sent", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, isPaused: true });
  world.partition.start();
  const ids = world.accept(1, 3);
  world.partition.appended();
  await world.settle();
  const [first] = ids;
  assert.ok(first);
  world.updates(statusOf(first, "sent", world.clock.nowMs()), statusOf(first, "delivered", world.clock.nowMs()));
  world.partition.appended();
  await world.settle();
  world.setCampaign({ campaignNumber: 1 });
  await world.run(1_000);
  assert.deepEqual(world.countOf(1), { delivered: 1, sent: 2 });
  assert.deepEqual(sentIds(world), ids.slice(1));
  assert.equal(world.partition.inMemory, 0);
  world.checkBooks();
});

test("a clock set back an hour loses no timer", async (context) => {
  const world = await worldOf(context, { seed: 7 });
  world.setCampaign({ campaignNumber: 1, uncertain: { waitMs: 10 * MINUTE_MS, then: "resend" } });
  world.partition.start();
  world.accept(1, 20);
  world.partition.appended();
  await world.run(100, () => UNKNOWN);
  world.clock.wallMs -= HOUR_MS;
  world.accept(1, 20);
  world.partition.appended();
  await world.run(100, () => TRANSIENT);
  await world.run(10 * MINUTE_MS);
  assert.deepEqual(world.countOf(1), { sent: 20, uncertain: 20 });
  await world.run(HOUR_MS + MINUTE_MS);
  assert.deepEqual(world.countOf(1), { sent: 40 });
  world.checkBooks();
});

test("a clock set forward is noticed within a minute", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, uncertain: { waitMs: HOUR_MS, then: "resend" } });
  world.partition.start();
  world.accept(1, 1);
  world.partition.appended();
  await world.run(100, () => UNKNOWN);
  world.clock.wallMs += HOUR_MS;
  await world.run(MINUTE_MS + 1_000);
  assert.deepEqual(world.countOf(1), { sent: 1 });
});

test("after a restart with an earlier clock no message lies before the campaign's marks", async (context) => {
  const world = await worldOf(context, { senders: [{ ...FAST, inFlightMax: 4 }] });
  world.setCampaign({ campaignNumber: 1, uncertain: { waitMs: MINUTE_MS, then: "resend" } });
  world.partition.start();
  world.accept(1, 4);
  world.partition.appended();
  await dispatched(world, 4);
  // The engine restarts, its clock is earlier; the ledger's thread goes on, as far as the ids can tell.
  world.clock.wallMs -= HOUR_MS;
  world.forgetIds();
  world.accept(1, 4);
  world.partition.appended();
  await world.settle();
  for (const send of world.inFlight.slice(0, 3)) send.answer(acceptedVerdict());
  await world.settle();
  await world.crash();
  await world.run(HOUR_MS);
  assert.deepEqual(world.countOf(1), { sent: 8 });
});

test("a row parked for a time that passes before its commit comes up all the same", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  world.accept(1, 2);
  world.partition.appended();
  await dispatched(world, 2);
  const retryAfterMs = 5;
  const pair: Verdict = { kind: "throttled", scope: "pair", errorCode: 131_056, reason: "Pair.", retryAfterMs };
  const [first, second] = world.inFlight;
  first?.answer(UNKNOWN);
  await world.settle();
  // The second's wait ends just before the first's, while its commit is still under way.
  world.clock.advance(600_000 - 1_001);
  await world.settle();
  second?.answer(pair);
  while (!world.isCommitting) assert.ok(world.runDeferred());
  world.clock.advance(5_000);
  for (let step = 0; step < 20; step++) world.runDeferred();
  await world.run(2 * HOUR_MS);
  assert.deepEqual(world.countOf(1), { sent: 2 });
});

test("a campaign that is defined only after the start is taken up where the last run left it", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, uncertain: { waitMs: MINUTE_MS, then: "resend" } });
  world.partition.start();
  world.accept(1, 700);
  world.partition.appended();
  await world.settle();
  world.clock.advance(5);
  await world.settle();
  assert.ok(world.inFlight.length > 0);
  const campaign = world.campaigns.get(1);
  assert.ok(campaign);
  world.campaigns.clear();
  await world.crash();
  await world.run(1_000);
  world.campaigns.set(1, campaign);
  world.partition.setCampaign(campaign);
  await world.run(2 * MINUTE_MS);
  assert.deepEqual(world.countOf(1), { sent: 700 });
});

test("the time to live of a replayed message counts from the replay, however much happened since", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, timeToLiveMs: HOUR_MS });
  world.partition.start();
  const ids = world.accept(1, 1);
  world.partition.appended();
  await world.run(100, () => REJECTED);
  await world.run(2 * HOUR_MS);
  world.partition.replay(ids, 10);
  let answers = 0;
  await world.run(50 * MINUTE_MS, () => (++answers < 48 ? THROTTLED : UNKNOWN));
  await world.run(30 * MINUTE_MS);
  assert.equal(answers > 40, true, `${answers} answers`);
  assert.deepEqual(world.countOf(1), { sent: 1 });
});
