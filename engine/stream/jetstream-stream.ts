// The stream of several nodes: NATS JetStream, with an outbox on each node's own disk in front of it.
//
// What `append` resolved is fsync'd in this node's outbox, stored by JetStream, and its claims are decided among all
// nodes. JetStream's answer alone is no fsync, the outbox alone is one disk: together they lose nothing to a power cut of
// the NATS servers, nor to the loss of this node.
//
// An append that JetStream does not answer waits, since it is unknown what was stored; meanwhile unavailability() tells
// the doors to take nothing more. One that JetStream refuses (a full stream) leaves nothing behind and rejects; when it
// refused only some of the envelopes, these are tried again until it takes them, as the others cannot be called back.

import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";

import type { MessageId } from "../message/ids.ts";
import { type Clock, passed } from "../runtime/clock.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import type { NatsLink } from "../runtime/jetstream-connection.ts";
import type { PublishResult } from "../runtime/jetstream-publish.ts";
import type { WriteFailure } from "../runtime/lmdb-commit.ts";
import type { Log } from "../runtime/log.ts";
import type { Claim } from "./claim.ts";
import { encodeFrame, frameHasClaims } from "./envelope-frame.ts";
import { ClaimsFold, type FoldNews } from "./jetstream-claims-fold.ts";
import { JetStreamOutbox } from "./jetstream-outbox.ts";
import { ENTRY_ID_LENGTH, LmdbOutbox, type OutboxEntry } from "./lmdb-outbox.ts";
import type { Stream, StreamEnvelope, StreamPlace } from "./stream.ts";

export type { FoldNews } from "./jetstream-claims-fold.ts";

export interface JetStreamStreamOptions {
  readonly link: NatsLink;
  /** A folder, created when absent: outbox and claims of this node. */
  readonly path: string;
  /** Makes streams that are missing. */
  recreate(): Promise<void>;
  /** Whether this node's own ledger has the message's row. */
  hasRow(messageId: MessageId): boolean;
  /** More of a partition's claims are decided; durable. */
  onFold(news: FoldNews): void;
  /** This node's ledger holds these events, which this run accepted. */
  onSettled(messageIds: readonly MessageId[]): void;
  readonly log: Log;
  readonly clock: Clock;
}

export interface JetStreamStream extends Stream {
  /** What onFold has told so far, and earlier runs: for a reader that begins now. One a partition. */
  folds(): readonly FoldNews[];
  /** A reader found the partition's stream rewound: what this node accepted and its ledger lacks is published again. */
  republish(partition: number): void;
}

/** A healthy JetStream answers within milliseconds. */
const SLOW_MS = 2_000;
const FULL_PAUSE_MS = 1_000;

type Answer = PublishResult | { readonly kind: "refused"; readonly error: unknown };

/**
 * Resolves when JetStream has everything that an earlier run left in the outbox, and claims are being read.
 * At most one open stream a path: it belongs to one thread of one process.
 */
export async function openJetStreamStream(options: JetStreamStreamOptions): Promise<JetStreamStream> {
  const stream = new ClusterStream(options);
  try {
    await stream.open();
  } catch (error) {
    await stream.close();
    throw error;
  }
  return stream;
}

class ClusterStream implements JetStreamStream {
  readonly #options: JetStreamStreamOptions;
  readonly #store: LmdbOutbox;
  readonly #fold: ClaimsFold;
  readonly #outbox: JetStreamOutbox;
  readonly #closing = new AbortController();
  /** When each running append began, monotonic; oldest first. */
  readonly #running = new Set<{ readonly startedAtMs: number }>();
  /** A stream that refused part of a running append. */
  #full: string | null = null;
  #closed: Promise<void> | null = null;

  constructor(options: JetStreamStreamOptions) {
    const { link, path, log, clock } = options;
    const { signal } = this.#closing;
    // Each publish under way listens to it.
    setMaxListeners(0, signal);
    this.#options = options;
    this.#store = new LmdbOutbox({ path, log });
    this.#fold = new ClaimsFold({
      link,
      outbox: this.#store,
      onFold: (news) => options.onFold(news),
      onRewound: (partition) => this.republish(partition),
      log,
      clock,
    });
    this.#outbox = new JetStreamOutbox({
      link,
      store: this.#store,
      recreate: () => options.recreate(),
      hasRow: (id) => options.hasRow(id),
      isSuperseded: (partition, id) => this.#fold.isSuperseded(partition, id),
      onSettled: (ids) => options.onSettled(ids),
      signal,
      log,
      clock,
    });
  }

  async open(): Promise<void> {
    await Promise.all([this.#fold.open(), this.#outbox.recover()]);
  }

  async append(envelopes: readonly StreamEnvelope[]): Promise<StreamPlace[]> {
    if (this.#closed !== null) throw closedError();
    const running = { startedAtMs: this.#options.clock.monotonicMs() };
    this.#running.add(running);
    try {
      return await this.#append(envelopes);
    } finally {
      this.#running.delete(running);
    }
  }

  findClaim(key: string): Claim | undefined {
    return this.#fold.findClaim(key);
  }

  trim(partition: number, throughSequence: number): void {
    if (this.#closed === null) this.#outbox.settle(partition, throughSequence);
  }

  lastSequence(partition: number): number {
    return this.#outbox.lastSequence(partition);
  }

  unavailability(): string | null {
    const failure = this.#store.failure();
    if (failure !== null) return failure.message;
    if (!this.#options.link.isConnected()) return "There is no connection to NATS.";
    if (this.#full !== null) return this.#full;
    for (const { startedAtMs } of this.#running) {
      const waitedMs = this.#options.clock.monotonicMs() - startedAtMs;
      return waitedMs > SLOW_MS ? `NATS JetStream has not answered for ${Math.floor(waitedMs / 1_000)} s.` : null;
    }
    return null;
  }

  failure(): WriteFailure | null {
    return this.#store.failure();
  }

  folds(): readonly FoldNews[] {
    return this.#fold.known();
  }

  republish(partition: number): void {
    this.#outbox.republish(partition, "the stream was rewound");
  }

  /** Appends that wait for JetStream reject; their envelopes stay in the outbox, for it is unknown what was stored. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    this.#outbox.close();
    await this.#fold.close();
    await this.#store.close();
  }

  async #append(envelopes: readonly StreamEnvelope[]): Promise<StreamPlace[]> {
    const added = this.#store.add(
      envelopes.map((envelope) => ({ partition: envelope.partition, id: newId(), frame: encodeFrame(envelope) })),
    );
    const claiming = added.entries.filter(({ frame }) => frameHasClaims(frame));
    const decisions = Promise.all(claiming.map(({ id }) => this.#fold.decided(id)));
    // Looked at last, and must not end the process when another step fails first.
    decisions.catch(() => undefined);
    try {
      const [places] = await Promise.all([this.#publish(added.entries), added.stored]);
      added.entries.forEach((entry, index) => this.#outbox.published(entry, places[index]?.sequence ?? 0));
      await decisions;
      return places;
    } catch (error) {
      throw error instanceof EngineError ? error : closedError();
    } finally {
      for (const { id } of claiming) this.#fold.forget(id);
    }
  }

  async #publish(entries: readonly OutboxEntry[]): Promise<StreamPlace[]> {
    const sequences = new Map<OutboxEntry, number>();
    try {
      for (let missing = entries; missing.length > 0;) {
        const answers = await Promise.all(missing.map((entry) => this.#answer(entry)));
        missing.forEach((entry, index) => {
          const answer = answers[index];
          if (answer?.kind === "stored") sequences.set(entry, answer.sequence);
        });
        missing = missing.filter((entry) => !sequences.has(entry));
        const refusal = answers.find(({ kind }) => kind !== "stored");
        if (refusal !== undefined) await this.#afterRefusal(refusal, missing, sequences.size > 0);
      }
    } finally {
      this.#full = null;
    }
    return entries.map((entry) => ({ partition: entry.partition, sequence: sequences.get(entry) ?? 0 }));
  }

  async #answer(entry: OutboxEntry): Promise<Answer> {
    try {
      return await this.#outbox.publish(entry);
    } catch (error) {
      return { kind: "refused", error };
    }
  }

  /** Returns when the envelopes that were refused may be tried again. */
  async #afterRefusal(refusal: Answer, refused: readonly OutboxEntry[], isPartlyStored: boolean): Promise<void> {
    if (this.#closing.signal.aborted) throw closedError();
    const reason = refusal.kind === "full" ? refusal.message : reasonOf(refusal);
    if (refusal.kind !== "full" || !isPartlyStored) {
      await this.#store.withdraw(refused);
      throw new EngineError("ERR_STREAM_WRITE", `NATS JetStream did not take the events: ${reason}`);
    }
    this.#full = `NATS JetStream has no room: ${reason}.`;
    this.#options.log.warn("stream.full", { envelopes: refused.length, reason });
    await passed(this.#options.clock, FULL_PAUSE_MS);
    if (this.#closing.signal.aborted) throw closedError();
  }
}

function reasonOf(refusal: Answer): string {
  return refusal.kind === "refused" ? messageOf(refusal.error) : refusal.kind;
}

function closedError(): EngineError {
  return new EngineError("ERR_STREAM_WRITE", "the stream is being closed");
}

/** Random and not numbered: also a node whose disk was lost, or put back from a copy, never uses an id again. */
function newId(): string {
  return randomBytes((ENTRY_ID_LENGTH * 6) / 8).toString("base64url");
}
