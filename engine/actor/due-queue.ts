// Rows that wait for a time, read from the ledger's due index in order, a bounded number at a turn.
// An entry stays in the index until its row changes, so a crash brings it up again; within one run each is read once.
//
// Reading never passes a time for which a row is still to be committed: its entry would appear behind the reader.

import type { DueEntry, PartitionLedger } from "./partition-deps.ts";

/** Due rows looked at in one turn. */
const DUE_ROWS_MAX = 256;

export class DueQueue {
  readonly #ledger: PartitionLedger;
  #after: DueEntry | null = null;
  #nextAtMs = 0;
  /** Earliest of the rows parked since the last commit was taken, which the index does not show yet. */
  #uncommittedAtMs = Number.POSITIVE_INFINITY;
  /** The same for the commit under way. */
  #committingAtMs = Number.POSITIVE_INFINITY;

  constructor(ledger: PartitionLedger) {
    this.#ledger = ledger;
  }

  /** Epoch milliseconds at which something may be due; null when nothing waits. */
  get nextAtMs(): number | null {
    return this.#nextAtMs === Number.POSITIVE_INFINITY ? null : this.#nextAtMs;
  }

  /** Reads from the beginning again: entries were passed over that somebody wants now. */
  rewind(): void {
    this.#after = null;
    this.#nextAtMs = 0;
  }

  /** A row was parked until then. */
  note(dueAtMs: number): void {
    this.#nextAtMs = Math.min(this.#nextAtMs, dueAtMs);
    this.#uncommittedAtMs = Math.min(this.#uncommittedAtMs, dueAtMs);
    // A clock that was set back, or a time that is now, puts a row before one already read: read that stretch again.
    if (this.#after !== null && dueAtMs <= this.#after.dueAtMs) this.#after = null;
  }

  batchTaken(): void {
    this.#committingAtMs = this.#uncommittedAtMs;
    this.#uncommittedAtMs = Number.POSITIVE_INFINITY;
  }

  batchCommitted(): void {
    this.#committingAtMs = Number.POSITIVE_INFINITY;
  }

  /** Reads what is due, at most `room` rows; a row may have moved on since its entry was written. */
  read(nowMs: number, room: number): readonly DueEntry[] {
    if (this.#nextAtMs > nowMs) return [];
    const limit = Math.min(DUE_ROWS_MAX, room);
    if (limit <= 0) return [];
    const throughMs = Math.min(nowMs, this.#invisibleAtMs - 1);
    const entries = this.#ledger.due({ after: this.#after, throughMs, limit });
    this.#after = entries.at(-1) ?? this.#after;
    this.#nextAtMs = entries.length === limit ? nowMs : this.#peek();
    return entries;
  }

  #peek(): number {
    const [next] = this.#ledger.due({ after: this.#after, throughMs: Number.MAX_SAFE_INTEGER, limit: 1 });
    return Math.min(next?.dueAtMs ?? Number.POSITIVE_INFINITY, this.#invisibleAtMs);
  }

  /** The earliest time for which the index does not show a row yet. */
  get #invisibleAtMs(): number {
    return Math.min(this.#uncommittedAtMs, this.#committingAtMs);
  }
}
