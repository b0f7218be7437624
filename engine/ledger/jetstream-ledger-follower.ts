// Brings a table to the end of the LEDGER stream and keeps it there.
//
// locating  at the start and after each interruption: reconciles, finds the place in the stream that follows on the
//           table, and checks that what lies before it is the table's own past. Left with a tail (reading), or with
//           an emptied table after a fork (locating again).
// reading   entries come, are put together from their parts, and are applied many at a time. Left when the stream
//           is not what it was, or has another past (locating).
// ended     aborted, or the table or the connection cannot be used any more. Final.

import type { Clock } from "../runtime/clock.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import { openTail, type Tail, type TailEntry } from "../runtime/jetstream-tail.ts";
import { EntryJoiner } from "./entry-joiner.ts";
import { isOwnPast, reconcile, type ReplicatedTable, resolveFork } from "./jetstream-ledger-reconcile.ts";
import { lastThrough, pause } from "./jetstream-ledger-search.ts";
import { isSameTerm, type LedgerEntry } from "./ledger-entry.ts";
import type { LedgerPosition } from "./ledger-reader.ts";

export interface FollowerOptions {
  readonly table: ReplicatedTable;
  /** What the names of the consumers begin with. */
  readonly name: string;
  readonly signal: AbortSignal;
  /** While the table is first brought to the end: entries applied, of how many. */
  onProgress(done: number, total: number): void;
  onApplied(campaignNumbers: readonly number[]): void;
}

/** Messages read ahead; of 150 kB, as full rounds have, some 40 MB. */
const UNACKED_MAX = 256;
/** One transaction: larger ones write pages twice, smaller ones sync more often. */
const APPLIED_ENTRIES_MAX = 512;
const APPLIED_BYTES_MAX = 8 * 1024 * 1024;
const RETRY_PAUSE_MS = 1_000;

interface Place {
  /** Null: from the beginning. */
  readonly after: { readonly sequence: number; readonly id: string } | null;
  /** The stream holds all of the table's past, and something behind it that does not follow on it. */
  readonly isContradicted: boolean;
}

interface Read {
  readonly sequence: number;
  readonly bytes: number;
  /** Null: a part, with more to come. */
  readonly entry: LedgerEntry | null;
}

export class LedgerFollower {
  /** Resolves when the table first reached what was the end of the stream. */
  readonly reached: Promise<void>;
  /** Resolves when nothing is applied any more. @throws what ended it, unless it was aborted. */
  readonly ended: Promise<void>;
  readonly #options: FollowerOptions;
  readonly #clock: Clock;
  #fromIndex: number;
  #isContradicted = false;
  #goal: number | null = null;
  #hasReached = false;
  #onReached: () => void = () => undefined;
  #onFailed: (error: unknown) => void = () => undefined;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#clock = options.table.clock;
    this.#fromIndex = options.table.ledger.position().index;
    this.reached = new Promise((resolve, reject) => {
      this.#onReached = resolve;
      this.#onFailed = reject;
    });
    this.ended = this.#run();
    // Both are for whoever wants to know; one who waits for neither must not end the process.
    this.reached.catch(() => undefined);
    this.ended.catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { signal, table } = this.#options;
    try {
      for (;;) {
        // oxlint-disable-next-line no-await-in-loop -- one place in the stream after the other
        await this.#followOnce().catch(async (error: unknown) => {
          if (signal.aborted || isFinal(error)) throw error;
          table.log.warn("ledger.follow_failed", { partition: table.partition, reason: messageOf(error) });
          await pause(this.#clock, RETRY_PAUSE_MS, signal);
        });
      }
    } catch (error) {
      this.#onFailed(error);
      if (!signal.aborted) throw error;
    }
  }

  /** From locating to the end of reading. */
  async #followOnce(): Promise<void> {
    const { table, signal } = this.#options;
    const { ledger } = table;
    if (ledger.isClearing()) await ledger.clear();
    const reconciled = await reconcile(table, signal);
    if (reconciled.kind === "forked") {
      await resolveFork(table, signal);
      return;
    }
    // Looked up anew each time: a stream that lost its tail may never again reach what was its end.
    this.#goal = reconciled.end.entry?.head.index ?? 0;
    this.#fromIndex = Math.min(this.#fromIndex, ledger.position().index);
    const before = await lastThrough(table, ledger.position().index, signal);
    const isOwn = before.entry === null || isOwnPast(ledger, before.entry.head);
    let outcome: "forked" | "rewound" = "forked";
    if (isOwn) outcome = await this.#read({ after: before.message, isContradicted: false });
    while (outcome === "forked") {
      // oxlint-disable-next-line no-await-in-loop -- each looks at what the one before left
      const resolved = await resolveFork(table, signal);
      if (resolved.kind === "emptied") return;
      // oxlint-disable-next-line no-await-in-loop
      outcome = await this.#read({ after: resolved.after, isContradicted: true });
    }
  }

  async #read(place: Place): Promise<"forked" | "rewound"> {
    const { table, name, signal } = this.#options;
    const { link, stream, log, clock } = table;
    const inbox = new Inbox();
    const after = place.after ?? { sequence: 0, id: "" };
    this.#isContradicted = place.isContradicted;
    signal.addEventListener("abort", inbox.wake, { once: true });
    let tail: Tail | null = null;
    try {
      tail = await openTail(link, {
        stream,
        after: { sequence: after.sequence, id: after.id },
        name,
        unackedMax: UNACKED_MAX,
        onEntries: (entries) => inbox.put(entries),
        onRewound: () => inbox.rewind(),
        log,
        clock,
        signal,
      });
      this.#noteProgress();
      return await this.#applyAll(inbox, tail);
    } finally {
      signal.removeEventListener("abort", inbox.wake);
      await tail?.close();
    }
  }

  async #applyAll(inbox: Inbox, tail: Tail): Promise<"forked" | "rewound"> {
    const { signal } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      const batch = inbox.take();
      const last = batch.at(-1);
      if (last === undefined) {
        // What was read before the stream lost it is history all the same; so this comes after it.
        if (inbox.isRewound) return "rewound";
        // oxlint-disable-next-line no-await-in-loop -- until there is more
        await inbox.filled();
        continue;
      }
      // oxlint-disable-next-line no-await-in-loop -- one transaction after the other
      if ((await this.#apply(batch)) === "forked") return "forked";
      tail.ack(last.sequence);
      this.#noteProgress();
    }
  }

  async #apply(batch: readonly Read[]): Promise<"forked" | "applied"> {
    const { ledger } = this.#options.table;
    let successors: LedgerEntry[] = [];
    let { index, term } = ledger.position();
    for (const { entry } of batch) {
      if (entry === null) continue;
      if (entry.terms !== null || entry.baseIndex !== index || entry.baseTerm !== term) {
        // oxlint-disable-next-line no-await-in-loop -- rare; what is before it must be in the table to judge it
        await this.#write(successors);
        successors = [];
        const place = this.#placeOf(entry);
        if (place === "forked") return "forked";
        if (place === "known") continue;
      }
      successors.push(entry);
      ({ index, term } = entry);
    }
    await this.#write(successors);
    return "applied";
  }

  #placeOf(entry: LedgerEntry): "known" | "forked" | "next" {
    const { ledger } = this.#options.table;
    const own = ledger.position();
    if (entry.index <= own.index) return isOwnPast(ledger, entry) ? "known" : this.#otherPast(entry, own);
    if (entry.baseIndex > own.index) return this.#nextAfterGap(entry, own);
    const theirs = entry.terms?.findLast(([start]) => start <= own.index)?.[1] ?? entry.baseTerm;
    return isSameTerm(own.term, theirs) ? "next" : this.#otherPast(entry, own);
  }

  #nextAfterGap(entry: LedgerEntry, own: LedgerPosition): "next" {
    const { log, partition } = this.#options.table;
    const why = "entries are missing, their rows are not here: this node needs a copy of another's data folder";
    log.error("ledger.gap", { partition, afterIndex: own.index, beforeIndex: entry.baseIndex + 1, why });
    return "next";
  }

  /** Once it is known that all the table has is in the stream, this is no fork. Applying it, all tables agree again. */
  #otherPast({ index, term }: LedgerEntry, own: LedgerPosition): "forked" | "next" {
    if (!this.#isContradicted) return "forked";
    const { log, partition } = this.#options.table;
    const why = "an owner wrote behind another one's entries without knowing them; the later ones count";
    log.error("ledger.contradicted", { partition, index, term, ownIndex: own.index, ownTerm: own.term, why });
    return "next";
  }

  async #write(entries: readonly LedgerEntry[]): Promise<void> {
    if (entries.length === 0) return;
    await this.#options.table.ledger.apply(entries);
    this.#options.onApplied([...new Set(entries.flatMap(({ campaigns }) => campaigns.map(([number]) => number)))]);
  }

  #noteProgress(): void {
    if (this.#hasReached || this.#goal === null) return;
    const { index } = this.#options.table.ledger.position();
    const total = Math.max(0, this.#goal - this.#fromIndex);
    this.#options.onProgress(Math.max(0, Math.min(total, index - this.#fromIndex)), total);
    this.#hasReached = index >= this.#goal;
    if (this.#hasReached) this.#onReached();
  }
}

/** What the tail has read and nobody has applied yet; bounded by what the tail reads ahead. */
class Inbox {
  isRewound = false;
  readonly #joiner = new EntryJoiner();
  #reads: Read[] = [];
  #failure: Error | null = null;
  #onFilled: (() => void) | null = null;

  /** Called by the tail, which has no use for an exception. */
  put(entries: readonly TailEntry[]): void {
    try {
      for (const { sequence, bytes } of entries) {
        this.#reads.push({ sequence, bytes: bytes.length, entry: this.#joiner.take(bytes) });
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(messageOf(error));
    }
    this.wake();
  }

  rewind(): void {
    this.isRewound = true;
    this.wake();
  }

  /** For one transaction. @throws what could not be read, behind all that could. */
  take(): readonly Read[] {
    let bytes = 0;
    const end = this.#reads.findIndex((read, count) => {
      bytes += read.bytes;
      return count > 0 && (bytes > APPLIED_BYTES_MAX || count >= APPLIED_ENTRIES_MAX);
    });
    const taken = this.#reads.slice(0, end === -1 ? this.#reads.length : end);
    this.#reads = end === -1 ? [] : this.#reads.slice(end);
    if (taken.length === 0 && this.#failure !== null) throw this.#failure;
    return taken;
  }

  filled(): Promise<void> {
    return new Promise((resolve) => {
      this.#onFilled = resolve;
    });
  }

  readonly wake = (): void => {
    this.#onFilled?.();
    this.#onFilled = null;
  };
}

/** What no further try heals. */
function isFinal(error: unknown): boolean {
  return error instanceof EngineError && (error.code === "ERR_LEDGER_WRITE" || error.code === "ERR_NATS_CONNECT");
}
