// A JetStream key-value bucket, one row a key, as jetstream-shared-map.ts needs it: every write says which revision it
// replaces, so that no node overwrites what it has not seen; and the bucket can be asked whether it is still what it
// was, because a server that lost its tail in a power cut tells nobody.

import { jetstream, JetStreamApiError, jetstreamManager } from "@nats-io/jetstream";
import type { JetStreamManager } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import { errors, headers } from "@nats-io/transport-node";

import { type Clock, passed } from "./clock.ts";
import { EngineError, messageOf } from "./errors.ts";
import type { NatsLink } from "./jetstream-connection.ts";
import { isUnheard } from "./jetstream-fault.ts";
import { decodeKey, decodeRow, encodeKey, encodeRow, type Row } from "./shared-map-row.ts";

export interface BucketEntry<Value> {
  readonly key: string;
  /** Null when somebody deleted the key by hand, or wrote something there that no node writes. */
  readonly row: Row<Value> | null;
  readonly revision: number;
  readonly atMs: number;
  /** How many the watch had still to tell then. */
  readonly pending: number;
}

export type BucketWrite =
  | { readonly kind: "stored"; readonly revision: number }
  /** The key has another revision. */
  | { readonly kind: "conflict" }
  /** Whether it is stored is unknown, or it could not be stored now. */
  | {
      readonly kind: "doubt";
      readonly reason: string;
      /** No server has such a bucket, or none leads it now. */ readonly isUnheard: boolean;
    };

export interface BucketState {
  /** Another one: the bucket was deleted and made anew. */
  readonly created: string;
  readonly keys: number;
  readonly lastRevision: number;
  readonly lastAtMs: number;
}

/** For one try. A loaded server answers within milliseconds; while a leader is elected (4 to 9 s) none does. */
const TRY_TIMEOUT_MS = 2000;
/** nats-server 2.9 removes a deleted stream's files after its name: a new one made meanwhile loses its messages (tried). */
const REMAKE_AFTER_MS = 1500;
/** JetStream's error codes (nats-server/server/errors.json). */
const WRONG_LAST_SEQUENCE: ReadonlySet<number> = new Set([10071, 10164]);
const STREAM_NOT_FOUND = 10059;

export class Bucket<Value> {
  readonly #link: NatsLink;
  readonly #clock: Clock;
  readonly #name: string;
  readonly #stream: string;
  #bucket: KV | null = null;
  #manager: JetStreamManager | null = null;
  #remaking: Promise<void> | null = null;

  constructor(link: NatsLink, name: string, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
    this.#name = name;
    this.#stream = `KV_${name}`;
  }

  /**
   * Makes the bucket when it is missing.
   *
   * @throws EngineError ERR_NATS_MISMATCH when there is one with other settings; nats.js's errors when nobody answers.
   */
  async ensure(): Promise<void> {
    const { replicas } = this.#link;
    this.#bucket = await new Kvm(jetstream(this.#link.connection, { timeout: TRY_TIMEOUT_MS })).create(this.#name, {
      history: 1,
      replicas,
    });
    const status = await this.#bucket.status();
    const expectations = { replicas, history: 1, ttl: 0 };
    for (const setting of ["replicas", "history", "ttl"] as const) {
      if (status[setting] === expectations[setting]) continue;
      const message = `${this.#stream}: ${setting} is ${status[setting]}, but ${expectations[setting]} is needed`;
      throw new EngineError("ERR_NATS_MISMATCH", message);
    }
  }

  /** When it is missing: at once if it was never there, else after REMAKE_AFTER_MS. @throws as `ensure`. */
  async restore(): Promise<void> {
    if (this.#bucket === null) return this.ensure();
    this.#remaking ??= this.#remake().finally(() => (this.#remaking = null));
    await this.#remaking;
  }

  /** Only if the key's revision is `revision`; 0: if the bucket does not have the key. */
  async write(key: string, row: Row<Value>, revision: number): Promise<BucketWrite> {
    const expectation = headers();
    expectation.set("Nats-Expected-Last-Subject-Sequence", String(revision));
    const options = { headers: expectation, timeout: TRY_TIMEOUT_MS };
    try {
      const { seq } = await this.#link.jetstream.publish(this.#subject(key), encodeRow(row), options);
      return { kind: "stored", revision: seq };
    } catch (error) {
      if (error instanceof JetStreamApiError && WRONG_LAST_SEQUENCE.has(error.code)) return { kind: "conflict" };
      if (error instanceof errors.InvalidArgumentError) throw tooLarge(key, error);
      return { kind: "doubt", reason: messageOf(error), isUnheard: isUnheard(error) };
    }
  }

  /** As the stream's leader has it; null: it does not have the key. @throws when nobody answers. */
  async read(key: string): Promise<BucketEntry<Value> | null> {
    const message = await (
      await this.#api()
    ).streams.getMessage(this.#stream, {
      last_by_subj: this.#subject(key),
    });
    if (message === null) return null;
    return { key, row: decodeRow(message.data), revision: message.seq, atMs: message.time.getTime(), pending: 0 };
  }

  /** Null: there is no such bucket. @throws when nobody answers. */
  async state(): Promise<BucketState | null> {
    try {
      const { created, state } = await (await this.#api()).streams.info(this.#stream);
      const lastAtMs = Date.parse(state.last_ts);
      return { created, keys: state.messages, lastRevision: state.last_seq, lastAtMs };
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return null;
      throw error;
    }
  }

  /**
   * First every key there is, each once, then each change, in the order of their revisions.
   *
   * @returns The function that ends it. @throws when nobody answers.
   */
  async watch(onEntry: (entry: BucketEntry<Value>) => void, onEnd: () => void): Promise<() => void> {
    if (this.#bucket === null) await this.ensure();
    const entries = await this.#bucket?.watch();
    if (entries === undefined) throw new EngineError("ERR_NATS_CONNECT", `${this.#stream} could not be opened`);
    const follow = async (): Promise<void> => {
      for await (const entry of entries) {
        const row = entry.operation === "PUT" ? decodeRow<Value>(entry.value) : null;
        const { revision, delta = 0 } = entry;
        onEntry({ key: decodeKey(entry.key), row, revision, atMs: entry.created.getTime(), pending: delta });
      }
    };
    void follow().then(onEnd, onEnd);
    return () => entries.stop();
  }

  async #remake(): Promise<void> {
    await passed(this.#clock, REMAKE_AFTER_MS);
    if ((await this.state()) === null) await this.ensure();
  }

  async #api(): Promise<JetStreamManager> {
    const options = { checkAPI: false, timeout: TRY_TIMEOUT_MS };
    this.#manager ??= await jetstreamManager(this.#link.connection, options);
    return this.#manager;
  }

  #subject(key: string): string {
    return `$KV.${this.#name}.${encodeKey(key)}`;
  }
}

function tooLarge(key: string, cause: Error): EngineError {
  return new EngineError("ERR_STORE_WRITE", `${key} is larger than nats-server takes: ${cause.message}`, { cause });
}
