// One run of the dispatch core with chance deciding what happens next: events, delays, cancels, answers and lost answers,
// statuses in any order, operators, clock jumps, crashes. One thread, no sockets, no sleep: a seed gives the same run again.
//
// The core is the real one (partition, actors, limits, retries, status merging, ledger); around it stand the run's own
// WhatsApp and a log of what the outside saw.

import assert from "node:assert/strict";

import type { PartitionDeps } from "../../engine/actor/partition-deps.ts";
import type { LedgerBatch } from "../../engine/ledger/lmdb-ledger.ts";
import type { StatusUpdate } from "../../engine/message/status-update.ts";
import type { Verdict } from "../../engine/message/verdict.ts";
import { greetingFor, type Send, statusOf, World } from "../actor/partition-world.ts";
import { emptyLog, type Receipt, type RunLog, type RunRules } from "./run-log.ts";

const STEPS = 500;
const HEALING_STEPS_MAX = 60_000;
const HEALING_HOURS_MAX = 48;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const BOUNDS = { liveRecordsMax: 12, liveShareMin: 2, refillRowsMax: 4 };
const PAIR = { periodMs: 6_000, burst: 4 };
const PHONES = 25;

const SENDERS = [
  { senderId: "shop", messagesPerSecond: 20, inFlightMax: 8, pair: PAIR },
  { senderId: "news", messagesPerSecond: 5, inFlightMax: 4, pair: PAIR },
] as const;

const CAMPAIGNS = [
  { campaignNumber: 1, senderId: "shop" },
  { campaignNumber: 2, senderId: "shop", lane: "marketing", uncertain: { waitMs: 60_000, then: "fail" } },
  { campaignNumber: 3, senderId: "news", lane: "marketing", messagesPerSecond: 3 },
  { campaignNumber: 4, senderId: "shop", messagesPerSecond: 0.5, templateKey: "other/en" },
] as const;

export const RULES: RunRules = {
  senders: new Map(SENDERS.map(({ senderId, messagesPerSecond }) => [senderId, { perSecond: messagesPerSecond }])),
  pair: PAIR,
  campaigns: new Map([
    [3, { perSecond: 3 }],
    [4, { perSecond: 0.5 }],
  ]),
  marketing: new Set([2, 3]),
  atMostOnce: new Set([2]),
};

/** Codes of failed statuses that stop a number or a template, with what the engine is told of them. */
const BLOCKING_CODES: ReadonlyMap<number, "account" | "template"> = new Map([
  [131_042, "account"],
  [132_015, "template"],
]);

/** @param plant a fault, for the control runs: each invariant must be able to fail. */
export async function simulate(seed: number, plant?: (deps: PartitionDeps) => PartitionDeps): Promise<RunLog> {
  const run = new DispatchRun(seed, plant);
  const world = await World.open({
    seed,
    senders: SENDERS,
    bounds: BOUNDS,
    phones: PHONES,
    wrap: (deps) => run.wrap(deps),
    onDurable: (batch) => run.durable(batch),
  });
  try {
    run.begin(world);
    for (let step = 0; step < STEPS; step++) {
      // oxlint-disable-next-line no-await-in-loop -- step by step
      await run.step();
    }
    await run.heal();
    return run.finish();
  } finally {
    await world.close();
  }
}

class DispatchRun {
  readonly #log: RunLog = emptyLog();
  readonly #plant: (deps: PartitionDeps) => PartitionDeps;
  readonly #receipts = new Map<Send, Receipt>();
  readonly #verdicts = new Map<Send, Verdict>();
  /** The engine has the answer, perhaps only in memory. */
  readonly #answered = new Set<Receipt>();
  /** Reported by WhatsApp, not yet delivered to the engine. */
  readonly #statuses: StatusUpdate[] = [];
  readonly #seed: number;
  #world: World | null = null;
  #isHealing = false;
  #names = 0;

  constructor(seed: number, plant: ((deps: PartitionDeps) => PartitionDeps) | undefined) {
    this.#seed = seed;
    this.#plant = plant ?? ((deps) => deps);
  }

  begin(world: World): void {
    this.#world = world;
    world.marketing = {
      refusal: (phoneNumber) =>
        this.#log.stopped.has(phoneNumber) ? { kind: "suppressed", reason: "The recipient stopped marketing." } : null,
      cap: () => null,
    };
    world.failureOf = (update) => this.#failureOf(update);
    for (const { campaignNumber } of CAMPAIGNS) this.#setCampaign(campaignNumber);
    world.partition.start();
  }

  /** The fault stands behind the watcher: what the engine does is seen as it is. */
  wrap(deps: PartitionDeps): PartitionDeps {
    return this.#plant(deps);
  }

  durable(batch: LedgerBatch): void {
    for (const record of [...batch.created, ...batch.updated.map((update) => update.record)]) {
      const { messageId, status } = record;
      const statuses = this.#log.history.get(messageId);
      if (statuses === undefined) this.#log.history.set(messageId, [status]);
      else if (statuses.at(-1) !== status) statuses.push(status);
      if (status === "dispatched" || status === "uncertain") continue;
      for (const receipt of this.#answered) {
        if (receipt.messageId !== messageId) continue;
        receipt.isKnown = true;
        this.#answered.delete(receipt);
      }
    }
  }

  async step(): Promise<void> {
    const { world } = this;
    const dice = this.#below(100);
    if (dice < 3) this.#acceptEvents();
    else if (dice < 34) world.runDeferred();
    else if (dice < 56) await world.finishCommit();
    else if (dice < 75) this.#answer();
    else if (dice < 83) this.#deliverStatuses();
    else if (dice < 91) world.clock.advance(this.#below(10) === 0 ? 60_000 : this.#below(1_000));
    else if (dice < 93) this.#setCampaign(1 + this.#below(CAMPAIGNS.length), this.#below(2) === 0);
    else if (dice < 94) this.#replay();
    else if (dice < 95) world.clock.wallMs += this.#below(2 * HOUR_MS) - HOUR_MS;
    else if (dice < 96) this.#redeliver();
    else if (dice < 98) await this.#end();
    else if (dice < 99) this.#cancel();
    else await this.#stopMarketing();
    this.#receive();
  }

  /** From now on everything goes well; returns once nothing waits any more, or long after it should have. */
  async heal(): Promise<void> {
    const { world } = this;
    this.#isHealing = true;
    for (const { campaignNumber } of CAMPAIGNS) this.#setCampaign(campaignNumber);
    world.partition.appended();
    const startMs = world.clock.monotonicMs();
    for (let step = 0; step < HEALING_STEPS_MAX; step++) {
      // oxlint-disable-next-line no-await-in-loop -- step by step
      await world.settle();
      this.#receive();
      if (world.inFlight.length > 0) for (const _ of world.inFlight.slice()) this.#answer();
      else if (this.#statuses.length > 0) this.#deliverStatuses();
      else if (world.progress?.waiting === 0) return;
      else {
        const waitMs = world.clock.nextInMs;
        if (waitMs === null || world.clock.monotonicMs() - startMs > HEALING_HOURS_MAX * HOUR_MS) return;
        world.clock.advance(waitMs);
      }
    }
  }

  finish(): RunLog {
    const { world } = this;
    const log = this.#log;
    log.rows = CAMPAIGNS.flatMap(({ campaignNumber }) => world.rows(campaignNumber));
    for (const { messageId, timeline } of log.rows) {
      if (timeline.some(({ detail }) => detail.startsWith("Replayed"))) log.replayed.add(messageId);
    }
    log.waiting = world.progress?.waiting ?? 0;
    log.inMemory = world.partition.inMemory;
    return log;
  }

  get world(): World {
    assert.ok(this.#world, "the run has begun");
    return this.#world;
  }

  // What callers and operators do

  #acceptEvents(): void {
    const { world } = this;
    const campaignNumber = 1 + this.#below(CAMPAIGNS.length);
    const count = this.#below(6) === 0 ? 15 : 1 + this.#below(4);
    for (let index = 0; index < count; index++) {
      this.#names += 1;
      const name = `person ${this.#seed}-${this.#names}`;
      const isDelayed = this.#below(5) === 0;
      const event = world.event(campaignNumber, {
        attributes: { name },
        ...(isDelayed ? { sendAtMs: world.clock.nowMs() + this.#below(2 * HOUR_MS) } : {}),
        ...(this.#below(2) === 0 ? { waitKey: `cart-${this.#below(12)}` } : {}),
      });
      world.acceptEvents([event]);
      const { messageId, phoneNumber } = event;
      this.#log.accepted.push({ messageId, campaignNumber, phoneNumber, text: greetingFor(name) });
    }
    world.partition.appended();
  }

  #setCampaign(campaignNumber: number, isPaused = false): void {
    const campaign = CAMPAIGNS[campaignNumber - 1];
    if (campaign !== undefined) this.world.setCampaign({ timeToLiveMs: 30 * DAY_MS, ...campaign, isPaused });
  }

  /** By an event that was accepted: of its own campaign, or of another. */
  #cancel(): void {
    const { world } = this;
    const { accepted } = this.#log;
    const by = accepted[this.#below(accepted.length)];
    if (by === undefined) return;
    const { campaignNumber, messageId } = by;
    world.cancel(1 + this.#below(CAMPAIGNS.length), `cart-${this.#below(12)}`, campaignNumber, messageId);
    world.partition.appended();
  }

  /** What is on its way already may still arrive: so nothing is when somebody says stop. */
  async #stopMarketing(): Promise<void> {
    const { world } = this;
    await world.settle();
    this.#receive();
    const { accepted, stopped } = this.#log;
    const phoneNumber = accepted[this.#below(accepted.length)]?.phoneNumber;
    if (phoneNumber !== undefined && !stopped.has(phoneNumber)) stopped.set(phoneNumber, world.clock.monotonicMs() + 1);
    world.clock.advance(1);
  }

  #replay(): void {
    const { world } = this;
    const ids = this.#log.accepted.map(({ messageId }) => messageId).filter(() => this.#below(4) === 0);
    world.partition.replay(ids, 1 + this.#below(100));
  }

  #redeliver(): void {
    const { world } = this;
    const entry = world.stream[this.#below(world.stream.length)];
    if (entry === undefined) return;
    world.append(entry.bytes);
    world.partition.appended();
  }

  /** A crash, before or after the commit under way, or an orderly end. */
  async #end(): Promise<void> {
    const { world } = this;
    const dice = this.#below(4);
    if (dice < 3) {
      await world.crash(dice < 2 ? "lost" : "durable");
      this.#answered.clear();
      return;
    }
    const stopped = world.partition.stop();
    for (;;) {
      this.#receive();
      // oxlint-disable-next-line no-await-in-loop -- until the last answer is on disk
      await world.settle();
      this.#receive();
      if (world.inFlight.length === 0) break;
      this.#answer();
    }
    await stopped;
    await world.abandon();
    world.restart();
  }

  // What WhatsApp does

  /** Requests that left since the last look arrive, and WhatsApp decides. */
  #receive(): void {
    for (const send of this.world.inFlight) {
      if (this.#receipts.has(send)) continue;
      const { messageId, campaignNumber, senderId, attempt, phoneNumber, text, atMonotonicMs: atMs } = send;
      const receipt = {
        messageId,
        campaignNumber,
        senderId,
        attempt,
        phoneNumber,
        text,
        atMs,
        wamid: null,
        isKnown: false,
      };
      this.#receipts.set(send, receipt);
      this.#log.receipts.push(receipt);
      this.#verdicts.set(send, this.#decide(receipt));
    }
  }

  #decide(receipt: Receipt): Verdict {
    const dice = this.#isHealing ? 0 : this.#below(100);
    if (dice < 50) return this.#take(receipt, false);
    if (dice < 54) return this.#take(receipt, true);
    if (dice < 62) {
      this.#take(receipt, false);
      return { kind: "unknown", reason: "The connection was cut." };
    }
    if (dice < 67) return { kind: "unknown", reason: "The connection was cut." };
    if (dice < 74) return { kind: "transient", errorCode: 131_000, reason: "Something went wrong." };
    if (dice < 79) return { kind: "rejected", errorCode: 131_026, reason: "Undeliverable." };
    if (dice < 83) return { kind: "misrouted", route: "marketing_messages", errorCode: 131_063, reason: "Elsewhere." };
    const scope = this.#below(2) === 0 ? "number" : "pair";
    const isRate = scope === "number" && this.#below(2) === 0 ? { isRate: true as const } : {};
    const throttled = {
      kind: "throttled",
      scope,
      errorCode: 130_429,
      reason: "Too fast.",
      retryAfterMs: null,
    } as const;
    if (dice < 93) return { ...throttled, ...isRate };
    if (dice < 95) {
      return { kind: "blocked", scope: "country", errorCode: 130_497, reason: "Not this country.", isFinal: true };
    }
    const blocked = this.#below(2) === 0 ? "template" : "token";
    return { kind: "blocked", scope: blocked, errorCode: 190, reason: "The token has expired." };
  }

  #take(receipt: Receipt, isHeld: boolean): Verdict {
    const { messageId, attempt } = receipt;
    const wamid = `wamid.${messageId}.${attempt}`;
    receipt.wamid = wamid;
    const nowMs = this.world.clock.nowMs();
    const isFailed = this.#below(7) === 0 && !this.#isHealing;
    const states = isFailed ? (["failed"] as const) : (["sent", "delivered", "read"] as const);
    const count = this.#below(4) === 0 && !isHeld ? 0 : 1 + this.#below(states.length);
    for (const [index, status] of states.slice(0, isHeld ? states.length : count).entries()) {
      const code = this.#below(3) === 0 ? [...BLOCKING_CODES.keys()][this.#below(BLOCKING_CODES.size)] : undefined;
      const update = { ...statusOf(messageId, status, nowMs + index * 900, attempt), wamid };
      const told = status === "failed" && code !== undefined ? { ...update, errorCode: code } : update;
      this.#statuses.push(told);
      if (this.#below(3) === 0) this.#statuses.push(told);
    }
    return { kind: "accepted", wamid, isHeld };
  }

  #failureOf({ messageId, errorCode, errorReason }: StatusUpdate): Verdict {
    const scope = BLOCKING_CODES.get(errorCode ?? 0);
    if (scope === undefined || errorCode === null) return { kind: "rejected", errorCode, reason: errorReason };
    this.#log.putBack.add(messageId);
    return { kind: "blocked", scope, errorCode, reason: errorReason };
  }

  #answer(): void {
    const { world } = this;
    const send = world.inFlight[this.#below(world.inFlight.length)];
    const verdict = send && this.#verdicts.get(send);
    if (send === undefined || verdict === undefined) return;
    const receipt = this.#receipts.get(send);
    if (verdict.kind !== "unknown" && receipt !== undefined) this.#answered.add(receipt);
    send.answer(verdict);
  }

  #deliverStatuses(): void {
    if (this.#statuses.length === 0) return;
    const updates = Array.from({ length: this.#isHealing ? 40 : 1 + this.#below(4) }, () => {
      return this.#statuses.splice(this.#below(this.#statuses.length), 1);
    }).flat();
    this.#log.updates.push(...updates);
    this.world.updates(...updates);
    this.world.partition.appended();
  }

  #below(bound: number): number {
    return Math.floor(this.world.random() * bound);
  }
}
