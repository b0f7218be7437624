// What a partition needs from the other stages, as functions: the composition root of the thread hands them in.

import type { Attributes } from "../message/event.ts";
import type { MessageId } from "../message/ids.ts";
import type { MarketingRules } from "../message/marketing.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { StatusUpdate } from "../message/status-update.ts";
import type { BlockScope, SendRoute, Verdict } from "../message/verdict.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { MemoryBounds } from "./campaign-memory.ts";
import type { CampaignCounters, CampaignState, CountTransition, LedgerBatch } from "./message-journal.ts";
import type { RecipientBudget } from "./recipient-budget.ts";
import type { CampaignSettings, SenderSettings } from "./sender-messages.ts";

export interface DueEntry {
  readonly dueAtMs: number;
  readonly messageId: MessageId;
}

/** Something small that the partition remembers beside its rows, written in the same transaction as they are. */
export interface LedgerMark {
  readonly key: string;
  /** Null removes it. */
  readonly value: Uint8Array | null;
}

export interface StoredMark {
  readonly key: string;
  readonly value: Uint8Array;
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
  mark(key: string): Uint8Array | undefined;
  /** Marks in order of their keys, `to` exclusive; `reverse`: from `to` downwards. */
  marks(range: {
    readonly from: string;
    readonly to: string;
    readonly limit: number;
    readonly reverse?: boolean;
  }): readonly StoredMark[];
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
  /** A message that WhatsApp took and reported nothing of for so long is taken as dropped. */
  readonly deliveryTimeoutMs: number;
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
  readonly route: SendRoute;
}

/** Where a campaign stands, of those that a commit changed. */
export interface CampaignProgress {
  readonly campaignNumber: number;
  /** Events of this run taken out of the stream since the thread started. */
  readonly arrived: number;
  readonly waiting: number;
  /** Since when the oldest message in a queue or on its way waits, epoch milliseconds; null when none does. */
  readonly oldestWaitingAtMs: number | null;
  /** Of those that wait: for a time of their own (`sendAt`) that has not come. */
  readonly delayed: number;
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

/** Nothing of the scope is sent for now. Times are epoch milliseconds. */
export interface SenderBlock {
  readonly scope: BlockScope;
  /** Of a template: its key; of a country: its region; else empty. */
  readonly subject: string;
  readonly errorCode: number;
  readonly reason: string;
  readonly sinceMs: number;
  /** The next probe. */
  readonly untilMs: number;
}

/** What a sender used of the recipients that its portfolio may reach in 24 hours. */
export interface BudgetReport {
  readonly used: number;
  /** Null: unlimited. */
  readonly allowance: number | null;
  /** Epoch milliseconds at which the next recipient is free again; null while none is missing. */
  readonly freesAtMs: number | null;
  /** Epoch milliseconds since which messages wait for it; null while none does. */
  readonly refusedSince: number | null;
}

export interface SenderReport {
  readonly blocks: readonly SenderBlock[];
  /** What it sends now at most: below its setting while WhatsApp calls it too fast. */
  readonly messagesPerSecond: number;
  /** Null: its recipients are not counted. */
  readonly recipients: BudgetReport | null;
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
  /** Calls `done` exactly once, with the time (monotonic) at which the request was written, if that is known. */
  send(request: SendRequest, done: (verdict: Verdict, writtenAtMs?: number | null) => void): void;
  mergeStatus(record: MessageRecord, update: StatusUpdate): MessageRecord;
  /** More than one attempt of the message is known to have reached its recipient. */
  isSentTwice(record: MessageRecord): boolean;
  readonly countTransition: CountTransition;
  countDoubleSend(counters: CampaignCounters): void;
  /** What the error code of a `failed` status says of more than its message. */
  failureOf(update: StatusUpdate): Verdict;
  readonly marketing: MarketingRules;
  /** Marketing messages that other partitions of this engine sent to the number since then (epoch milliseconds). */
  marketingSendsElsewhere(phoneNumber: string, sinceMs: number): number;
  /** Null: the sender's recipients are not limited. */
  budgetOf(senderId: string): RecipientBudget | null;
  /** ISO 3166 alpha-2, or empty. */
  regionOf(phoneNumber: string): string;
  /** Milliseconds since the machine started; comparable between processes while `boot` is the same. */
  uptime(): { readonly boot: string; readonly ms: number };
  readonly senderSettings: (senderId: string) => SenderSettings | undefined;
  readonly clock: Clock;
  random(): number;
  /** Runs the call once the current turn of the event loop is over. */
  defer(call: () => void): void;
  report(progress: PartitionProgress): void;
  reportSender(senderId: string, report: SenderReport): void;
  /** WhatsApp answered with a code that this release does not know. */
  noteUnknownCode(errorCode: number): void;
  /** A template here differs from WhatsApp's: it is to be read again. */
  noteStaleTemplate(): void;
  /** An event of a campaign that nobody told this partition about waits, and all behind it. */
  onAwaited(campaignNumber: number): void;
  /** The ledger can no longer be written: the thread must end. */
  onBroken(error: unknown): void;
  readonly log: Log;
}
