// Whole runs of a partition with chance deciding what happens next: events, some for later, cancels, verdicts, statuses,
// failures that are told late, pauses, removals, replays, crashes. Each seed gives the same run again.

import assert from "node:assert/strict";
import { test } from "node:test";

import { delayedIn } from "../../engine/actor/delay-book.ts";
import type { MessageId } from "../../engine/message/ids.ts";
import { isSettled } from "../../engine/message/status.ts";
import type { StatusUpdate } from "../../engine/message/status-update.ts";
import type { Verdict } from "../../engine/message/verdict.ts";
import { acceptedVerdict, type EventChoice, type Send, statusOf, World } from "./partition-world.ts";

const SEEDS = Number(process.env["VOLLEY_SEEDS"] ?? 200);
const STEPS = 600;
const CHECK_EVERY = 40;
const HEALING_STEPS_MAX = 40_000;
/** The clock is set back by up to an hour, a few times a run; timers of before wait that much longer. */
const HEALING_HOURS_MAX = 24;
/** Silence for so long is a message that was dropped. */
const DELIVERY_TIMEOUT_MS = 8 * 3_600_000;
const DROP_STEP_MS = 600_000;
const KEYS = 6;
const BOUNDS = { liveRecordsMax: 12, liveShareMin: 2, refillRowsMax: 4 };
const DAY_MS = 86_400_000;

const SHOP = { senderId: "shop", messagesPerSecond: 80, inFlightMax: 8 };
const NEWS = { senderId: "news", messagesPerSecond: 30, inFlightMax: 4, pair: { periodMs: 1_000, burst: 1 } };

const TEMPLATE_PAUSED = 132_015;
const ACCOUNT_LOCKED = 131_031;
const TOO_FAST = 130_429;
const LATE_CODES = [131_026, TEMPLATE_PAUSED, ACCOUNT_LOCKED, TOO_FAST] as const;

const CAMPAIGNS = [
  { campaignNumber: 1, senderId: "shop" },
  { campaignNumber: 2, senderId: "shop", lane: "marketing", uncertain: { waitMs: 60_000, then: "fail" } },
  { campaignNumber: 3, senderId: "news", lane: "marketing", messagesPerSecond: 20 },
  { campaignNumber: 4, senderId: "shop", lane: "marketing" },
  { campaignNumber: 5, senderId: "news", timeToLiveMs: 2_000 },
] as const;

/** What the world does to a partition, and what WhatsApp makes of its sends. */
class Simulation {
  readonly world: World;
  /** Sends that WhatsApp took, by message. */
  readonly taken = new Map<MessageId, Send[]>();
  readonly replayed = new Set<MessageId>();
  /** Of these a status told a failure that was not their own. */
  readonly revived = new Set<MessageId>();
  /** Their key was cancelled by another campaign before they came. */
  readonly cameTooLate = new Set<MessageId>();
  readonly #sendAt = new Map<MessageId, number>();
  readonly #cancelled = new Set<string>();
  readonly #statuses: StatusUpdate[] = [];
  readonly #fates = new Map<Send, Verdict>();
  #isHealing = false;
  /** What the clock showed at most: a message for later was due then, also if it was set back since. */
  #highestWallMs = 0;
  #checkedSends = 0;
  #senderOfFirst: "shop" | "news" = "shop";

  constructor(world: World) {
    this.world = world;
    world.failureOf = ({ errorCode, errorReason }) => lateFailure(errorCode, errorReason);
    for (const campaign of CAMPAIGNS) this.#setCampaign(campaign.campaignNumber);
    world.partition.start();
  }

  async step(): Promise<void> {
    const { world } = this;
    const dice = this.#below(102);
    this.#watchClock();
    if (dice < 2) this.#acceptEvents();
    else if (dice < 34) world.runDeferred();
    else if (dice < 56) await world.finishCommit();
    else if (dice < 76) this.#answer();
    else if (dice < 84) this.#deliverStatuses();
    else if (dice < 92) world.clock.advance(this.#below(10) === 0 ? 60_000 : this.#below(1_000));
    else if (dice < 94) this.#setCampaign(1 + this.#below(CAMPAIGNS.length), this.#below(2) === 0);
    else if (dice < 96) this.#replay();
    else if (dice < 97) world.clock.wallMs -= this.#below(3_600_000);
    else if (dice < 98) this.#redeliver();
    else if (dice < 99) await this.#end();
    else if (dice < 101) this.#cancel();
    else this.#reconfigure();
    this.#decideFates();
    this.#watchClock();
  }

  /** From now on everything goes well; returns once nothing waits any more. */
  async heal(): Promise<void> {
    const { world } = this;
    this.#isHealing = true;
    for (const { campaignNumber } of CAMPAIGNS) {
      const isRemoved = world.campaigns.get(campaignNumber)?.isRemoved === true;
      this.#setCampaign(campaignNumber, false, isRemoved);
    }
    world.setSender(NEWS);
    world.partition.refreshSenders();
    world.partition.appended();
    const startMs = world.clock.monotonicMs();
    for (let step = 0; step < HEALING_STEPS_MAX; step++) {
      await world.settle();
      this.#decideFates();
      if (world.inFlight.length > 0) for (const _ of world.inFlight.slice()) this.#answer();
      else if (this.#statuses.length > 0) this.#deliverStatuses();
      else if (world.progress?.waiting === 0) break;
      else {
        const waitMs = world.clock.nextInMs;
        assert.ok(waitMs !== null, `${world.progress?.waiting} messages wait and nothing is scheduled`);
        world.clock.advance(waitMs);
        this.#watchClock();
        const hours = (world.clock.monotonicMs() - startMs) / 3_600_000;
        if (hours > HEALING_HOURS_MAX) break;
      }
    }
    assert.equal(world.progress?.waiting, 0, `messages still wait: ${this.#statusesOfWaiting()}`);
    await this.#waitForDrops();
  }

  /** What WhatsApp has been silent about is taken as dropped, after a while that the clock was not set back in. */
  async #waitForDrops(): Promise<void> {
    const { world } = this;
    for (let passedMs = 0; passedMs < HEALING_HOURS_MAX * 3_600_000; passedMs += DROP_STEP_MS) {
      world.clock.advance(DROP_STEP_MS);
      await world.settle();
    }
  }

  check(): void {
    const { world } = this;
    world.checkBooks();
    for (const id of world.accepted) {
      const row = world.row(id);
      assert.ok(isSettled(row.status) && row.status !== "sent", `${id} ended, and is not ${row.status}`);
      const sends = this.taken.get(id) ?? [];
      const isUncertain = row.timeline.some(({ status }) => status === "uncertain");
      const mayRepeat = isUncertain || this.replayed.has(id) || this.revived.has(id);
      if (sends.length > 1) assert.ok(mayRepeat, `${id} was sent ${sends.length} times`);
      if (this.cameTooLate.has(id)) assert.equal(row.status, "suppressed", `${id} came after the cancel of its key`);
      if (row.status === "suppressed") assert.equal(sends.length, 0, `${id} was cancelled, and sent`);
      if (sends.length === 0) assert.ok(!["delivered", "read"].includes(row.status), `${id} was not sent`);
    }
    const rows = CAMPAIGNS.reduce((sum, { campaignNumber }) => sum + world.rows(campaignNumber).length, 0);
    assert.equal(rows, world.accepted.length, "one row an event");
    assert.equal(world.partition.inMemory, 0, "nothing is left in memory");
    assert.deepEqual(world.ledger.marks({ from: "key/", to: "key/~", limit: 10 }), [], "nothing waits under a key");
    for (const { campaignNumber } of CAMPAIGNS) assert.equal(delayedIn(world.ledger, campaignNumber), 0);
    this.#checkRates();
  }

  /** Over all crashes: in no second more than the number may send. */
  #checkRates(): void {
    for (const { senderId, messagesPerSecond } of [SHOP, NEWS]) {
      const times = this.world.sends.filter((send) => send.senderId === senderId).map((send) => send.atMonotonicMs);
      for (const [index, atMs] of times.entries()) {
        const before = times[index - messagesPerSecond] ?? Number.NEGATIVE_INFINITY;
        assert.ok(atMs - before >= 1_000, `${senderId} sent ${messagesPerSecond + 1} in ${atMs - before} ms`);
      }
    }
  }

  /** Nothing leaves before its time. */
  #watchClock(): void {
    const { sends, clock } = this.world;
    this.#highestWallMs = Math.max(this.#highestWallMs, clock.nowMs());
    for (; this.#checkedSends < sends.length; this.#checkedSends++) {
      const messageId = sends[this.#checkedSends]?.messageId;
      const sendAtMs = (messageId && this.#sendAt.get(messageId)) ?? 0;
      assert.ok(sendAtMs <= this.#highestWallMs, `${messageId} left ${sendAtMs - this.#highestWallMs} ms too early`);
    }
  }

  #acceptEvents(): void {
    const { world } = this;
    const campaign = 1 + this.#below(CAMPAIGNS.length);
    const count = this.#below(6) === 0 ? 20 : 1 + this.#below(5);
    const choice: EventChoice = {
      ...(this.#below(8) === 0 ? { attributes: { unrenderable: true } } : {}),
      ...(this.#below(3) === 0 ? { sendAtMs: world.clock.nowMs() + this.#below(2 * 3_600_000) - 60_000 } : {}),
      ...(this.#below(3) === 0 ? { waitKey: `key-${this.#below(KEYS)}` } : {}),
    };
    const ids = world.accept(campaign, count, choice);
    if (choice.sendAtMs !== undefined) for (const id of ids) this.#sendAt.set(id, choice.sendAtMs);
    if (this.#cancelled.has(`${campaign} ${choice.waitKey}`)) for (const id of ids) this.cameTooLate.add(id);
    world.partition.appended();
  }

  /** By another campaign's event, or by a newer one of its own. */
  #cancel(): void {
    const campaign = 1 + this.#below(CAMPAIGNS.length);
    const by = 1 + this.#below(CAMPAIGNS.length);
    const key = `key-${this.#below(KEYS)}`;
    this.world.cancel(campaign, key, by);
    if (by !== campaign) this.#cancelled.add(`${campaign} ${key}`);
    this.world.partition.appended();
  }

  #setCampaign(campaignNumber: number, isPaused = false, isRemoved = false): void {
    const campaign = CAMPAIGNS[campaignNumber - 1];
    if (campaign === undefined || (this.world.campaigns.get(campaignNumber)?.isRemoved === true && !isRemoved)) return;
    const senderId = campaignNumber === 1 ? this.#senderOfFirst : campaign.senderId;
    const deliveryTimeoutMs = DELIVERY_TIMEOUT_MS;
    this.world.setCampaign({
      timeToLiveMs: 30 * DAY_MS,
      deliveryTimeoutMs,
      ...campaign,
      senderId,
      isPaused,
      isRemoved,
    });
  }

  /** A crash, before or after the commit under way, or an orderly end. */
  async #end(): Promise<void> {
    const { world } = this;
    const dice = this.#below(3);
    if (dice < 2) return world.crash(dice === 0 ? "lost" : "durable");
    const stopped = world.partition.stop();
    this.#decideFates();
    for (;;) {
      await world.settle();
      this.#decideFates();
      if (world.inFlight.length === 0) break;
      this.#answer();
    }
    await stopped;
    world.checkBooks();
    await world.abandon();
    world.restart();
  }

  #reconfigure(): void {
    const dice = this.#below(4);
    if (dice === 0) this.#setCampaign(4, false, true);
    if (dice === 1) this.#senderOfFirst = this.#senderOfFirst === "shop" ? "news" : "shop";
    if (dice === 1) this.#setCampaign(1);
    if (dice === 2) this.world.senders.delete("news");
    if (dice === 3) this.world.setSender(NEWS);
    this.world.partition.refreshSenders();
  }

  #redeliver(): void {
    const entry = this.world.stream[this.#below(this.world.stream.length)];
    if (entry === undefined) return;
    this.world.append(entry.bytes);
    this.world.partition.appended();
  }

  #replay(): void {
    const { accepted, partition } = this.world;
    const ids = accepted.filter(() => this.#below(4) === 0);
    for (const id of ids) this.replayed.add(id);
    partition.replay(ids, 1 + this.#below(100));
  }

  /** WhatsApp decides when the request comes, the answer comes later, or never. */
  #decideFates(): void {
    for (const send of this.world.inFlight) if (!this.#fates.has(send)) this.#fates.set(send, this.#fate(send));
  }

  #fate(send: Send): Verdict {
    const dice = this.#isHealing ? 0 : this.#below(100);
    if (dice < 50) return this.#take(send, acceptedVerdict());
    if (dice < 54) return this.#take(send, { kind: "accepted", wamid: "wamid.held", isHeld: true });
    if (dice < 62) return this.#take(send, { kind: "unknown", reason: "The connection was cut." });
    if (dice < 68) return { kind: "unknown", reason: "The connection was cut." };
    if (dice < 76) return { kind: "transient", errorCode: 131_000, reason: "Something went wrong." };
    if (dice < 82) return { kind: "rejected", errorCode: 131_026, reason: "Undeliverable." };
    const scope = this.#below(2) === 0 ? "number" : "pair";
    const retryAfterMs = this.#below(2) === 0 ? null : 300;
    if (dice < 92) return { kind: "throttled", scope, errorCode: 130_429, reason: "Too fast.", retryAfterMs };
    const blocked = this.#below(2) === 0 ? "template" : "token";
    return { kind: "blocked", scope: blocked, errorCode: 190, reason: "The token has expired." };
  }

  #take(send: Send, verdict: Verdict): Verdict {
    const { clock } = this.world;
    this.taken.set(send.messageId, [...(this.taken.get(send.messageId) ?? []), send]);
    const isHeld = verdict.kind === "accepted" && verdict.isHeld;
    const isSilent = !isHeld && this.#below(4) === 0;
    if (isSilent) return verdict;
    const states = this.#below(7) === 0 ? (["failed"] as const) : (["sent", "delivered", "read"] as const);
    const count = isHeld ? states.length : 1 + this.#below(states.length);
    for (const [index, status] of states.slice(0, count).entries()) {
      const told = statusOf(send.messageId, status, clock.nowMs() + index * 900, send.attempt);
      const errorCode = status === "failed" && !this.#isHealing ? this.#oneOf(LATE_CODES) : told.errorCode;
      if (errorCode === TEMPLATE_PAUSED || errorCode === ACCOUNT_LOCKED) this.revived.add(send.messageId);
      const update = { ...told, errorCode };
      this.#statuses.push(update);
      if (this.#below(3) === 0) this.#statuses.push(update);
    }
    return verdict;
  }

  #answer(): void {
    const send = this.world.inFlight[this.#below(this.world.inFlight.length)];
    const verdict = send && this.#fates.get(send);
    if (send !== undefined && verdict !== undefined) send.answer(verdict);
  }

  #deliverStatuses(): void {
    if (this.#statuses.length === 0) return;
    const updates = Array.from({ length: this.#isHealing ? 40 : 1 + this.#below(4) }, () => {
      return this.#statuses.splice(this.#below(this.#statuses.length), 1);
    });
    this.world.updates(...updates.flat());
    this.world.partition.appended();
  }

  #statusesOfWaiting(): string {
    const rows = this.world.accepted.map((id) => this.world.ledger.get(id)?.status ?? "missing");
    return rows.filter((status) => status === "missing" || !isSettled(status)).join(", ");
  }

  #oneOf<Item>(items: readonly [Item, ...Item[]]): Item {
    return items[this.#below(items.length)] ?? items[0];
  }

  #below(bound: number): number {
    return Math.floor(this.world.random() * bound);
  }
}

function lateFailure(errorCode: number | null, reason: string): Verdict {
  switch (errorCode) {
    case TEMPLATE_PAUSED:
      return { kind: "blocked", scope: "template", errorCode, reason };
    case ACCOUNT_LOCKED:
      return { kind: "blocked", scope: "account", errorCode, reason };
    case TOO_FAST:
      return { kind: "throttled", scope: "number", errorCode, reason, retryAfterMs: null, isRate: true };
    case null:
    default:
      return { kind: "rejected", errorCode, reason };
  }
}

async function simulate(seed: number): Promise<void> {
  const world = await World.open({ seed, senders: [SHOP, NEWS], bounds: BOUNDS, phones: 40 });
  try {
    const simulation = new Simulation(world);
    for (let step = 0; step < STEPS; step++) {
      await simulation.step();
      if (step % CHECK_EVERY === 0 && !world.isCommitting && !world.hasDeferred) world.checkBooks();
    }
    await simulation.heal();
    simulation.check();
  } catch (error) {
    throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
  } finally {
    await world.close();
  }
}

test("whatever happens, each event ends in one status, is sent once, and the books agree", async (context) => {
  const first = Number(process.env["VOLLEY_SEED"] ?? Date.now() % 1_000_000);
  context.diagnostic(`seeds ${first} to ${first + SEEDS - 1}`);
  const failures: string[] = [];
  for (let seed = first; seed < first + SEEDS; seed++) {
    try {
      await simulate(seed);
    } catch (error) {
      failures.push(
        error instanceof Error ? `${error.message}\n${String((error.cause as Error).stack).slice(0, 900)}` : "",
      );
      if (failures.length === 5) break;
    }
  }
  assert.deepEqual(failures, []);
});
