// What a partition needs from the other stages, as functions: the composition root of the thread hands them in.

import type { Attributes } from "../message/event.ts";
import type { MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { StatusUpdate } from "../message/status-update.ts";
import type { Verdict } from "../message/verdict.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { MemoryBounds } from "./campaign-memory.ts";
import type { CampaignState, CountTransition, LedgerBatch } from "./message-journal.ts";
import type { CampaignSettings, SenderSettings } from "./sender-actor.ts";

export interface DueEntry {
  readonly dueAtMs: number;
  readonly messageId: MessageId;
}

/** The partition's own ledger; this thread is its only writer. Reads see what is committed. */
export interface PartitionLedger {
  get(id: MessageId): MessageRecord | undefined;
  /** Resolves once the batch is fsync'd. Atomic: all of it or nothing. */
  commit(batch: LedgerBatch): Promise<void>;
  /** Rows in key order, `to` exclusive. */
  records(range: { readonly from: string; readonly to: string; readonly limit: number }): readonly MessageRecord[];
  /** Waiting rows in order of their time, after the given entry. */
  due(range: {
    readonly after: DueEntry | null;
    readonly throughMs: number;
    readonly limit: number;
  }): readonly DueEntry[];
  /** The sequence of the last stream entry whose effects are in the ledger; 0 at first. */
  cursor(): number;
  campaignStates(): readonly CampaignState[];
  /** Epoch milliseconds of the newest intent; 0 when there is none. */
  lastDispatchAt(): number;
}

export interface StreamEntry {
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

export type Rendering =
  | {
      readonly kind: "rendered";
      readonly message: string;
      readonly request: string;
      readonly changes: readonly string[];
    }
  | { readonly kind: "unrenderable"; readonly reason: string };

/** A campaign as the thread knows it. */
export interface PartitionCampaign {
  readonly id: string;
  readonly senderId: string;
  readonly templateName: string;
  readonly templateLanguage: string;
  readonly settings: CampaignSettings;
  /** Deleted: what still waits is ended, not sent. */
  readonly isRemoved: boolean;
  render(input: {
    readonly messageId: MessageId;
    readonly attempt: number;
    readonly phoneNumber: string;
    readonly attributes: Attributes;
  }): Rendering;
}

export interface SendRequest {
  readonly senderId: string;
  readonly body: string;
}

/** Where a campaign stands, of those that a commit changed. */
export interface CampaignProgress {
  readonly campaignNumber: number;
  /** Events of this run taken out of the stream since the thread started. */
  readonly arrived: number;
  readonly waiting: number;
  /** Acceptance of the oldest message still in the queue or on its way, epoch milliseconds; null when none is. */
  readonly oldestWaitingAtMs: number | null;
  /** Since the thread started. */
  readonly dispatched: number;
  readonly settled: number;
}

/** What the main thread learns after each commit. */
export interface PartitionProgress {
  readonly partition: number;
  /** Stream entries up to here are settled and may go. */
  readonly cursor: number;
  /** Messages not yet brought to an end. */
  readonly waiting: number;
  /** Since the thread started. */
  readonly unmatchedStatuses: number;
  readonly campaigns: readonly CampaignProgress[];
}

export interface SenderBlock {
  readonly reason: string;
  /** Epoch milliseconds of the next probe. */
  readonly untilMs: number;
}

export interface PartitionDeps {
  readonly partition: number;
  /** Entries after this sequence were accepted by this run of the engine: they count as arrivals. */
  readonly streamHead: number;
  readonly ledger: PartitionLedger;
  /** Default {@link MEMORY_BOUNDS}. */
  readonly bounds?: MemoryBounds;
  readStream(afterSequence: number): readonly StreamEntry[];
  /** Runs the call when this engine may send for the partition: now, later, or, once another engine owns it, never. */
  permit(call: () => void): void;
  /** Calls `done` exactly once. */
  send(request: SendRequest, done: (verdict: Verdict) => void): void;
  mergeStatus(record: MessageRecord, update: StatusUpdate): MessageRecord;
  readonly countTransition: CountTransition;
  readonly senderSettings: (senderId: string) => SenderSettings | undefined;
  readonly clock: Clock;
  random(): number;
  /** Runs the call once the current turn of the event loop is over. */
  defer(call: () => void): void;
  report(progress: PartitionProgress): void;
  /** A sender, or one campaign of it, can send nothing for now; null: it can again. */
  reportBlock(senderId: string, block: SenderBlock | null): void;
  /** An event of a campaign that nobody told this partition about waits, and all behind it. */
  onAwaited(campaignNumber: number): void;
  /** The ledger can no longer be written: the thread must end. */
  onBroken(error: unknown): void;
  readonly log: Log;
}
