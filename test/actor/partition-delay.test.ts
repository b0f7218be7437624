// Messages that wait for a time of their own, over a real ledger: none is lost, none is early, none holds others up.

import assert from "node:assert/strict";
import { test } from "node:test";

import { acceptedVerdict } from "./partition-world.ts";
import { FAST, HOUR_MS, MINUTE_MS, sentIds, worldOf } from "./partition-scene.ts";

test("a message with a later time leaves at that time, and not before", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, timeToLiveMs: MINUTE_MS });
  world.partition.start();
  const [id] = world.accept(1, 1, { sendAtMs: world.clock.nowMs() + HOUR_MS });
  const [next] = world.accept(1, 1);
  assert.ok(id && next);
  world.partition.appended();
  await world.run(HOUR_MS - 1_000);
  assert.deepEqual(sentIds(world), [next]);
  assert.equal(world.row(id).status, "queued");
  assert.equal(world.progress?.campaigns[0]?.delayed, 1);
  // The time to live counts from then: an hour of waiting took nothing of it.
  await world.run(2_000);
  assert.deepEqual(sentIds(world), [next, id]);
  assert.equal(world.progress?.campaigns[0]?.delayed, 0);
  world.checkBooks();
});

test("a time that has passed already holds nothing up", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  const ids = world.accept(1, 3, { sendAtMs: world.clock.nowMs() - MINUTE_MS });
  world.partition.appended();
  await world.run(100);
  assert.deepEqual(sentIds(world), ids);
});

test("what waits for a far time holds back no mark of its campaign, and is not the oldest that waits", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  world.accept(1, 10, { sendAtMs: world.clock.nowMs() + 24 * HOUR_MS });
  const ids = world.accept(1, 10);
  world.partition.appended();
  await world.run(MINUTE_MS);
  const [state] = world.ledger.campaignStates();
  assert.equal(state?.headId, `${ids.at(-1)}0`);
  assert.equal(state?.diskFromId, "");
  const [progress] = world.progress?.campaigns ?? [];
  assert.deepEqual(
    { waiting: progress?.waiting, delayed: progress?.delayed, oldest: progress?.oldestWaitingAtMs },
    { waiting: 10, delayed: 10, oldest: null },
  );
});

test("thousands that come due in one second leave as fast as the number may, each written once more at most", async (context) => {
  const world = await worldOf(context, { senders: [{ ...FAST, messagesPerSecond: 1_000 }] });
  world.setCampaign({ campaignNumber: 1 });
  world.setCampaign({ campaignNumber: 2 });
  world.partition.start();
  const dueAtMs = world.clock.nowMs() + HOUR_MS;
  for (let second = 0; second < 5_000; second++) world.accept(1, 1, { sendAtMs: dueAtMs + (second % 1_000) });
  world.partition.appended();
  await world.run(HOUR_MS - MINUTE_MS);
  assert.equal(world.sends.length, 0);
  const before = world.rowsWritten;
  await world.run(MINUTE_MS + 3_000);
  const [first] = world.sends;
  assert.ok(first && world.sends.length > 2_500, `${world.sends.length} left in three seconds`);
  // Another campaign's message does not wait behind them.
  world.accept(2, 1);
  world.partition.appended();
  await world.run(300);
  assert.deepEqual(world.countOf(2), { sent: 1 });
  await world.run(5_000);
  assert.deepEqual(world.countOf(1), { sent: 5_000 });
  // The intent and the answer.
  assert.ok(world.rowsWritten - before <= 2 * 5_001, `${world.rowsWritten - before} rows were written`);
  assert.equal(world.partition.inMemory, 0);
  world.checkBooks();
});

test("a crash loses no delayed message, wherever it was", async (context) => {
  const world = await worldOf(context, { senders: [{ ...FAST, messagesPerSecond: 100, inFlightMax: 20 }] });
  world.setCampaign({ campaignNumber: 1, uncertain: { waitMs: MINUTE_MS, then: "resend" } });
  world.partition.start();
  const dueAtMs = world.clock.nowMs() + HOUR_MS;
  world.accept(1, 1_500, { sendAtMs: dueAtMs });
  world.partition.appended();
  await world.settle();
  await world.crash("lost");
  await world.run(HOUR_MS + 2_000);
  for (let crash = 0; crash < 5; crash++) {
    await world.run(500);
    await world.crash(crash % 2 === 0 ? "lost" : "durable");
  }
  assert.ok(world.sends.length < 1_500);
  await world.run(10 * MINUTE_MS);
  assert.deepEqual(world.countOf(1), { sent: 1_500 });
  assert.equal(world.progress?.campaigns.at(-1)?.delayed ?? 0, 0);
  world.checkBooks();
});

test("a clock that is set back or forward moves the moment, and loses nothing", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  const startMs = world.clock.nowMs();
  const [early] = world.accept(1, 1, { sendAtMs: startMs + 10 * MINUTE_MS });
  const [late] = world.accept(1, 1, { sendAtMs: startMs + 5 * HOUR_MS });
  assert.ok(early && late);
  world.partition.appended();
  await world.run(1_000);
  world.clock.wallMs -= HOUR_MS;
  await world.run(60 * MINUTE_MS);
  assert.deepEqual(sentIds(world), []);
  await world.run(11 * MINUTE_MS);
  assert.deepEqual(sentIds(world), [early]);
  world.clock.wallMs = startMs + 5 * HOUR_MS;
  await world.run(15_000);
  assert.deepEqual(sentIds(world), [early, late]);
});

test("a paused campaign keeps what comes due, and sends it when it goes on", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, isPaused: true });
  world.setCampaign({ campaignNumber: 2 });
  world.partition.start();
  world.accept(1, 2_000, { sendAtMs: world.clock.nowMs() + MINUTE_MS });
  world.accept(2, 1_000, { sendAtMs: world.clock.nowMs() + MINUTE_MS });
  world.partition.appended();
  await world.run(MINUTE_MS);
  const before = world.rowsWritten;
  await world.run(10 * MINUTE_MS);
  assert.deepEqual(world.countOf(1), { queued: 2_000 });
  assert.deepEqual(world.countOf(2), { sent: 1_000 });
  assert.ok(world.rowsWritten - before <= 2_000, "what finds no room is not written again and again");
  world.setCampaign({ campaignNumber: 1 });
  await world.run(10_000);
  assert.deepEqual(world.countOf(1), { sent: 2_000 });
  world.checkBooks();
});

test("what has come due and finds no room expires by its time to live", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, isPaused: true, timeToLiveMs: 10 * MINUTE_MS });
  world.partition.start();
  world.accept(1, 1_500, { sendAtMs: world.clock.nowMs() + HOUR_MS });
  world.partition.appended();
  await world.run(HOUR_MS + 9 * MINUTE_MS);
  assert.deepEqual(world.countOf(1), { queued: 1_500 });
  await world.run(2 * MINUTE_MS);
  assert.deepEqual(world.countOf(1), { expired: 1_500 });
});

test("a replay of a message that had waited for its time lives from the replay", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, timeToLiveMs: HOUR_MS });
  world.partition.start();
  const ids = world.accept(1, 1, { sendAtMs: world.clock.nowMs() + HOUR_MS });
  world.partition.appended();
  await world.run(2 * HOUR_MS, () => ({ kind: "rejected", errorCode: 131_026, reason: "Undeliverable." }));
  await world.run(3 * HOUR_MS);
  assert.equal(world.partition.replay(ids, 10), 1);
  await world.run(MINUTE_MS, () => acceptedVerdict());
  assert.deepEqual(world.countOf(1), { sent: 1 });
});

test("a campaign that is removed ends what waits for a far time, at once and after a restart", async (context) => {
  for (const isRestarted of [false, true]) {
    const world = await worldOf(context);
    world.setCampaign({ campaignNumber: 1 });
    world.setCampaign({ campaignNumber: 2 });
    world.partition.start();
    const sendAtMs = world.clock.nowMs() + 40 * 24 * HOUR_MS;
    world.accept(1, 700, { sendAtMs });
    world.accept(2, 700, { sendAtMs });
    world.partition.appended();
    await world.run(1_000);
    world.setCampaign({ campaignNumber: 1, isRemoved: true });
    if (isRestarted) await world.crash();
    await world.run(10_000);
    assert.deepEqual(world.countOf(1), { failed: 700 });
    assert.deepEqual(world.countOf(2), { queued: 700 });
    assert.equal(world.progress?.waiting, 700);
    world.checkBooks();
  }
});
