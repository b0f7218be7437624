// A map that is the same on all nodes: a JetStream bucket carries the changes, and each node keeps a copy in LMDB.
//
// - What put, claim and remove confirmed is in the bucket, and fsync'd in this node's copy.
// - An acknowledgement of nats-server is no fsync: in a power cut the bucket may lose its tail, and it may be deleted.
//   Nobody is told. So every node compares the bucket with its copy when the connection returns and every few seconds,
//   and gives back what the bucket lacks.
// - The greatest version of a key wins, everywhere and in whatever order it arrives (shared-map-row.ts). No write
//   replaces a revision that its writer has not seen, so in the bucket a key never falls back to an older version,
//   unless the server itself lost the newer one.
// - Reads are from memory.

import { randomBytes } from "node:crypto";

import { type Clock, passed } from "./clock.ts";
import { EngineError, messageOf } from "./errors.ts";
import { inBatches } from "./in-batches.ts";
import { BucketWatch } from "./jetstream-bucket-watch.ts";
import { Bucket, type BucketEntry } from "./jetstream-bucket.ts";
import type { NatsLink } from "./jetstream-connection.ts";
import { MapCopy } from "./lmdb-map-copy.ts";
import type { Log } from "./log.ts";
import type { SharedMap } from "./shared-map.ts";
import { doubtOf, isInTheWay, isYielded, type Offer, type Offered } from "./shared-map-offer.ts";
import { isNewer, isSameWrite, type Row } from "./shared-map-row.ts";

export interface SharedMapOptions {
  readonly link: NatsLink;
  readonly bucket: string;
  /** Folder of the copy in LMDB, made when missing. One map a folder. */
  readonly path: string;
  readonly nodeId: string;
  readonly log: Log;
  readonly clock: Clock;
  /** For tests. */
  readonly timing?: Partial<SharedMapTiming>;
}

interface SharedMapTiming {
  /** How often the bucket is asked whether it is still what it was. */
  readonly verifyEveryMs: number;
  /** After this a write is given up: longer than nats-server takes to elect a leader (4 to 9 s, and for the bucket after that). */
  readonly writeMs: number;
}

const TIMING: SharedMapTiming = { verifyEveryMs: 10_000, writeMs: 20_000 };
const OPEN_MS_MAX = 30_000;
const PAUSE_MS_MIN = 50;
const PAUSE_MS_MAX = 500;

/**
 * Opens the map: makes the bucket when it is missing, and merges it with this node's copy.
 *
 * @throws EngineError ERR_STORE_WRITE when the cluster does not answer within OPEN_MS_MAX; ERR_NATS_MISMATCH when the
 *   bucket has other settings.
 */
export async function openSharedMap<Value, Note = never>(options: SharedMapOptions): Promise<SharedMap<Value, Note>> {
  const map = new JetStreamMap<Value, Note>(options);
  try {
    await map.start();
  } catch (error) {
    await map.close();
    throw error;
  }
  return map;
}

class JetStreamMap<Value, Note> implements SharedMap<Value, Note> {
  readonly #link: NatsLink;
  readonly #name: string;
  readonly #bucket: Bucket<Value>;
  readonly #watch: BucketWatch<Value>;
  readonly #copy: MapCopy<Value, Note>;
  readonly #writer: string;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #timing: SharedMapTiming;
  readonly #listeners: ((keys: readonly string[]) => void)[] = [];
  readonly #forgetLink: () => void;
  #counter = 0;
  /** Keys of which the bucket has less than this node. */
  readonly #owed = new Set<string>();
  #isClosed = false;
  /** Something to do since the last look at the bucket. */
  #isAwake = false;
  #endIdling = (): void => {};
  #lastWrite: Promise<unknown> = Promise.resolve();
  #following: Promise<void> = Promise.resolve();

  constructor({ link, bucket, path, nodeId, log, clock, timing }: SharedMapOptions) {
    this.#link = link;
    this.#name = bucket;
    this.#bucket = new Bucket(link, bucket, clock);
    this.#watch = new BucketWatch({
      bucket: this.#bucket,
      onEntry: (entry) => this.#onEntry(entry),
      onEnd: () => this.#wake(),
      clock,
    });
    this.#copy = new MapCopy({ path, onShown: (keys) => this.#tell(keys), log });
    // With the run: after a crash a counter may be used again, of which only this node has forgotten that it used it.
    this.#writer = `${nodeId}.${randomBytes(4).toString("hex")}`;
    this.#log = log;
    this.#clock = clock;
    this.#timing = { ...TIMING, ...timing };
    for (const { counter } of this.#copy.rows.values()) this.#counter = Math.max(this.#counter, counter);
    this.#forgetLink = link.onChange(() => {
      this.#watch.close();
      this.#wake();
    });
  }

  async start(): Promise<void> {
    const endMs = this.#clock.monotonicMs() + OPEN_MS_MAX;
    while (!this.#watch.isOpen()) {
      /* oxlint-disable no-await-in-loop -- tried again only when it failed */
      try {
        await this.#merge();
      } catch (error) {
        this.#watch.close();
        if (error instanceof EngineError && error.code === "ERR_NATS_MISMATCH") throw error;
        if (this.#clock.monotonicMs() >= endMs) throw this.#unanswered(messageOf(error));
        await this.#passed(PAUSE_MS_MAX);
      }
      /* oxlint-enable no-await-in-loop */
    }
    this.#following = this.#follow();
  }

  get(key: string): Value | undefined {
    return this.#copy.rows.get(key)?.value;
  }

  *entries(): IterableIterator<[string, Value]> {
    for (const [key, { value }] of this.#copy.rows) if (value !== undefined) yield [key, value];
  }

  put(key: string, value: Value): Promise<void> {
    return this.putAll(new Map([[key, value]]));
  }

  putAll(values: ReadonlyMap<string, Value>, notes: ReadonlyMap<string, Note | null> = new Map()): Promise<void> {
    return this.#write([...values], notes);
  }

  remove(key: string): Promise<void> {
    return this.#write([[key, undefined]], new Map());
  }

  async claim(key: string, value: Value): Promise<Value> {
    const [winner = value] = await this.claimAll([[key, value]]);
    return winner;
  }

  async claimAll(
    claims: readonly (readonly [string, Value])[],
    yieldsTo: (there: Value, claim: Value) => boolean = () => true,
  ): Promise<Value[]> {
    const endMs = this.#deadline();
    const rows = new Map<string, Row<Value>>();
    const winners = await inBatches(claims, async ([key, value]) => {
      const row = await this.#claimRow(
        { key, endMs, kind: "claim", yieldsTo: (there) => yieldsTo(there, value) },
        value,
      );
      rows.set(key, row);
      return row.value ?? value;
    });
    await this.#copy.keep(rows, new Map());
    return winners;
  }

  onChange(call: (keys: readonly string[]) => void): void {
    this.#listeners.push(call);
  }

  notes(): ReadonlyMap<string, Note> {
    return this.#copy.notes;
  }

  keepNotes(notes: ReadonlyMap<string, Note | null>): Promise<void> {
    return this.#copy.keep(new Map(), notes);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#forgetLink();
    this.#watch.close();
    this.#wake();
    await this.#following;
    await this.#lastWrite;
    await this.#copy.close();
  }

  /** One call after the other: two puts of one key end with the later call's value. */
  #write(
    values: readonly (readonly [string, Value | undefined])[],
    notes: ReadonlyMap<string, Note | null>,
  ): Promise<void> {
    const endMs = this.#deadline();
    const write = async (): Promise<void> => {
      const rows = await inBatches(values, ([key, value]) => this.#overwrite(key, value, endMs));
      await this.#copy.keep(new Map(rows), notes);
    };
    const writing = this.#lastWrite.then(write);
    this.#lastWrite = writing.catch(() => undefined);
    return writing;
  }

  /** Whatever another node writes meanwhile, this is the later word. */
  async #overwrite(key: string, value: Value | undefined, endMs: number): Promise<[string, Row<Value>]> {
    for (;;) {
      const row = this.#nextRow(value);
      // oxlint-disable-next-line no-await-in-loop -- again only when another node was faster
      const there = await this.#offer({ key, row, endMs, kind: "newest" });
      if (isSameWrite(there, row)) return [key, row];
    }
  }

  async #claimRow(claim: Omit<Offer<Value>, "row">, value: Value): Promise<Row<Value>> {
    for (;;) {
      const row = this.#nextRow(value);
      // oxlint-disable-next-line no-await-in-loop -- again only when another node wrote what does not count meanwhile
      const there = await this.#offer({ ...claim, row });
      if (isSameWrite(there, row) || isYielded(there, claim)) return there;
    }
  }

  #nextRow(value: Value | undefined): Row<Value> {
    this.#counter++;
    const version = { counter: this.#counter, writer: this.#writer };
    return value === undefined ? version : { ...version, value };
  }

  /**
   * Writes the row unless one is there that stands in its way. Tries until that is certain.
   *
   * @returns The row that is there now.
   */
  async #offer(offer: Offer<Value>): Promise<Row<Value>> {
    let pauseMs = PAUSE_MS_MIN;
    for (;;) {
      /* oxlint-disable no-await-in-loop -- until it is certain */
      const result = await this.#offerOnce(offer).catch(doubtOf);
      if (result.kind === "there") return result.row;
      if (this.#isClosed || this.#clock.monotonicMs() >= offer.endMs) {
        throw this.#unanswered(result.kind === "doubt" ? result.reason : `${offer.key} is written all the time`);
      }
      if (result.kind === "again") continue;
      await this.#passed(pauseMs);
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
      /* oxlint-enable no-await-in-loop */
    }
  }

  async #offerOnce(offer: Offer<Value>): Promise<Offered<Value>> {
    const { key, row, kind } = offer;
    const known = this.#copy.newestOf(key);
    // Heard since the last try: maybe this very row, whose acknowledgement got lost.
    if (known !== undefined && isInTheWay(known, offer) && (kind !== "return" || known !== row)) {
      return { kind: "there", row: known };
    }
    if (!this.#link.isConnected()) return { kind: "doubt", reason: "no connection to NATS" };
    const result = await this.#bucket.write(key, row, this.#watch.revisionOf(key));
    if (result.kind === "doubt") {
      // Nobody listens for a moment when a bucket has no leader, and for ever when it was deleted.
      if (result.isUnheard && (await this.#bucket.state()) === null) await this.#bucket.restore();
      return result;
    }
    if (result.kind === "stored") {
      this.#watch.setRevision(key, result.revision);
      return { kind: "there", row };
    }
    const entry = await this.#bucket.read(key);
    this.#watch.setRevision(key, entry?.revision ?? 0);
    if (entry === null || entry.row === null) return { kind: "again" };
    this.#hear(key, entry.row);
    return isInTheWay(entry.row, offer) ? { kind: "there", row: entry.row } : { kind: "again" };
  }

  /** Merges again whenever the connection returned, the watch ended, or the bucket is not what it was. */
  async #follow(): Promise<void> {
    let isBehind = false;
    while (!this.#isClosed) {
      /* oxlint-disable no-await-in-loop -- one thing at a time */
      try {
        if (this.#link.isConnected()) {
          if (!this.#watch.isOpen() || !(await this.#watch.isIntact())) await this.#merge();
          await this.#giveBack([...this.#owed]);
          if (isBehind) this.#log.info("map.followed", { bucket: this.#name });
          isBehind = false;
        }
        await this.#idle();
      } catch (error) {
        this.#watch.close();
        if (this.#isClosed) return;
        if (!isBehind) this.#log.warn("map.unfollowed", { bucket: this.#name, reason: messageOf(error) });
        isBehind = true;
        await this.#passed(PAUSE_MS_MAX);
      }
      /* oxlint-enable no-await-in-loop */
    }
  }

  /** Reads the whole bucket and gives back what it lacks; the watch goes on. */
  async #merge(): Promise<void> {
    await this.#watch.open();
    await this.#copy.settled();
    for (const key of this.#copy.rows.keys()) if (!this.#watch.has(key)) this.#owed.add(key);
    await this.#giveBack([...this.#owed]);
  }

  /** Each has its own time: there may be hundreds of thousands. */
  async #giveBack(keys: readonly string[]): Promise<void> {
    if (keys.length === 0 || this.#isClosed) return;
    await inBatches(keys, async (key) => {
      const row = this.#copy.rows.get(key);
      if (row !== undefined) await this.#offer({ key, row, endMs: this.#deadline(), kind: "return" });
      this.#owed.delete(key);
    });
    this.#log.info("map.given_back", { bucket: this.#name, keys: keys.length });
  }

  #onEntry({ key, row }: BucketEntry<Value>): void {
    const own = this.#copy.newestOf(key);
    if (row !== null) this.#hear(key, row);
    if (own === undefined || (row !== null && !isNewer(own, row))) return;
    // Somebody who lacks what the bucket lost wrote something older, or it was deleted by hand.
    this.#owed.add(key);
    this.#wake();
  }

  #hear(key: string, row: Row<Value>): void {
    this.#counter = Math.max(this.#counter, row.counter);
    this.#copy.hear(key, row);
  }

  #tell(keys: readonly string[]): void {
    for (const listener of this.#listeners) {
      try {
        listener(keys);
      } catch (error) {
        this.#log.error("map.listener_failed", { bucket: this.#name, reason: messageOf(error) });
      }
    }
  }

  /** Until the next look at the bucket; ends early when there is something to do. */
  async #idle(): Promise<void> {
    if (!this.#isAwake) {
      await new Promise<void>((resolve) => {
        const cancel = this.#clock.after(this.#timing.verifyEveryMs, resolve);
        this.#endIdling = () => {
          cancel();
          resolve();
        };
      });
    }
    this.#isAwake = false;
  }

  #wake(): void {
    this.#isAwake = true;
    this.#endIdling();
  }

  async #passed(delayMs: number): Promise<void> {
    if (!this.#isClosed) await passed(this.#clock, delayMs);
  }

  #deadline(): number {
    return this.#clock.monotonicMs() + this.#timing.writeMs;
  }

  #unanswered(reason: string): EngineError {
    return new EngineError("ERR_STORE_WRITE", `the cluster does not answer: ${reason} (${this.#name})`);
  }
}
