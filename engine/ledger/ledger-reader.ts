// What can be asked of one partition's ledger. Pure parts (search, export) see the ledger through this only.

import type { MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { CampaignState } from "./campaign-state.ts";

/** Keys `from` ≤ id < `to`. Prefixes of ids are keys too (message/ids.ts: campaignPrefix, firstIdAt). */
export interface LedgerRange {
  readonly from: string;
  readonly to: string;
  /** At least 1. */
  readonly limit: number;
  /** Newest first. Default false. */
  readonly reverse?: boolean;
}

/** A record as the CSV shows it: about twice as fast to read as the whole. */
export type MessageSummary = Omit<
  MessageRecord,
  "attributes" | "dueAtMs" | "sendAtMs" | "waitKey" | "pricingAtMs" | "closedAttempts" | "timeline"
>;

/**
 * What the owner of a partition remembers beside its rows: of each key the newest value, sorted by key. A null removes
 * the key. Keys are well-formed text of at most {@link MARK_KEY_BYTES_MAX}, in the order of their UTF-8.
 */
export interface LedgerMark {
  readonly key: string;
  readonly value: Uint8Array | null;
}

export interface StoredMark extends LedgerMark {
  readonly value: Uint8Array;
}

/** Of UTF-8; LMDB takes 1,978. */
export const MARK_KEY_BYTES_MAX = 1_024;

export interface DueEntry {
  readonly dueAtMs: number;
  readonly messageId: MessageId;
}

export interface PhoneWindow {
  readonly fromMs: number;
  /** Exclusive; `Number.MAX_SAFE_INTEGER` for no bound. */
  readonly toMs: number;
  readonly limit: number;
}

/** The newest entry of the replicated ledger that a table holds; {0, ""} when it holds none. */
export interface LedgerPosition {
  readonly index: number;
  readonly term: string;
}

/** Up to where a table has taken the EVENTS stream; {0, ""} at first. */
export interface CursorPosition {
  readonly sequence: number;
  /** Of the message there; empty where the stream has no ids. */
  readonly id: string;
}

export interface LedgerChanges {
  /** Every entry after this one is covered. Greater than what was asked for: the older ones are forgotten. */
  readonly baseIndex: number;
  readonly messageIds: ReadonlySet<string>;
  readonly campaignNumbers: ReadonlySet<number>;
  readonly markKeys: ReadonlySet<string>;
}

/** Every call sees all that was committed before it, and holds no read transaction after it. */
export interface LedgerReader {
  get(messageId: string): MessageRecord | undefined;
  records(range: LedgerRange): MessageRecord[];
  summaries(range: LedgerRange): MessageSummary[];
  /** Waiting rows with a time at or before `throughMs` that lie after the given entry, earliest first, at most `limit`. */
  due(range: { readonly after: DueEntry | null; readonly throughMs: number; readonly limit: number }): DueEntry[];
  /** The stream sequence up to which every event has its row; 0 at first. */
  cursor(): number;
  cursorPosition(): CursorPosition;
  position(): LedgerPosition;
  campaignStates(): CampaignState[];
  campaignState(campaignNumber: number): CampaignState | undefined;
  /** Ids of the number's messages accepted in [fromMs, toMs), newest first, at most `limit`. */
  idsOfPhone(phoneNumber: string, window: PhoneWindow): MessageId[];
  /** The value of a mark. */
  mark(key: string): Uint8Array | undefined;
  /** In the order of their keys. */
  marks(range: LedgerRange): StoredMark[];
  /** Epoch milliseconds of the newest dispatch; 0 before the first. */
  lastDispatchAt(): number;
  close(): Promise<void>;
}
