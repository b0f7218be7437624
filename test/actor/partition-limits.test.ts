// Limits over restarts: whatever is killed when, and whatever the clock is set to meanwhile, no number, pair or campaign
// gets more than its limit in any window.

import assert from "node:assert/strict";
import { test } from "node:test";

import { DepartureTrail } from "../../engine/actor/departure-trail.ts";
import { MessageJournal } from "../../engine/actor/message-journal.ts";
import { countTransition } from "../../engine/ledger/counters.ts";
import { seededRandom } from "./seeded-random.ts";
import { acceptedVerdict, type Send, type World } from "./partition-world.ts";
import { HOUR_MS, MINUTE_MS, worldOf } from "./partition-scene.ts";

/** No window of `windowMs` may hold more than `most` of the sends. */
function checkWindows(sends: readonly Send[], most: number, windowMs: number, what: string): void {
  const times = sends.map(({ atMonotonicMs }) => atMonotonicMs).toSorted((a, b) => a - b);
  for (const [index, atMs] of times.entries()) {
    const before = times[index - most];
    const withinMs = atMs - (before ?? Number.NEGATIVE_INFINITY);
    assert.ok(withinMs >= windowMs, `${what}: ${most + 1} sends within ${withinMs} ms of ${windowMs}`);
  }
}

function groups(sends: readonly Send[], keyOf: (send: Send) => string): Map<string, Send[]> {
  const found = new Map<string, Send[]>();
  for (const send of sends) {
    const key = keyOf(send);
    const group = found.get(key);
    if (group === undefined) found.set(key, [send]);
    else group.push(send);
  }
  return found;
}

function checkLimits(world: World, limits: { readonly perSecond: number; readonly campaignPerSecond: number }): void {
  const { perSecond, campaignPerSecond } = limits;
  for (const windowMs of [1_000, 10_000, 60_000]) {
    checkWindows(world.sends, (perSecond * windowMs) / 1_000, windowMs, "the number");
    for (const [campaign, sends] of groups(world.sends, ({ campaignNumber }) => String(campaignNumber))) {
      if (campaign !== "2") continue;
      checkWindows(sends, (campaignPerSecond * windowMs) / 1_000, windowMs, "the campaign");
    }
  }
  for (const sends of groups(world.sends, ({ phoneNumber }) => phoneNumber).values()) {
    // One in six seconds, and 45 borrowed: in any window no more than both together.
    for (const windowMs of [6_000, 60_000, 600_000]) checkWindows(sends, 45 + windowMs / 6_000, windowMs, "the pair");
  }
}

async function killLoop(world: World, seed: number, kills: number): Promise<void> {
  const random = seededRandom(seed);
  world.setCampaign({ campaignNumber: 1, timeToLiveMs: 1_000 * HOUR_MS, uncertain: { waitMs: 1_000, then: "resend" } });
  world.setCampaign({
    campaignNumber: 2,
    lane: "marketing",
    messagesPerSecond: 5,
    timeToLiveMs: 1_000 * HOUR_MS,
    uncertain: { waitMs: 1_000, then: "resend" },
  });
  world.partition.start();
  world.accept(1, 1_500);
  world.accept(2, 600);
  world.partition.appended();
  for (let kill = 0; kill < kills; kill++) {
    await world.run(Math.floor(random() * 900));
    for (let step = Math.floor(random() * 6); step > 0; step--) if (!world.runDeferred()) await world.finishCommit();
    if (random() < 0.3) world.clock.wallMs += Math.floor((random() * 2 - 1) * HOUR_MS);
    await world.crash(random() < 0.5 ? "lost" : "durable");
  }
}

test("a loop of kills and clock jumps multiplies no burst: number, campaign and pair keep their limits", async (context) => {
  for (const seed of [1, 2]) {
    const senders = [{ senderId: "shop", messagesPerSecond: 20, inFlightMax: 100 }];
    const world = await worldOf(context, { senders, phones: 3, seed });
    await killLoop(world, seed, 50);
    assert.ok(world.sends.length > 100, `${world.sends.length} sends`);
    checkLimits(world, { perSecond: 20, campaignPerSecond: 5 });
    await world.run(3 * MINUTE_MS);
    checkLimits(world, { perSecond: 20, campaignPerSecond: 5 });
  }
});

test("a restart costs a number no second of rest: what it sent is known", async (context) => {
  const senders = [{ senderId: "shop", messagesPerSecond: 100, inFlightMax: 200 }];
  const world = await worldOf(context, { senders });
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  world.accept(1, 2_000);
  world.partition.appended();
  await world.run(3_000);
  for (let kill = 0; kill < 3; kill++) {
    const before = world.sends.length;
    await world.crash();
    await world.run(1_000);
    assert.ok(world.sends.length - before >= 65, `${world.sends.length - before} left in the second after a kill`);
  }
  checkWindows(world.sends, 100, 1_000, "the number");
});

test("an orderly end tells of its last departures as well", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  world.accept(1, 1);
  world.partition.appended();
  await world.settle();
  const stopped = world.partition.stop();
  for (const send of world.inFlight) send.answer(acceptedVerdict());
  await world.settle();
  await stopped;
  await world.abandon();
  world.clock.advance(10_000);
  const journal = new MessageJournal({ get: () => undefined, mark: () => undefined, countTransition });
  const uptime = (): { boot: string; ms: number } => ({ boot: "boot-1", ms: world.clock.monotonicMs() });
  const trail = new DepartureTrail({ ledger: world.ledger, journal, clock: world.clock, uptime });
  const past = trail.restore();
  assert.equal(past.length, 1);
  assert.ok((past[0]?.agoMs ?? 0) >= 10_000, `${past[0]?.agoMs} ms ago`);
});

test("a ledger of a release without a trail rests for a second, and one after a new boot goes by the wall clock", async (context) => {
  const senders = [{ senderId: "shop", messagesPerSecond: 10, inFlightMax: 200 }];
  const world = await worldOf(context, { senders });
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  world.accept(1, 200);
  world.partition.appended();
  await world.run(5_000);
  await world.abandon();
  const trail = world.ledger.marks({ from: "trail/", to: "trail/~", limit: 10_000 });
  assert.ok(trail.length > 0);
  await world.commitMarks(trail.map(({ key }) => ({ key, value: null })));
  world.restart();
  const before = world.sends.length;
  await world.run(800);
  assert.equal(world.sends.length, before);
  await world.run(3_000);
  checkWindows(world.sends, 10, 1_000, "the number");
  await world.abandon();
  world.boot = "boot-2";
  world.bootedAtMonotonicMs = world.clock.monotonicMs();
  world.clock.wallMs -= HOUR_MS;
  world.restart();
  await world.run(30_000);
  checkWindows(world.sends, 10, 1_000, "the number");
});

test("the trail forgets what no limit looks back to", async (context) => {
  const world = await worldOf(context, { senders: [{ senderId: "shop", messagesPerSecond: 2, inFlightMax: 20 }] });
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  world.accept(1, 3_000);
  world.partition.appended();
  await world.run(15 * MINUTE_MS);
  const marks = world.ledger.marks({ from: "trail/", to: "trail/~", limit: 100_000 });
  assert.ok(marks.length < 310 * 3, `${marks.length} marks for 300 seconds at 2 messages a second`);
  await world.crash();
  await world.run(10 * MINUTE_MS);
  assert.ok(world.ledger.marks({ from: "trail/", to: "trail/~", limit: 100_000 }).length < 310 * 3);
});
