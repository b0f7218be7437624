// Which entries of the replicated ledger a table holds, and what the newest of them changed: enough to tell whether
// a stream has the same past, and to give it back what it lost.
//
//   state    "position"       → [index, term] of the newest entry
//            "gapAtIndex"     → the first entry that was applied although it does not follow on those before it
//            "isClearing"     → 1 while everything is being removed
//   terms    index            → the term that began with this entry; empty where it is not known
//   changes  index            → base index, time, campaigns, rows and marks that the entry changed
//
// `terms` grows by one a take-up and is never pruned.
//
// Marks are remembered by their keys, as rows are by their ids: so a catch-up entry carries the marks that changed, and
// a null for each that is gone. All marks there are would be those of days.

import { Packr } from "msgpackr";

import { MESSAGE_ID_LENGTH } from "../message/ids.ts";
import type { Table } from "../runtime/lmdb-commit.ts";
import type { LedgerChanges, LedgerPosition } from "./ledger-reader.ts";
import { isSameTerm, type LedgerEntry, type TermStart } from "./ledger-entry.ts";
import { decodeNumber, encodeNumber } from "./state-record.ts";

/** How far back a stream may have lost what it said it had stored: nats-server syncs every 2 minutes by default. */
export const CHANGES_KEPT_MS: number = 10 * 60_000;
/** At 200 rounds a second a little over five minutes. Counted by their indexes. */
export const CHANGES_MAX = 65_536;
/** Old ones that one transaction removes beside its own, so that no transaction is long. */
const PRUNED_MAX = 64;

const NO_POSITION: LedgerPosition = { index: 0, term: "" };

const POSITION = "position";
const GAP = "gapAtIndex";
const CLEARING = "isClearing";
/** What lies between two entries of a gap: it may have been of any term. */
const UNKNOWN_TERM = "";

type ChangeRow = readonly [
  baseIndex: number,
  atMs: number,
  campaignNumbers: readonly number[],
  messageIds: string,
  /** Left out when there are none. */
  markKeys?: readonly string[],
];

// useRecords off: msgpackr's shared structures have forked between writers; plain arrays cannot.
const packr = new Packr({ useRecords: false });

export class LmdbLedgerHistory {
  readonly #state: Table;
  readonly #terms: Table;
  readonly #changes: Table;
  readonly #changesMax: number;

  constructor(tables: { state: Table; terms: Table; changes: Table; changesMax?: number }) {
    this.#state = tables.state;
    this.#terms = tables.terms;
    this.#changes = tables.changes;
    this.#changesMax = tables.changesMax ?? CHANGES_MAX;
  }

  position(): LedgerPosition {
    const bytes = this.#state.getBinary(POSITION);
    if (bytes === undefined) return NO_POSITION;
    const [index, term]: [number, string] = packr.unpack(bytes);
    return { index, term };
  }

  gapAtIndex(): number | null {
    const bytes = this.#state.getBinary(GAP);
    return bytes === undefined ? null : decodeNumber(bytes);
  }

  isClearing(): boolean {
    return this.#state.getBinary(CLEARING) !== undefined;
  }

  /** Empty where it is not known. */
  termAt(index: number): string {
    const [found] = this.#terms.getRange({ start: index, reverse: true, limit: 1 });
    return found === undefined ? UNKNOWN_TERM : decodeTerm(found.value);
  }

  termsFrom(index: number): TermStart[] {
    const terms: TermStart[] = [[index, this.termAt(index)]];
    for (const { key, value } of this.#terms.getRange({ start: index + 1 })) {
      if (typeof key === "number") terms.push([key, decodeTerm(value)]);
    }
    return terms;
  }

  changesAfter(index: number): LedgerChanges {
    const messageIds = new Set<string>();
    const campaignNumbers = new Set<number>();
    const markKeys = new Set<string>();
    let baseIndex: number | null = null;
    for (const { value } of this.#changes.getRange({ start: index + 1 })) {
      const row: ChangeRow = packr.unpack(value);
      baseIndex ??= Math.max(index, row[0]);
      for (const campaignNumber of row[2]) campaignNumbers.add(campaignNumber);
      for (const key of row[4] ?? []) markKeys.add(key);
      for (let at = 0; at < row[3].length; at += MESSAGE_ID_LENGTH) {
        messageIds.add(row[3].slice(at, at + MESSAGE_ID_LENGTH));
      }
    }
    baseIndex ??= Math.max(index, this.position().index);
    return { baseIndex, messageIds, campaignNumbers, markKeys };
  }

  /** What to write of these entries, in their order; the answer is to be called inside a transaction. */
  prepare(entries: readonly LedgerEntry[]): () => void {
    const newest = entries.at(-1);
    if (newest === undefined) return () => undefined;
    const keptFromMs = newest.atMs - CHANGES_KEPT_MS;
    const kept = entries.filter(({ atMs }) => atMs >= keptFromMs).slice(-this.#changesMax);
    const changes = kept.map((entry) => [entry.index, packr.pack(changeRow(entry))] as const);
    const keptAfter = newest.index - this.#changesMax;
    const pruned = this.#outdated({ keptFromMs, keptAfter, limit: kept.length + PRUNED_MAX });
    const terms = this.#newTerms(entries);
    const replaced = this.#replacedTerms(entries);
    const gapAt = this.gapAtIndex() === null ? this.gapIn(entries) : null;
    const position = packr.pack([newest.index, newest.term]);
    return () => {
      for (const index of pruned) void this.#changes.remove(index);
      for (const [index, bytes] of changes) void this.#changes.put(index, bytes);
      for (const index of replaced) void this.#terms.remove(index);
      for (const [index, term] of terms) void this.#terms.put(index, packr.pack(term));
      if (gapAt !== null) void this.#state.put(GAP, encodeNumber(gapAt));
      void this.#state.put(POSITION, position);
    };
  }

  /** Inside a transaction: from then on the table is nothing that could be followed further. */
  putClearing(): void {
    void this.#state.put(CLEARING, encodeNumber(1));
    void this.#state.remove(POSITION);
  }

  /** The first of these entries that does not follow on what is before it: some are missing, or it contradicts one. */
  gapIn(entries: readonly LedgerEntry[]): number | null {
    let before = this.position();
    for (const { index, term, baseIndex, baseTerm } of entries) {
      const isBehindGap = baseIndex > before.index || index <= before.index;
      if (isBehindGap || (baseIndex === before.index && !isSameTerm(baseTerm, before.term))) return index;
      before = { index, term };
    }
    return null;
  }

  #newTerms(entries: readonly LedgerEntry[]): TermStart[] {
    const starts: TermStart[] = [];
    let before = this.position();
    for (const { index, term, baseIndex, terms } of entries) {
      if (index <= before.index) starts.push([index, term]);
      if (baseIndex > before.index && term !== before.term) starts.push([before.index + 1, UNKNOWN_TERM]);
      if (terms !== null) starts.push(...terms.filter(([start]) => start > before.index));
      if (term !== (starts.at(-1)?.[1] ?? before.term)) starts.push([terms === null ? index : before.index + 1, term]);
      before = { index, term };
    }
    return starts;
  }

  /** Terms of entries that others replace. */
  #replacedTerms(entries: readonly LedgerEntry[]): number[] {
    const { index } = this.position();
    const first = entries.find((entry) => entry.index <= index);
    if (first === undefined) return [];
    return [...this.#terms.getKeys({ start: first.index })].filter((key) => typeof key === "number");
  }

  /** Oldest first, at most PRUNED_MAX more than are added, so that the table shrinks to its bounds in any case. */
  #outdated(bounds: { keptFromMs: number; keptAfter: number; limit: number }): number[] {
    const outdated: number[] = [];
    for (const { key, value } of this.#changes.getRange({ limit: bounds.limit })) {
      const row: ChangeRow = packr.unpack(value);
      if (typeof key !== "number" || (key > bounds.keptAfter && row[1] >= bounds.keptFromMs)) break;
      outdated.push(key);
    }
    return outdated;
  }
}

function changeRow({ baseIndex, atMs, campaigns, rows, marks }: LedgerEntry): ChangeRow {
  const messageIds = rows.map(([messageId]) => messageId).join("");
  const row = [baseIndex, atMs, campaigns.map(([number]) => number), messageIds] as const;
  return marks.length === 0 ? row : [...row, marks.map(([key]) => key)];
}

function decodeTerm(bytes: Uint8Array): string {
  return packr.unpack(bytes);
}
