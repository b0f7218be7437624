// Brings the outbox to JetStream, and out of it again. An entry is
//
//   unpublished  on disk; published (and again under the same id) until JetStream answers. Left to published.
//   published    JetStream has it at a sequence. Published again when the connection came back or the stream was rewound,
//                since JetStream's answer is no fsync: that renews the sequence. Left when this node's own ledger holds
//                its events: then it leaves the outbox.
//
// So an event that was accepted is either in this node's outbox or in its ledger, whatever JetStream loses.

import { decodeEnvelope } from "../message/envelope.ts";
import type { MessageId } from "../message/ids.ts";
import { PARTITIONS } from "../message/partition.ts";
import type { Clock } from "../runtime/clock.ts";
import { messageOf } from "../runtime/errors.ts";
import type { NatsLink } from "../runtime/jetstream-connection.ts";
import { claimsSubject, eventsStream, eventsSubject } from "../runtime/jetstream-names.ts";
import { publish, type PublishResult } from "../runtime/jetstream-publish.ts";
import { dropOldestHalf } from "../runtime/jetstream-room.ts";
import { isPositionHeld } from "../runtime/jetstream-tail.ts";
import type { Log } from "../runtime/log.ts";
import { frameEnvelope, frameHasClaims } from "./envelope-frame.ts";
import type { LmdbOutbox, OutboxEntry } from "./lmdb-outbox.ts";

export interface JetStreamOutboxOptions {
  readonly link: NatsLink;
  readonly store: LmdbOutbox;
  recreate(): Promise<void>;
  /** Whether this node's own ledger has the message's row. */
  hasRow(id: MessageId): boolean;
  isSuperseded(partition: number, id: MessageId): boolean;
  /** The ledger holds these events, which this run accepted. */
  onSettled(ids: readonly MessageId[]): void;
  /** Ends all publishing. */
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly clock: Clock;
}

interface Published {
  /** In JetStream. */
  sequence: number;
  /** When it got this sequence, monotonic. */
  atMs: number;
  /** Not looked at before, monotonic: the ledger passed it without taking it. */
  waitUntilMs: number;
  readonly isOfThisRun: boolean;
}

interface PartitionOutbox {
  readonly partition: number;
  /** By sequence in the outbox; in the order of their sequences in JetStream, or nearly. */
  readonly published: Map<number, Published>;
  /** The newest sequence in JetStream that this node knows of. */
  last: number;
  /** The ledger of this node has taken in the stream up to here. */
  through: number;
  /** Again: the connection came back a second time meanwhile. */
  republishing: "no" | "yes" | "again";
}

/** Entries published at once. */
const PUBLISHES_MAX = 256;
/** Entries looked up in the ledger between two turns of the event loop: some milliseconds' worth. */
const SETTLED_MAX = 500;
/** How often the newest published entry is looked for in the stream, as long as it waits. */
const VERIFY_EVERY_MS = 5_000;
/** An entry that the ledger passed without having its row was lost in a rewound stream, or soon comes by. */
const LOST_RETRY_MS = 5_000;
/** Nobody can ask the ledger for a status update: one that was published anew is kept until readers surely met it. */
const STATUSES_KEPT_MS = 60_000;
/** Between tries of an entry of an earlier run that finds the stream full. */
const FULL_PAUSE_MS = 1_000;

export class JetStreamOutbox {
  readonly #options: JetStreamOutboxOptions;
  readonly #partitions: readonly PartitionOutbox[];
  readonly #unlisten: () => void;
  #cancelVerify: () => void = () => undefined;

  constructor(options: JetStreamOutboxOptions) {
    this.#options = options;
    this.#partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({
      partition,
      published: new Map<number, Published>(),
      last: 0,
      through: 0,
      republishing: "no" as const,
    }));
    this.#unlisten = options.link.onChange((isConnected) => {
      if (isConnected) this.republishAll("reconnected");
    });
    this.#verifyLater();
  }

  /** Publishes what an earlier run left, in order. Resolves when JetStream has all of it, but for full streams. */
  async recover(): Promise<void> {
    for (const { partition } of this.#partitions) {
      const sequences = this.#options.store.sequences(partition);
      if (sequences.length === 0) continue;
      await inWindows(sequences, async (sequence) => {
        const entry = this.#options.store.entry(partition, sequence);
        if (entry !== undefined) await this.#recoverEntry(entry);
      });
      this.#options.log.info("outbox.republished", { partition, entries: sequences.length, why: "started" });
    }
  }

  /** Of an entry, as often as needed; see jetstream-publish.ts for what it throws. */
  publish({ partition, id, frame }: OutboxEntry): Promise<PublishResult> {
    const { link, signal, log } = this.#options;
    const subject = frameHasClaims(frame) ? claimsSubject : eventsSubject;
    const stream = eventsStream(link.prefix, partition);
    return publish(
      link,
      { subject: subject(link.prefix, partition), stream, bytes: frame, id },
      {
        signal,
        recreate: () => this.#recreate(),
        // What the ledger has taken in is in the stream for new nodes only, and for the claims of 72 hours.
        makeRoom: () => dropOldestHalf(link, stream, { through: this.#partitions[partition]?.through ?? 0, log }),
      },
    );
  }

  /** The entry is in the outbox and at `sequence` in JetStream. */
  published(entry: OutboxEntry, sequence: number): void {
    this.#published(entry, sequence, true);
    const outbox = this.#partitions[entry.partition];
    // The ledger may have been faster than this call.
    if (outbox !== undefined && sequence <= outbox.through) this.settle(entry.partition, outbox.through);
  }

  /** The ledger of this node has taken in the partition's stream up to `through`. */
  settle(partition: number, through: number): void {
    const outbox = this.#partitions[partition];
    if (outbox === undefined) return;
    outbox.through = through;
    const nowMs = this.#options.clock.monotonicMs();
    const settled: MessageId[] = [];
    let isLost = false;
    let looks = 0;
    for (const [sequence, published] of outbox.published) {
      if (published.sequence > through) break;
      if (published.waitUntilMs > nowMs) continue;
      looks += 1;
      if (looks > SETTLED_MAX) {
        setImmediate(() => this.#settleOn(outbox));
        break;
      }
      const verdict = this.#verdict(partition, sequence);
      if (verdict === "lost") {
        published.waitUntilMs = nowMs + LOST_RETRY_MS;
        isLost = true;
        continue;
      }
      outbox.published.delete(sequence);
      this.#options.store.remove(partition, sequence);
      if (published.isOfThisRun) for (const id of verdict) settled.push(id);
    }
    if (settled.length > 0) this.#options.onSettled(settled);
    if (isLost) this.republish(partition, "events were lost");
  }

  lastSequence(partition: number): number {
    return this.#partitions[partition]?.last ?? 0;
  }

  /** The partition's stream is not what it was. */
  republish(partition: number, why: string): void {
    const outbox = this.#partitions[partition];
    if (outbox === undefined || this.#options.signal.aborted) return;
    if (outbox.republishing !== "no") outbox.republishing = "again";
    else void this.#republish(outbox, why);
  }

  republishAll(why: string): void {
    for (const { partition } of this.#partitions) this.republish(partition, why);
  }

  close(): void {
    this.#unlisten();
    this.#cancelVerify();
  }

  #settleOn({ partition, through }: PartitionOutbox): void {
    if (!this.#options.signal.aborted) this.settle(partition, through);
  }

  async #recoverEntry(entry: OutboxEntry): Promise<void> {
    const { log, clock, signal } = this.#options;
    try {
      const result = await this.publish(entry);
      if (result.kind === "stored") return this.#published(entry, result.sequence, false);
      if (result.kind !== "full") return;
      log.warn("outbox.full", { partition: entry.partition, reason: result.message });
      clock.after(FULL_PAUSE_MS, () => {
        if (!signal.aborted) void this.#recoverEntry(entry);
      });
    } catch (error) {
      // It was accepted once, so the server's settings changed: the entry stays for a start with better ones.
      log.error("outbox.unpublishable", { partition: entry.partition, id: entry.id, reason: messageOf(error) });
    }
  }

  #published({ partition, sequence: inOutbox }: OutboxEntry, sequence: number, isOfThisRun: boolean): void {
    const outbox = this.#partitions[partition];
    const atMs = this.#options.clock.monotonicMs();
    outbox?.published.set(inOutbox, { sequence, atMs, waitUntilMs: 0, isOfThisRun });
    if (outbox !== undefined) outbox.last = Math.max(outbox.last, sequence);
  }

  /** The ids of the entry's events when the ledger holds it, none for status updates and cancels. */
  #verdict(partition: number, sequence: number): readonly MessageId[] | "lost" {
    const { store, hasRow, isSuperseded } = this.#options;
    const entry = store.entry(partition, sequence);
    if (entry === undefined) return [];
    const envelope = decodeEnvelope(frameEnvelope(entry.frame));
    if (envelope.kind !== "events") return [];
    const ids = envelope.events.map(({ messageId }) => messageId);
    const first = ids.find((id) => !isSuperseded(partition, id));
    return first === undefined || hasRow(first) ? ids : "lost";
  }

  async #republish(outbox: PartitionOutbox, why: string): Promise<void> {
    const { store, log, signal } = this.#options;
    const { partition, published } = outbox;
    do {
      outbox.republishing = "yes";
      const sequences = [...published.keys()];
      let moved = 0;
      await inWindows(sequences, async (sequence) => {
        const entry = published.has(sequence) ? store.entry(partition, sequence) : undefined;
        if (entry !== undefined && (await this.#renew(outbox, entry))) moved += 1;
      });
      if (moved > 0) log.warn("outbox.republished", { partition, entries: sequences.length, moved, why });
    } while (this.#isWantedAgain(outbox) && !signal.aborted);
    outbox.republishing = "no";
  }

  #isWantedAgain({ republishing }: PartitionOutbox): boolean {
    return republishing === "again";
  }

  /** Answers whether JetStream had lost it. What is full now is found missing by a later look. */
  async #renew(outbox: PartitionOutbox, entry: OutboxEntry): Promise<boolean> {
    const result = await this.publish(entry).catch(() => null);
    const known = outbox.published.get(entry.sequence);
    if (result?.kind !== "stored" || known === undefined) return false;
    known.atMs = this.#options.clock.monotonicMs();
    if (known.sequence === result.sequence) return false;
    known.sequence = result.sequence;
    if (!frameHasEvents(entry.frame)) known.waitUntilMs = known.atMs + STATUSES_KEPT_MS;
    // The map's order is that of the new sequences.
    outbox.published.delete(entry.sequence);
    outbox.published.set(entry.sequence, known);
    outbox.last = result.sequence;
    return true;
  }

  /** A stream that is gone took all that waits with it. */
  async #recreate(): Promise<void> {
    await this.#options.recreate();
    this.republishAll("a stream was missing");
  }

  #verifyLater(): void {
    const { clock } = this.#options;
    this.#cancelVerify = clock.after(VERIFY_EVERY_MS, () => void this.#verifyAll());
  }

  async #verifyAll(): Promise<void> {
    // What seemed lost and was published again may be settled by now, although nothing more comes.
    for (const { partition, through, published } of this.#partitions)
      if (published.size > 0) this.settle(partition, through);
    await Promise.all(this.#partitions.map((outbox) => this.#verify(outbox)));
    if (!this.#options.signal.aborted) this.#verifyLater();
  }

  /** A stream loses its end first: while the newest entry that waits is there, all are. */
  async #verify(outbox: PartitionOutbox): Promise<void> {
    const { link, store, clock } = this.#options;
    const { partition, published } = outbox;
    const newest = [...published].at(-1);
    if (newest === undefined || !link.isConnected() || outbox.republishing !== "no") return;
    const [sequence, known] = newest;
    if (clock.monotonicMs() - known.atMs < VERIFY_EVERY_MS) return;
    const entry = store.entry(partition, sequence);
    if (entry === undefined) return;
    const position = { sequence: known.sequence, id: entry.id };
    // No answer says nothing; a missing stream is made again by the publish.
    const isHeld = await isPositionHeld(link, eventsStream(link.prefix, partition), position).catch(() => false);
    if (!isHeld && published.has(sequence)) this.republish(partition, "the stream was rewound");
  }
}

function frameHasEvents(frame: Uint8Array): boolean {
  return decodeEnvelope(frameEnvelope(frame)).kind === "events";
}

/** At most PUBLISHES_MAX at once, begun in order. */
async function inWindows<Item>(items: readonly Item[], call: (item: Item) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await call(item);
  };
  await Promise.all(Array.from({ length: Math.min(PUBLISHES_MAX, items.length) }, lane));
}
