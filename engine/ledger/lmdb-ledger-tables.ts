// The tables of one ledger, and what one row, mark or number writes into them. Whoever puts does it inside a
// transaction, with everything encoded before: an exception there would commit half of a batch.

import type { Database, DatabaseOptions } from "lmdb";

import type { MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { Environment, Table } from "../runtime/lmdb-commit.ts";
import { LmdbLedgerHistory } from "./lmdb-ledger-history.ts";
import { LmdbPhoneIndex } from "./lmdb-phone-index.ts";
import { decodeDueAt, type VolatileRow, volatileRows } from "./record.ts";
import type { PlannedRow } from "./row-plan.ts";
import { encodeNumber } from "./state-record.ts";

const NOTHING = new Uint8Array(0);

export class LmdbLedgerTables {
  readonly records: Table;
  /** The same table, for reading rows where they lie: half of a scan's time would go into copies. */
  readonly volatileRecords: Database<VolatileRow>;
  readonly due: Table;
  readonly phones: LmdbPhoneIndex;
  readonly state: Table;
  readonly campaigns: Table;
  readonly marks: Table;
  readonly history: LmdbLedgerHistory;
  /** All of them, to be cleared; the state last. */
  readonly all: readonly Table[];

  constructor(environment: Environment) {
    const table = (name: string): Table => environment.openDB(name, { encoding: "binary" });
    this.records = table("records");
    // `encoder` is allowed for every table, but lmdb's typings know it for the root only.
    const volatile: DatabaseOptions & { encoder: typeof volatileRows } = { encoding: "binary", encoder: volatileRows };
    this.volatileRecords = environment.openDB("records", volatile);
    this.due = table("due");
    const phones = table("phones");
    this.phones = new LmdbPhoneIndex(phones);
    this.state = table("state");
    this.campaigns = table("campaigns");
    const terms = table("terms");
    const changes = table("changes");
    this.history = new LmdbLedgerHistory({ state: this.state, terms, changes });
    this.marks = table("marks");
    this.all = [this.records, this.due, phones, this.campaigns, this.marks, terms, changes, this.state];
  }

  putCreated({ messageId, phoneNumber, dueAtMs }: MessageRecord, bytes: Uint8Array): void {
    void this.records.put(messageId, bytes);
    this.phones.put(phoneNumber, messageId);
    this.#moveDue(messageId, 0, dueAtMs);
  }

  putUpdated({ messageId, dueAtMs }: MessageRecord, previousDueAtMs: number, bytes: Uint8Array): void {
    void this.records.put(messageId, bytes);
    this.#moveDue(messageId, previousDueAtMs, dueAtMs);
  }

  putPlanned(messageId: MessageId, { bytes, dueAtMs, previousDueAtMs, isNew, phoneNumber }: PlannedRow): void {
    void this.records.put(messageId, bytes);
    if (isNew) this.phones.put(phoneNumber ?? "", messageId);
    this.#moveDue(messageId, previousDueAtMs, dueAtMs);
  }

  /** Null: no such mark any more. */
  putMark(key: string, value: Uint8Array | null): void {
    if (value === null) void this.marks.remove(key);
    else void this.marks.put(key, value);
  }

  /** Null leaves it. */
  putNumber(key: string, value: number | null): void {
    if (value !== null) void this.state.put(key, encodeNumber(value));
  }

  dueOf(messageId: MessageId): number | null {
    const bytes = this.records.getBinary(messageId);
    return bytes === undefined ? null : decodeDueAt(bytes);
  }

  #moveDue(messageId: MessageId, previousDueAtMs: number, dueAtMs: number): void {
    if (dueAtMs === previousDueAtMs) return;
    if (previousDueAtMs > 0) void this.due.remove([previousDueAtMs, messageId]);
    if (dueAtMs > 0) void this.due.put([dueAtMs, messageId], NOTHING);
  }
}
