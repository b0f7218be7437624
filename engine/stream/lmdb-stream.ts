// The embedded stream: the log between the 202 and the actors. Its one writer is the main thread.
//
// What `append` resolved survives kill -9 of the process and a power cut of the machine. Envelopes keep their order
// within a partition, numbered from 1 without gaps; a number is never used twice, also after everything was trimmed
// and after a restart. Claims become durable in the same transaction as their envelopes.
//
// After a write error no later append succeeds: see failure(). What was trimmed is removed with later appends, or when
// idle; what still waits to be removed at a close is removed after the next start.

import assert from "node:assert/strict";

import { PARTITIONS } from "../message/partition.ts";
import {
  type Committer,
  createCommitter,
  type Environment,
  openEnvironment,
  type WriteFailure,
} from "../runtime/lmdb-commit.ts";
import type { Log } from "../runtime/log.ts";
import type { Claim } from "./claim.ts";
import { LmdbClaims } from "./lmdb-claims.ts";
import { openStreamTables, type StreamTables } from "./lmdb-tables.ts";
import type { Stream, StreamEnvelope, StreamPlace } from "./stream.ts";

/** Trimmed envelopes removed by one commit. */
const TRIMMED_ROWS_MAX = 256;
/** How long removals wait for an append to ride with, before they get a commit of their own. */
const TIDY_DELAY_MS = 50;

/**
 * Opens the stream at `path`, a folder that is created when absent.
 * At most one open stream a path: it belongs to one thread of one process.
 */
export function openLmdbStream(options: { readonly path: string; readonly log: Log }): Stream {
  return new EmbeddedStream(options.path, options.log);
}

class EmbeddedStream implements Stream {
  readonly #environment: Environment;
  readonly #tables: StreamTables;
  readonly #claims: LmdbClaims;
  readonly #committer: Committer;
  readonly #log: Log;
  /** Newest sequence of each partition. */
  readonly #last: number[];
  /** Everything up to here is removed. */
  readonly #trimmed: number[];
  /** Everything up to here may be removed. */
  readonly #trimTo: number[];
  #tidyTimer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(path: string, log: Log) {
    this.#log = log;
    this.#environment = openEnvironment(path);
    this.#tables = openStreamTables(this.#environment);
    this.#claims = new LmdbClaims(this.#tables.claims);
    this.#committer = createCommitter(this.#environment, { path, code: "ERR_STREAM_WRITE" });
    const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
    this.#last = partitions.map((partition) => this.#tables.head(partition));
    this.#trimmed = partitions.map(
      (partition) => (this.#tables.firstSequence(partition) ?? this.lastSequence(partition) + 1) - 1,
    );
    this.#trimTo = [...this.#trimmed];
  }

  async append(envelopes: readonly StreamEnvelope[]): Promise<StreamPlace[]> {
    // Everything that can throw comes before the transaction: lmdb would commit what was put before the exception.
    for (const { partition } of envelopes) this.lastSequence(partition);
    const claimRows = this.#claims.encode(envelopes.flatMap(({ claims }) => claims));
    const places: StreamPlace[] = [];
    await this.#commit(() => {
      // Numbered here and not before: an append that overtakes another must not carry the higher number.
      for (const envelope of envelopes) places.push(this.#put(envelope));
      this.#claims.put(claimRows);
    });
    return places;
  }

  findClaim(key: string): Claim | undefined {
    return this.#claims.find(key);
  }

  trim(partition: number, throughSequence: number): void {
    const target = Math.min(throughSequence, this.lastSequence(partition));
    if (target <= (this.#trimTo[partition] ?? 0)) return;
    this.#trimTo[partition] = target;
    this.#tidyLater();
  }

  lastSequence(partition: number): number {
    const last = this.#last[partition];
    assert(last !== undefined, `partition ${partition} is not one of 0 to ${PARTITIONS - 1}`);
    return last;
  }

  unavailability(): string | null {
    return this.#committer.failure()?.message ?? null;
  }

  failure(): WriteFailure | null {
    return this.#committer.failure();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#tidyTimer !== null) clearTimeout(this.#tidyTimer);
    this.#claims.close();
    await this.#committer.idle();
    // After a failed commit lmdb-js never settles a close.
    if (this.#committer.failure() === null) await this.#environment.close();
  }

  async #commit(write: () => void): Promise<void> {
    const expiredClaims = this.#claims.hasExpired() ? this.#claims.expiredKeys() : [];
    const wasWell = this.#committer.failure() === null;
    try {
      await this.#committer.commit(() => {
        write();
        this.#removeTrimmed();
        this.#claims.remove(expiredClaims);
      });
    } catch (error) {
      const failure = this.#committer.failure();
      if (wasWell && failure !== null)
        this.#log.error("stream.write_failed", { kind: failure.kind, reason: failure.message });
      throw error;
    }
    this.#tidyLater();
  }

  #put(envelope: StreamEnvelope): StreamPlace {
    const { partition, bytes } = envelope;
    const sequence = this.lastSequence(partition) + 1;
    this.#last[partition] = sequence;
    this.#tables.putEnvelope(partition, sequence, bytes);
    return { partition, sequence };
  }

  #removeTrimmed(): void {
    let room = TRIMMED_ROWS_MAX;
    for (let partition = 0; partition < PARTITIONS && room > 0; partition++) {
      const first = (this.#trimmed[partition] ?? 0) + 1;
      const last = Math.min(this.#trimTo[partition] ?? 0, first + room - 1);
      for (let sequence = first; sequence <= last; sequence++) this.#tables.removeEnvelope(partition, sequence);
      if (last >= first) this.#trimmed[partition] = last;
      room -= Math.max(0, last - first + 1);
    }
  }

  #hasRemovals(): boolean {
    return (
      this.#claims.hasExpired() || this.#trimTo.some((target, partition) => target > (this.#trimmed[partition] ?? 0))
    );
  }

  #tidyLater(): void {
    if (this.#tidyTimer !== null || this.#isClosed || this.failure() !== null || !this.#hasRemovals()) return;
    this.#tidyTimer = setTimeout(() => {
      this.#tidyTimer = null;
      // A failure is logged and latched in #commit; the next append reports it to those who wait.
      if (this.#hasRemovals()) this.#commit(() => undefined).catch(() => undefined);
    }, TIDY_DELAY_MS);
  }
}
