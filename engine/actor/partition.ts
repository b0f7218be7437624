// One partition at work: the messages of the senders that hash to it, from the stream to their end.
//
// It performs what the pure sender actors decide, in rounds. Inputs (stream entries, verdicts, due rows, timers) are
// handled as they come; a round then ticks the senders they touched and makes all changes durable with one
// transaction and one fsync, while the next inputs already arrive. What must not happen before a change is durable
// waits for its round:
//   - a request leaves only after its intent is on disk,
//   - the stream may forget an entry only after its effects are on disk (same transaction as the cursor).
// What a run knows beside its rows (departures, keys, cancels, how far it swept) goes along as marks of the ledger.
//
// So a crash at any point loses nothing: the stream is read again from the cursor, queued rows are read back from
// the ledger, and a row with an intent but no verdict becomes `uncertain`.

import type { MessageId } from "../message/ids.ts";
import type { BlockScope } from "../message/verdict.ts";
import type { Intent } from "./effect-performer.ts";
import type { CampaignProgress, PartitionCampaign, PartitionDeps } from "./partition-deps.ts";
import { assembleParts, type PartitionParts } from "./partition-parts.ts";
import type { CampaignSettings, SenderInput } from "./sender-messages.ts";
import { WakeTimer } from "./wake-timer.ts";

/** Pause between two looks at rows that are due, and the longer one while memory has no room for them. */
const DUE_REST_MS = 1;
const FULL_REST_MS = 100;
/** Between two looks at most: a wall clock that was set forward is noticed then. */
const LOOK_MS_MAX = 10_000;

/** A number rests so long after a start when it is not known what it sent just before. */
const RATE_WINDOW_MS = 1_000;

export interface BlockElsewhere {
  readonly scope: BlockScope;
  readonly errorCode: number;
  readonly reason: string;
}

/** What one commit made durable. */
interface Round {
  readonly cursor: number;
  /** Campaigns whose state it wrote. */
  readonly changed: readonly number[];
  readonly intents: readonly Intent[];
  /** Its place in the trail of departures; null when nothing is to leave. */
  readonly trailed: number | null;
}

export class Partition {
  readonly #deps: PartitionDeps;
  readonly #parts: PartitionParts;
  readonly #wake: WakeTimer;
  #isCommitting = false;
  #isRoundScheduled = false;
  #isStopping = false;
  #isAbandoned = false;
  #isStarted = false;
  #isRefillWanted = false;
  #drained: Promise<void> | null = null;
  #onDrained: (() => void) | null = null;

  constructor(deps: PartitionDeps) {
    this.#deps = deps;
    this.#wake = new WakeTimer(deps.clock, () => this.#onTime());
    this.#parts = assembleParts(deps, {
      onInput: () => this.#scheduleRound(),
      onCaughtUp: () => this.#wake.at(deps.clock.monotonicMs()),
      onSeated: (senderId) => {
        if (this.#isStarted) this.#parts.budgets.begin(senderId);
      },
    });
  }

  /** Takes up what a previous run left behind, then reads the stream. Campaigns must be set. */
  start(): void {
    const { memory, feed, senders, budgets, intake } = this.#parts;
    this.#isStarted = true;
    this.#restoreLimits();
    for (const senderId of senders.ids()) budgets.begin(senderId);
    for (const campaign of memory.all()) feed.recover(campaign);
    this.#refill();
    intake.read();
    this.#onTime();
    this.#report(
      this.#deps.ledger.cursor(),
      Array.from(memory.all(), ({ state }) => state.campaignNumber),
    );
  }

  /** The stream holds more. */
  appended(): void {
    this.#parts.intake.read();
  }

  /** Adds the campaign or changes it; a removed one ends its waiting messages. What is stopping takes no more news. */
  setCampaign(definition: PartitionCampaign): void {
    if (this.#isStopping) return;
    const { memory, senders, feed, due, trail, intake } = this.#parts;
    const { settings, senderId } = definition;
    const { campaignNumber, messagesPerSecond } = settings;
    const before = memory.get(campaignNumber)?.definition;
    const campaign = memory.define(definition);
    if (definition.isRemoved) {
      if (before !== undefined) senders.giveIfSeated(before.senderId, { kind: "campaignRemoved", campaignNumber });
      feed.endWaiting(campaign);
    } else {
      if (before !== undefined && before.senderId !== senderId) this.#moveOut(before);
      senders.give(senderId, { kind: "campaign", settings });
      if (before !== undefined && !isSameRule(before.settings, settings)) feed.wake(campaign);
      if (messagesPerSecond !== null) trail.covers(RATE_WINDOW_MS + RATE_WINDOW_MS / messagesPerSecond);
    }
    if (before === undefined && this.#isStarted && campaign.waiting > 0) {
      feed.recover(campaign);
      due.rewind();
    }
    this.#isRefillWanted = true;
    intake.campaignDefined();
    this.#scheduleRound();
  }

  /** Whether messages of the campaign are here, also one that lives in another partition by now. */
  hasHistoryOf(campaignNumber: number): boolean {
    return this.#parts.memory.hasState(campaignNumber);
  }

  /** A sender's limits changed, or its budget. */
  refreshSenders(): void {
    if (this.#isStopping) return;
    this.#parts.senders.refresh();
    this.#isRefillWanted = true;
    this.#scheduleRound();
  }

  /** Another number met a block that is this one's as well. */
  blockedElsewhere(senderId: string, block: BlockElsewhere): void {
    const { scope, errorCode, reason } = block;
    this.#tell(senderId, { kind: "blockedElsewhere", scope, errorCode, reason });
  }

  /** The number has another token: what the old one was refused for says nothing any more. */
  tokenChanged(senderId: string): void {
    this.#tell(senderId, { kind: "tokenChanged" });
  }

  /** Queues failed messages anew, `maxPerSecond` of them a second, and counts them. Durable with the next round. */
  replay(ids: readonly MessageId[], maxPerSecond: number): number {
    if (this.#isStopping) return 0;
    const count = this.#parts.performer.replay(ids, maxPerSecond);
    this.#scheduleRound();
    return count;
  }

  /** Sends nothing more, waits for the verdicts of what is under way, and makes everything durable. Safe twice. */
  async stop(): Promise<void> {
    this.#rest();
    this.#drained ??= new Promise<void>((resolve) => {
      this.#onDrained = resolve;
      this.#settleStop();
    });
    await this.#drained;
  }

  /** Another engine owns the partition now: nothing more is decided, written or sent. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#rest();
    this.#settleStop();
  }

  /** Messages in a mailbox or in flight. */
  get inMemory(): number {
    return this.#parts.memory.size;
  }

  #rest(): void {
    const { intake, performer, budgets } = this.#parts;
    this.#isStopping = true;
    intake.stop();
    budgets.stop();
    performer.isStopping = true;
    this.#wake.cancel();
  }

  #tell(senderId: string, input: SenderInput): void {
    if (this.#isStopping) return;
    this.#parts.senders.giveIfSeated(senderId, input);
    this.#scheduleRound();
  }

  #refill(): void {
    this.#isRefillWanted = this.#parts.feed.refill();
    if (this.#isRefillWanted) this.#scheduleRound();
  }

  /** The campaign changed its number: what waits for the old one is read again for the new one. */
  #moveOut({ senderId, settings: { campaignNumber } }: PartitionCampaign): void {
    const { performer, senders } = this.#parts;
    performer.takeBack(() => senders.giveIfSeated(senderId, { kind: "campaignRemoved", campaignNumber }));
  }

  /** Limits go on where the last run left them. */
  #restoreLimits(): void {
    const { trail, senders } = this.#parts;
    const { ledger, clock } = this.#deps;
    for (const { senderId, ...sent } of trail.restore()) {
      senders.giveIfSeated(senderId, { kind: "sentBefore", ...sent });
    }
    // The trail tells of less than was sent: an earlier release wrote none, or another node sent, by a clock of its own.
    const lastAtMs = ledger.lastDispatchAt();
    if (lastAtMs <= trail.newestWallMs) return;
    const restMs = Math.min(RATE_WINDOW_MS, RATE_WINDOW_MS - (clock.nowMs() - lastAtMs));
    if (restMs > 0) senders.restUntil(clock.monotonicMs() + restMs);
  }

  // Time

  #onTime(): void {
    if (this.#isStopping) return;
    const { intake, feed, senders } = this.#parts;
    if (intake.hasCaughtUp) feed.bringUpDue();
    senders.touchWoken();
    this.#scheduleRound();
  }

  #arm(): void {
    const { clock } = this.#deps;
    const { due, feed, intake, deliveries, reports, senders } = this.#parts;
    const dueAtMs = due.nextAtMs;
    if (intake.hasCaughtUp) {
      const restMs = feed.dueRoom > 0 ? DUE_REST_MS : FULL_REST_MS;
      const waitMs = Math.max(restMs, (dueAtMs ?? Number.POSITIVE_INFINITY) - clock.nowMs());
      if (dueAtMs !== null) this.#wake.at(clock.monotonicMs() + Math.min(LOOK_MS_MAX, waitMs));
      this.#wake.at(deliveries.nextMonotonicMs);
    }
    this.#wake.at(senders.nextWakeMonotonicMs());
    this.#wake.at(reports.wakeMonotonicMs);
  }

  // Rounds

  #scheduleRound(): void {
    if (this.#isRoundScheduled) return;
    this.#isRoundScheduled = true;
    this.#deps.defer(() => {
      this.#isRoundScheduled = false;
      this.#round();
    });
  }

  #round(): void {
    if (!this.#isStopping) {
      if (this.#isRefillWanted) this.#refill();
      this.#sweep();
      this.#parts.senders.tickTouched();
      this.#parts.reports.flush();
      this.#arm();
    }
    if (!this.#isCommitting && !this.#isAbandoned && !this.#parts.journal.isEmpty) this.#commit();
    this.#settleStop();
  }

  /** What the last run left in the stream comes first: it may tell of deliveries. */
  #sweep(): void {
    const { intake, deliveries, marks } = this.#parts;
    if (!intake.hasCaughtUp) return;
    deliveries.turn();
    const { clock } = this.#deps;
    const now = { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
    for (const sweep of marks) sweep.turn(now);
  }

  #commit(): void {
    const { journal, memory, intake, performer, trail, disk, due } = this.#parts;
    this.#isCommitting = true;
    const changed = [...journal.changedCampaigns()];
    for (const number of changed) memory.moveHead(number);
    const cursor = intake.readSequence;
    const intents = performer.takeIntents();
    const departures = intents.filter(({ rendering }) => rendering.kind === "rendered");
    const trailed = departures.length === 0 ? null : trail.begin(departures);
    disk.batchTaken();
    due.batchTaken();
    this.#deps.ledger.commit(journal.take()).then(
      () => this.#afterCommit({ cursor, changed, intents, trailed }),
      (error: unknown) => {
        if (!this.#isAbandoned) this.#deps.onBroken(error);
      },
    );
  }

  #afterCommit({ cursor, changed, intents, trailed }: Round): void {
    const { journal, disk, due, performer, trail, intake } = this.#parts;
    this.#isCommitting = false;
    if (this.#isAbandoned) return;
    journal.committed();
    disk.batchCommitted();
    due.batchCommitted();
    this.#deps.permit(() => {
      performer.send(intents);
      if (trailed !== null) trail.left(trailed);
    });
    this.#report(cursor, changed);
    if (!this.#isStopping) {
      this.#refill();
      intake.read();
    }
    this.#scheduleRound();
  }

  #report(cursor: number, changed: readonly number[]): void {
    const { memory, statuses } = this.#parts;
    this.#deps.report({
      partition: this.#deps.partition,
      cursor,
      waiting: memory.waiting,
      unmatchedStatuses: statuses.unmatched,
      campaigns: changed.map((number) => this.#progressOf(number)).filter((progress) => progress !== null),
    });
  }

  #progressOf(campaignNumber: number): CampaignProgress | null {
    const { memory, overdue, delays } = this.#parts;
    const campaign = memory.get(campaignNumber);
    const progress = memory.progressOf(campaignNumber);
    if (campaign === undefined || progress === null) return null;
    const waitingSinceMs = [progress.oldestWaitingAtMs, overdue.oldestAtMs(campaign)].filter((atMs) => atMs !== null);
    const oldestWaitingAtMs = waitingSinceMs.length === 0 ? null : Math.min(...waitingSinceMs);
    return { ...progress, oldestWaitingAtMs, delayed: delays.countOf(campaignNumber) };
  }

  #settleStop(): void {
    if (this.#isAbandoned) {
      this.#onDrained?.();
      return;
    }
    const { performer, trail, journal } = this.#parts;
    if (this.#onDrained === null || performer.inFlight > 0 || this.#isCommitting) return;
    trail.end();
    if (journal.isEmpty) this.#onDrained();
    else this.#scheduleRound();
  }
}

/** Whether what was told to wait would be told the same now. */
function isSameRule(before: CampaignSettings, after: CampaignSettings): boolean {
  return before.lane === after.lane && JSON.stringify(before.quietHours) === JSON.stringify(after.quietHours);
}
