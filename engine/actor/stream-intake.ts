// From the stream to the partition: its entries in order, their events as records, their statuses merged, their cancels
// carried out.
//
// Reading goes on in turns of the event loop, so that verdicts and timers are not starved, and rests while more changes
// wait for their round than one commit should hold.

import assert from "node:assert/strict";

import type { Cancel } from "../message/cancel.ts";
import { decodeEnvelope, type Envelope } from "../message/envelope.ts";
import type { AcceptedEvent } from "../message/event.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { Campaign, CampaignMemory } from "./campaign-memory.ts";
import type { CancelDesk } from "./cancel-desk.ts";
import type { DelayBook } from "./delay-book.ts";
import type { EffectPerformer } from "./effect-performer.ts";
import type { MessageJournal } from "./message-journal.ts";
import type { PartitionDeps, StreamEntry } from "./partition-deps.ts";
import * as transition from "./record-transition.ts";
import type { StatusIntake } from "./status-intake.ts";

/** Changes waiting for their round beyond which no further stream entries are read. */
const CHANGES_MAX = 4_096;

export interface StreamIntakeDeps extends Pick<
  PartitionDeps,
  "streamHead" | "readStream" | "defer" | "onAwaited" | "clock"
> {
  /** What the ledger has taken in already. */
  readonly cursor: number;
  readonly journal: MessageJournal;
  readonly memory: CampaignMemory;
  readonly statuses: StatusIntake;
  readonly cancels: CancelDesk;
  readonly delays: DelayBook;
  readonly performer: EffectPerformer;
  /** A message is new, and nothing ended it on its way. */
  onArrival(campaign: Campaign, record: MessageRecord): void;
  /** Something was read: a round is needed. */
  onRead(): void;
  /** The entries of earlier runs are read: what they prove is known. Called once. */
  onCaughtUp(): void;
}

export class StreamIntake {
  /** The last entry taken. */
  readSequence: number;
  hasCaughtUp = false;
  readonly #deps: StreamIntakeDeps;
  #isReadScheduled = false;
  #isAwaitingCampaign = false;
  #isStopped = false;

  constructor(deps: StreamIntakeDeps) {
    this.#deps = deps;
    this.readSequence = deps.cursor;
  }

  read(): void {
    const { journal, streamHead } = this.#deps;
    if (this.#isStopped || this.#isAwaitingCampaign || journal.changeCount >= CHANGES_MAX) return;
    const entries = this.#deps.readStream(this.readSequence);
    for (const entry of entries) {
      if (!this.#take(entry)) break;
    }
    const isBehind = !this.#isAwaitingCampaign && this.readSequence < streamHead;
    if (!isBehind && !this.hasCaughtUp) {
      this.hasCaughtUp = true;
      this.#deps.onCaughtUp();
    }
    if (entries.length === 0) return;
    this.#deps.onRead();
    if (!this.#isAwaitingCampaign) this.#scheduleRead();
  }

  /** An event may have waited for the news of its campaign. */
  campaignDefined(): void {
    if (this.#isAwaitingCampaign) this.#scheduleRead();
    this.#isAwaitingCampaign = false;
  }

  stop(): void {
    this.#isStopped = true;
  }

  #scheduleRead(): void {
    if (this.#isReadScheduled) return;
    this.#isReadScheduled = true;
    this.#deps.defer(() => {
      this.#isReadScheduled = false;
      this.read();
    });
  }

  /**
   * @returns false for events of a campaign that this thread has not heard of yet: an event can be in the stream
   * before the news of its campaign is. Nothing is taken then, and reading goes on with that news.
   */
  #take(entry: StreamEntry): boolean {
    const { journal, streamHead } = this.#deps;
    const envelope = decodeEnvelope(entry.bytes);
    const stranger = this.#strangerOf(envelope);
    this.#isAwaitingCampaign = stranger !== null;
    if (stranger !== null) this.#deps.onAwaited(stranger);
    if (this.#isAwaitingCampaign) return false;
    this.#open(envelope, entry.sequence > streamHead);
    this.readSequence = entry.sequence;
    journal.consumed(entry.sequence);
    return true;
  }

  /** The number of a campaign without which the envelope cannot be taken; null: there is none. */
  #strangerOf(envelope: Envelope): number | null {
    const { memory, cancels } = this.#deps;
    switch (envelope.kind) {
      case "events":
        return memory.strangerOf(envelope.events);
      case "statuses":
        return null;
      case "cancels": {
        const isStrange = (cancel: Cancel): boolean =>
          memory.get(cancel.campaignNumber) === undefined && cancels.hasWaiting(cancel);
        return envelope.cancels.find(isStrange)?.campaignNumber ?? null;
      }
    }
  }

  #open(envelope: Envelope, isOfThisRun: boolean): void {
    const { statuses, cancels, clock } = this.#deps;
    switch (envelope.kind) {
      case "events":
        for (const event of envelope.events) this.#arrive(event, isOfThisRun);
        return;
      case "statuses":
        for (const update of envelope.updates) statuses.take(update);
        return;
      case "cancels":
        for (const cancel of envelope.cancels) cancels.take(cancel, clock.nowMs());
    }
  }

  #arrive(event: AcceptedEvent, isOfThisRun: boolean): void {
    const { memory, journal } = this.#deps;
    const campaign = memory.campaignOf(event.messageId);
    assert.ok(campaign !== undefined, "an entry is taken only when its campaigns are known");
    // A stream that delivers twice must not make two messages of one event.
    if (journal.get(event.messageId) !== undefined) return;
    const record = this.#recordOf(event, campaign);
    journal.create(record, campaign.state);
    if (isOfThisRun) campaign.arrived += 1;
    memory.count(campaign, null, record.status);
    if (record.sendAtMs > 0) this.#deps.delays.moved(campaign.state.campaignNumber, null, record);
    if (record.waitKey === "" || !this.#isCancelled(record)) this.#deps.onArrival(campaign, record);
  }

  #recordOf(event: AcceptedEvent, campaign: Campaign): MessageRecord {
    const accepted = transition.acceptedRecord(event, campaign.definition);
    const { attempts = 0, sendAtMs = 0 } = event;
    if (attempts > 0) return transition.salvagedRecord(accepted, attempts);
    return sendAtMs > this.#deps.clock.nowMs() ? transition.delayedRecord(accepted) : accepted;
  }

  /** A cancel of its key may have come before it. */
  #isCancelled(record: MessageRecord): boolean {
    const { cancels, performer, clock } = this.#deps;
    cancels.moved(null, record);
    const finish = transition.isUnsent(record) ? cancels.finishOf(record, clock.nowMs()) : null;
    if (finish !== null) performer.end(record, finish);
    return finish !== null;
  }
}
