// One partition at work: the messages of the senders that hash to it, from the stream to their end.
//
// It performs what the pure sender actors decide, in rounds. Inputs (stream entries, verdicts, due rows, timers) are
// handled as they come; a round then ticks the senders they touched and makes all changes durable with one
// transaction and one fsync, while the next inputs already arrive. What must not happen before a change is durable
// waits for its round:
//   - a request leaves only after its intent is on disk,
//   - the stream may forget an entry only after its effects are on disk (same transaction as the cursor).
//
// So a crash at any point loses nothing: the stream is read again from the cursor, queued rows are read back from
// the ledger, and a row with an intent but no verdict becomes `uncertain`.

import type { MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import { type Campaign, CampaignMemory, MEMORY_BOUNDS, type MemoryBounds } from "./campaign-memory.ts";
import { DiskQueue } from "./disk-queue.ts";
import { DueQueue } from "./due-queue.ts";
import { EffectPerformer, type Intent } from "./effect-performer.ts";
import { MessageJournal } from "./message-journal.ts";
import type { DueEntry, PartitionCampaign, PartitionDeps } from "./partition-deps.ts";
import { recoverCampaign } from "./partition-recovery.ts";
import * as transition from "./record-transition.ts";
import { mailboxRoom } from "./sender-actor.ts";
import { SenderDesk } from "./sender-desk.ts";
import { StatusIntake } from "./status-intake.ts";
import { StreamIntake } from "./stream-intake.ts";
import { WakeTimer } from "./wake-timer.ts";

/** Pause between two looks at rows that are due, and the longer one while memory has no room for them. */
const DUE_REST_MS = 1;
const FULL_REST_MS = 100;
/** Between two looks at most: a wall clock that was set forward is noticed then. */
const LOOK_MS_MAX = 60_000;

export class Partition {
  readonly #deps: PartitionDeps;
  readonly #bounds: MemoryBounds;
  readonly #journal: MessageJournal;
  readonly #memory: CampaignMemory;
  readonly #disk: DiskQueue<Campaign>;
  readonly #due: DueQueue;
  readonly #senders: SenderDesk;
  readonly #performer: EffectPerformer;
  readonly #statuses: StatusIntake;
  readonly #wake: WakeTimer;
  readonly #intake: StreamIntake;
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
    this.#journal = new MessageJournal({ get: (id) => deps.ledger.get(id), countTransition: deps.countTransition });
    this.#bounds = deps.bounds ?? MEMORY_BOUNDS;
    this.#memory = new CampaignMemory(deps.ledger.campaignStates(), this.#bounds);
    this.#disk = new DiskQueue<Campaign>({ ...deps, rowsMax: this.#bounds.refillRowsMax });
    this.#due = new DueQueue(deps.ledger);
    this.#wake = new WakeTimer(deps.clock, () => this.#onTime());
    this.#senders = new SenderDesk(deps, (sender, effect) => this.#performer.perform(sender, effect));
    this.#performer = new EffectPerformer({
      ...deps,
      journal: this.#journal,
      memory: this.#memory,
      disk: this.#disk,
      due: this.#due,
      senders: this.#senders,
      onInput: () => this.#scheduleRound(),
    });
    this.#statuses = new StatusIntake({
      mergeStatus: deps.mergeStatus,
      journal: this.#journal,
      memory: this.#memory,
      performer: this.#performer,
      senders: this.#senders,
    });
    this.#intake = new StreamIntake({
      ...deps,
      cursor: deps.ledger.cursor(),
      journal: this.#journal,
      memory: this.#memory,
      statuses: this.#statuses,
      onArrival: (campaign, record) => this.#place(campaign, record),
      onRead: () => this.#scheduleRound(),
      onCaughtUp: () => this.#wake.at(deps.clock.monotonicMs()),
    });
  }

  /** Takes up what a previous run left behind, then reads the stream. Campaigns must be set. */
  start(): void {
    this.#isStarted = true;
    for (const campaign of this.#memory.all()) this.#recover(campaign);
    this.#refill();
    this.#intake.read();
    this.#onTime();
    this.#report(
      this.#deps.ledger.cursor(),
      Array.from(this.#memory.all(), ({ state }) => state.campaignNumber),
    );
  }

  /** The stream holds more. */
  appended(): void {
    this.#intake.read();
  }

  /** Adds the campaign or changes it; a removed one ends its waiting messages. What is stopping takes no more news. */
  setCampaign(definition: PartitionCampaign): void {
    if (this.#isStopping) return;
    const { campaignNumber } = definition.settings;
    const before = this.#memory.get(campaignNumber)?.definition;
    const campaign = this.#memory.define(definition);
    if (definition.isRemoved) {
      if (before !== undefined)
        this.#senders.giveIfSeated(before.senderId, { kind: "campaignRemoved", campaignNumber });
      this.#disk.resume(campaign);
    } else {
      if (before !== undefined && before.senderId !== definition.senderId) this.#moveOut(before);
      this.#senders.give(definition.senderId, { kind: "campaign", settings: definition.settings });
    }
    if (before === undefined && this.#isStarted && campaign.waiting > 0) {
      this.#recover(campaign);
      this.#due.rewind();
    }
    this.#isRefillWanted = true;
    this.#intake.campaignDefined();
    this.#scheduleRound();
  }

  /** Whether messages of the campaign are here, also one that lives in another partition by now. */
  hasHistoryOf(campaignNumber: number): boolean {
    return this.#memory.hasState(campaignNumber);
  }

  /** A sender's limits changed. */
  refreshSenders(): void {
    if (this.#isStopping) return;
    this.#senders.refresh();
    this.#isRefillWanted = true;
    this.#scheduleRound();
  }

  /** Queues failed messages anew, `maxPerSecond` of them a second, and counts them. Durable with the next round. */
  replay(ids: readonly MessageId[], maxPerSecond: number): number {
    if (this.#isStopping) return 0;
    const count = this.#performer.replay(ids, maxPerSecond);
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
    return this.#memory.size;
  }

  #rest(): void {
    this.#isStopping = true;
    this.#intake.stop();
    this.#performer.isStopping = true;
    this.#wake.cancel();
  }

  // Memory and disk

  #place(campaign: Campaign, record: MessageRecord): void {
    if (record.status === "dispatched") this.#performer.doubt(campaign, record);
    else if (campaign.definition.isRemoved) this.#performer.endRemoved(campaign, record);
    else if (campaign.state.diskFromId === "" && this.#room(campaign) > 0) this.#offer(campaign, record);
    else this.#disk.leave(campaign, record.messageId);
  }

  #room(campaign: Campaign): number {
    const { senderId, settings, isRemoved } = campaign.definition;
    if (isRemoved) return this.#bounds.refillRowsMax;
    return Math.min(
      mailboxRoom(this.#senders.get(senderId).actor, settings.campaignNumber),
      this.#memory.room(campaign),
    );
  }

  #offer(campaign: Campaign, record: MessageRecord): void {
    this.#memory.add(campaign, record);
    this.#senders.give(campaign.definition.senderId, {
      kind: "offered",
      dispatch: transition.dispatchOf(record, campaign.state.campaignNumber),
    });
  }

  #refill(): void {
    this.#isRefillWanted = this.#disk.refill(
      (campaign) => this.#room(campaign),
      (campaign, row) => this.#load(campaign, row),
    );
    if (this.#isRefillWanted) this.#scheduleRound();
  }

  /** A row that was left on disk may have moved on since: only one that is still queued is taken. */
  #load(campaign: Campaign, row: MessageRecord): void {
    const record = this.#journal.pending(row.messageId) ?? row;
    if (record.status !== "queued" || record.dueAtMs !== 0 || this.#memory.record(record.messageId)) return;
    if (campaign.definition.isRemoved) this.#performer.endRemoved(campaign, record);
    else if (record.dispatchedAtMs === 0) this.#offer(campaign, record);
    else this.#giveDue(campaign, record, "queued");
  }

  #recover(campaign: Campaign): void {
    const interrupted = recoverCampaign(campaign, this.#deps.ledger, this.#deps.partition);
    for (const record of interrupted) this.#performer.doubt(campaign, record);
    this.#disk.resume(campaign);
  }

  /** The campaign changed its number: what waits for the old one is read again for the new one. */
  #moveOut({ senderId, settings }: PartitionCampaign): void {
    const { campaignNumber } = settings;
    this.#performer.takeBack(() => this.#senders.giveIfSeated(senderId, { kind: "campaignRemoved", campaignNumber }));
  }

  // Time

  #onTime(): void {
    if (this.#isStopping) return;
    if (this.#intake.hasCaughtUp) {
      const entries = this.#due.read(this.#deps.clock.nowMs(), this.#dueRoom());
      for (const entry of entries) this.#bringUp(entry);
    }
    this.#senders.touchWoken();
    this.#scheduleRound();
  }

  /** Rows that come due find room beside both lanes' own. */
  #dueRoom(): number {
    return this.#bounds.liveRecordsMax * 3 - this.#memory.size;
  }

  #bringUp(entry: DueEntry): void {
    const record = this.#journal.get(entry.messageId);
    const campaign = this.#memory.campaignOf(entry.messageId);
    if (record === undefined || campaign === undefined) return;
    if (record.dueAtMs !== entry.dueAtMs || this.#memory.record(record.messageId)) return;
    const { status } = record;
    // Nobody holds it: the run that dispatched it crashed.
    if (status === "dispatched") this.#performer.doubt(campaign, record);
    else if (campaign.definition.isRemoved) this.#performer.endRemoved(campaign, record);
    else if (status === "queued" || status === "retrying" || status === "uncertain") {
      this.#giveDue(campaign, record, status);
    }
  }

  #giveDue(campaign: Campaign, record: MessageRecord, status: "queued" | "retrying" | "uncertain"): void {
    this.#memory.add(campaign, record);
    this.#senders.give(campaign.definition.senderId, {
      kind: "due",
      dispatch: transition.dispatchOf(record, campaign.state.campaignNumber),
      status,
    });
  }

  #arm(): void {
    const { clock } = this.#deps;
    const dueAtMs = this.#due.nextAtMs;
    const restMs = this.#dueRoom() > 0 ? DUE_REST_MS : FULL_REST_MS;
    if (dueAtMs !== null && this.#intake.hasCaughtUp) {
      const waitMs = Math.min(LOOK_MS_MAX, Math.max(restMs, dueAtMs - clock.nowMs()));
      this.#wake.at(clock.monotonicMs() + waitMs);
    }
    this.#wake.at(this.#senders.nextWakeMonotonicMs());
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
      this.#senders.tickTouched();
      this.#arm();
    }
    if (!this.#isCommitting && !this.#isAbandoned && !this.#journal.isEmpty) this.#commit();
    this.#settleStop();
  }

  #commit(): void {
    this.#isCommitting = true;
    const changed = [...this.#journal.changedCampaigns()];
    for (const number of changed) this.#memory.moveHead(number);
    const cursor = this.#intake.readSequence;
    const intents = this.#performer.takeIntents();
    this.#disk.batchTaken();
    this.#due.batchTaken();
    this.#deps.ledger.commit(this.#journal.take()).then(
      () => this.#afterCommit({ cursor, changed, intents }),
      (error: unknown) => {
        if (!this.#isAbandoned) this.#deps.onBroken(error);
      },
    );
  }

  #afterCommit(round: { cursor: number; changed: readonly number[]; intents: readonly Intent[] }): void {
    this.#isCommitting = false;
    if (this.#isAbandoned) return;
    this.#journal.committed();
    this.#disk.batchCommitted();
    this.#due.batchCommitted();
    this.#deps.permit(() => this.#performer.send(round.intents));
    this.#report(round.cursor, round.changed);
    if (!this.#isStopping) {
      this.#refill();
      this.#intake.read();
    }
    this.#scheduleRound();
  }

  #report(cursor: number, changed: readonly number[]): void {
    this.#deps.report({
      partition: this.#deps.partition,
      cursor,
      waiting: this.#memory.waiting,
      unmatchedStatuses: this.#statuses.unmatched,
      campaigns: changed.map((number) => this.#memory.progressOf(number)).filter((progress) => progress !== null),
    });
  }

  #settleStop(): void {
    if (this.#isAbandoned) {
      this.#onDrained?.();
      return;
    }
    if (this.#onDrained === null || this.#performer.inFlight > 0 || this.#isCommitting) return;
    if (this.#journal.isEmpty) this.#onDrained();
    else this.#scheduleRound();
  }
}
