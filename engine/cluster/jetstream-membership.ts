// This node among the others: carries the membership core's wishes to the bucket and its decisions to the engine.

import { randomBytes } from "node:crypto";

import { PARTITIONS } from "../message/partition.ts";
import type { Clock } from "../runtime/clock.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import type { NatsLink } from "../runtime/jetstream-connection.ts";
import type { Log } from "../runtime/log.ts";
import { meaningOf, numberKey } from "./cluster-record.ts";
import { ClusterBucket } from "./jetstream-bucket.ts";
import { claimNodeNumber } from "./jetstream-node-number.ts";
import { systemMonotonicMs } from "./lease-validity-system.ts";
import { type Effect, MembershipCore } from "./membership-core.ts";
import { type NodeStanding, nodesOf, ownersOf } from "./overview.ts";
import { type ClusterTiming, DEFAULT_TIMING } from "./timing.ts";

export interface Membership {
  /** 0 to 255, unique among the nodes of the cluster, kept over restarts. */
  readonly nodeNumber: number;
  /** By partition: until when this node may act for it, in ms of systemMonotonicMs; 0: not held. Over `buffer`. */
  readonly validUntil: Float64Array;
  readonly buffer: SharedArrayBuffer;
  /** Partitions held now, those being released included. */
  held(): readonly number[];
  /** Name of the owning node by partition, for the operators; null: nobody renews it. */
  owners(): readonly (string | null)[];
  nodes(): readonly NodeStanding[];
  /** Gives every partition up through onRelease, frees the leases and tells the others. Safe twice; ends also when NATS is gone. */
  leave(): Promise<void>;
}

export interface JoinOptions {
  readonly link: NatsLink;
  /** Stable, of the data directory: letters, digits, `-` and `_`. */
  readonly nodeId: string;
  readonly nodeName: string;
  /** At least 64 bytes; default: a new one. */
  readonly buffer?: SharedArrayBuffer;
  /** The lease was gained and is valid. */
  readonly onTake: (partition: number, epoch: number) => void;
  /** Give it up in good order: the lease stays valid until this resolves (or is lost), then it is freed. */
  readonly onRelease: (partition: number) => Promise<void>;
  /** Another node has it. May come while onRelease runs. */
  readonly onLost: (partition: number) => void;
  readonly log: Log;
  readonly clock: Clock;
  readonly timing?: Partial<ClusterTiming>;
}

const JOIN_TIMEOUT_MS = 30_000;
const JOIN_PAUSE_MS = 500;
const ANSWER_TIMEOUT_MS_MAX = 1500;

/**
 * Joins the cluster: has this node's number, and begins to take partitions.
 *
 * @throws EngineError ERR_NATS_CONNECT when JetStream does not answer for 30 s; ERR_NATS_MISMATCH when the bucket exists
 *   with other settings.
 */
export async function joinCluster(options: JoinOptions): Promise<Membership> {
  const timing = { ...DEFAULT_TIMING, ...options.timing };
  if (timing.holdMs >= timing.leaseMs)
    throw new Error("holdMs must be less than leaseMs: two nodes would send at once");
  if (!/^[-\w]+$/.test(options.nodeId)) throw new Error(`node id ${options.nodeId} is no key of a bucket`);
  const { link, clock, log } = options;
  const timeoutMs = Math.min(ANSWER_TIMEOUT_MS_MAX, timing.beatMs * 0.75);
  const { bucket, nodeNumber } = await untilAnswered(options, async () => {
    const opened = await ClusterBucket.open({ link, clock, log, timeoutMs });
    return { bucket: opened, nodeNumber: await claimNodeNumber(opened, options.nodeId) };
  });
  return new JetStreamMembership({ options, timing, bucket, nodeNumber });
}

/** At a start of everything JetStream may still elect its leaders. */
async function untilAnswered<Answer>({ clock, log }: JoinOptions, ask: () => Promise<Answer>): Promise<Answer> {
  const endMs = clock.monotonicMs() + JOIN_TIMEOUT_MS;
  for (;;) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
      return await ask();
    } catch (error) {
      if (error instanceof EngineError) throw error;
      if (clock.monotonicMs() >= endMs) {
        const message = `the cluster's bucket does not answer: ${messageOf(error)}`;
        throw new EngineError("ERR_NATS_CONNECT", message, { cause: error });
      }
      log.warn("cluster.waiting", { message: messageOf(error) });
    }
    // oxlint-disable-next-line no-await-in-loop -- see above
    await new Promise<void>((resolve) => {
      clock.after(JOIN_PAUSE_MS, resolve);
    });
  }
}

class JetStreamMembership implements Membership {
  readonly nodeNumber: number;
  readonly buffer: SharedArrayBuffer;
  readonly validUntil: Float64Array;
  readonly #options: JoinOptions;
  readonly #timing: ClusterTiming;
  readonly #bucket: ClusterBucket;
  readonly #core: MembershipCore;
  readonly #watching: Promise<void>;
  readonly #unsubscribe: () => void;
  #cancelTick: () => void = () => undefined;
  /** The newest own heartbeat that was stored and that the watch has not brought yet. */
  #unseen: { readonly revision: number; readonly storedAtMs: number } | null = null;
  #left: Promise<void> | null = null;
  #onStep: (() => void) | null = null;
  #isStopped = false;

  constructor(given: {
    readonly options: JoinOptions;
    readonly timing: ClusterTiming;
    readonly bucket: ClusterBucket;
    readonly nodeNumber: number;
  }) {
    const { options, timing, bucket, nodeNumber } = given;
    const { nodeId, nodeName } = options;
    this.#options = options;
    this.#timing = timing;
    this.#bucket = bucket;
    this.nodeNumber = nodeNumber;
    this.buffer = options.buffer ?? new SharedArrayBuffer(PARTITIONS * Float64Array.BYTES_PER_ELEMENT);
    this.validUntil = new Float64Array(this.buffer, 0, PARTITIONS).fill(0);
    const run = randomBytes(8).toString("hex");
    this.#core = new MembershipCore({ nodeId, nodeName, nodeNumber, run, timing, validUntil: this.validUntil });
    options.log.info("cluster.joined", { nodeId, nodeName, nodeNumber, run });
    this.#watching = bucket.watch((news) => {
      if (this.#unseen !== null && news.revision >= this.#unseen.revision) this.#unseen = null;
      this.#core.changed(news, systemMonotonicMs());
      this.#step();
    });
    this.#unsubscribe = options.link.onChange((isConnected) => {
      this.#core.interrupted(systemMonotonicMs());
      if (isConnected) bucket.reopenWatch();
      this.#step();
    });
    this.#tick();
  }

  held(): readonly number[] {
    return this.#core.held();
  }

  owners(): readonly (string | null)[] {
    return ownersOf(this.#core, this.#options.nodeName, systemMonotonicMs());
  }

  nodes(): readonly NodeStanding[] {
    return nodesOf(this.#core, this.#options.nodeId, systemMonotonicMs());
  }

  leave(): Promise<void> {
    this.#left ??= this.#leave();
    return this.#left;
  }

  #tick(): void {
    this.#watchOverWatch();
    this.#step();
    if (!this.#isStopped) this.#cancelTick = this.#options.clock.after(this.#timing.beatMs / 8, () => this.#tick());
  }

  /** A watch that does not bring this node's own heartbeat has stalled. */
  #watchOverWatch(): void {
    if (this.#unseen === null || systemMonotonicMs() < this.#unseen.storedAtMs + 1.5 * this.#timing.beatMs) return;
    this.#unseen = null;
    this.#options.log.warn("cluster.watch.stalled", {});
    this.#bucket.reopenWatch();
  }

  #step(): void {
    if (this.#isStopped) return;
    for (const effect of this.#core.decide(systemMonotonicMs())) this.#carryOut(effect);
    this.#onStep?.();
  }

  #carryOut(effect: Effect): void {
    const { log, onTake, onLost } = this.#options;
    switch (effect.kind) {
      case "write":
        return void this.#write(effect.key, effect.text, effect.expectedRevision);
      case "read":
        return void this.#read(effect.key);
      case "snapshot":
        return void this.#snapshot();
      case "take":
        log.info("lease.taken", { partition: effect.partition, epoch: effect.epoch });
        return onTake(effect.partition, effect.epoch);
      case "release":
        return void this.#release(effect.partition, effect.epoch);
      case "lost":
        log.warn("lease.lost", { partition: effect.partition, epoch: effect.epoch, to: effect.to });
        return onLost(effect.partition);
      case "twin":
        return log.error("cluster.node.twin", { what: effect.what, other: effect.other, nodeNumber: this.nodeNumber });
    }
  }

  async #write(key: string, text: string, expectedRevision: number): Promise<void> {
    const result = await this.#bucket.write(key, text, expectedRevision);
    const nowMs = systemMonotonicMs();
    if (result.kind === "stored" && this.#unseen === null && meaningOf(key).kind === "node") {
      this.#unseen = { revision: result.revision, storedAtMs: nowMs };
    }
    this.#core.wrote(key, result, nowMs);
    this.#step();
  }

  async #read(key: string): Promise<void> {
    const startedAtMs = systemMonotonicMs();
    try {
      const found = await this.#bucket.read(key);
      this.#core.readDone(key, found, startedAtMs, systemMonotonicMs());
    } catch {
      // No answer is no news; the next tick asks again.
      this.#core.readFailed(key);
      return;
    }
    this.#step();
  }

  async #snapshot(): Promise<void> {
    const ownNumber = numberKey(this.nodeNumber);
    try {
      const entries = await this.#bucket.readAll((key) => key === ownNumber || meaningOf(key).kind !== "number");
      this.#core.snapshotDone(entries, systemMonotonicMs());
    } catch {
      // No answer is no news; the next tick asks again.
      this.#core.snapshotFailed();
      return;
    }
    this.#step();
  }

  async #release(partition: number, epoch: number): Promise<void> {
    const { log, onRelease } = this.#options;
    const startedAtMs = systemMonotonicMs();
    try {
      await onRelease(partition);
    } catch (error) {
      // It is given up all the same; what was not finished, the next owner finds in the stream.
      log.error("lease.release.failed", { partition, epoch, message: messageOf(error) });
    }
    log.info("lease.released", { partition, epoch, tookMs: Math.round(systemMonotonicMs() - startedAtMs) });
    this.#core.released(partition, epoch);
    this.#step();
  }

  async #leave(): Promise<void> {
    this.#core.leave();
    this.#step();
    await this.#until(() => this.#core.hasReleased());
    // The others wait leaseMs at most; a bucket that does not answer by then would not help them.
    const isReachable = !this.#options.link.connection.isClosed();
    const isTold = await this.#until(() => this.#core.hasLeft(), isReachable ? this.#timing.holdMs : 0);
    this.#options.log.info("cluster.left", { isTold });
    this.#isStopped = true;
    this.#cancelTick();
    this.#unsubscribe();
    this.#bucket.close();
    await this.#watching;
  }

  /** Answers false when `withinMs` passed first. */
  #until(isSo: () => boolean, withinMs: number = Infinity): Promise<boolean> {
    return new Promise((resolve) => {
      const endMs = systemMonotonicMs() + withinMs;
      this.#onStep = () => {
        const isReached = isSo();
        if (!isReached && systemMonotonicMs() < endMs) return;
        this.#onStep = null;
        resolve(isReached);
      };
      this.#onStep();
    });
  }
}
