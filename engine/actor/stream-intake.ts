// From the stream to the partition: its entries in order, their events as records, their statuses merged.
//
// Reading goes on in turns of the event loop, so that verdicts and timers are not starved, and rests while more changes
// wait for their round than one commit should hold.

import assert from "node:assert/strict";

import { decodeEnvelope } from "../message/envelope.ts";
import type { AcceptedEvent } from "../message/event.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { Campaign, CampaignMemory } from "./campaign-memory.ts";
import type { MessageJournal } from "./message-journal.ts";
import type { PartitionDeps, StreamEntry } from "./partition-deps.ts";
import * as transition from "./record-transition.ts";
import type { StatusIntake } from "./status-intake.ts";

/** Changes waiting for their round beyond which no further stream entries are read. */
const CHANGES_MAX = 4_096;

export interface StreamIntakeDeps extends Pick<PartitionDeps, "streamHead" | "readStream" | "defer" | "onAwaited"> {
  /** What the ledger has taken in already. */
  readonly cursor: number;
  readonly journal: MessageJournal;
  readonly memory: CampaignMemory;
  readonly statuses: StatusIntake;
  /** A message is new. */
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
    const { memory, statuses, journal, streamHead } = this.#deps;
    const envelope = decodeEnvelope(entry.bytes);
    const isOfThisRun = entry.sequence > streamHead;
    const stranger = envelope.kind === "events" ? memory.strangerOf(envelope.events) : null;
    this.#isAwaitingCampaign = stranger !== null;
    if (stranger !== null) this.#deps.onAwaited(stranger);
    if (this.#isAwaitingCampaign) return false;
    if (envelope.kind === "events") for (const event of envelope.events) this.#arrive(event, isOfThisRun);
    else for (const update of envelope.updates) statuses.take(update);
    this.readSequence = entry.sequence;
    journal.consumed(entry.sequence);
    return true;
  }

  #arrive(event: AcceptedEvent, isOfThisRun: boolean): void {
    const { memory, journal } = this.#deps;
    const campaign = memory.campaignOf(event.messageId);
    assert.ok(campaign !== undefined, "an entry is taken only when its campaigns are known");
    // A stream that delivers twice must not make two messages of one event.
    if (journal.get(event.messageId) !== undefined) return;
    const { attempts = 0 } = event;
    const accepted = transition.acceptedRecord(event, campaign.definition);
    const record = attempts === 0 ? accepted : transition.salvagedRecord(accepted, attempts);
    journal.create(record, campaign.state);
    if (isOfThisRun) campaign.arrived += 1;
    memory.count(campaign, null, record.status);
    this.#deps.onArrival(campaign, record);
  }
}
