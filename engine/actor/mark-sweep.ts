// Removes marks that say nothing any more, a bounded number at a time: a walk over all of one kind that goes round and
// round, so that it costs the same whatever there is.

import type { MessageJournal } from "./message-journal.ts";
import type { PartitionLedger } from "./partition-deps.ts";

/** Marks looked at in one turn. */
const MARKS_MAX = 256;
/** Between two turns once a round is over, and within one: what stands is looked at 500 times a second. */
const REST_MS = 10_000;
const FULL_PAGE_REST_MS = 500;

/** Sorts after every key that begins with the prefix. */
const PREFIX_END = "~";

export interface MarkSweepOptions {
  readonly ledger: PartitionLedger;
  readonly journal: MessageJournal;
  /** What the keys of the kind begin with. */
  readonly prefix: string;
  isOver(value: Uint8Array, nowMs: number): boolean;
}

export class MarkSweep {
  readonly #options: MarkSweepOptions;
  #from: string;
  #nextMonotonicMs = 0;

  constructor(options: MarkSweepOptions) {
    this.#options = options;
    this.#from = options.prefix;
  }

  turn({ wallMs, monotonicMs }: { readonly wallMs: number; readonly monotonicMs: number }): void {
    if (monotonicMs < this.#nextMonotonicMs) return;
    const { ledger, journal, prefix } = this.#options;
    const marks = ledger.marks({ from: this.#from, to: `${prefix}${PREFIX_END}`, limit: MARKS_MAX });
    for (const { key } of marks) {
      // What this round changed counts, not what the ledger shows.
      const value = journal.mark(key);
      if (value !== undefined && this.#options.isOver(value, wallMs)) journal.setMark(key, null);
    }
    const last = marks.at(-1);
    const isFull = last !== undefined && marks.length === MARKS_MAX;
    this.#from = isFull ? `${last.key}0` : prefix;
    this.#nextMonotonicMs = monotonicMs + (isFull ? FULL_PAGE_REST_MS : REST_MS);
  }
}
