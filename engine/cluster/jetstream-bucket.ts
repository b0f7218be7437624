// The cluster's KV bucket: compare-and-set, reads through the leader, and a watch that is opened again when it stalls.

import { jetstream, JetStreamApiError, type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { type KV, type KvEntry, Kvm } from "@nats-io/kv";

import { type Clock, passed } from "../runtime/clock.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import type { NatsLink } from "../runtime/jetstream-connection.ts";
import { clusterBucket } from "../runtime/jetstream-names.ts";
import type { Log } from "../runtime/log.ts";
import type { StoredKey } from "./bucket-view.ts";
import type { WriteResult } from "./membership-core.ts";

/** Some hundred bytes a key, some hundred keys: far more than it can become. */
const BUCKET_BYTES_MAX = 16 * 1024 * 1024;
const WRONG_LAST_SEQUENCE = 10_071;
const STREAM_NOT_FOUND = 10_059;
const READS_AT_ONCE_MAX = 64;
/** Between two attempts to open the watch. */
const WATCH_PAUSE_MS = 250;
/** Creating the bucket in a cluster waits for its replicas. */
const CREATE_TIMEOUT_MS = 5000;

export class ClusterBucket {
  readonly #link: NatsLink;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #name: string;
  readonly #stream: string;
  readonly #timeoutMs: number;
  readonly #kv: KV;
  readonly #watchKv: KV;
  readonly #manager: JetStreamManager;
  /** Changes when a watch is to be replaced; news of an older one is not listened to. */
  #watchGeneration = 0;
  #stopWatch: (() => void) | null = null;
  #isClosed = false;

  private constructor(given: {
    readonly options: BucketOptions;
    readonly kv: KV;
    readonly watchKv: KV;
    readonly manager: JetStreamManager;
  }) {
    const { link, clock, log, timeoutMs } = given.options;
    this.#link = link;
    this.#clock = clock;
    this.#log = log;
    this.#name = clusterBucket(link.prefix);
    this.#stream = `KV_${this.#name}`;
    this.#timeoutMs = timeoutMs;
    this.#kv = given.kv;
    this.#watchKv = given.watchKv;
    this.#manager = given.manager;
  }

  /**
   * Creates the bucket unless it exists.
   *
   * @throws EngineError ERR_NATS_MISMATCH when it exists with another history or storage; whatever NATS throws else.
   */
  static async open(options: BucketOptions): Promise<ClusterBucket> {
    const { link, timeoutMs } = options;
    const name = clusterBucket(link.prefix);
    await createBucket(link);
    const client = jetstream(link.connection, { timeout: timeoutMs });
    const [kv, watchKv, manager] = await Promise.all([
      new Kvm(client).open(name, { allow_direct: false }),
      new Kvm(jetstream(link.connection, { timeout: CREATE_TIMEOUT_MS })).open(name, { allow_direct: false }),
      jetstreamManager(link.connection, { timeout: timeoutMs, checkAPI: false }),
    ]);
    return new ClusterBucket({ options, kv, watchKv, manager });
  }

  /** Stores when the key's newest revision is `expectedRevision` (0: none). Answers within its timeout; never throws. */
  async write(key: string, text: string, expectedRevision: number): Promise<WriteResult> {
    try {
      const options = { previousSeq: expectedRevision, timeout: this.#timeoutMs };
      return { kind: "stored", revision: await this.#kv.put(key, text, options) };
    } catch (error) {
      const isConflict = error instanceof JetStreamApiError && error.code === WRONG_LAST_SEQUENCE;
      return { kind: isConflict ? "conflict" : "unknown" };
    }
  }

  /** @throws whatever NATS throws: no answer in time, no leader. */
  async read(key: string): Promise<StoredKey | null> {
    const entry = await this.#kv.get(key);
    return entry === null ? null : storedKey(entry);
  }

  /**
   * Every key that `isWanted`. A bucket that somebody deleted is created anew, empty.
   *
   * @throws whatever NATS throws.
   */
  async readAll(isWanted: (key: string) => boolean): Promise<StoredKey[]> {
    const keys = (await this.#keys()).filter(isWanted);
    const found: StoredKey[] = [];
    for (let start = 0; start < keys.length; start += READS_AT_ONCE_MAX) {
      const group = keys.slice(start, start + READS_AT_ONCE_MAX);
      // oxlint-disable-next-line no-await-in-loop -- a bound on what is asked at once
      const entries = await Promise.all(group.map((key) => this.read(key)));
      found.push(...entries.filter((entry) => entry !== null));
    }
    return found;
  }

  async #keys(): Promise<string[]> {
    const prefix = `$KV.${this.#name}.`;
    try {
      const info = await this.#manager.streams.info(this.#stream, { subjects_filter: `${prefix}>` });
      return Object.keys(info.state.subjects ?? {}).map((subject) => subject.slice(prefix.length));
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.code !== STREAM_NOT_FOUND) throw error;
      this.#log.error("cluster.bucket.vanished", { bucket: this.#name });
      await createBucket(this.#link);
      this.reopenWatch();
      return [];
    }
  }

  /** Tells of each change until `close`, whatever happens to watches in between. Begins with what is there. */
  watch(onNews: (news: StoredKey) => void): Promise<void> {
    return this.#watchAlways(onNews);
  }

  /** The present watch is given up for another: it stalled, or the connection it belonged to is gone. */
  reopenWatch(): void {
    this.#watchGeneration++;
    this.#stopWatch?.();
  }

  close(): void {
    this.#isClosed = true;
    this.reopenWatch();
  }

  async #watchAlways(onNews: (news: StoredKey) => void): Promise<void> {
    while (!this.#isClosed) {
      const generation = this.#watchGeneration;
      // An attempt that hangs, because its connection broke, is left behind by reopenWatch.
      const abandoned = new Promise<void>((resolve) => {
        this.#stopWatch = resolve;
      });
      // oxlint-disable-next-line no-await-in-loop -- one watch at a time
      await Promise.race([abandoned, this.#watchOnce(generation, onNews, abandoned)]);
      this.#stopWatch = null;
      // oxlint-disable-next-line no-await-in-loop -- a pause, lest a fault make a busy loop
      if (!this.#isClosed) await passed(this.#clock, WATCH_PAUSE_MS);
    }
  }

  async #watchOnce(generation: number, onNews: (news: StoredKey) => void, abandoned: Promise<void>): Promise<void> {
    try {
      const entries = await this.#watchKv.watch();
      void abandoned.then(() => entries.stop());
      for await (const entry of entries) {
        if (generation !== this.#watchGeneration) return;
        onNews(storedKey(entry));
      }
    } catch (error) {
      if (this.#isClosed || generation !== this.#watchGeneration || !this.#link.isConnected()) return;
      this.#log.warn("cluster.watch.failed", { message: messageOf(error) });
    }
  }
}

export interface BucketOptions {
  readonly link: NatsLink;
  readonly clock: Clock;
  readonly log: Log;
  /** Of each write and read. */
  readonly timeoutMs: number;
}

async function createBucket(link: NatsLink): Promise<void> {
  const name = clusterBucket(link.prefix);
  const kvm = new Kvm(jetstream(link.connection, { timeout: CREATE_TIMEOUT_MS }));
  // No direct reads: a replica that lags behind would answer them.
  const settings = { history: 1, replicas: link.replicas, max_bytes: BUCKET_BYTES_MAX, allow_direct: false };
  const status = await (await kvm.create(name, settings)).status();
  if (status.history === 1 && status.streamInfo.config.storage === "file" && status.replicas === link.replicas) return;
  const { history, replicas } = status;
  const { storage } = status.streamInfo.config;
  const message =
    `bucket ${name} has history ${history}, storage ${storage} and ${replicas} replicas; ` +
    `it needs history 1, storage file and ${link.replicas} replicas (stream.replicas)`;
  throw new EngineError("ERR_NATS_MISMATCH", message);
}

function storedKey(entry: KvEntry): StoredKey {
  const { key, revision, operation } = entry;
  return { key, text: operation === "PUT" ? entry.string() : null, revision };
}
