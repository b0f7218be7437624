// Cancels, over a real ledger: what waits under the key ends wherever it is, what was ever dispatched does not.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CANCEL_KEPT_MS, KEY_MESSAGES_MAX } from "../../engine/actor/cancel-desk.ts";
import { acceptedVerdict, type World } from "./partition-world.ts";
import { dispatched, FAST, HOUR_MS, MINUTE_MS, sentIds, TRANSIENT, worldOf } from "./partition-scene.ts";

const SENTENCE = "Cancelled: an event of campaign campaign-2 came before it was sent.";

function marksOf(world: World, prefix: string): number {
  return world.ledger.marks({ from: prefix, to: `${prefix}~`, limit: 10_000 }).length;
}

test("a cancel ends the delayed message of its key, and no other", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.setCampaign({ campaignNumber: 2 });
  world.partition.start();
  const sendAtMs = world.clock.nowMs() + HOUR_MS;
  const [cart] = world.accept(1, 1, { sendAtMs, waitKey: "cart-1" });
  const [other] = world.accept(1, 1, { sendAtMs, waitKey: "cart-2" });
  assert.ok(cart && other);
  world.partition.appended();
  await world.run(1_000);
  assert.equal(marksOf(world, "key/"), 2);
  world.cancel(1, "cart-1", 2);
  world.partition.appended();
  await world.run(1_000);
  assert.equal(world.row(cart).status, "suppressed");
  assert.equal(world.row(cart).errorReason, SENTENCE);
  assert.equal(world.progress?.waiting, 1);
  await world.run(HOUR_MS);
  assert.deepEqual(sentIds(world), [other]);
  assert.equal(marksOf(world, "key/"), 0, "nothing waits any more");
  world.checkBooks();
});

test("a cancel ends what waits in a mailbox, on disk and behind a restart", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, isPaused: true });
  world.setCampaign({ campaignNumber: 2 });
  world.partition.start();
  const [inMailbox] = world.accept(1, 1, { waitKey: "a" });
  world.accept(1, 2_000);
  const [onDisk] = world.accept(1, 1, { waitKey: "b" });
  const [afterRestart] = world.accept(1, 1, { waitKey: "c" });
  assert.ok(inMailbox && onDisk && afterRestart);
  world.partition.appended();
  await world.settle();
  world.cancel(1, "a", 2);
  world.cancel(1, "b", 2);
  world.partition.appended();
  await world.settle();
  await world.crash("durable");
  world.cancel(1, "c", 2);
  world.partition.appended();
  await world.settle();
  for (const id of [inMailbox, onDisk, afterRestart]) assert.equal(world.row(id).status, "suppressed");
  world.setCampaign({ campaignNumber: 1 });
  await world.run(10_000);
  assert.deepEqual(world.countOf(1), { sent: 2_000, suppressed: 3 });
  assert.equal(world.partition.inMemory, 0);
  world.checkBooks();
});

test("a cancelled message takes nothing of its number's limit", async (context) => {
  const world = await worldOf(context, { senders: [{ ...FAST, messagesPerSecond: 10 }] });
  world.setCampaign({ campaignNumber: 1, isPaused: true });
  world.setCampaign({ campaignNumber: 2 });
  world.partition.start();
  for (let index = 0; index < 200; index++) world.accept(1, 1, { waitKey: `key-${index}` });
  const [last] = world.accept(1, 1);
  assert.ok(last);
  world.partition.appended();
  await world.settle();
  for (let index = 0; index < 200; index++) world.cancel(1, `key-${index}`, 2);
  world.partition.appended();
  await world.settle();
  world.setCampaign({ campaignNumber: 1 });
  await world.run(500);
  assert.deepEqual(sentIds(world), [last]);
});

test("what was dispatched once is not cancelled: it may have been sent", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.setCampaign({ campaignNumber: 2 });
  world.partition.start();
  const [retrying] = world.accept(1, 1, { waitKey: "a" });
  const [inFlight] = world.accept(1, 1, { waitKey: "a" });
  assert.ok(retrying && inFlight);
  world.partition.appended();
  await dispatched(world, 2);
  assert.equal(marksOf(world, "key/"), 0, "a message that left is not under its key any more");
  world.inFlight.find(({ messageId }) => messageId === retrying)?.answer(TRANSIENT);
  await world.settle();
  world.cancel(1, "a", 2);
  world.partition.appended();
  await world.settle();
  assert.equal(world.row(retrying).status, "retrying");
  assert.equal(world.row(inFlight).status, "dispatched");
  world.inFlight.find(({ messageId }) => messageId === inFlight)?.answer(acceptedVerdict());
  await world.run(MINUTE_MS);
  assert.deepEqual(world.countOf(1), { sent: 2 });
});

test("an event that comes after another campaign's cancel of its key ends at once, for three days", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.setCampaign({ campaignNumber: 2 });
  world.partition.start();
  world.cancel(1, "cart", 2);
  world.partition.appended();
  await world.run(HOUR_MS);
  await world.crash();
  const [late] = world.accept(1, 1, { waitKey: "cart" });
  assert.ok(late);
  world.partition.appended();
  await world.run(1_000);
  assert.equal(world.row(late).status, "suppressed");
  assert.equal(world.row(late).errorReason, SENTENCE);
  assert.equal(world.progress?.waiting, 0);
  await world.run(CANCEL_KEPT_MS);
  assert.equal(marksOf(world, "cancelled/"), 0, "marks that are over are swept away");
  const [later] = world.accept(1, 1, { waitKey: "cart" });
  assert.ok(later);
  world.partition.appended();
  await world.run(1_000);
  assert.equal(world.row(later).status, "sent");
  world.checkBooks();
});

test("a newer event of the same campaign ends the older ones only, in whatever order they come", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  const sendAtMs = world.clock.nowMs() + HOUR_MS;
  const [older] = world.accept(1, 1, { sendAtMs, waitKey: "cart" });
  const straggler = world.event(1, { sendAtMs, waitKey: "cart" });
  const [newer] = world.accept(1, 1, { sendAtMs, waitKey: "cart" });
  assert.ok(older && newer);
  world.cancel(1, "cart", 1, newer);
  world.appendEvents(straggler);
  world.partition.appended();
  await world.run(1_000);
  const statuses = [older, straggler.messageId, newer].map((id) => world.row(id).status);
  assert.deepEqual(statuses, ["suppressed", "suppressed", "queued"]);
  await world.run(HOUR_MS);
  assert.deepEqual(sentIds(world), [newer]);
});

test("a cancel of the campaign's own does not stand in for another's", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.setCampaign({ campaignNumber: 2 });
  world.partition.start();
  const [first] = world.accept(1, 1, { sendAtMs: world.clock.nowMs() + HOUR_MS, waitKey: "cart" });
  world.cancel(1, "cart", 2);
  world.cancel(1, "cart", 1, first);
  const [late] = world.accept(1, 1, { waitKey: "cart" });
  assert.ok(late);
  world.partition.appended();
  await world.run(1_000);
  assert.equal(world.row(late).status, "suppressed");
});

test("cancels and events that come twice change nothing the second time", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.setCampaign({ campaignNumber: 2 });
  world.partition.start();
  world.accept(1, 5, { sendAtMs: world.clock.nowMs() + HOUR_MS, waitKey: "cart" });
  world.cancel(1, "cart", 2);
  world.partition.appended();
  await world.run(1_000);
  const rows = world.rows(1);
  for (const entry of world.stream.slice()) world.append(entry.bytes);
  world.partition.appended();
  await world.run(1_000);
  await world.crash();
  await world.run(2 * HOUR_MS);
  assert.deepEqual(world.rows(1), rows);
  assert.equal(world.sends.length, 0);
  world.checkBooks();
});

test("a crash between a cancel and its commit loses neither", async (context) => {
  for (const commit of ["lost", "durable"] as const) {
    const world = await worldOf(context);
    world.setCampaign({ campaignNumber: 1 });
    world.setCampaign({ campaignNumber: 2 });
    world.partition.start();
    const [id] = world.accept(1, 1, { sendAtMs: world.clock.nowMs() + HOUR_MS, waitKey: "cart" });
    assert.ok(id);
    world.partition.appended();
    await world.settle();
    world.cancel(1, "cart", 2);
    world.partition.appended();
    while (!world.isCommitting) assert.ok(world.runDeferred());
    await world.crash(commit);
    await world.run(2 * HOUR_MS);
    assert.equal(world.row(id).status, "suppressed");
    assert.equal(world.sends.length, 0);
    world.checkBooks();
  }
});

test("of more messages under one key than are remembered, the newest end", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.setCampaign({ campaignNumber: 2 });
  world.partition.start();
  world.accept(1, KEY_MESSAGES_MAX + 6, { sendAtMs: world.clock.nowMs() + HOUR_MS, waitKey: "cart" });
  world.partition.appended();
  await world.settle();
  world.cancel(1, "cart", 2);
  world.partition.appended();
  await world.settle();
  assert.deepEqual(world.countOf(1), { queued: 6, suppressed: KEY_MESSAGES_MAX });
  const statuses = world.rows(1).map(({ status }) => status);
  assert.deepEqual(
    statuses.slice(0, 6),
    Array.from({ length: 6 }, () => "queued"),
  );
});
