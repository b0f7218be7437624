// What one node hears of a bucket: first all of it, then each change. And whether it still hears all there is: a watch
// can fall silent, and a server that came back from a power cut without its tail goes on with the lower revisions as if
// nothing had been.

import { type Clock, passed } from "./clock.ts";
import type { Bucket, BucketEntry } from "./jetstream-bucket.ts";

export interface BucketWatchOptions<Value> {
  readonly bucket: Bucket<Value>;
  onEntry(entry: BucketEntry<Value>): void;
  /** It ended by itself; open it again. */
  onEnd(): void;
  readonly clock: Clock;
}

/** A watch that says nothing for so long, although it has not told all there is, is opened anew. */
const STALLED_MS = 3000;
const LOOK_EVERY_MS = 20;
/** nats-server tells a message's time in nanoseconds; of those some digits get lost on the way. */
const SAME_TIME_MS = 1;

export class BucketWatch<Value> {
  readonly #options: BucketWatchOptions<Value>;
  /** Of the keys that the bucket has, as far as was heard since the watch was opened. */
  #revisions = new Map<string, number>();
  /** The newest entry, and whether there was more to tell then. */
  #heard = { revision: 0, atMs: 0, pending: 0, onMs: 0 };
  #created = "";
  #stop = (): void => {};
  #isOpen = false;

  constructor(options: BucketWatchOptions<Value>) {
    this.#options = options;
  }

  isOpen(): boolean {
    return this.#isOpen;
  }

  has(key: string): boolean {
    return this.#revisions.has(key);
  }

  /** 0: the bucket does not have the key, as far as is known. */
  revisionOf(key: string): number {
    return this.#revisions.get(key) ?? 0;
  }

  /** What an acknowledgement or a reading told; 0: the bucket does not have the key. */
  setRevision(key: string, revision: number): void {
    if (revision === 0) this.#revisions.delete(key);
    else this.#revisions.set(key, revision);
  }

  /** Opens it, again if it is open. Resolves when all that the bucket has was told. @throws when nobody answers. */
  async open(): Promise<void> {
    const { bucket, clock } = this.#options;
    this.close();
    // Asked first: while nobody answers, this is the call that ends soonest.
    if ((await bucket.state()) === null) await bucket.restore();
    const state = await bucket.state();
    if (state === null) throw new Error("the bucket is gone again");
    const { created, lastRevision, lastAtMs, keys } = state;
    this.#created = created;
    this.#revisions = new Map();
    this.#heard = { revision: 0, atMs: 0, pending: keys, onMs: clock.monotonicMs() };
    await this.#start();
    while (this.#heard.revision < lastRevision && this.#heard.pending > 0) {
      if (!this.#isOpen) throw new Error("the connection broke");
      if (clock.monotonicMs() - this.#heard.onMs > STALLED_MS) throw new Error("the watch says nothing");
      // oxlint-disable-next-line no-await-in-loop -- the entries come one by one
      await passed(this.#options.clock, LOOK_EVERY_MS);
    }
    // The newest message may have been deleted by hand; then the watch never tells it.
    if (this.#heard.revision < lastRevision) this.#heard = { ...this.#heard, revision: lastRevision, atMs: lastAtMs };
  }

  close(): void {
    this.#isOpen = false;
    this.#stop();
    this.#stop = () => {};
  }

  /** Whether the bucket still has what the watch told, and the watch has told what the bucket has. @throws when nobody answers. */
  async isIntact(): Promise<boolean> {
    const { bucket, clock } = this.#options;
    const { revision } = this.#heard;
    const { size } = this.#revisions;
    const state = await bucket.state();
    if (state === null || state.created !== this.#created || state.lastRevision < revision || state.keys < size) {
      return false;
    }
    const endMs = clock.monotonicMs() + STALLED_MS;
    while (this.#heard.revision < state.lastRevision) {
      if (!this.#isOpen || clock.monotonicMs() > endMs) return false;
      // oxlint-disable-next-line no-await-in-loop -- the watch is a moment behind
      await passed(this.#options.clock, LOOK_EVERY_MS);
    }
    return this.#heard.revision > state.lastRevision || Math.abs(this.#heard.atMs - state.lastAtMs) <= SAME_TIME_MS;
  }

  async #start(): Promise<void> {
    const { bucket, onEnd } = this.#options;
    let isCurrent = true;
    this.#isOpen = true;
    this.#stop = () => (isCurrent = false);
    const stop = await bucket.watch(
      (entry) => {
        if (isCurrent) this.#onEntry(entry);
      },
      () => {
        if (!isCurrent) return;
        this.#isOpen = false;
        onEnd();
      },
    );
    // It may have been closed while the server was asked.
    if (!isCurrent) stop();
    this.#stop = () => {
      isCurrent = false;
      stop();
    };
  }

  #onEntry(entry: BucketEntry<Value>): void {
    const { key, revision, atMs, pending } = entry;
    this.#heard = { revision, atMs, pending, onMs: this.#options.clock.monotonicMs() };
    // The acknowledgement of a later write may have been faster than the watch.
    if (revision < this.revisionOf(key)) return;
    this.#revisions.set(key, revision);
    this.#options.onEntry(entry);
  }
}
