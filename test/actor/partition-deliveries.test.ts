// Messages that WhatsApp took and dropped without a word: each ends when its time for a delivery is over, at the cost of
// one walk over the rows.

import assert from "node:assert/strict";
import { test } from "node:test";

import { acceptedVerdict, statusOf, type World } from "./partition-world.ts";
import { dispatched, HOUR_MS, MINUTE_MS, UNKNOWN, worldOf } from "./partition-scene.ts";

const TIMEOUT_MS = HOUR_MS;
const SENTENCE = "WhatsApp reported no delivery within 60 minutes; it is taken as dropped.";

function campaign(world: World, choice: { readonly isPaused?: boolean; readonly waitMs?: number } = {}): void {
  const { isPaused = false, waitMs = MINUTE_MS } = choice;
  const uncertain = { waitMs, then: "resend" } as const;
  world.setCampaign({ campaignNumber: 1, deliveryTimeoutMs: TIMEOUT_MS, isPaused, uncertain });
}

test("what WhatsApp took and never reported ends once its time is over, not before; what was delivered stays", async (context) => {
  const world = await worldOf(context);
  campaign(world);
  world.partition.start();
  const ids = world.accept(1, 600);
  world.partition.appended();
  await world.run(2_000);
  const [delivered, dropped] = ids;
  assert.ok(delivered && dropped);
  world.updates(statusOf(delivered, "delivered", world.clock.nowMs()));
  world.partition.appended();
  await world.run(TIMEOUT_MS - 5_000);
  assert.deepEqual(world.countOf(1), { delivered: 1, sent: 599 });
  await world.run(2 * MINUTE_MS);
  assert.deepEqual(world.countOf(1), { delivered: 1, expired: 599 });
  assert.equal(world.row(dropped).errorReason, SENTENCE);
  world.checkBooks();
});

test("a message that is held back by WhatsApp's pacing and never heard of again ends as well", async (context) => {
  const world = await worldOf(context);
  campaign(world);
  world.partition.start();
  world.accept(1, 3);
  world.partition.appended();
  await world.run(1_000, () => ({ kind: "accepted", wamid: "wamid.held", isHeld: true }));
  assert.deepEqual(world.countOf(1), { held: 3 });
  await world.run(TIMEOUT_MS + 2 * MINUTE_MS);
  assert.deepEqual(world.countOf(1), { expired: 3 });
  assert.equal(world.progress?.waiting, 0);
  world.checkBooks();
});

test("the walk leaves a time with what was sent later than it was accepted, and comes back to it", async (context) => {
  const world = await worldOf(context);
  campaign(world, { isPaused: true });
  world.partition.start();
  world.accept(1, 20);
  world.partition.appended();
  await world.run(50 * MINUTE_MS);
  campaign(world);
  await world.run(30 * MINUTE_MS);
  // The walk was over them at 60 minutes: they were sent at 50.
  assert.deepEqual(world.countOf(1), { sent: 20 });
  assert.ok(world.rows(1).every(({ dueAtMs, sentAtMs }) => dueAtMs === sentAtMs + TIMEOUT_MS));
  world.checkBooks();
  await world.crash();
  const [first] = world.rows(1);
  assert.ok(first);
  world.updates(statusOf(first.messageId, "read", world.clock.nowMs()));
  world.partition.appended();
  await world.run(35 * MINUTE_MS);
  assert.deepEqual(world.countOf(1), { read: 1, expired: 19 });
  world.checkBooks();
});

test("what is sent after the walk went over it is looked at all the same", async (context) => {
  const world = await worldOf(context);
  campaign(world, { isPaused: true });
  world.partition.start();
  const ids = world.accept(1, 10, { sendAtMs: world.clock.nowMs() + 2 * HOUR_MS });
  world.partition.appended();
  await world.run(3 * HOUR_MS);
  await world.crash();
  campaign(world);
  await world.run(MINUTE_MS);
  assert.deepEqual(world.countOf(1), { sent: 10 });
  const [first] = ids;
  assert.ok(first);
  // A webhook's `sent` does not take the time away.
  world.updates(statusOf(first, "sent", world.clock.nowMs()));
  world.partition.appended();
  await world.run(TIMEOUT_MS + 2 * MINUTE_MS);
  assert.deepEqual(world.countOf(1), { expired: 10 });
  world.checkBooks();
});

test("an uncertain send that a late status proves after the walk ends too", async (context) => {
  const world = await worldOf(context);
  campaign(world, { waitMs: 10 * HOUR_MS });
  world.partition.start();
  const [id] = world.accept(1, 1);
  assert.ok(id);
  world.partition.appended();
  await dispatched(world, 1);
  world.inFlight[0]?.answer(UNKNOWN);
  await world.run(3 * HOUR_MS);
  world.updates(statusOf(id, "sent", world.clock.nowMs()));
  world.partition.appended();
  await world.run(MINUTE_MS);
  assert.equal(world.row(id).status, "sent");
  await world.run(TIMEOUT_MS + MINUTE_MS);
  assert.equal(world.row(id).status, "expired");
  world.checkBooks();
});

test("a delivery that is told after all counts", async (context) => {
  const world = await worldOf(context);
  campaign(world);
  world.partition.start();
  const [id] = world.accept(1, 1);
  assert.ok(id);
  world.partition.appended();
  await world.run(TIMEOUT_MS + 2 * MINUTE_MS);
  assert.equal(world.row(id).status, "expired");
  world.updates(statusOf(id, "delivered", world.clock.nowMs()));
  world.partition.appended();
  await world.run(1_000);
  assert.equal(world.row(id).status, "delivered");
  world.checkBooks();
});

test("statuses that the last run left in the stream are read before anything is taken as dropped", async (context) => {
  const world = await worldOf(context);
  campaign(world);
  world.partition.start();
  const ids = world.accept(1, 300);
  world.partition.appended();
  await world.run(2_000);
  await world.abandon();
  for (const id of ids) world.updates(statusOf(id, "delivered", world.clock.nowMs()));
  world.clock.advance(24 * HOUR_MS);
  world.restart();
  await world.run(HOUR_MS);
  assert.deepEqual(world.countOf(1), { delivered: 300 });
  assert.ok(world.rows(1).every(({ timeline }) => timeline.every(({ status }) => status !== "expired")));
});

test("each row is walked over once, also over crashes", async (context) => {
  const world = await worldOf(context);
  campaign(world);
  world.partition.start();
  for (let batch = 0; batch < 4; batch++) {
    world.accept(1, 200);
    world.partition.appended();
    await world.run(30 * MINUTE_MS, () => acceptedVerdict());
    await world.crash(batch % 2 === 0 ? "durable" : "lost");
  }
  await world.run(2 * HOUR_MS);
  assert.deepEqual(world.countOf(1), { expired: 800 });
  const before = world.rowsWritten;
  await world.crash();
  const seen = world.rowsRead;
  await world.run(2 * HOUR_MS);
  assert.equal(world.rowsWritten, before);
  assert.ok(world.rowsRead - seen < 50, `${world.rowsRead - seen} rows were read again`);
});
