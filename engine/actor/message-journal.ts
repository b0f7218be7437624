// What changed since the last commit: the layer between the partition's decisions and its ledger.
//
// A record is looked up here first (a change that is not yet durable must be seen by the next decision),
// then in the ledger. Changes of one round become one batch: one transaction, one fsync.

import type { MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { MessageStatus } from "../message/status.ts";
import type { LedgerMark } from "./partition-deps.ts";

export interface CampaignCounters {
  accepted: number;
  byStatus: Record<string, number>;
  byError: Record<string, number>;
  /** Messages of which more than one attempt is known to have arrived. */
  doubleSends: number;
}

/** What the ledger keeps of a campaign beside its rows, written in the same transaction as they are. */
export interface CampaignState {
  readonly campaignNumber: number;
  /** No queued or dispatched row of the campaign lies before it, but those in the due index. */
  headId: string;
  /** Empty, or: from this id on, queued rows may lie on disk only. */
  diskFromId: string;
  /** The greatest id that was ever in memory. */
  tailId: string;
  readonly counters: CampaignCounters;
}

export interface LedgerBatch {
  readonly created: readonly MessageRecord[];
  readonly updated: readonly { readonly record: MessageRecord; readonly previousDueAtMs: number }[];
  readonly cursor: number | null;
  readonly campaigns: readonly CampaignState[];
  readonly lastDispatchAtMs: number | null;
  readonly marks: readonly LedgerMark[];
}

export type CountTransition = (
  counters: CampaignCounters,
  before: { readonly status: MessageStatus; readonly errorCode: number | null } | null,
  after: { readonly status: MessageStatus; readonly errorCode: number | null },
) => void;

interface Change {
  record: MessageRecord;
  /** What the ledger's due index holds for the row now; null for a row it does not have yet. */
  readonly previousDueAtMs: number | null;
}

export class MessageJournal {
  readonly #readLedger: (id: MessageId) => MessageRecord | undefined;
  readonly #readMark: (key: string) => Uint8Array | undefined;
  readonly #countTransition: CountTransition;
  readonly #changedCampaigns = new Map<number, CampaignState>();
  #changes = new Map<MessageId, Change>();
  #committing = new Map<MessageId, Change>();
  #marks = new Map<string, Uint8Array | null>();
  #committingMarks = new Map<string, Uint8Array | null>();
  #cursor: number | null = null;
  #lastDispatchAtMs: number | null = null;

  constructor(deps: {
    get(id: MessageId): MessageRecord | undefined;
    mark(key: string): Uint8Array | undefined;
    countTransition: CountTransition;
  }) {
    this.#readLedger = deps.get;
    this.#readMark = deps.mark;
    this.#countTransition = deps.countTransition;
  }

  get changeCount(): number {
    return this.#changes.size;
  }

  get isEmpty(): boolean {
    if (this.#changes.size > 0 || this.#marks.size > 0) return false;
    return this.#cursor === null && this.#changedCampaigns.size === 0;
  }

  /** The newest state of a record, durable or not. */
  get(id: MessageId): MessageRecord | undefined {
    return this.pending(id) ?? this.#readLedger(id);
  }

  /** The newest state of a record that the ledger does not show yet. */
  pending(id: MessageId): MessageRecord | undefined {
    return (this.#changes.get(id) ?? this.#committing.get(id))?.record;
  }

  create(record: MessageRecord, campaign: CampaignState): void {
    this.#count(campaign, null, record);
    this.#changes.set(record.messageId, { record, previousDueAtMs: null });
  }

  change(before: MessageRecord, after: MessageRecord, campaign: CampaignState): void {
    this.#count(campaign, before, after);
    const pending = this.#changes.get(after.messageId);
    if (pending !== undefined) pending.record = after;
    else this.#changes.set(after.messageId, { record: after, previousDueAtMs: before.dueAtMs });
  }

  /** The newest value of a mark, durable or not. */
  mark(key: string): Uint8Array | undefined {
    let value = this.#marks.get(key);
    if (value === undefined) value = this.#committingMarks.get(key);
    return value === undefined ? this.#readMark(key) : (value ?? undefined);
  }

  /** Null removes it. */
  setMark(key: string, value: Uint8Array | null): void {
    this.#marks.set(key, value);
  }

  /** Has a batch written although no record changed. */
  touch(campaign: CampaignState): void {
    this.#changedCampaigns.set(campaign.campaignNumber, campaign);
  }

  /** Those whose state the next batch will write. */
  changedCampaigns(): Iterable<number> {
    return this.#changedCampaigns.keys();
  }

  consumed(sequence: number): void {
    this.#cursor = sequence;
  }

  dispatchedAt(atMs: number): void {
    this.#lastDispatchAtMs = atMs;
  }

  /** Hands over everything since the last call. The batch stays visible to `get` until `committed`. */
  take(): LedgerBatch {
    this.#committing = this.#changes;
    this.#changes = new Map();
    this.#committingMarks = this.#marks;
    this.#marks = new Map();
    const created: MessageRecord[] = [];
    const updated: { record: MessageRecord; previousDueAtMs: number }[] = [];
    for (const { record, previousDueAtMs } of this.#committing.values()) {
      if (previousDueAtMs === null) created.push(record);
      else updated.push({ record, previousDueAtMs });
    }
    const batch = {
      created,
      updated,
      cursor: this.#cursor,
      campaigns: [...this.#changedCampaigns.values()],
      lastDispatchAtMs: this.#lastDispatchAtMs,
      marks: Array.from(this.#committingMarks, ([key, value]) => ({ key, value })),
    };
    this.#changedCampaigns.clear();
    this.#cursor = null;
    this.#lastDispatchAtMs = null;
    return batch;
  }

  committed(): void {
    this.#committing = new Map();
    this.#committingMarks = new Map();
  }

  #count(campaign: CampaignState, before: MessageRecord | null, after: MessageRecord): void {
    this.#countTransition(campaign.counters, before, after);
    this.#changedCampaigns.set(campaign.campaignNumber, campaign);
  }
}
