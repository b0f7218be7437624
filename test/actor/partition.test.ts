// The partition as a whole, over a real ledger: what it keeps on disk, what it finds again, what it sends.

import assert from "node:assert/strict";
import { test } from "node:test";

import { encodeEnvelope } from "../../engine/message/envelope.ts";
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

test("a backlog beyond the mailbox stays on disk and leaves in the order it came", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  const ids = world.accept(1, 5_000);
  world.partition.appended();
  await world.settle();
  assert.ok(world.partition.inMemory <= 1_100, `${world.partition.inMemory} messages in memory`);
  await world.run(10_000);
  assert.deepEqual(sentIds(world), ids);
  assert.equal(world.partition.inMemory, 0);
  world.checkBooks();
});

test("a campaign that is removed ends what waits in memory, on disk and for a time", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  world.accept(1, 20);
  world.partition.appended();
  await dispatched(world, 20);
  for (const send of world.inFlight) send.answer(TRANSIENT);
  await world.settle();
  world.setCampaign({ campaignNumber: 1, isPaused: true });
  world.accept(1, 2_000);
  world.partition.appended();
  await world.settle();
  world.setCampaign({ campaignNumber: 1, isRemoved: true });
  await world.run(MINUTE_MS);
  assert.deepEqual(world.countOf(1), { failed: 2_020 });
  assert.equal(world.sends.length, 20);
  assert.equal(world.partition.inMemory, 0);
  world.checkBooks();
});

test("a campaign that is removed with a backlog on disk only ends it too", async (context) => {
  const world = await worldOf(context, { senders: [] });
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  world.accept(1, 2_000);
  world.partition.appended();
  await world.settle();
  await world.abandon();
  const campaign = world.campaigns.get(1);
  assert.ok(campaign);
  world.campaigns.set(1, { ...campaign, senderId: "", isRemoved: true });
  world.restart();
  await world.run(MINUTE_MS);
  assert.deepEqual(world.countOf(1), { failed: 2_000 });
});

test("a status for a send in flight of a removed campaign is taken, and the late answer changes nothing", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  const [id] = world.accept(1, 1);
  assert.ok(id);
  world.partition.appended();
  await dispatched(world, 1);
  world.setCampaign({ campaignNumber: 1, isRemoved: true });
  world.updates(statusOf(id, "delivered", world.clock.nowMs()));
  world.partition.appended();
  await world.run(MINUTE_MS);
  assert.equal(world.row(id).status, "delivered");
  world.checkBooks();
});

test("a paused campaign keeps everything, and its messages expire by their time to live", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, isPaused: true, timeToLiveMs: HOUR_MS });
  world.partition.start();
  world.accept(1, 1_200);
  world.partition.appended();
  await world.run(HOUR_MS - MINUTE_MS);
  assert.deepEqual(world.countOf(1), { queued: 1_200 });
  await world.run(2 * MINUTE_MS);
  assert.deepEqual(world.countOf(1), { expired: 1_200 });
  assert.equal(world.sends.length, 0);
  assert.equal(world.partition.inMemory, 0);
});

test("paused campaigns that fill the memory starve no other one", async (context) => {
  const world = await worldOf(context, { bounds: { liveRecordsMax: 100, liveShareMin: 8, refillRowsMax: 32 } });
  for (const campaignNumber of [1, 2, 3]) world.setCampaign({ campaignNumber, lane: "marketing", isPaused: true });
  world.setCampaign({ campaignNumber: 4, lane: "marketing" });
  world.partition.start();
  for (const campaignNumber of [1, 2, 3]) world.accept(campaignNumber, 200);
  world.accept(4, 200);
  world.partition.appended();
  await world.run(20_000);
  assert.deepEqual(world.countOf(4), { sent: 200 });
  assert.deepEqual(world.countOf(1), { queued: 200 });
});

test("a replay keeps to its messages a second and leaves alone what was delivered", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  const ids = world.accept(1, 20);
  world.partition.appended();
  await world.run(1_000, () => REJECTED);
  const [delivered] = ids;
  assert.ok(delivered);
  world.updates(statusOf(delivered, "delivered", world.clock.nowMs()));
  world.partition.appended();
  await world.settle();
  assert.equal(world.partition.replay(ids, 2), 19);
  assert.equal(world.partition.replay(ids, 2), 0, "what waits already is not replayed again");
  const before = world.sends.length;
  for (let second = 1; second <= 5; second++) {
    await world.run(1_000);
    const count = world.sends.length - before;
    assert.ok(count >= second * 2 - 1 && count <= second * 2 + 1, `${count} after ${second} s`);
  }
  await world.run(10_000);
  assert.equal(world.sends.length, 39);
  assert.equal(world.row(delivered).status, "delivered");
  world.checkBooks();
});

test("stop waits for what is in flight and leaves the rest queued for the next run", async (context) => {
  const world = await worldOf(context, { senders: [{ ...FAST, inFlightMax: 10 }] });
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  const ids = world.accept(1, 50);
  world.partition.appended();
  await dispatched(world, 10);
  let hasStopped = false;
  const stopped = Promise.all([world.partition.stop(), world.partition.stop()]).finally(() => {
    hasStopped = true;
  });
  await world.settle();
  world.clock.advance(1_000);
  await world.settle();
  assert.equal(hasStopped, false);
  for (const send of world.inFlight) send.answer(acceptedVerdict());
  await world.settle();
  await stopped;
  assert.deepEqual(world.countOf(1), { queued: 40, sent: 10 });
  await world.abandon();
  world.restart();
  await world.run(5_000);
  assert.deepEqual(sentIds(world), ids);
});

test("stream entries that come twice make no second message", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  world.accept(1, 30);
  const [entry] = world.stream;
  assert.ok(entry);
  world.append(entry.bytes);
  world.partition.appended();
  await world.run(1_000);
  world.append(entry.bytes);
  world.partition.appended();
  await world.run(1_000);
  assert.deepEqual(world.countOf(1), { sent: 30 });
  assert.equal(world.sends.length, 30);
  world.checkBooks();
});

test("requests that may not leave yet leave when they may, and count against the limit of that second", async (context) => {
  const world = await worldOf(context, { senders: [{ ...FAST, messagesPerSecond: 20 }] });
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  world.accept(1, 100);
  world.partition.appended();
  world.maySend = false;
  await world.run(3_000);
  assert.equal(world.sends.length, 0);
  const late = world.heldBack.splice(0);
  assert.ok(late.length > 0);
  world.maySend = true;
  for (const call of late) call();
  await world.run(20_000);
  const times = world.sends.map(({ atMonotonicMs }) => atMonotonicMs);
  assert.equal(times.length, 100);
  for (const [index, atMs] of times.entries()) {
    const before = times[index - 20];
    assert.ok(before === undefined || atMs - before >= 1_000, `21 sends within ${atMs - (before ?? 0)} ms`);
  }
});

test("a partition that another engine owns now decides, writes and sends nothing more", async (context) => {
  const world = await worldOf(context, { senders: [{ ...FAST, inFlightMax: 10 }] });
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  world.accept(1, 50);
  world.partition.appended();
  await dispatched(world, 10);
  const before = world.countOf(1);
  world.partition.abandon();
  await world.partition.stop();
  for (const send of world.inFlight) send.answer(acceptedVerdict());
  world.accept(1, 5);
  world.partition.appended();
  world.clock.advance(MINUTE_MS);
  await world.settle();
  assert.equal(world.sends.length, 10);
  assert.deepEqual(world.countOf(1), before);
});

test("an event that a lost history had dispatched waits for proof and is not sent at once", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, uncertain: { waitMs: MINUTE_MS, then: "fail" } });
  world.partition.start();
  const [proven, doubtful, unsent] = [world.event(1), world.event(1), world.event(1)];
  const events = [{ ...proven, attempts: 1 }, { ...doubtful, attempts: 2 }, unsent];
  world.append(encodeEnvelope({ kind: "events", events }));
  world.updates(statusOf(proven.messageId, "sent", world.clock.nowMs()));
  world.partition.appended();
  await world.run(1_000);
  assert.deepEqual(sentIds(world), [unsent.messageId]);
  assert.deepEqual(world.countOf(1), { sent: 2, uncertain: 1 });
  await world.run(2 * MINUTE_MS);
  assert.deepEqual(world.countOf(1), { sent: 2, failed: 1 });
  assert.equal(world.row(doubtful.messageId).attempts, 2);
  world.checkBooks();
});

test("a status that proves an uncertain send ends its wait", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  const [id] = world.accept(1, 1);
  assert.ok(id);
  world.partition.appended();
  await world.run(100, () => UNKNOWN);
  assert.ok(world.row(id).dueAtMs > 0);
  world.updates(statusOf(id, "sent", world.clock.nowMs()));
  world.partition.appended();
  await world.run(2 * HOUR_MS);
  assert.equal(world.row(id).status, "sent");
  assert.equal(world.sends.length, 1);
  world.checkBooks();
});

test("a late failure of an earlier attempt does not disturb the one in flight", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, uncertain: { waitMs: MINUTE_MS, then: "resend" } });
  world.partition.start();
  const [id] = world.accept(1, 1);
  assert.ok(id);
  world.partition.appended();
  await dispatched(world, 1);
  world.inFlight[0]?.answer(UNKNOWN);
  await world.settle();
  world.clock.advance(MINUTE_MS);
  await dispatched(world, 1);
  world.updates(statusOf(id, "failed", world.clock.nowMs(), 1));
  world.partition.appended();
  await world.settle();
  world.inFlight[0]?.answer(acceptedVerdict());
  await world.settle();
  assert.equal(world.row(id).status, "sent");
  assert.equal(world.partition.inMemory, 0);
});

test("an intent is not sent when a status proves the message while the intent is made durable", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, uncertain: { waitMs: MINUTE_MS, then: "resend" } });
  world.partition.start();
  const [id] = world.accept(1, 1);
  assert.ok(id);
  world.partition.appended();
  await dispatched(world, 1);
  world.inFlight[0]?.answer(UNKNOWN);
  await world.settle();
  world.clock.advance(MINUTE_MS);
  while (!world.isCommitting) if (!world.runDeferred()) world.clock.advance(1);
  world.updates(statusOf(id, "sent", world.clock.nowMs()));
  world.partition.appended();
  await world.run(MINUTE_MS);
  assert.equal(world.row(id).status, "sent");
  assert.equal(world.sends.length, 1);
  world.checkBooks();
});

test("a number that the configuration does not know keeps its messages until it does", async (context) => {
  const world = await worldOf(context, { senders: [] });
  world.setCampaign({ campaignNumber: 1, timeToLiveMs: HOUR_MS });
  world.setCampaign({ campaignNumber: 2, timeToLiveMs: MINUTE_MS });
  world.partition.start();
  world.accept(1, 700);
  world.accept(2, 10);
  world.partition.appended();
  await world.run(2 * MINUTE_MS);
  assert.deepEqual(world.countOf(1), { queued: 700 });
  assert.deepEqual(world.countOf(2), { expired: 10 });
  world.setSender(FAST);
  world.partition.refreshSenders();
  await world.run(5_000);
  assert.deepEqual(world.countOf(1), { sent: 700 });
});

test("a campaign that moves to another number takes its waiting messages along", async (context) => {
  const senders = [
    { ...FAST, inFlightMax: 5 },
    { ...FAST, senderId: "news" },
  ];
  const world = await worldOf(context, { senders });
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  const ids = world.accept(1, 900);
  world.partition.appended();
  await dispatched(world, 5);
  world.setCampaign({ campaignNumber: 1, senderId: "news" });
  const [first, second, ...rest] = world.inFlight;
  assert.ok(first && second);
  world.updates(statusOf(first.messageId, "sent", world.clock.nowMs()));
  world.partition.appended();
  await world.settle();
  first.answer(acceptedVerdict());
  second.answer(THROTTLED);
  for (const send of rest) send.answer(acceptedVerdict());
  await world.run(MINUTE_MS);
  assert.deepEqual(world.countOf(1), { sent: 900 });
  assert.equal(new Set(sentIds(world)).size, ids.length);
  assert.equal(world.sends.filter(({ senderId }) => senderId === "shop").length, 5);
  assert.equal(world.partition.inMemory, 0);
  world.checkBooks();
});
