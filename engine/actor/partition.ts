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

import assert from "node:assert/strict";

import { decodeEnvelope } from "../message/envelope.ts";
import type { AcceptedEvent } from "../message/event.ts";
import type { MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { StatusUpdate } from "../message/status-update.ts";
import { isSettled } from "../message/status.ts";
import { type Campaign, CampaignMemory, LIVE_RECORDS_MAX } from "./campaign-memory.ts";
import { DiskQueue, REFILL_ROWS_MAX } from "./disk-queue.ts";
import { DueQueue } from "./due-queue.ts";
import { EffectPerformer } from "./effect-performer.ts";
import { MessageJournal } from "./message-journal.ts";
import type { DueEntry, PartitionCampaign, PartitionDeps, StreamEntry } from "./partition-deps.ts";
import { recoverCampaign } from "./partition-recovery.ts";
import * as transition from "./record-transition.ts";
import { type Dispatch, mailboxRoom } from "./sender-actor.ts";
import { SenderDesk } from "./sender-desk.ts";
import { WakeTimer } from "./wake-timer.ts";

/** Changes waiting for their round beyond which no further stream entries are read. */
const CHANGES_MAX = 4_096;

/** Pause between two looks at rows that are due, and the longer one while memory has no room for them. */
const DUE_REST_MS = 1;
const FULL_REST_MS = 100;

const CAMPAIGN_REMOVED = {
  status: "failed",
  errorCode: null,
  reason: "The campaign was deleted before the message was sent.",
} as const;

const INTERRUPTED = "The engine stopped while the message was on its way; it may or may not have been sent.";

export class Partition {
  readonly #deps: PartitionDeps;
  readonly #journal: MessageJournal;
  readonly #memory: CampaignMemory;
  readonly #disk: DiskQueue;
  readonly #due: DueQueue;
  readonly #senders: SenderDesk;
  readonly #performer: EffectPerformer;
  readonly #wake: WakeTimer;
  #readSequence: number;
  #isCommitting = false;
  #isRoundScheduled = false;
  #isReadScheduled = false;
  #isStopping = false;
  #isAwaitingCampaign = false;
  #onDrained: (() => void) | null = null;
  #unmatchedStatuses = 0;

  constructor(deps: PartitionDeps) {
    this.#deps = deps;
    this.#journal = new MessageJournal({ get: (id) => deps.ledger.get(id), countTransition: deps.countTransition });
    this.#memory = new CampaignMemory(deps.ledger.campaignStates());
    this.#disk = new DiskQueue({ ledger: deps.ledger, partition: deps.partition });
    this.#due = new DueQueue(deps.ledger);
    this.#wake = new WakeTimer(deps.clock, () => this.#onTime());
    this.#senders = new SenderDesk(deps, (sender, effect) => this.#performer.perform(sender, effect));
    this.#performer = new EffectPerformer({
      ...deps,
      journal: this.#journal,
      memory: this.#memory,
      due: this.#due,
      senders: this.#senders,
      onInput: () => this.#scheduleRound(),
    });
    this.#readSequence = deps.ledger.cursor();
  }

  /** Takes up what a previous run left behind, then reads the stream. Campaigns must be set. */
  start(): void {
    for (const campaign of this.#memory.all()) this.#recover(campaign);
    this.#refill();
    this.#read();
    this.#onTime();
    this.#report(
      this.#deps.ledger.cursor(),
      Array.from(this.#memory.all(), ({ state }) => state.campaignNumber),
    );
  }

  /** The stream holds more. */
  appended(): void {
    this.#read();
  }

  /** Adds the campaign or changes it; a removed one ends its waiting messages. */
  setCampaign(definition: PartitionCampaign): void {
    const { campaignNumber } = definition.settings;
    const before = this.#memory.get(campaignNumber)?.definition;
    const campaign = this.#memory.define(definition);
    if (definition.isRemoved) {
      this.#senders.give(before?.senderId ?? definition.senderId, { kind: "campaignRemoved", campaignNumber });
      this.#disk.resume(campaign);
    } else {
      this.#senders.give(definition.senderId, { kind: "campaign", settings: definition.settings });
    }
    if (this.#isAwaitingCampaign) this.#scheduleRead();
    this.#isAwaitingCampaign = false;
    this.#scheduleRound();
  }

  /** A sender's limits changed. */
  refreshSenders(): void {
    this.#senders.refresh();
    this.#scheduleRound();
  }

  /** Queues failed messages anew, `maxPerSecond` of them a second, and counts them. Durable with the next round. */
  replay(ids: readonly MessageId[], maxPerSecond: number): number {
    const nowMs = this.#deps.clock.nowMs();
    let count = 0;
    for (const id of ids) {
      const record = this.#journal.get(id);
      const campaign = this.#memory.campaignOf(id);
      if (record === undefined || campaign === undefined || !transition.isReplayable(record)) continue;
      const dueAtMs = nowMs + 1 + Math.floor((count * 1_000) / maxPerSecond);
      this.#performer.store(campaign, record, transition.replayedRecord(record, dueAtMs, nowMs));
      count += 1;
    }
    this.#scheduleRound();
    return count;
  }

  /** Sends nothing more, waits for the verdicts of what is under way, and makes everything durable. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#performer.isStopping = true;
    this.#wake.cancel();
    await new Promise<void>((resolve) => {
      this.#onDrained = resolve;
      this.#settleStop();
    });
  }

  // Stream → records

  #read(): void {
    if (this.#isStopping || this.#isAwaitingCampaign || this.#journal.changeCount >= CHANGES_MAX) return;
    const entries = this.#deps.readStream(this.#readSequence);
    if (entries.length === 0) return;
    for (const entry of entries) {
      if (!this.#take(entry)) break;
    }
    this.#scheduleRound();
    if (!this.#isAwaitingCampaign) this.#scheduleRead();
  }

  /** Further entries wait for their own turn of the event loop, so that verdicts and timers are not starved. */
  #scheduleRead(): void {
    if (this.#isReadScheduled) return;
    this.#isReadScheduled = true;
    this.#deps.defer(() => {
      this.#isReadScheduled = false;
      this.#read();
    });
  }

  /**
   * @returns false for events of a campaign that this thread has not heard of yet: an event can be in the stream
   * before the news of its campaign is. Nothing is taken then, and reading goes on with that news.
   */
  #take(entry: StreamEntry): boolean {
    const envelope = decodeEnvelope(entry.bytes);
    const isOfThisRun = entry.sequence > this.#deps.streamHead;
    if (envelope.kind === "events" && envelope.events.some((event) => !this.#memory.campaignOf(event.messageId))) {
      this.#isAwaitingCampaign = true;
      this.#deps.log.warn("event.awaits_campaign", { partition: this.#deps.partition, sequence: entry.sequence });
      return false;
    }
    if (envelope.kind === "events") for (const event of envelope.events) this.#arrive(event, isOfThisRun);
    else for (const update of envelope.updates) this.#update(update);
    this.#readSequence = entry.sequence;
    this.#journal.consumed(entry.sequence);
    return true;
  }

  #arrive(event: AcceptedEvent, isOfThisRun: boolean): void {
    const campaign = this.#memory.campaignOf(event.messageId);
    assert.ok(campaign !== undefined, "an entry is taken only when its campaigns are known");
    // A stream that delivers twice must not make two messages of one event.
    if (this.#journal.get(event.messageId) !== undefined) return;
    const record = transition.acceptedRecord(event, campaign.definition.id);
    this.#journal.create(record, campaign.state);
    if (isOfThisRun) campaign.arrived += 1;
    this.#memory.count(campaign, null, record.status);
    if (campaign.definition.isRemoved) this.#performer.finish(campaign, record, CAMPAIGN_REMOVED);
    else if (campaign.state.diskFromId === "" && this.#room(campaign) > 0) this.#offer(campaign, record);
    else this.#disk.leave(campaign, record.messageId);
  }

  #update(update: StatusUpdate): void {
    const campaign = this.#memory.campaignOf(update.messageId);
    const before = this.#journal.get(update.messageId);
    if (campaign === undefined || before === undefined) {
      this.#unmatchedStatuses += 1;
      return;
    }
    const after = this.#deps.mergeStatus(before, update);
    if (after === before) return;
    this.#performer.store(campaign, before, after);
    if (!isSettled(before.status) && isSettled(after.status)) {
      this.#senders.give(campaign.definition.senderId, { kind: "proved", messageId: after.messageId });
    }
  }

  // Memory and disk

  #room(campaign: Campaign): number {
    const { senderId, settings, isRemoved } = campaign.definition;
    if (isRemoved) return REFILL_ROWS_MAX;
    const sender = this.#senders.get(senderId);
    if (sender === undefined) return 0;
    return Math.min(mailboxRoom(sender.actor, settings.campaignNumber), this.#memory.room(campaign));
  }

  #offer(campaign: Campaign, record: MessageRecord): void {
    this.#memory.add(campaign, record);
    this.#senders.give(campaign.definition.senderId, { kind: "offered", dispatch: dispatchOf(record, campaign) });
  }

  #refill(): void {
    this.#disk.refill(
      (campaign) => this.#room(campaign as Campaign),
      (campaign, row) => this.#load(campaign as Campaign, row),
    );
  }

  /** A row that was left on disk may have moved on since: only one that is still queued is taken. */
  #load(campaign: Campaign, row: MessageRecord): void {
    const record = this.#journal.get(row.messageId) ?? row;
    if (record.status !== "queued" || record.dueAtMs !== 0 || this.#memory.record(record.messageId)) return;
    if (campaign.definition.isRemoved) this.#performer.finish(campaign, record, CAMPAIGN_REMOVED);
    else this.#offer(campaign, record);
  }

  #recover(campaign: Campaign): void {
    const interrupted = recoverCampaign(campaign, this.#deps.ledger, this.#deps.partition);
    const nowMs = this.#deps.clock.nowMs();
    const dueAtMs = nowMs + campaign.definition.settings.uncertain.waitMs;
    for (const record of interrupted) {
      const { attempts } = record;
      const waiting = { status: "uncertain", dueAtMs, attempts, errorCode: null, reason: INTERRUPTED } as const;
      this.#performer.store(campaign, record, transition.parkedRecord(record, waiting, nowMs));
    }
    this.#disk.resume(campaign);
  }

  // Time

  #onTime(): void {
    if (this.#isStopping) return;
    const entries = this.#due.read(this.#deps.clock.nowMs(), this.#dueRoom());
    for (const entry of entries) this.#bringUp(entry);
    this.#senders.touchWoken();
    this.#scheduleRound();
  }

  /** Rows that come due find room beside both lanes' own. */
  #dueRoom(): number {
    return LIVE_RECORDS_MAX * 3 - this.#memory.size;
  }

  #bringUp(entry: DueEntry): void {
    const record = this.#journal.get(entry.messageId);
    const campaign = this.#memory.campaignOf(entry.messageId);
    if (record === undefined || campaign === undefined) return;
    if (record.dueAtMs !== entry.dueAtMs || this.#memory.record(record.messageId)) return;
    if (campaign.definition.isRemoved) {
      this.#performer.finish(campaign, record, CAMPAIGN_REMOVED);
      return;
    }
    // A dispatched row that nobody holds is one that a crash left without its verdict.
    const status = record.status === "queued" || record.status === "retrying" ? record.status : "uncertain";
    this.#memory.add(campaign, record);
    this.#senders.give(campaign.definition.senderId, { kind: "due", dispatch: dispatchOf(record, campaign), status });
  }

  #arm(): void {
    const { clock } = this.#deps;
    const dueAtMs = this.#due.nextAtMs;
    const restMs = this.#dueRoom() > 0 ? DUE_REST_MS : FULL_REST_MS;
    if (dueAtMs !== null) this.#wake.at(clock.monotonicMs() + Math.max(restMs, dueAtMs - clock.nowMs()));
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
      this.#senders.tickTouched();
      this.#arm();
    }
    if (!this.#isCommitting && !this.#journal.isEmpty) this.#commit();
    this.#settleStop();
  }

  #commit(): void {
    this.#isCommitting = true;
    const changed = [...this.#journal.changedCampaigns()];
    for (const number of changed) this.#memory.moveHead(number);
    const cursor = this.#readSequence;
    const intents = this.#performer.takeIntents();
    this.#disk.batchTaken();
    this.#due.batchTaken();
    this.#deps.ledger.commit(this.#journal.take()).then(
      () => {
        this.#isCommitting = false;
        this.#journal.committed();
        this.#disk.batchCommitted();
        this.#due.batchCommitted();
        this.#performer.send(intents);
        this.#report(cursor, changed);
        this.#afterCommit();
      },
      (error: unknown) => this.#deps.onBroken(error),
    );
  }

  #afterCommit(): void {
    if (!this.#isStopping) {
      this.#refill();
      this.#read();
    }
    this.#scheduleRound();
  }

  #report(cursor: number, changed: readonly number[]): void {
    this.#deps.report({
      partition: this.#deps.partition,
      cursor,
      waiting: this.#memory.waiting,
      unmatchedStatuses: this.#unmatchedStatuses,
      campaigns: changed.map((number) => this.#memory.progressOf(number)).filter((progress) => progress !== null),
    });
  }

  #settleStop(): void {
    if (this.#onDrained === null || this.#performer.inFlight > 0 || this.#isCommitting) return;
    if (this.#journal.isEmpty) this.#onDrained();
    else this.#scheduleRound();
  }
}

function dispatchOf(record: MessageRecord, campaign: Campaign): Dispatch {
  return {
    messageId: record.messageId,
    campaignNumber: campaign.state.campaignNumber,
    phoneNumber: record.phoneNumber,
    acceptedAtMs: transition.queuedSinceMs(record),
    attempts: record.attempts,
  };
}
