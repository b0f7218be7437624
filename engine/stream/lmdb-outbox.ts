// What a node of a cluster keeps on its own disk of the events stream: its outbox (envelopes that it accepted and that
// its own ledger does not hold yet), the claims of all nodes, and how far it has read these.
//
// One commit at a time takes everything that waits by then: new entries, removals, folded claims. What resolved is
// fsync'd. Only new entries start a commit at once: somebody waits for them at a door. Claims, which the stream would
// give again, wait a moment for a commit to ride with, removals longer; one that a crash undoes is made again.

import assert from "node:assert/strict";

import { isMessageId, type MessageId } from "../message/ids.ts";
import { PARTITIONS } from "../message/partition.ts";
import type { StreamPosition } from "../runtime/jetstream-tail.ts";
import {
  type Committer,
  createCommitter,
  type Environment,
  openEnvironment,
  type Table,
  type WriteFailure,
} from "../runtime/lmdb-commit.ts";
import type { Log } from "../runtime/log.ts";
import type { Claim } from "./claim.ts";
import { LmdbClaims } from "./lmdb-claims.ts";
import { openStreamTables, type StreamTables } from "./lmdb-tables.ts";

export interface OutboxEntry {
  readonly partition: number;
  /** Its place in the outbox, from 1; never used twice. */
  readonly sequence: number;
  /** Nats-Msg-Id: {@link ENTRY_ID_LENGTH} characters, the same for each publish of this entry and for nothing else. */
  readonly id: string;
  readonly frame: Uint8Array;
}

/** The claims of some messages of one partition, decided. */
export interface FoldedClaims {
  readonly partition: number;
  /** The last of these messages. */
  readonly position: StreamPosition;
  readonly claims: readonly Claim[];
  readonly superseded: readonly SupersededEvent[];
}

/** An event that lost its key. */
export interface SupersededEvent {
  readonly messageId: MessageId;
  /** When JetStream stored it, epoch milliseconds. */
  readonly atMs: number;
}

interface Write {
  put(): void;
  resolve(): void;
  reject(error: unknown): void;
}

export const ENTRY_ID_LENGTH = 16;

/** Rows removed by one commit. */
const REMOVED_ROWS_MAX = 1_000;
/** How long claims wait for a commit to ride with, before they get one of their own: about as long as an fsync takes. */
const FOLD_DELAY_MS = 2;
const REMOVAL_DELAY_MS = 50;
const NUMBER_BYTES = 8;

export class LmdbOutbox {
  readonly #environment: Environment;
  readonly #tables: StreamTables;
  readonly #claims: LmdbClaims;
  /** [partition, message id] → when JetStream stored it. */
  readonly #superseded: Table;
  /** partition → sequence and id of the last folded message. */
  readonly #positions: Table;
  readonly #committer: Committer;
  readonly #log: Log;
  /** Newest sequence of each partition. */
  readonly #last: number[];
  #writes: Write[] = [];
  #removals: (() => void)[] = [];
  /** A write that cannot wait is among them. */
  #isUrgent = false;
  #isWriting = false;
  #timer: NodeJS.Timeout | null = null;
  /** When the timer rings; Infinity without one. */
  #timerAtMs = Infinity;
  #isClosed = false;

  /** At most one open outbox a path: it belongs to one thread of one process. */
  constructor({ path, log }: { readonly path: string; readonly log: Log }) {
    this.#log = log;
    this.#environment = openEnvironment(path);
    this.#tables = openStreamTables(this.#environment);
    this.#claims = new LmdbClaims(this.#tables.claims);
    this.#superseded = this.#environment.openDB("superseded", { encoding: "binary" });
    this.#positions = this.#environment.openDB("positions", { encoding: "binary" });
    this.#committer = createCommitter(this.#environment, { path, code: "ERR_STREAM_WRITE" });
    this.#last = Array.from({ length: PARTITIONS }, (_, partition) => this.#tables.head(partition));
  }

  /** Numbers the entries at once; `stored` resolves when they are fsync'd. */
  add(entries: readonly Omit<OutboxEntry, "sequence">[]): {
    readonly entries: readonly OutboxEntry[];
    readonly stored: Promise<void>;
  } {
    const numbered = entries.map((entry) => ({ ...entry, sequence: this.#next(entry.partition) }));
    const rows = numbered.map(({ partition, sequence, id, frame }) => ({
      partition,
      sequence,
      bytes: Buffer.concat([Buffer.from(id, "latin1"), frame]),
    }));
    const stored = this.#writeNow(() => {
      for (const { partition, sequence, bytes } of rows) this.#tables.putEnvelope(partition, sequence, bytes);
    });
    return { entries: numbered, stored };
  }

  /** An entry whose add was stored, until it is removed. */
  entry(partition: number, sequence: number): OutboxEntry | undefined {
    const bytes = this.#tables.envelope(partition, sequence) ?? this.#newestEnvelope(partition, sequence);
    if (bytes === undefined) return undefined;
    const id = Buffer.from(bytes.subarray(0, ENTRY_ID_LENGTH)).toString("latin1");
    return { partition, sequence, id, frame: bytes.subarray(ENTRY_ID_LENGTH) };
  }

  /** Sequences of a partition's entries, in order. */
  sequences(partition: number): number[] {
    return this.#tables.sequences(partition);
  }

  remove(partition: number, sequence: number): void {
    this.#removeLater(() => this.#tables.removeEnvelope(partition, sequence));
  }

  /** Like {@link remove}, and resolves when it is fsync'd: nothing of these entries will ever be published. */
  async withdraw(entries: readonly OutboxEntry[]): Promise<void> {
    await this.#writeNow(() => {
      for (const { partition, sequence } of entries) this.#tables.removeEnvelope(partition, sequence);
    });
  }

  async storeFold({ partition, position, claims, superseded }: FoldedClaims): Promise<void> {
    const rows = this.#claims.encode(claims);
    const lost = superseded.map(({ messageId, atMs }) => ({ messageId, time: encodeNumber(atMs) }));
    const bytes = encodePosition(position);
    const written = this.#write(() => {
      this.#claims.put(rows);
      for (const { messageId, time } of lost) void this.#superseded.put([partition, messageId], time);
      void this.#positions.put(partition, bytes);
    });
    this.#commitWithin(FOLD_DELAY_MS);
    await written;
  }

  position(partition: number): StreamPosition {
    const value = this.#positions.getBinary(partition);
    return value === undefined ? { sequence: 0, id: "" } : decodePosition(value);
  }

  /** Oldest first. */
  superseded(partition: number): SupersededEvent[] {
    const rows = [...this.#superseded.getRange({ start: [partition], end: [partition + 1] })];
    const events = rows.map(({ key, value }) => {
      const messageId = Array.isArray(key) ? String(key[1]) : "";
      assert(isMessageId(messageId), "superseded events are stored by their ids");
      return { messageId, atMs: decodeNumber(value) };
    });
    return events.toSorted((a, b) => a.atMs - b.atMs);
  }

  forgetSuperseded(partition: number, id: MessageId): void {
    this.#removeLater(() => void this.#superseded.remove([partition, id]));
  }

  /** The claim of a key, if its fold is durable. */
  findClaim(key: string): Claim | undefined {
    return this.#claims.find(key);
  }

  failure(): WriteFailure | null {
    return this.#committer.failure();
  }

  /** Writes what waits. Safe twice. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#claims.close();
    this.#commitWithin(0);
    while (this.#isWriting) await new Promise((resolve) => setImmediate(resolve));
    this.#stopTimer();
    await this.#committer.idle();
    // After a failed commit lmdb-js never settles a close.
    if (this.#committer.failure() === null) await this.#environment.close();
  }

  /** The read transaction may be older than the entry's commit. */
  #newestEnvelope(partition: number, sequence: number): Uint8Array | undefined {
    this.#environment.resetReadTxn();
    return this.#tables.envelope(partition, sequence);
  }

  #next(partition: number): number {
    const last = this.#last[partition];
    assert(last !== undefined, `partition ${partition} is not one of 0 to ${PARTITIONS - 1}`);
    this.#last[partition] = last + 1;
    return last + 1;
  }

  #writeNow(put: () => void): Promise<void> {
    const written = this.#write(put);
    this.#isUrgent = true;
    this.#commitWithin(0);
    return written;
  }

  #write(put: () => void): Promise<void> {
    assert(!this.#isClosed, "nothing is written to a closed outbox");
    return new Promise((resolve, reject) => void this.#writes.push({ put, resolve, reject }));
  }

  /** 0: at the end of this turn of the event loop, so that what else arrives in it goes with the same commit. */
  #commitWithin(delayMs: number): void {
    if (this.#isWriting) return;
    if (delayMs === 0) {
      this.#stopTimer();
      this.#isWriting = true;
      setImmediate(() => void this.#commitAll());
      return;
    }
    const atMs = performance.now() + delayMs;
    if (this.#timerAtMs <= atMs) return;
    this.#stopTimer();
    this.#timerAtMs = atMs;
    this.#timer = setTimeout(() => this.#commitWithin(0), delayMs);
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#timerAtMs = Infinity;
  }

  async #commitAll(): Promise<void> {
    do {
      const writes = this.#writes;
      this.#writes = [];
      this.#isUrgent = false;
      try {
        await this.#commit(writes);
        for (const { resolve } of writes) resolve();
      } catch (error) {
        // A failure is logged and latched in #commit; the next write reports it to those who wait.
        for (const { reject } of writes) reject(error);
      }
    } while (this.#isUrgent || (this.#isClosed && this.#writes.length > 0));
    this.#isWriting = false;
    if (this.#writes.length > 0) this.#commitWithin(FOLD_DELAY_MS);
    else this.#tidyLater();
  }

  async #commit(writes: readonly Write[]): Promise<void> {
    const removals = this.#removals.splice(0, REMOVED_ROWS_MAX);
    const expiredClaims = this.#claims.hasExpired() ? this.#claims.expiredKeys() : [];
    const wasWell = this.failure() === null;
    try {
      await this.#committer.commit(() => {
        for (const { put } of writes) put();
        for (const remove of removals) remove();
        this.#claims.remove(expiredClaims);
      });
    } catch (error) {
      const failure = this.failure();
      if (wasWell && failure !== null)
        this.#log.error("stream.write_failed", { kind: failure.kind, reason: failure.message });
      throw error;
    }
  }

  #removeLater(remove: () => void): void {
    this.#removals.push(remove);
    this.#tidyLater();
  }

  #tidyLater(): void {
    const hasRemovals = this.#removals.length > 0 || this.#claims.hasExpired();
    if (hasRemovals && !this.#isClosed && this.failure() === null) this.#commitWithin(REMOVAL_DELAY_MS);
  }
}

function encodePosition({ sequence, id }: StreamPosition): Uint8Array {
  return Buffer.concat([encodeNumber(sequence), Buffer.from(id)]);
}

function decodePosition(value: Uint8Array): StreamPosition {
  return { sequence: decodeNumber(value), id: Buffer.from(value.subarray(NUMBER_BYTES)).toString() };
}

function encodeNumber(number: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(NUMBER_BYTES);
  bytes.writeDoubleBE(number, 0);
  return bytes;
}

function decodeNumber(value: Uint8Array): number {
  return new DataView(value.buffer, value.byteOffset, value.byteLength).getFloat64(0);
}
