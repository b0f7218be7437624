// Entries out of the messages of the LEDGER stream, in their order.
//
// The parts of an entry follow one another, since each is stored only directly behind the one before. A group that
// another one interrupts is that of an owner which ended in the middle: it never counted, and is dropped.

import { decodeHead, decodePart, type EntryHead, type LedgerEntry } from "./ledger-entry.ts";

export class EntryJoiner {
  #head: EntryHead | null = null;
  #parts: LedgerEntry[] = [];

  /** @returns the entry that this message completes, or null. */
  take(bytes: Uint8Array): LedgerEntry | null {
    const head = decodeHead(bytes);
    const isNext = this.#head !== null && isOfGroup(this.#head, head) && head.part === this.#parts.length;
    if (!isNext) {
      this.#parts = [];
      this.#head = null;
      // The middle of a group whose beginning is not there.
      if (head.part !== 0) return null;
    }
    const part = decodePart(head, bytes);
    if (head.parts === 1) return part;
    this.#parts.push(part);
    this.#head = head;
    if (this.#parts.length < head.parts) return null;
    const entry = joined(part, this.#parts);
    this.#parts = [];
    this.#head = null;
    return entry;
  }
}

function isOfGroup(a: EntryHead, b: EntryHead): boolean {
  return a.index === b.index && a.term === b.term && a.baseIndex === b.baseIndex && a.parts === b.parts;
}

function joined(last: LedgerEntry, parts: readonly LedgerEntry[]): LedgerEntry {
  return {
    ...(parts[0] ?? last),
    rows: parts.flatMap(({ rows }) => rows),
    campaigns: parts.flatMap(({ campaigns }) => campaigns),
    marks: parts.flatMap(({ marks }) => marks),
  };
}
