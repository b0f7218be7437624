// The claims of all nodes, read in the order in which JetStream has them, and decided by claims-rule.ts. Each node does
// it for itself, so every node knows who holds a key, and which events lost theirs and must never be sent.
//
// Readers are told what was decided once it is durable here. So a decision is not taken back when JetStream loses its newest
// messages: on a stream that was rewound the fold starts again at the first message and finds its own decisions.
//
// A server that comes back may have given a decided sequence to another message. So with each loss of the connection
// reading begins again, at the last position that the stream still holds.

import type { MessageId } from "../message/ids.ts";
import { PARTITIONS } from "../message/partition.ts";
import { type Clock, passed } from "../runtime/clock.ts";
import { messageOf } from "../runtime/errors.ts";
import type { NatsLink } from "../runtime/jetstream-connection.ts";
import { claimsSubject, eventsStream } from "../runtime/jetstream-names.ts";
import { openTail, type StreamPosition, type Tail, type TailEntry } from "../runtime/jetstream-tail.ts";
import type { Log } from "../runtime/log.ts";
import type { Claim } from "./claim.ts";
import { decideClaims } from "./claims-rule.ts";
import { frameClaims } from "./envelope-frame.ts";
import type { LmdbOutbox, SupersededEvent } from "./lmdb-outbox.ts";

/** What a node knows about the claims of a partition's entries. */
export interface FoldNews {
  readonly partition: number;
  /** Sequence of the last entry with claims that was decided; 0: none, or it is unknown for now. */
  readonly through: number;
  /** Events that lost their key since the last news: never to be sent. */
  readonly superseded: readonly MessageId[];
}

export interface ClaimsFoldOptions {
  readonly link: NatsLink;
  readonly outbox: LmdbOutbox;
  onFold(news: FoldNews): void;
  onRewound(partition: number): void;
  readonly log: Log;
  readonly clock: Clock;
}

interface PartitionFold {
  readonly partition: number;
  through: number;
  /** By id, when JetStream stored them; oldest first. */
  readonly superseded: Map<MessageId, number>;
  tail: Tail | null;
  /** Ends what is being read when it is void: the stream was rewound, or may have been. */
  reading: AbortController;
}

interface Awaited {
  resolve(): void;
  reject(error: Error): void;
}

/** Messages with claims under way from JetStream to the disk, a partition; each may carry 256 events. */
const UNFOLDED_MAX = 256;
/** One hour more than claims and the stream itself last, so that none comes back. */
const SUPERSEDED_KEPT_MS = 74 * 3_600_000;
const REOPEN_PAUSE_MS = 1_000;
const BEGINNING: StreamPosition = { sequence: 0, id: "" };

export class ClaimsFold {
  readonly #options: ClaimsFoldOptions;
  readonly #folds: readonly PartitionFold[];
  /** Claims that were decided and are not on disk yet. */
  readonly #undurable = new Map<string, Claim>();
  /** By id of the message. */
  readonly #awaited = new Map<string, Awaited>();
  readonly #unlisten: () => void;
  #isClosed = false;

  constructor(options: ClaimsFoldOptions) {
    this.#options = options;
    this.#folds = Array.from({ length: PARTITIONS }, (_, partition) => ({
      partition,
      through: 0,
      superseded: new Map(options.outbox.superseded(partition).map(({ messageId, atMs }) => [messageId, atMs])),
      tail: null,
      reading: new AbortController(),
    }));
    this.#unlisten = options.link.onChange((isConnected) => {
      if (!isConnected) for (const fold of this.#folds) this.#restart(fold, options.outbox.position(fold.partition));
    });
  }

  /** Resolves when every partition is being read. */
  async open(): Promise<void> {
    await Promise.all(this.#folds.map((fold) => this.#openFirst(fold)));
  }

  /** All that is known, for somebody who begins to listen. */
  known(): readonly FoldNews[] {
    return this.#folds.map(({ partition, through, superseded }) => ({
      partition,
      through,
      superseded: [...superseded.keys()],
    }));
  }

  isSuperseded(partition: number, id: MessageId): boolean {
    return this.#folds[partition]?.superseded.has(id) ?? false;
  }

  /** Also what was decided a moment ago: after a crash the stream would give the same again. */
  findClaim(key: string): Claim | undefined {
    return this.#undurable.get(key) ?? this.#options.outbox.findClaim(key);
  }

  /** Resolves once the message with this Nats-Msg-Id is decided; to be called before it is published. */
  decided(id: string): Promise<void> {
    return new Promise((resolve, reject) => void this.#awaited.set(id, { resolve, reject }));
  }

  /** Nobody waits for this message any more. */
  forget(id: string): void {
    this.#awaited.delete(id);
  }

  /** Who waits for a decision is told that none comes. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unlisten();
    for (const { reading } of this.#folds) reading.abort();
    for (const { reject } of this.#awaited.values()) reject(new Error("the claims are no longer read"));
    this.#awaited.clear();
    await Promise.all(this.#folds.flatMap(({ tail }) => (tail === null ? [] : [tail.close()])));
  }

  async #openFirst(fold: PartitionFold): Promise<void> {
    const { signal } = fold.reading;
    try {
      await this.#open(fold, this.#options.outbox.position(fold.partition));
    } catch (error) {
      // A stream that was rewound meanwhile is already read anew.
      if (!signal.aborted) throw error;
    }
  }

  async #open(fold: PartitionFold, after: StreamPosition): Promise<void> {
    const { link, log, clock, onFold, onRewound } = this.#options;
    const { partition } = fold;
    const { signal } = fold.reading;
    const tail = await openTail(link, {
      stream: eventsStream(link.prefix, partition),
      filterSubject: claimsSubject(link.prefix, partition),
      after,
      name: "claims",
      unackedMax: UNFOLDED_MAX,
      onEntries: (entries) => {
        if (!signal.aborted) void this.#fold(fold, entries, signal);
      },
      onRewound: () => {
        if (signal.aborted) return;
        this.#restart(fold, BEGINNING);
        onRewound(partition);
      },
      log,
      clock,
      signal,
    });
    if (signal.aborted) return tail.close();
    fold.tail = tail;
    fold.through = Math.max(fold.through, after.sequence);
    // What was decided before this line could not be acknowledged.
    tail.ack(fold.through);
    onFold({ partition, through: fold.through, superseded: [] });
  }

  /** Nothing counts as decided until the stream was looked at again. */
  #restart(fold: PartitionFold, after: StreamPosition): void {
    if (this.#isClosed) return;
    fold.reading.abort();
    fold.reading = new AbortController();
    void fold.tail?.close();
    fold.tail = null;
    fold.through = 0;
    this.#options.onFold({ partition: fold.partition, through: 0, superseded: [] });
    void this.#reopen(fold, after);
  }

  async #reopen(fold: PartitionFold, after: StreamPosition): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = fold.reading;
    while (!signal.aborted) {
      try {
        return await this.#open(fold, after);
      } catch (error) {
        if (signal.aborted) return;
        log.warn("claims.unreadable", { partition: fold.partition, reason: messageOf(error) });
        await passed(clock, REOPEN_PAUSE_MS);
      }
    }
  }

  async #fold(fold: PartitionFold, entries: readonly TailEntry[], signal: AbortSignal): Promise<void> {
    const last = entries.at(-1);
    if (last === undefined) return;
    const { outbox, onFold } = this.#options;
    const { partition } = fold;
    const { claims, superseded } = this.#decide(fold, entries);
    for (const { id } of entries) {
      this.#awaited.get(id)?.resolve();
      this.#awaited.delete(id);
    }
    try {
      await outbox.storeFold({ partition, position: { sequence: last.sequence, id: last.id }, claims, superseded });
    } catch {
      // The outbox logged it, and takes nothing more until a restart.
      return;
    }
    for (const claim of claims) if (this.#undurable.get(claim.key) === claim) this.#undurable.delete(claim.key);
    if (!signal.aborted) {
      fold.through = last.sequence;
      fold.tail?.ack(last.sequence);
    }
    onFold({ partition, through: fold.through, superseded: superseded.map(({ messageId }) => messageId) });
  }

  #decide(
    fold: PartitionFold,
    entries: readonly TailEntry[],
  ): { readonly claims: readonly Claim[]; readonly superseded: readonly SupersededEvent[] } {
    const claims: Claim[] = [];
    const superseded: SupersededEvent[] = [];
    for (const { bytes, atMs } of entries) {
      decideClaims(frameClaims(bytes), {
        find: (key) => this.findClaim(key),
        take: (claim) => {
          this.#undurable.set(claim.key, claim);
          claims.push(claim);
        },
        supersede: (messageId) => {
          // Anew also when it is known: as long as a copy is in the stream it must not be forgotten.
          fold.superseded.delete(messageId);
          fold.superseded.set(messageId, atMs);
          superseded.push({ messageId, atMs });
        },
      });
    }
    if (superseded.length > 0) this.#forgetOld(fold);
    return { claims, superseded };
  }

  #forgetOld({ partition, superseded }: PartitionFold): void {
    const oldestMs = this.#options.clock.nowMs() - SUPERSEDED_KEPT_MS;
    for (const [id, atMs] of superseded) {
      if (atMs >= oldestMs) return;
      superseded.delete(id);
      this.#options.outbox.forgetSuperseded(partition, id);
    }
  }
}
