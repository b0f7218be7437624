// A thousand days in the life of a sender, each decided by a seed: throttles, lost answers, blocks, pauses, deleted
// campaigns, webhooks that overtake answers, failures that come later, doors that Meta closes, people who say stop, rows
// that come due twice, runs before this one. Whatever happens, each message ends once.

/* oxlint-disable unicorn/no-thenable -- `uncertain.then` is the operators' word; settings are never awaited. */

import assert from "node:assert/strict";
import { test } from "node:test";

import type { CampaignSettings, SenderEffect, SendRules } from "../../engine/actor/sender-actor.ts";
import { BlockWatch } from "./block-watch.ts";
import { pick, seededRandom } from "./seeded-random.ts";
import { answerOf, isHomeless, isMisrouting } from "./simulated-meta.ts";
import type { SimulatedMeta } from "./simulated-meta.ts";
import { busiestWindow, SimulatedSender } from "./simulated-sender.ts";
import type { SimulatedMessage } from "./simulated-sender.ts";

const SEEDS = 1000;
const HOUR_MS = 3_600_000;

interface World extends SimulatedMeta {
  readonly seed: number;
  readonly perSecond: number;
  readonly campaigns: CampaignSettings[];
  readonly removed: Set<number>;
  /** People who want no marketing any more. */
  readonly stopped: Set<string>;
  readonly watch: BlockWatch;
  readonly left: Map<string, number>;
  readonly returned: Map<string, number>;
  slowest: number;
}

/** What must have happened somewhere in a thousand days, or the days were too quiet to prove anything. */
const HAPPENINGS = [
  "ended accepted",
  "ended proved",
  "ended failed",
  "ended expired",
  "ended suppressed",
  "took the other door",
  "nobody's door",
  "slowed down",
  "blocked account",
  "blocked token",
  "blocked template",
  "blocked country",
  "probed",
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
    // The first ones may have to probe one block after the other, for longer than they live.
    sendCanaries(world);
    simulation.run(200_000 + HOUR_MS);
    const canaries = sendCanaries(world);
    simulation.run(200_000 + 6 * HOUR_MS);
    check(world);
    for (const { status, dispatch } of canaries)
      if (isHomeless(world, simulation.settingsOf(dispatch.campaignNumber))) assert.match(status, /failed|expired/);
      else assert.ok(status === "accepted" || status === "proved", `a late message ${status}`);
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
    marketingMovesAtMs: random() < 0.3 ? random() * 60_000 : Infinity,
    homeless: new Set(random() < 0.3 ? [SHARED_TEMPLATE] : []),
    stopped: new Set(),
    watch: new BlockWatch(),
    left: new Map(),
    returned: new Map(),
    slowest: perSecond,
    simulation: new SimulatedSender({
      settings,
      random,
      obeysWakesOnly: random() < 0.5,
      commitMs: () => random() * commitMsMax,
      answer: (message, atMs) => answerOf(world, message, atMs),
      rules: rulesOf(() => world),
      regionOf,
      watch: (effect) => watch(world, effect),
    }),
  };
  if (random() < 0.5) recall(world);
  for (const campaign of world.campaigns) world.simulation.campaign(campaign);
  return world;
}

/** A run before this one used its limit to the full, until just now. */
function recall(world: World): void {
  const { simulation, perSecond } = world;
  for (let count = perSecond; count > 0; count--) {
    const agoMs = (count * 1000) / perSecond;
    simulation.arrivals.push(simulation.nowMs - agoMs + 20);
    simulation.give({ kind: "sentBefore", campaignNumber: 1, phoneNumber: `+1416${count}`, agoMs });
  }
}

const SHARED_TEMPLATE = "shared";

function randomCampaign(random: () => number, campaignNumber: number): CampaignSettings {
  const lane = pick(random, ["transactional", "marketing"] as const);
  return {
    campaignNumber,
    templateKey: pick(random, [SHARED_TEMPLATE, `own ${campaignNumber}`]),
    category: lane === "marketing" ? "MARKETING" : "UTILITY",
    quietHours: random() < 0.3 ? { fromMinute: 0, toMinute: 60, timeZone: null } : null,
    lane,
    weight: pick(random, [1, 1, 3]),
    messagesPerSecond: pick(random, [null, null, 5, 0.7]),
    isPaused: random() < 0.2,
    timeToLiveMs: pick(random, [20_000, 300_000, HOUR_MS]),
    uncertain: { waitMs: pick(random, [500, 60_000]), then: pick(random, ["resend", "fail"]) },
  };
}

const NIGHT = { fromMs: 40_000, toMs: 70_000 };

function isNight(atMs: number): boolean {
  return atMs >= NIGHT.fromMs && atMs < NIGHT.toMs;
}

/** Two in ten people live where the account may be forbidden to send. */
function regionOf(phoneNumber: string): string {
  return phoneNumber.endsWith("7") || phoneNumber.endsWith("3") ? "NG" : "US";
}

function rulesOf(worldOf: () => World): SendRules {
  return {
    refusal(dispatch, campaign) {
      const { simulation, stopped } = worldOf();
      const isStopped = campaign.lane === "marketing" && stopped.has(dispatch.phoneNumber);
      if (isStopped) return { kind: "suppressed", reason: "Stopped." };
      if (campaign.quietHours === null || !isNight(simulation.nowMs)) return null;
      return { kind: "wait", untilMs: simulation.wallMs + NIGHT.toMs - simulation.nowMs + 1, reason: "Night." };
    },
    left: ({ messageId }) => add(worldOf().left, messageId),
    returned: ({ messageId }) => add(worldOf().returned, messageId),
  };
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** What must hold at each moment. */
function watch(world: World, effect: SenderEffect): void {
  const { simulation } = world;
  if (effect.kind === "blocked") return world.watch.blocked(effect);
  if (effect.kind === "unblocked") return world.watch.unblocked(effect);
  if (effect.kind === "rate") {
    const { messagesPerSecond } = effect;
    assert.ok(messagesPerSecond >= Math.min(1, world.perSecond) && messagesPerSecond <= world.perSecond);
    world.slowest = Math.min(world.slowest, messagesPerSecond);
  }
  const isBack = effect.kind === "returned" || effect.kind === "finish";
  if (isBack && isMisrouting(effect.errorCode)) world.watch.misrouted(effect.messageId);
  if (effect.kind !== "dispatch") return;
  const message = simulation.messages.get(effect.messageId);
  assert.ok(message);
  const { campaignNumber, phoneNumber } = message.dispatch;
  const { templateKey, lane, quietHours } = simulation.settingsOf(campaignNumber);
  world.watch.dispatched(effect.messageId, { templateKey, region: regionOf(phoneNumber) }, simulation.wallMs);
  assert.ok(lane !== "marketing" || !world.stopped.has(phoneNumber), "marketing to somebody who said stop");
  assert.ok(quietHours === null || !isNight(simulation.nowMs), "a message in the night");
}

/** Bursts of events, pauses and resumptions, changes of settings and deletions over three minutes. */
function plan(world: World): void {
  const { random, simulation, campaigns } = world;
  for (let stops = Math.floor(random() * 5); stops > 0; stops--)
    simulation.at(random() * 60_000, () => world.stopped.add(`+1415${Math.floor(random() * 50)}`));
  if (random() < 0.2) simulation.at(random() * 150_000, () => simulation.give({ kind: "tokenChanged" }));
  if (random() < 0.2) {
    const scope = pick(random, ["token", "account", "template", "number"] as const);
    const elsewhere = { kind: "blockedElsewhere", scope, errorCode: 190, reason: "Simulated." } as const;
    simulation.at(random() * 150_000, () => simulation.give(elsewhere));
  }
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
  const { lane, category, templateKey, messagesPerSecond, weight } = randomCampaign(random, campaignNumber);
  const isPaused = random() < 0.4;
  simulation.campaign({ ...settings, lane, category, templateKey, messagesPerSecond, weight, isPaused });
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
  for (const message of simulation.messages.values()) {
    checkMessage(world, message);
    checkRules(world, message);
  }
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

/** The rules were told of each departure, and of each that certainly came to nothing. */
function checkRules(world: World, message: SimulatedMessage): void {
  const { messageId } = message.dispatch;
  const returned = world.returned.get(messageId) ?? 0;
  assert.equal(world.left.get(messageId) ?? 0, message.dispatches);
  assert.ok(returned <= message.dispatches - message.taken, `${messageId} was taken and counts as returned`);
  const isInFlightWhenProved = message.status === "proved" ? 1 : 0;
  const kept = message.dispatches - returned;
  assert.ok(kept <= message.taken + message.unknown + isInFlightWhenProved, `${messageId} did not count as returned`);
}

function happenings(world: World): string[] {
  const happened = [...world.removed].map(() => "campaign removed");
  for (const [what, count] of world.watch.counts) for (let each = 0; each < count; each++) happened.push(what);
  if (world.slowest < world.perSecond) happened.push("slowed down");
  for (const message of world.simulation.messages.values()) {
    happened.push(`ended ${message.status}`);
    if (message.wasParked) happened.push("was parked");
    if (message.route === "marketing_messages" && message.taken > 0) happened.push("took the other door");
    if (message.route === "marketing_messages" && message.status === "failed") happened.push("nobody's door");
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
