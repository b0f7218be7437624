// One partition's ledger: what happened to each message. The thread that owns the partition is its only writer;
// the main thread and export threads read it while it is written.
//
//   records    message id                     → record.ts
//   due        [dueAtMs, message id]          → nothing: waiting rows by the time they wait for
//   phones     segment, hash of number, id    → nothing: phone-key.ts
//   state      "cursor", "lastDispatchAt"     → a number
//              "cursorId"                     → a text
//   campaigns  campaign number                → state-record.ts
//   marks      a text of the owner's          → bytes of the owner's
//   terms, changes: lmdb-ledger-history.ts, of a ledger that is replicated
//
// What `commit` resolved survives kill -9 and a power cut, and a batch is there whole or not at all.

import { Buffer } from "node:buffer";

import type { RangeOptions } from "lmdb";

import { isMessageId, type MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import { EngineError } from "../runtime/errors.ts";
import type { CampaignState } from "./campaign-state.ts";
import type { EntryRow, LedgerEntry, TermStart } from "./ledger-entry.ts";
import {
  type CursorPosition,
  type DueEntry,
  type LedgerChanges,
  type LedgerMark,
  type LedgerPosition,
  type LedgerRange,
  type LedgerReader,
  MARK_KEY_BYTES_MAX,
  type MessageSummary,
  type PhoneWindow,
  type StoredMark,
} from "./ledger-reader.ts";
import {
  type Committer,
  createCommitter,
  type Environment,
  openEnvironment,
  type WriteFailure,
} from "../runtime/lmdb-commit.ts";
import { LmdbLedgerTables } from "./lmdb-ledger-tables.ts";
import { AFTER_ALL } from "./phone-key.ts";
import { decodeDueAt, decodePhoneNumber, decodeRecord, decodeSummary, encodeRecord, summaryOf } from "./record.ts";
import { planRows } from "./row-plan.ts";
import { decodeCampaignState, decodeNumber, decodeText, encodeCampaignState, encodeText } from "./state-record.ts";

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
  /** Changed marks; the last one of a key counts. */
  readonly marks: readonly LedgerMark[];
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
/** UTF-8 of one UTF-16 unit. */
const BYTES_A_CHARACTER = 3;
/** Rows that one transaction of `clear` removes. */
const CLEARED_ROWS_MAX = 10_000;

class LmdbLedger implements Ledger {
  readonly #environment: Environment;
  readonly #tables: LmdbLedgerTables;
  readonly #committer: Committer;
  readonly #isReadOnly: boolean;
  #isClosed = false;

  constructor(path: string, isReadOnly: boolean) {
    this.#environment = openEnvironment(path);
    this.#tables = new LmdbLedgerTables(this.#environment);
    this.#committer = createCommitter(this.#environment, { path, code: "ERR_LEDGER_WRITE" });
    this.#isReadOnly = isReadOnly;
  }

  get(messageId: string): MessageRecord | undefined {
    this.#refresh();
    const bytes = this.#tables.records.getBinary(messageId);
    return bytes === undefined ? undefined : decodeRecord(messageId, bytes);
  }

  records(range: LedgerRange): MessageRecord[] {
    this.#refresh();
    const records: MessageRecord[] = [];
    for (const { key, value } of this.#tables.records.getRange(lmdbRange(range))) {
      if (typeof key === "string") records.push(decodeRecord(key, value));
    }
    return records;
  }

  summaries(range: LedgerRange): MessageSummary[] {
    this.#refresh();
    const summaries: MessageSummary[] = [];
    for (const { key, value } of this.#tables.volatileRecords.getRange(lmdbRange(range))) {
      if (typeof key === "string") summaries.push(summaryOf(key, value));
    }
    return summaries;
  }

  due({ after, throughMs, limit }: DueRange): DueEntry[] {
    this.#refresh();
    const entries: DueEntry[] = [];
    const start = after === null ? [0] : [after.dueAtMs, `${after.messageId}0`];
    for (const key of this.#tables.due.getKeys({ start, end: [throughMs, AFTER_ALL], limit })) {
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
    const bytes = this.#tables.state.getBinary(CURSOR_ID);
    return { sequence, id: bytes === undefined ? "" : decodeText(bytes) };
  }

  position(): LedgerPosition {
    this.#refresh();
    return this.#tables.history.position();
  }

  row(messageId: string): EntryRow | undefined {
    const bytes = this.#tables.records.getBinary(messageId);
    return bytes === undefined || !isMessageId(messageId)
      ? undefined
      : [messageId, bytes, decodeDueAt(bytes), null, decodePhoneNumber(bytes)];
  }

  changesAfter(index: number): LedgerChanges {
    return this.#tables.history.changesAfter(index);
  }

  termAt(index: number): string {
    return this.#tables.history.termAt(index);
  }

  termsFrom(index: number): TermStart[] {
    return this.#tables.history.termsFrom(index);
  }

  gapAtIndex(): number | null {
    return this.#tables.history.gapAtIndex();
  }

  isClearing(): boolean {
    return this.#tables.history.isClearing();
  }

  mark(key: string): Uint8Array | undefined {
    this.#refresh();
    return this.#tables.marks.getBinary(key);
  }

  marks(range: LedgerRange): StoredMark[] {
    this.#refresh();
    const marks: StoredMark[] = [];
    for (const { key, value } of this.#tables.marks.getRange(lmdbRange(range))) {
      if (typeof key === "string") marks.push({ key, value });
    }
    return marks;
  }

  lastDispatchAt(): number {
    return this.#number(LAST_DISPATCH);
  }

  campaignStates(): CampaignState[] {
    this.#refresh();
    return [...this.#tables.campaigns.getRange()].map(({ value }) => decodeCampaignState(value));
  }

  campaignState(campaignNumber: number): CampaignState | undefined {
    this.#refresh();
    const bytes = this.#tables.campaigns.get(campaignNumber);
    return bytes === undefined ? undefined : decodeCampaignState(bytes);
  }

  idsOfPhone(phoneNumber: string, window: PhoneWindow): MessageId[] {
    this.#refresh();
    const { fromMs, toMs, limit } = window;
    const ids: MessageId[] = [];
    for (const messageId of this.#tables.phones.candidates(phoneNumber, fromMs, toMs)) {
      if (ids.length === limit) break;
      const bytes = this.#tables.records.getBinary(messageId);
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
    checkMarks(batch.marks);
    const tables = this.#tables;
    await this.#committer.commit(() => {
      batch.created.forEach((record, index) => tables.putCreated(record, created[index] ?? NOTHING));
      batch.updated.forEach(({ record, previousDueAtMs }, index) =>
        tables.putUpdated(record, previousDueAtMs, updated[index] ?? NOTHING),
      );
      batch.campaigns.forEach((state, index) => {
        void tables.campaigns.put(state.campaignNumber, campaigns[index] ?? NOTHING);
      });
      for (const { key, value } of batch.marks) tables.putMark(key, value);
      tables.putNumber(CURSOR, batch.cursor);
      if (batch.cursorId !== undefined) void tables.state.put(CURSOR_ID, encodeText(batch.cursorId));
      tables.putNumber(LAST_DISPATCH, batch.lastDispatchAtMs);
    });
  }

  async apply(entries: readonly LedgerEntry[]): Promise<void> {
    if (this.#isReadOnly) throw new EngineError("ERR_LEDGER_WRITE", "this ledger was opened to be read only");
    const tables = this.#tables;
    const isWhole = tables.history.gapAtIndex() === null && tables.history.gapIn(entries) === null;
    const isTrusted = isWhole && entries.every(({ terms }) => terms === null);
    // All that is looked up, decoded or encoded happens before the transaction, as above.
    const rows = planRows(entries, isTrusted ? null : (messageId) => tables.dueOf(messageId));
    for (const row of rows.values()) if (row.isNew) row.phoneNumber ??= decodePhoneNumber(row.bytes);
    const campaigns = new Map(entries.flatMap((entry) => entry.campaigns));
    const marks = new Map(entries.flatMap((entry) => entry.marks));
    const cursor = entries.findLast((entry) => entry.cursor !== null);
    const lastDispatchAtMs = entries.findLast((entry) => entry.lastDispatchAtMs !== null)?.lastDispatchAtMs ?? null;
    const putHistory = tables.history.prepare(entries);
    await this.#committer.commit(() => {
      for (const [messageId, row] of rows) tables.putPlanned(messageId, row);
      for (const [campaignNumber, bytes] of campaigns) void tables.campaigns.put(campaignNumber, bytes);
      for (const [key, value] of marks) tables.putMark(key, value);
      tables.putNumber(CURSOR, cursor?.cursor ?? null);
      if (cursor !== undefined) void tables.state.put(CURSOR_ID, encodeText(cursor.cursorId));
      tables.putNumber(LAST_DISPATCH, lastDispatchAtMs);
      putHistory();
    });
  }

  async clear(): Promise<void> {
    await this.#committer.commit(() => this.#tables.history.putClearing());
    for (const table of this.#tables.all) {
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

  #number(key: string): number {
    this.#refresh();
    const bytes = this.#tables.state.getBinary(key);
    return bytes === undefined ? 0 : decodeNumber(bytes);
  }

  /** lmdb keeps one read transaction for a turn of the event loop; readers would miss what another thread commits. */
  #refresh(): void {
    if (this.#isReadOnly) this.#environment.resetReadTxn();
  }
}

/** @throws RangeError for a key that LMDB does not take: inside the transaction it would be too late. */
export function checkMarks(marks: readonly LedgerMark[]): void {
  for (const { key } of marks) {
    const isShort =
      key.length * BYTES_A_CHARACTER <= MARK_KEY_BYTES_MAX || Buffer.byteLength(key) <= MARK_KEY_BYTES_MAX;
    if (key !== "" && isShort) continue;
    throw new RangeError(`a mark's key has 1 to ${MARK_KEY_BYTES_MAX} bytes, this one ${Buffer.byteLength(key)}`);
  }
}

function lmdbRange({ from, to, limit, reverse = false }: LedgerRange): RangeOptions {
  return reverse
    ? { start: to, end: from, reverse, exclusiveStart: true, inclusiveEnd: true, limit }
    : { start: from, end: to, limit };
}
