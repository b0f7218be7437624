// An actor thread's view of one partition's events: what JetStream delivered and the ledger has not committed yet, held in
// memory, so that the partition can read it at its own pace and without waiting. JetStream keeps the rest.
//
// An envelope with claims is given out once they are decided on this node, and nothing behind it before; events that lost
// their key are left out. So no event is sent whose key another one holds. What is decided is asked by claim and message
// id, not by sequence: this reader and the one that decides may be served by different replicas (lmdb-claims-reader.ts).

import { decodeEnvelope, encodeEnvelope } from "../message/envelope.ts";
import type { MessageId } from "../message/ids.ts";
import type { Clock } from "../runtime/clock.ts";
import type { NatsLink } from "../runtime/jetstream-connection.ts";
import { eventsStream } from "../runtime/jetstream-names.ts";
import { lastSequence, openTail, type StreamPosition, type Tail, type TailEntry } from "../runtime/jetstream-tail.ts";
import type { Log } from "../runtime/log.ts";
import { frameClaims, frameEnvelope, frameHasClaims } from "./envelope-frame.ts";
import type { Claim } from "./claim.ts";
import type { ClaimDecision } from "./lmdb-claims-reader.ts";

export interface EventsReaderOptions {
  readonly link: NatsLink;
  readonly partition: number;
  /** What the ledger holds: the reader begins behind it. */
  readonly after: StreamPosition;
  /** What is decided so far; {@link EventsReader.folded} says that it may be more. */
  decisionOf(claim: Claim): ClaimDecision;
  /** Envelopes delivered and not acknowledged: what is held in memory. Default {@link UNACKED_MAX}. */
  readonly unackedMax?: number;
  /** There is more to read than at the last call. */
  onMore(): void;
  /** The stream is not what it was; the reader has stopped: open another from the stream's beginning. */
  onRewound(): void;
  readonly log: Log;
  readonly clock: Clock;
  /** Ends the opening. */
  readonly signal?: AbortSignal;
}

export interface ReadEvents {
  readonly sequence: number;
  /** An envelope, as decodeEnvelope takes it; without events when all of them lost their keys. */
  readonly bytes: Uint8Array;
}

export interface EventsReader {
  /**
   * The next envelopes after `afterSequence`, in order, as far as they are here and decided. Ends after `itemsMax`
   * envelopes, or with the one that reaches `bytesMax`. Whatever is not acknowledged can be read again.
   */
  read(afterSequence: number, bounds?: { readonly itemsMax: number; readonly bytesMax: number }): readonly ReadEvents[];
  /** More claims are decided. */
  folded(): void;
  /** Nats-Msg-Id of an entry that was read and is not acknowledged, of the last acknowledged, or of `after`. */
  idAt(sequence: number): string;
  /** The ledger holds everything up to here. */
  ack(throughSequence: number): void;
  /** The stream's newest sequence when the reader was opened. */
  readonly head: number;
  close(): Promise<void>;
}

/** At 256 KiB an envelope and 8 partitions: 256 MiB at the very most, a few usually. */
const UNACKED_MAX = 128;
const READ_BOUNDS = { itemsMax: 16, bytesMax: 1_048_576 };

export async function openEventsReader(options: EventsReaderOptions): Promise<EventsReader> {
  const { link, partition } = options;
  const reader = new PartitionReader(options, await lastSequence(link, eventsStream(link.prefix, partition)));
  await reader.open();
  return reader;
}

class PartitionReader implements EventsReader {
  readonly head: number;
  readonly #options: EventsReaderOptions;
  /** Of the delivered envelopes with claims that are decided: their events that lost. By sequence. */
  readonly #lost = new Map<number, ReadonlySet<MessageId>>();
  /** Delivered and not acknowledged, oldest first. */
  #entries: TailEntry[] = [];
  /** The last acknowledged. */
  #acked: StreamPosition;
  #tail: Tail | null = null;
  /** A read ended before an envelope whose claims were not decided. */
  #isWaiting = false;
  #isClosed = false;

  constructor(options: EventsReaderOptions, head: number) {
    this.#options = options;
    this.head = head;
    this.#acked = options.after;
  }

  async open(): Promise<void> {
    const { link, partition, after, unackedMax = UNACKED_MAX, log, clock, signal } = this.#options;
    this.#tail = await openTail(link, {
      stream: eventsStream(link.prefix, partition),
      after,
      name: "events",
      unackedMax,
      onEntries: (entries) => this.#take(entries),
      onRewound: () => {
        if (!this.#isClosed) this.#options.onRewound();
      },
      log,
      clock,
      ...(signal === undefined ? {} : { signal }),
    });
    // What was acknowledged before there was a tail to tell.
    this.#tail.ack(this.#acked.sequence);
  }

  read(
    afterSequence: number,
    { itemsMax, bytesMax }: { readonly itemsMax: number; readonly bytesMax: number } = READ_BOUNDS,
  ): readonly ReadEvents[] {
    const found: ReadEvents[] = [];
    let bytesFound = 0;
    for (let index = this.#indexAfter(afterSequence); index < this.#entries.length; index++) {
      const entry = this.#entries[index];
      if (entry === undefined || found.length >= itemsMax || bytesFound >= bytesMax || this.#waits(entry)) break;
      const bytes = this.#envelopeOf(entry);
      found.push({ sequence: entry.sequence, bytes });
      bytesFound += bytes.length;
    }
    return found;
  }

  folded(): void {
    // Only what was asked for and had to wait: the first envelope that waits holds up all behind it.
    if (!this.#isWaiting || this.#isClosed) return;
    this.#isWaiting = false;
    this.#options.onMore();
  }

  idAt(sequence: number): string {
    if (sequence === this.#acked.sequence) return this.#acked.id;
    const entry = this.#entries[this.#indexAfter(sequence - 1)];
    return entry?.sequence === sequence ? entry.id : "";
  }

  ack(throughSequence: number): void {
    const count = this.#indexAfter(throughSequence);
    const last = this.#entries[count - 1];
    if (last === undefined) return;
    this.#acked = { sequence: last.sequence, id: last.id };
    for (const { sequence } of this.#entries.splice(0, count)) this.#lost.delete(sequence);
    this.#tail?.ack(last.sequence);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#entries = [];
    await this.#tail?.close();
  }

  #take(entries: readonly TailEntry[]): void {
    if (this.#isClosed) return;
    for (const entry of entries) this.#entries.push(entry);
    this.#options.onMore();
  }

  #waits({ sequence, bytes }: TailEntry): boolean {
    if (!frameHasClaims(bytes) || this.#lost.has(sequence)) return false;
    const lost = this.#lostOf(frameClaims(bytes));
    this.#isWaiting = lost === null;
    if (lost !== null) this.#lost.set(sequence, lost);
    return lost === null;
  }

  /** Null: not all of them are decided. An event's first claim decides about it. */
  #lostOf(claims: readonly Claim[]): ReadonlySet<MessageId> | null {
    const lost = new Set<MessageId>();
    let current: MessageId | null = null;
    for (const claim of claims) {
      if (claim.messageId === current) continue;
      current = claim.messageId;
      const decision = this.#options.decisionOf(claim);
      if (decision === "undecided") return null;
      if (decision === "superseded") lost.add(claim.messageId);
    }
    return lost;
  }

  /** Of the first entry behind a sequence: at most a few dozen are in front, and mostly none. */
  #indexAfter(sequence: number): number {
    const index = this.#entries.findIndex((entry) => entry.sequence > sequence);
    return index === -1 ? this.#entries.length : index;
  }

  #envelopeOf({ sequence, bytes: frame }: TailEntry): Uint8Array {
    const bytes = frameEnvelope(frame);
    const lost = this.#lost.get(sequence);
    if (lost === undefined || lost.size === 0) return bytes;
    const envelope = decodeEnvelope(bytes);
    if (envelope.kind !== "events") return bytes;
    return encodeEnvelope({ kind: "events", events: envelope.events.filter(({ messageId }) => !lost.has(messageId)) });
  }
}
