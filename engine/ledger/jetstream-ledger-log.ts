// The replicated ledger of one partition on one node: its owner writes each round into the LEDGER stream and then into
// its table, every other node follows the stream into its own. So each node can show all, and any can take over.
//
// idle       nothing is read or written. Left by follow (following) or takeUp (taking up).
// following  the table follows the stream. Left by takeUp (taking up) or close (closed).
// taking up  the table goes to the very end and writes the first entry of a new term behind it. From then on JetStream
//            refuses what older owners write. Left when that entry is stored and applied (owning).
// owning     commit writes. Left by release (idle), or when a commit fails: then each later one fails the same way
//            until release, since what became of that one is for the stream to say.
// closed     final.

import assert from "node:assert/strict";
import type { MessageRecord } from "../message/message-record.ts";
import type { Clock } from "../runtime/clock.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import type { NatsLink } from "../runtime/jetstream-connection.ts";
import { ledgerStream, ledgerSubject } from "../runtime/jetstream-names.ts";
import type { Log } from "../runtime/log.ts";
import { LedgerFollower } from "./jetstream-ledger-follower.ts";
import { type LedgerOwner, tryTakeUp } from "./jetstream-ledger-owner.ts";
import { reconcile, type ReplicatedTable, resolveFork } from "./jetstream-ledger-reconcile.ts";
import type { Ledger, LedgerBatch } from "./lmdb-ledger.ts";

export interface LedgerLog {
  /** Before anything else, once: gives the stream back what it lost and this table still has. Safe from several nodes at once. */
  reconcile(): Promise<void>;
  /**
   * Follows the stream into the table until takeUp or close. Resolves when the table first reached what was the end.
   * @throws EngineError ERR_PARTITION_FENCED when takeUp or close came before that; ERR_LEDGER_WRITE.
   */
  follow(): Promise<void>;
  /** Stops following, catches up to the very end, publishes the first entry of a new term. From then on older owners are refused. */
  takeUp(): Promise<void>;
  /**
   * Only after takeUp, one at a time: the batch to the stream, then to the table (LMDB, fsync). Waits as long as no
   * server answers or the stream is full.
   * @throws EngineError ERR_PARTITION_FENCED once another owner wrote, or when it was given up by release or close;
   *   ERR_LEDGER_WRITE when it is in the stream and the table failed. Every later commit throws the same.
   */
  commit(batch: LedgerBatch): Promise<void>;
  /** Ends what takeUp began, also in the middle of a commit. Then follow() may be called again. */
  release(): void;
  /** Ends everything promptly; what is being applied is finished first. Safe twice. Leaves table and link open. */
  close(): Promise<void>;
}

export interface LedgerLogOptions {
  readonly link: NatsLink;
  readonly partition: number;
  readonly ledger: Ledger;
  readonly nodeName: string;
  /** Makes the missing stream anew. */
  recreate(): Promise<void>;
  onProgress?(done: number, total: number): void;
  /** A followed entry was applied: for figures. */
  onApplied?(campaignNumbers: readonly number[]): void;
  /** Rows of this table that the stream tells otherwise, before the table is emptied; some thousand at most a call. */
  onFork?(records: readonly MessageRecord[]): void | Promise<void>;
  /** Following ended for good after it had reached the end: the table or the connection failed. */
  onBroken?(error: unknown): void;
  readonly log: Log;
  readonly clock: Clock;
  /** Aborting it is `close`. */
  readonly signal?: AbortSignal;
}

export function openLedgerLog(options: LedgerLogOptions): LedgerLog {
  return new JetStreamLedgerLog(options);
}

type Mode = "idle" | "following" | "takingUp" | "owning" | "closed";

const NOT_IN_NAMES = /[^a-zA-Z0-9_-]/g;

class JetStreamLedgerLog implements LedgerLog {
  readonly #options: LedgerLogOptions;
  readonly #table: ReplicatedTable;
  readonly #closing = new AbortController();
  #mode: Mode = "idle";
  /** Ends what the present mode does. */
  #work = new AbortController();
  #follower: LedgerFollower | null = null;
  #owner: LedgerOwner | null = null;
  /** What is being written by anything but the follower; never rejects. */
  #writing: Promise<unknown> | null = null;
  #failure: Error | null = null;
  #epoch = 0;
  readonly #forget: () => void;

  constructor(options: LedgerLogOptions) {
    const { link, partition, ledger, log, clock, signal } = options;
    this.#options = options;
    this.#table = {
      link,
      partition,
      ledger,
      log,
      clock,
      stream: ledgerStream(link.prefix, partition),
      subject: ledgerSubject(link.prefix, partition),
      recreate: () => options.recreate(),
      epoch: () => this.#epoch,
      onFork: async (records) => await options.onFork?.(records),
    };
    this.#forget = link.onChange(() => {
      this.#epoch += 1;
    });
    if (signal?.aborted === true) void this.close();
    else signal?.addEventListener("abort", () => void this.close(), { once: true });
  }

  async reconcile(): Promise<void> {
    this.#throwIfClosed();
    assert.equal(this.#mode, "idle", `a log that is ${this.#mode} reconciles by itself`);
    assert.equal(this.#writing, null, "one after the other");
    await this.#tracked(this.#reconciled(this.#closing.signal));
  }

  async follow(): Promise<void> {
    this.#throwIfClosed();
    assert.equal(this.#mode, "idle", `a log that is ${this.#mode} does not begin to follow`);
    this.#mode = "following";
    const signal = this.#begin();
    // What a released owner was writing is in the table then, or is read from the stream.
    await this.#quiet();
    signal.throwIfAborted();
    const follower = this.#newFollower(signal);
    this.#follower = follower;
    const state = { hasReached: false };
    follower.ended.catch((error: unknown) => {
      this.#table.log.error("ledger.follow_ended", { partition: this.#table.partition, reason: messageOf(error) });
      if (state.hasReached) this.#options.onBroken?.(error);
    });
    await follower.reached;
    state.hasReached = true;
  }

  async takeUp(): Promise<void> {
    this.#throwIfClosed();
    assert.ok(this.#mode === "idle" || this.#mode === "following", `a log that is ${this.#mode} is not taken up`);
    this.#mode = "takingUp";
    const signal = this.#begin();
    try {
      await this.#quiet();
      signal.throwIfAborted();
      this.#owner = await this.#tracked(this.#owned(signal));
      signal.throwIfAborted();
    } catch (error) {
      if (!signal.aborted) this.#mode = "idle";
      throw error;
    }
    this.#failure = null;
    this.#mode = "owning";
  }

  async commit(batch: LedgerBatch): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    if (this.#mode !== "owning" || this.#owner === null) throw this.#givenUp();
    assert.equal(this.#writing, null, "one commit at a time");
    try {
      await this.#tracked(this.#owner.write(batch));
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(messageOf(error));
      throw error;
    }
  }

  release(): void {
    if (this.#mode !== "owning" && this.#mode !== "takingUp") return;
    this.#mode = "idle";
    this.#work.abort(this.#givenUp());
  }

  async close(): Promise<void> {
    this.#mode = "closed";
    this.#closing.abort(this.#givenUp());
    this.#work.abort(this.#givenUp());
    await this.#quiet();
    this.#forget();
  }

  async #reconciled(signal: AbortSignal): Promise<void> {
    const { ledger } = this.#table;
    if (ledger.isClearing()) await ledger.clear();
    const { kind } = await reconcile(this.#table, signal);
    if (kind === "forked") await resolveFork(this.#table, signal);
  }

  async #owned(signal: AbortSignal): Promise<LedgerOwner> {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- again only when somebody else wrote meanwhile
      const tried = await tryTakeUp(this.#table, signal);
      if (tried.kind === "taken") return tried.owner;
      // oxlint-disable-next-line no-await-in-loop
      if (tried.kind === "behind") await this.#goToEnd(signal);
    }
  }

  async #goToEnd(signal: AbortSignal): Promise<void> {
    // Not AbortSignal.any: in Node.js 20 its signals can be collected as garbage, and then never tell.
    const arrived = new AbortController();
    const forward = (): void => arrived.abort(signal.reason);
    signal.addEventListener("abort", forward, { once: true });
    if (signal.aborted) forward();
    const follower = this.#newFollower(arrived.signal);
    try {
      await follower.reached;
    } finally {
      signal.removeEventListener("abort", forward);
      arrived.abort(this.#givenUp());
      await follower.ended.catch(() => undefined);
    }
  }

  #newFollower(signal: AbortSignal): LedgerFollower {
    const { partition, nodeName, onProgress, onApplied } = this.#options;
    return new LedgerFollower({
      table: this.#table,
      name: `${nodeName.replaceAll(NOT_IN_NAMES, "_")}-ledger-${partition}`,
      signal,
      onProgress: (done, total) => onProgress?.(done, total),
      onApplied: (campaignNumbers) => onApplied?.(campaignNumbers),
    });
  }

  /** Ends what is under way, and gives what begins now a signal of its own. It must wait until all is quiet. */
  #begin(): AbortSignal {
    this.#work.abort(this.#givenUp());
    this.#work = new AbortController();
    return this.#work.signal;
  }

  async #quiet(): Promise<void> {
    await this.#follower?.ended.catch(() => undefined);
    await this.#writing;
  }

  /** Whoever writes next waits for this one, also when it was given up in the middle. */
  async #tracked<T>(work: Promise<T>): Promise<T> {
    const writing = work.then(
      () => undefined,
      () => undefined,
    );
    this.#writing = writing;
    try {
      return await work;
    } finally {
      if (this.#writing === writing) this.#writing = null;
    }
  }

  #throwIfClosed(): void {
    if (this.#mode === "closed") throw this.#givenUp();
  }

  #givenUp(): EngineError {
    return new EngineError("ERR_PARTITION_FENCED", `partition ${this.#table.partition} was given up by this node`);
  }
}
