// One partition's ledger: what happened to each message. The thread that owns the partition is its only writer;
// the main thread and export threads read it while it is written.
//
//   records    message id                     → record.ts
//   due        [dueAtMs, message id]          → nothing: waiting rows by the time they wait for
//   phones     segment, hash of number, id    → nothing: phone-key.ts
//   state      "cursor", "lastDispatchAt"     → a number
//              "cursorId"                     → a text
//   campaigns  campaign number                → state-record.ts
//   terms, changes: lmdb-ledger-history.ts, of a ledger that is replicated
//
// What `commit` resolved survives kill -9 and a power cut, and a batch is there whole or not at all.

import type { Database, DatabaseOptions, RangeOptions } from "lmdb";

import { isMessageId, type MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import { EngineError } from "../runtime/errors.ts";
import type { CampaignState } from "./campaign-state.ts";
import type { EntryRow, LedgerEntry, TermStart } from "./ledger-entry.ts";
import type {
  CursorPosition,
  DueEntry,
  LedgerChanges,
  LedgerPosition,
  LedgerRange,
  LedgerReader,
  MessageSummary,
  PhoneWindow,
} from "./ledger-reader.ts";
import {
  type Committer,
  createCommitter,
  type Environment,
  openEnvironment,
  type Table,
  type WriteFailure,
} from "../runtime/lmdb-commit.ts";
import { LmdbLedgerHistory } from "./lmdb-ledger-history.ts";
import { LmdbPhoneIndex } from "./lmdb-phone-index.ts";
import { AFTER_ALL } from "./phone-key.ts";
import {
  decodeDueAt,
  decodePhoneNumber,
  decodeRecord,
  decodeSummary,
  encodeRecord,
  summaryOf,
  type VolatileRow,
  volatileRows,
} from "./record.ts";
import { type PlannedRow, planRows } from "./row-plan.ts";
import {
  decodeCampaignState,
  decodeNumber,
  decodeText,
  encodeCampaignState,
  encodeNumber,
  encodeText,
} from "./state-record.ts";

export interface LedgerUpdate {
  readonly record: MessageRecord;
  readonly previousDueAtMs: number;
}

export interface LedgerBatch {
  /** New rows; also writes their phone index and, where `dueAtMs` > 0, their due entry. */
  readonly created: readonly MessageRecord[];
  /** Changed rows; moves their due entry from `previousDueAtMs`, the row's `dueAtMs` as last committed. */
  readonly updated: readonly LedgerUpdate[];
  /** Sequence of the last stream envelope that these rows complete, or null to leave it. */
  readonly cursor: number | null;
  /** Id of the message at `cursor`, of a stream that has ids; told with every cursor or never. */
  readonly cursorId?: string;
  /** Campaigns whose state changed, whole. */
  readonly campaigns: readonly CampaignState[];
  /** Epoch milliseconds of the newest dispatch, or null to leave it. */
  readonly lastDispatchAtMs: number | null;
}

export interface Ledger extends LedgerReader {
  /**
   * One transaction for all of the batch; resolves once it is fsync'd, and every reader sees it from then on.
   * States and counters are encoded before it returns and may change afterwards.
   * @throws EngineError ERR_LEDGER_WRITE; nothing of the batch is stored, and no later commit succeeds: see failure().
   */
  commit(batch: LedgerBatch): Promise<void>;
  /**
   * Entries of the replicated ledger, in their order and after position(): one transaction and one fsync for all.
   * Where entries before them are missing, or are stood for, each row is looked up first.
   * @throws EngineError ERR_LEDGER_WRITE, as `commit` does.
   */
  apply(entries: readonly LedgerEntry[]): Promise<void>;
  /** The row as a catch-up entry tells it. */
  row(messageId: string): EntryRow | undefined;
  /** What entries after `index` changed, as far as it is remembered: CHANGES_KEPT_MS. */
  changesAfter(index: number): LedgerChanges;
  /** Of which term the entry at `index` was; empty when it is not known. */
  termAt(index: number): string;
  /** The terms of the entries from `index` on. */
  termsFrom(index: number): TermStart[];
  /** The first entry that was applied although some before it are missing; null: the table is whole. */
  gapAtIndex(): number | null;
  /** Whether a `clear` was cut short; the table must be cleared before anything else. */
  isClearing(): boolean;
  /** Removes everything, in bounded transactions. */
  clear(): Promise<void>;
  /** Why nothing is stored any more; null while all is well. `broken`: the process must end. */
  failure(): WriteFailure | null;
}

/** Opens the ledger at `path`, a folder that is created when absent. At most one writer a path. */
export function openLedger(options: { readonly path: string; readonly readOnly: true }): LedgerReader;
export function openLedger(options: { readonly path: string; readonly readOnly: false }): Ledger;
export function openLedger(options: { readonly path: string; readonly readOnly: boolean }): Ledger {
  return new LmdbLedger(options.path, options.readOnly);
}

type DueRange = Parameters<LedgerReader["due"]>[0];

const NOTHING = new Uint8Array(0);
const CURSOR = "cursor";
const CURSOR_ID = "cursorId";
const LAST_DISPATCH = "lastDispatchAt";
/** Rows that one transaction of `clear` removes. */
const CLEARED_ROWS_MAX = 10_000;

class LmdbLedger implements Ledger {
  readonly #environment: Environment;
  readonly #records: Table;
  /** The same table, for reading rows where they lie: half of a scan's time would go into copies. */
  readonly #volatileRecords: Database<VolatileRow>;
  readonly #due: Table;
  readonly #phones: LmdbPhoneIndex;
  readonly #state: Table;
  readonly #campaigns: Table;
  readonly #history: LmdbLedgerHistory;
  /** All of them, for `clear`; the state last. */
  readonly #tables: readonly Table[];
  readonly #committer: Committer;
  readonly #isReadOnly: boolean;
  #isClosed = false;

  constructor(path: string, isReadOnly: boolean) {
    this.#environment = openEnvironment(path);
    const table = (name: string): Table => this.#environment.openDB(name, { encoding: "binary" });
    this.#records = table("records");
    // `encoder` is allowed for every table, but lmdb's typings know it for the root only.
    const volatile: DatabaseOptions & { encoder: typeof volatileRows } = { encoding: "binary", encoder: volatileRows };
    this.#volatileRecords = this.#environment.openDB("records", volatile);
    this.#due = table("due");
    const phones = table("phones");
    this.#phones = new LmdbPhoneIndex(phones);
    this.#state = table("state");
    this.#campaigns = table("campaigns");
    const terms = table("terms");
    const changes = table("changes");
    this.#history = new LmdbLedgerHistory({ state: this.#state, terms, changes });
    this.#tables = [this.#records, this.#due, phones, this.#campaigns, terms, changes, this.#state];
    this.#committer = createCommitter(this.#environment, { path, code: "ERR_LEDGER_WRITE" });
    this.#isReadOnly = isReadOnly;
  }

  get(messageId: string): MessageRecord | undefined {
    this.#refresh();
    const bytes = this.#records.getBinary(messageId);
    return bytes === undefined ? undefined : decodeRecord(messageId, bytes);
  }

  records(range: LedgerRange): MessageRecord[] {
    this.#refresh();
    const records: MessageRecord[] = [];
    for (const { key, value } of this.#records.getRange(lmdbRange(range))) {
      if (typeof key === "string") records.push(decodeRecord(key, value));
    }
    return records;
  }

  summaries(range: LedgerRange): MessageSummary[] {
    this.#refresh();
    const summaries: MessageSummary[] = [];
    for (const { key, value } of this.#volatileRecords.getRange(lmdbRange(range))) {
      if (typeof key === "string") summaries.push(summaryOf(key, value));
    }
    return summaries;
  }

  due({ after, throughMs, limit }: DueRange): DueEntry[] {
    this.#refresh();
    const entries: DueEntry[] = [];
    const start = after === null ? [0] : [after.dueAtMs, `${after.messageId}0`];
    for (const key of this.#due.getKeys({ start, end: [throughMs, AFTER_ALL], limit })) {
      if (!Array.isArray(key)) continue;
      const [dueAtMs, messageId] = key;
      if (typeof dueAtMs === "number" && typeof messageId === "string" && isMessageId(messageId)) {
        entries.push({ dueAtMs, messageId });
      }
    }
    return entries;
  }

  cursor(): number {
    return this.#number(CURSOR);
  }

  cursorPosition(): CursorPosition {
    const sequence = this.#number(CURSOR);
    const bytes = this.#state.getBinary(CURSOR_ID);
    return { sequence, id: bytes === undefined ? "" : decodeText(bytes) };
  }

  position(): LedgerPosition {
    this.#refresh();
    return this.#history.position();
  }

  row(messageId: string): EntryRow | undefined {
    const bytes = this.#records.getBinary(messageId);
    return bytes === undefined || !isMessageId(messageId)
      ? undefined
      : [messageId, bytes, decodeDueAt(bytes), null, decodePhoneNumber(bytes)];
  }

  changesAfter(index: number): LedgerChanges {
    return this.#history.changesAfter(index);
  }

  termAt(index: number): string {
    return this.#history.termAt(index);
  }

  termsFrom(index: number): TermStart[] {
    return this.#history.termsFrom(index);
  }

  gapAtIndex(): number | null {
    return this.#history.gapAtIndex();
  }

  isClearing(): boolean {
    return this.#history.isClearing();
  }

  lastDispatchAt(): number {
    return this.#number(LAST_DISPATCH);
  }

  campaignStates(): CampaignState[] {
    this.#refresh();
    return [...this.#campaigns.getRange()].map(({ value }) => decodeCampaignState(value));
  }

  campaignState(campaignNumber: number): CampaignState | undefined {
    this.#refresh();
    const bytes = this.#campaigns.get(campaignNumber);
    return bytes === undefined ? undefined : decodeCampaignState(bytes);
  }

  idsOfPhone(phoneNumber: string, window: PhoneWindow): MessageId[] {
    this.#refresh();
    const { fromMs, toMs, limit } = window;
    const ids: MessageId[] = [];
    for (const messageId of this.#phones.candidates(phoneNumber, fromMs, toMs)) {
      if (ids.length === limit) break;
      const bytes = this.#records.getBinary(messageId);
      const row = bytes === undefined ? undefined : decodeSummary(messageId, bytes);
      if (row?.phoneNumber !== phoneNumber) continue;
      if (row.acceptedAtMs >= fromMs && row.acceptedAtMs < toMs) ids.push(messageId);
    }
    return ids;
  }

  async commit(batch: LedgerBatch): Promise<void> {
    if (this.#isReadOnly) throw new EngineError("ERR_LEDGER_WRITE", "this ledger was opened to be read only");
    // Encoded before the transaction: lmdb would commit what was put before an exception.
    const created = batch.created.map(encodeRecord);
    const updated = batch.updated.map(({ record }) => encodeRecord(record));
    const campaigns = batch.campaigns.map(encodeCampaignState);
    await this.#committer.commit(() => {
      batch.created.forEach((record, index) => this.#putCreated(record, created[index] ?? NOTHING));
      batch.updated.forEach((change, index) => this.#putUpdated(change, updated[index] ?? NOTHING));
      batch.campaigns.forEach((state, index) => {
        void this.#campaigns.put(state.campaignNumber, campaigns[index] ?? NOTHING);
      });
      this.#putNumber(CURSOR, batch.cursor);
      if (batch.cursorId !== undefined) void this.#state.put(CURSOR_ID, encodeText(batch.cursorId));
      this.#putNumber(LAST_DISPATCH, batch.lastDispatchAtMs);
    });
  }

  async apply(entries: readonly LedgerEntry[]): Promise<void> {
    if (this.#isReadOnly) throw new EngineError("ERR_LEDGER_WRITE", "this ledger was opened to be read only");
    const isWhole = this.#history.gapAtIndex() === null && this.#history.gapIn(entries) === null;
    const isTrusted = isWhole && entries.every(({ terms }) => terms === null);
    // All that is looked up, decoded or encoded happens before the transaction, as above.
    const rows = planRows(entries, isTrusted ? null : (messageId) => this.#dueOf(messageId));
    for (const row of rows.values()) if (row.isNew) row.phoneNumber ??= decodePhoneNumber(row.bytes);
    const campaigns = new Map(entries.flatMap((entry) => entry.campaigns));
    const cursor = entries.findLast((entry) => entry.cursor !== null);
    const lastDispatchAtMs = entries.findLast((entry) => entry.lastDispatchAtMs !== null)?.lastDispatchAtMs ?? null;
    const putHistory = this.#history.prepare(entries);
    await this.#committer.commit(() => {
      for (const [messageId, row] of rows) this.#putPlanned(messageId, row);
      for (const [campaignNumber, bytes] of campaigns) void this.#campaigns.put(campaignNumber, bytes);
      this.#putNumber(CURSOR, cursor?.cursor ?? null);
      if (cursor !== undefined) void this.#state.put(CURSOR_ID, encodeText(cursor.cursorId));
      this.#putNumber(LAST_DISPATCH, lastDispatchAtMs);
      putHistory();
    });
  }

  async clear(): Promise<void> {
    await this.#committer.commit(() => this.#history.putClearing());
    for (const table of this.#tables) {
      for (;;) {
        const keys = [...table.getKeys({ limit: CLEARED_ROWS_MAX })];
        if (keys.length === 0) break;
        // oxlint-disable-next-line no-await-in-loop -- one bounded transaction after the other
        await this.#committer.commit(() => {
          for (const key of keys) void table.remove(key);
        });
      }
    }
  }

  failure(): WriteFailure | null {
    return this.#committer.failure();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#committer.idle();
    // After a failed commit lmdb-js never settles a close.
    if (this.#committer.failure() === null) await this.#environment.close();
  }

  #putCreated(record: MessageRecord, bytes: Uint8Array): void {
    void this.#records.put(record.messageId, bytes);
    this.#phones.put(record.phoneNumber, record.messageId);
    if (record.dueAtMs > 0) void this.#due.put([record.dueAtMs, record.messageId], NOTHING);
  }

  #putUpdated({ record, previousDueAtMs }: LedgerUpdate, bytes: Uint8Array): void {
    const { messageId, dueAtMs } = record;
    void this.#records.put(messageId, bytes);
    this.#moveDue(messageId, previousDueAtMs, dueAtMs);
  }

  #putPlanned(messageId: MessageId, { bytes, dueAtMs, previousDueAtMs, isNew, phoneNumber }: PlannedRow): void {
    void this.#records.put(messageId, bytes);
    if (isNew) this.#phones.put(phoneNumber ?? "", messageId);
    this.#moveDue(messageId, previousDueAtMs, dueAtMs);
  }

  #moveDue(messageId: MessageId, previousDueAtMs: number, dueAtMs: number): void {
    if (dueAtMs === previousDueAtMs) return;
    if (previousDueAtMs > 0) void this.#due.remove([previousDueAtMs, messageId]);
    if (dueAtMs > 0) void this.#due.put([dueAtMs, messageId], NOTHING);
  }

  #dueOf(messageId: MessageId): number | null {
    const bytes = this.#records.getBinary(messageId);
    return bytes === undefined ? null : decodeDueAt(bytes);
  }

  #putNumber(key: string, value: number | null): void {
    if (value !== null) void this.#state.put(key, encodeNumber(value));
  }

  #number(key: string): number {
    this.#refresh();
    const bytes = this.#state.getBinary(key);
    return bytes === undefined ? 0 : decodeNumber(bytes);
  }

  /** lmdb keeps one read transaction for a turn of the event loop; readers would miss what another thread commits. */
  #refresh(): void {
    if (this.#isReadOnly) this.#environment.resetReadTxn();
  }
}

function lmdbRange({ from, to, limit, reverse = false }: LedgerRange): RangeOptions {
  return reverse
    ? { start: to, end: from, reverse, exclusiveStart: true, inclusiveEnd: true, limit }
    : { start: from, end: to, limit };
}
