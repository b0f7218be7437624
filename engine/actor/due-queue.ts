// Rows that wait for a time, read from the ledger's due index in order, a bounded number at a turn.
// An entry stays in the index until its row changes, so a crash brings it up again; within one run each is read once.

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

  /** A row was parked until then. */
  note(dueAtMs: number): void {
    this.#nextAtMs = Math.min(this.#nextAtMs, dueAtMs);
    this.#uncommittedAtMs = Math.min(this.#uncommittedAtMs, dueAtMs);
    // Only a clock that was set back parks a row before one already read: read that stretch again.
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
    const entries = this.#ledger.due({ after: this.#after, throughMs: nowMs, limit });
    this.#after = entries.at(-1) ?? this.#after;
    this.#nextAtMs = entries.length === limit ? nowMs : this.#peek();
    return entries;
  }

  #peek(): number {
    const [next] = this.#ledger.due({ after: this.#after, throughMs: Number.MAX_SAFE_INTEGER, limit: 1 });
    return Math.min(next?.dueAtMs ?? Number.POSITIVE_INFINITY, this.#uncommittedAtMs, this.#committingAtMs);
  }
}
