// Group commit: events that arrive while one commit runs go together into the next, as one envelope a partition, with
// one fsync for all. When nothing runs, what has arrived in this turn of the event loop goes at once. So a single
// event waits for nobody, and under load one fsync carries hundreds.

import type { Cancel } from "../message/cancel.ts";
import { encodeEnvelope, ENVELOPE_ITEMS_MAX, type Envelope } from "../message/envelope.ts";
import type { AcceptedEvent } from "../message/event.ts";
import type { MessageId } from "../message/ids.ts";
import type { StatusUpdate } from "../message/status-update.ts";

/** What was accepted under a dedupe value or idempotency key; durable with the event. */
export interface Claim {
  /** 32 hex digits. */
  readonly key: string;
  readonly atMs: number;
  readonly messageId: MessageId;
  /** Of the raw body where another body under the same key is an error; else empty. */
  readonly bodyHash: string;
}

export interface CommitEnvelope {
  readonly partition: number;
  readonly bytes: Uint8Array;
  /** Exactly those of its events, in their order. */
  readonly claims: readonly Claim[];
}

export interface CommitBatch {
  readonly envelopes: readonly CommitEnvelope[];
}

/** What an event cancels, and the partition of the campaign that it is to reach. */
export interface AddressedCancel {
  readonly partition: number;
  readonly cancel: Cancel;
}

/** Null: durable. An error: nothing of the batch was stored. */
export type CommitDone = (error: Error | null) => void;

export interface GroupCommit {
  /**
   * Whether as many items would be taken now; false also while nothing can be stored. What it promised holds until the
   * caller yields to the event loop: `submit` itself only looks at the limits.
   */
  hasRoom(items: number): boolean;
  /**
   * @param cancels become durable with the event, or neither does. Default none.
   * @returns false when too much waits already; then `done` is not called.
   */
  submit(
    partition: number,
    event: AcceptedEvent,
    claims: readonly Claim[],
    done: CommitDone,
    cancels?: readonly AddressedCancel[],
  ): boolean;
  /** `done` once for all of them. @returns false as `submit` does. */
  submitUpdates(partition: number, updates: readonly StatusUpdate[], done: CommitDone): boolean;
  /** Items that are not durable yet. */
  waiting(): number;
}

export interface GroupCommitOptions {
  /** Makes a batch durable. Called again only after it settled. */
  append(batch: CommitBatch): Promise<unknown>;
  /** Whether the stream can take anything now. Default: always. */
  isAvailable?(): boolean;
  /** Calls at the end of this turn of the event loop (setImmediate). */
  defer(call: () => void): void;
  /** Gets what a `done` call threw; the others are still called. */
  onFault(error: unknown): void;
  /** Default {@link WAITING_ITEMS_MAX}. */
  readonly waitingItemsMax?: number;
}

/** An envelope is cut before it holds more, unless one item alone does. */
const ENVELOPE_BYTES_MAX = 256 * 1024;
/** About a second of the highest rate that was measured. */
const WAITING_ITEMS_MAX = 65_536;
/** Message id, phone number, send time and the envelope's own bytes. */
const EVENT_OVERHEAD_BYTES = 80;
/** Numbers, message id and campaign id of a cancel. */
const CANCEL_OVERHEAD_BYTES = 128;
const WAITING_BYTES_MAX = 256 * 1024 * 1024;

/** What one partition collects for the next commit. */
interface Collected {
  readonly events: AcceptedEvent[];
  /** Of each event. */
  readonly claims: (readonly Claim[])[];
  readonly cancels: Cancel[];
  readonly updates: StatusUpdate[];
}

const NO_CLAIMS: readonly Claim[] = [];
const NO_CANCELS: readonly AddressedCancel[] = [];

export function createGroupCommit(options: GroupCommitOptions): GroupCommit {
  return new Collector(options);
}

class Collector implements GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #waitingItemsMax: number;
  /** Index: partition. */
  #partitions: Collected[] = [];
  #dones: CommitDone[] = [];
  #collectedItems = 0;
  #collectedBytes = 0;
  #committingItems = 0;
  #committingBytes = 0;
  #isScheduled = false;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#waitingItemsMax = options.waitingItemsMax ?? WAITING_ITEMS_MAX;
  }

  hasRoom(items: number): boolean {
    return this.#isWithinLimits(items) && (this.#options.isAvailable?.() ?? true);
  }

  waiting(): number {
    return this.#collectedItems + this.#committingItems;
  }

  submit(
    partition: number,
    event: AcceptedEvent,
    claims: readonly Claim[],
    done: CommitDone,
    cancels: readonly AddressedCancel[] = NO_CANCELS,
  ): boolean {
    if (!this.#isWithinLimits(1)) return false;
    const collected = this.#of(partition);
    collected.events.push(event);
    collected.claims.push(claims);
    this.#collectedBytes += sizeOf(event);
    for (const addressed of cancels) this.#collectCancel(addressed);
    this.#collect(1, done);
    return true;
  }

  submitUpdates(partition: number, updates: readonly StatusUpdate[], done: CommitDone): boolean {
    if (!this.#isWithinLimits(updates.length)) return false;
    const collected = this.#of(partition).updates;
    for (const update of updates) collected.push(update);
    this.#collect(updates.length, done);
    return true;
  }

  /** Counts by its bytes alone: an event has at most a handful, and what waits is counted in events. */
  #collectCancel({ partition, cancel }: AddressedCancel): void {
    this.#of(partition).cancels.push(cancel);
    this.#collectedBytes += cancelSize(cancel);
  }

  #isWithinLimits(items: number): boolean {
    if (this.#collectedBytes + this.#committingBytes > WAITING_BYTES_MAX) return false;
    return this.waiting() + items <= this.#waitingItemsMax;
  }

  #of(partition: number): Collected {
    return (this.#partitions[partition] ??= { events: [], claims: [], cancels: [], updates: [] });
  }

  #collect(items: number, done: CommitDone): void {
    this.#collectedItems += items;
    this.#dones.push(done);
    if (this.#isScheduled || this.#committingItems > 0) return;
    this.#isScheduled = true;
    this.#options.defer(() => this.#commit());
  }

  /** Takes all that was collected; a batch is as large as what may wait. */
  #commit(): void {
    const dones = this.#dones;
    const batch = { envelopes: envelopesOf(this.#partitions) };
    this.#committingItems = this.#collectedItems;
    this.#committingBytes = this.#collectedBytes;
    this.#partitions = [];
    this.#dones = [];
    this.#collectedItems = 0;
    this.#collectedBytes = 0;
    this.#isScheduled = false;
    this.#append(batch).then(
      () => this.#settle(dones, null),
      (error: unknown) => this.#settle(dones, error instanceof Error ? error : new Error(String(error))),
    );
  }

  /** So that an append which throws at once counts like one that rejects. */
  async #append(batch: CommitBatch): Promise<void> {
    await this.#options.append(batch);
  }

  #settle(dones: readonly CommitDone[], error: Error | null): void {
    this.#committingItems = 0;
    this.#committingBytes = 0;
    // The next fsync starts before the answers are written.
    if (this.#collectedItems > 0) this.#commit();
    for (const done of dones) {
      try {
        done(error);
      } catch (fault) {
        this.#options.onFault(fault);
      }
    }
  }
}

function envelopesOf(partitions: readonly (Collected | undefined)[]): CommitEnvelope[] {
  const envelopes: CommitEnvelope[] = [];
  const add = (partition: number, envelope: Envelope, claims: readonly Claim[]): void => {
    envelopes.push({ partition, bytes: encodeEnvelope(envelope), claims });
  };
  partitions.forEach((collected, partition) => {
    if (collected === undefined) return;
    let first = 0;
    for (const events of cut(collected.events, sizeOf)) {
      add(partition, { kind: "events", events }, flatten(collected.claims, first, first + events.length));
      first += events.length;
    }
    // After the events: an event that replaces older ones of its campaign is known when its cancel is read.
    for (const cancels of cut(collected.cancels, cancelSize)) add(partition, { kind: "cancels", cancels }, NO_CLAIMS);
    for (const updates of cut(collected.updates, updateSize)) add(partition, { kind: "statuses", updates }, NO_CLAIMS);
  });
  return envelopes;
}

/** The claims of the events from `first` up to `end`, exclusive. */
function flatten(claims: readonly (readonly Claim[])[], first: number, end: number): readonly Claim[] {
  const flat: Claim[] = [];
  for (let event = first; event < end; event++) {
    for (const claim of claims[event] ?? NO_CLAIMS) flat.push(claim);
  }
  return flat;
}

/** In order, into runs within both limits. */
function cut<Item>(items: readonly Item[], sizeOfItem: (item: Item) => number): (readonly Item[])[] {
  const runs: (readonly Item[])[] = [];
  let start = 0;
  let bytes = 0;
  items.forEach((item, index) => {
    const size = sizeOfItem(item);
    if (index > start && (index - start >= ENVELOPE_ITEMS_MAX || bytes + size > ENVELOPE_BYTES_MAX)) {
      runs.push(items.slice(start, index));
      start = index;
      bytes = 0;
    }
    bytes += size;
  });
  if (start === 0) return items.length === 0 ? [] : [items];
  runs.push(items.slice(start));
  return runs;
}

function sizeOf(event: AcceptedEvent): number {
  const keyBytes = event.waitKey === undefined ? 0 : Buffer.byteLength(event.waitKey);
  return Buffer.byteLength(event.attributes) + keyBytes + EVENT_OVERHEAD_BYTES;
}

function cancelSize({ key }: Cancel): number {
  return Buffer.byteLength(key) + CANCEL_OVERHEAD_BYTES;
}

/** Ids and numbers; only the reason of a failure has no fixed length. */
function updateSize(update: StatusUpdate): number {
  return 256 + Buffer.byteLength(update.errorReason);
}
