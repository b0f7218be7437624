// A thousand days in the life of a sender, each decided by a seed: throttles, lost answers, blocks, pauses, deleted
// campaigns, webhooks that overtake answers, rows that come due twice. Whatever happens, each message ends once.

/* oxlint-disable unicorn/no-thenable -- `uncertain.then` is the operators' word; settings are never awaited. */

import assert from "node:assert/strict";
import { test } from "node:test";

import type { CampaignSettings } from "../../engine/actor/sender-actor.ts";
import type { Verdict } from "../../engine/message/verdict.ts";
import { seededRandom } from "./seeded-random.ts";
import { busiestWindow, SimulatedSender } from "./simulated-sender.ts";
import type { Answer, SimulatedMessage } from "./simulated-sender.ts";

const SEEDS = 1000;
const HOUR_MS = 3_600_000;

interface World {
  readonly seed: number;
  readonly random: () => number;
  readonly perSecond: number;
  readonly campaigns: CampaignSettings[];
  readonly removed: Set<number>;
  readonly faultRate: number;
  readonly spreadMs: number;
  readonly simulation: SimulatedSender;
}

/** What must have happened somewhere in a thousand days, or the days were too quiet to prove anything. */
const HAPPENINGS = [
  "ended accepted",
  "ended proved",
  "ended failed",
  "ended expired",
  "was parked",
  "was dispatched twice",
  "was taken twice",
  "campaign removed",
] as const;

test("in a thousand simulated days each message ends once, none is sent twice in silence, no limit is broken", () => {
  const counts = new Map<string, number>();
  for (let seed = 1; seed <= SEEDS; seed++)
    for (const each of liveThrough(seed)) counts.set(each, (counts.get(each) ?? 0) + 1);
  for (const each of HAPPENINGS)
    assert.ok((counts.get(each) ?? 0) >= 20, `"${each}" happened ${counts.get(each) ?? 0} times`);
});

test("the same holds for a day that nobody has seen before", (context) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  context.diagnostic(`seed ${seed}`);
  liveThrough(seed);
});

/** @returns what happened, a line a time. */
function liveThrough(seed: number): string[] {
  const world = createWorld(seed);
  const { simulation } = world;
  try {
    plan(world);
    simulation.run(200_000);
    // Heal and drain: everybody may send again, Meta is well, parked rows come back.
    for (const settings of world.campaigns) {
      if (world.removed.has(settings.campaignNumber)) continue;
      simulation.campaign({ ...simulation.settingsOf(settings.campaignNumber), isPaused: false });
    }
    simulation.run(200_000 + HOUR_MS / 2);
    const canaries = sendCanaries(world);
    simulation.run(200_000 + 6 * HOUR_MS);
    check(world);
    for (const { status } of canaries)
      assert.ok(status === "accepted" || status === "proved", `a late message ${status}`);
    return happenings(world);
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** When all is well again, whatever is accepted must get through: no campaign was forgotten, no block stayed. */
function sendCanaries(world: World): SimulatedMessage[] {
  const alive = world.campaigns.filter(({ campaignNumber }) => !world.removed.has(campaignNumber));
  return alive.map(({ campaignNumber }) => world.simulation.accept(campaignNumber, `+1999${campaignNumber}`));
}

function createWorld(seed: number): World {
  const random = seededRandom(seed);
  const perSecond = pick(random, [3, 20, 80, 200]);
  const inFlightMax = pick(random, [4, 50, 500]);
  const pair = pick(random, [
    { periodMs: 6000, burst: 45 },
    { periodMs: 6000, burst: 1 },
    { periodMs: 1000, burst: 3 },
  ]);
  const commitMsMax = pick(random, [0, 3, 12]);
  const spreadMs = pick(random, [0, 2, 4]);
  const faultRate = pick(random, [0, 0.02, 0.2]);
  const settings = { senderId: "main", messagesPerSecond: perSecond, pair, inFlightMax };
  const world: World = {
    seed,
    random,
    perSecond,
    campaigns: Array.from({ length: 1 + Math.floor(random() * 5) }, (_, index) => randomCampaign(random, index + 1)),
    removed: new Set(),
    faultRate,
    spreadMs,
    simulation: new SimulatedSender({
      settings,
      random,
      obeysWakesOnly: random() < 0.5,
      commitMs: () => random() * commitMsMax,
      answer: (_message, atMs) => answerOf(world, atMs),
    }),
  };
  for (const campaign of world.campaigns) world.simulation.campaign(campaign);
  return world;
}

function randomCampaign(random: () => number, campaignNumber: number): CampaignSettings {
  return {
    campaignNumber,
    lane: pick(random, ["transactional", "marketing"]),
    weight: pick(random, [1, 1, 3]),
    messagesPerSecond: pick(random, [null, null, 5, 0.7]),
    isPaused: random() < 0.2,
    timeToLiveMs: pick(random, [20_000, 300_000, HOUR_MS]),
    uncertain: { waitMs: pick(random, [500, 60_000]), then: pick(random, ["resend", "fail"]) },
  };
}

/** Bursts of events, pauses and resumptions, changes of settings and deletions over three minutes. */
function plan(world: World): void {
  const { random, simulation, campaigns } = world;
  for (const { campaignNumber } of campaigns) {
    for (let bursts = 1 + Math.floor(random() * 4); bursts > 0; bursts--) {
      const size = Math.floor(random() * random() * 300);
      const people = pick(random, [3, 50, 100_000]);
      simulation.at(1000 + random() * 60_000, () => {
        if (world.removed.has(campaignNumber)) return;
        for (let index = 0; index < size; index++)
          simulation.accept(campaignNumber, `+1415${Math.floor(random() * people)}`);
      });
    }
    for (let changes = Math.floor(random() * 3); changes > 0; changes--) {
      simulation.at(1000 + random() * 150_000, () => changeCampaign(world, campaignNumber));
    }
  }
}

function changeCampaign(world: World, campaignNumber: number): void {
  const { random, simulation } = world;
  if (world.removed.has(campaignNumber)) return;
  if (random() < 0.1) {
    world.removed.add(campaignNumber);
    simulation.give({ kind: "campaignRemoved", campaignNumber });
    return;
  }
  const settings = simulation.settingsOf(campaignNumber);
  const { lane, messagesPerSecond, weight } = randomCampaign(random, campaignNumber);
  simulation.campaign({ ...settings, lane, messagesPerSecond, weight, isPaused: random() < 0.4 });
}

function answerOf(world: World, atMs: number): Answer {
  const { random } = world;
  const wayThereMs = 20 + random() * world.spreadMs;
  const thinkingMs = random() < 0.05 ? random() * 2000 : 10 + random() * 30;
  const isIll = atMs < 150_000 && random() < world.faultRate;
  const verdict = isIll ? faultOf(random) : ACCEPTED;
  const isTaken = verdict.kind === "accepted" || (verdict.kind === "unknown" && random() < 0.5);
  // Only what was taken is ever proved; a lost answer's webhook may come after a resend, or never.
  const isProved = isTaken && random() < (verdict.kind === "unknown" ? 0.7 : 0.2);
  return { verdict, isTaken, provedAfterMs: isProved ? random() * 5000 : null, wayThereMs, thinkingMs };
}

const ACCEPTED: Verdict = { kind: "accepted", wamid: "wamid.1", isHeld: false };

function faultOf(random: () => number): Verdict {
  const reason = "Simulated.";
  const chance = random();
  if (chance < 0.1) return { kind: "rejected", errorCode: random() < 0.5 ? 131_026 : null, reason };
  if (chance < 0.25)
    return { kind: "throttled", scope: "number", errorCode: 130_429, reason, retryAfterMs: pick(random, [null, 700]) };
  if (chance < 0.4) return { kind: "throttled", scope: "pair", errorCode: 131_056, reason, retryAfterMs: null };
  if (chance < 0.7) return { kind: "transient", errorCode: 131_016, reason };
  if (chance < 0.72) return { kind: "blocked", scope: "token", errorCode: 190, reason };
  if (chance < 0.76) return { kind: "blocked", scope: "template", errorCode: 132_015, reason };
  return { kind: "unknown", reason };
}

function check(world: World): void {
  const { simulation } = world;
  const open = simulation.open().map(({ dispatch, status }) => `${dispatch.messageId} ${status}`);
  // What lies on disk of a deleted campaign is the thread's to end, not the actor's.
  const left = open.filter((line) => !line.endsWith(" disk"));
  assert.deepEqual(left, [], "messages without an end");
  if (world.removed.size === 0) assert.deepEqual(open, [], "messages never offered");
  const busiest = busiestWindow(simulation.arrivals, 1000);
  assert.ok(
    busiest.count <= world.perSecond,
    `${busiest.count} arrivals in the second from ${busiest.fromMs}, of ${world.perSecond}`,
  );
  for (const message of simulation.messages.values()) checkMessage(world, message);
  checkOrder(world);
}

function checkMessage(world: World, message: SimulatedMessage): void {
  const { messageId, campaignNumber } = message.dispatch;
  const { uncertain, timeToLiveMs } = world.simulation.settingsOf(campaignNumber);
  const resends = uncertain.then === "resend" ? message.unknown : 0;
  assert.ok(message.taken <= 1 + resends, `${messageId} was sent ${message.taken} times, ${message.unknown} unknown`);
  if (message.status === "accepted" || message.status === "proved")
    assert.ok(message.taken >= 1, `${messageId} was never taken`);
  if (message.status === "expired" && message.dispatches === 0 && !message.wasParked) {
    const lateMs = message.endedAtMs - (message.acceptedAtMs + timeToLiveMs);
    assert.ok(lateMs >= -1 && lateMs < 100, `${messageId} expired ${lateMs} ms after its time`);
  }
}

function happenings(world: World): string[] {
  const happened = [...world.removed].map(() => "campaign removed");
  for (const message of world.simulation.messages.values()) {
    happened.push(`ended ${message.status}`);
    if (message.wasParked) happened.push("was parked");
    if (message.dispatches > 1) happened.push("was dispatched twice");
    if (message.taken > 1) happened.push("was taken twice");
  }
  return happened;
}

/** Among messages that never had to wait for a time, the first dispatch goes by acceptance. */
function checkOrder(world: World): void {
  const latest = new Map<number, number>();
  for (const message of world.simulation.messages.values()) {
    const { campaignNumber } = message.dispatch;
    if (message.wasParked || message.firstDispatch < 0) continue;
    const before = latest.get(campaignNumber) ?? -1;
    assert.ok(message.firstDispatch > before, `${message.dispatch.messageId} overtook an earlier message`);
    latest.set(campaignNumber, message.firstDispatch);
  }
}

function pick<Choice>(random: () => number, choices: readonly Choice[]): Choice {
  const choice = choices[Math.floor(random() * choices.length)];
  assert.ok(choice !== undefined);
  return choice;
}
