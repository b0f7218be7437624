// Membership and partition leases as a state machine without I/O: news of the bucket, answers to own writes and the time
// go in; writes to try and decisions (take, release, lost) come out. `decide` is asked after every input and every tick.
//
// What it promises: two nodes never count one partition's lease as valid at once, as long as their clocks run at about the
// same rate (timing.ts) and the bucket compares and sets. Whoever takes an expired lease expects the very revision that
// stood still for leaseMs, so a renewal that this node did not see makes the take fail. It also holds when the bucket loses
// its tail, in a power cut (whose outage outlasts holdMs) or silently while the network works. It does not hold when the
// bucket forgets silently while a node is cut off from it: then the ledger stream, which refuses the older owner, is left.

import { PARTITIONS } from "../message/partition.ts";
import { BucketView, type StoredKey } from "./bucket-view.ts";
import { type LeaseRecord, leaseKey, nodeKey, type NodeRecord, numberKey } from "./cluster-record.ts";
import { newOwnLease, type OwnLease, standingOf } from "./own-lease.ts";
import { firstChoice, quotaOf } from "./quota.ts";
import { type ClusterTiming, keepMs, restMs, snapshotEveryMs } from "./timing.ts";

export type Effect =
  /** Compare and set: `expectedRevision` 0 creates. Answer with `wrote`, within the write's timeout. */
  | { readonly kind: "write"; readonly key: string; readonly text: string; readonly expectedRevision: number }
  /** Answer with `readDone` or `readFailed`. */
  | { readonly kind: "read"; readonly key: string }
  /** Read every key; answer with `snapshotDone` or `snapshotFailed`. */
  | { readonly kind: "snapshot" }
  | { readonly kind: "take"; readonly partition: number; readonly epoch: number }
  /** Give it up in good order, then answer with `released`. */
  | { readonly kind: "release"; readonly partition: number; readonly epoch: number }
  /** May come while a release is under way. */
  | { readonly kind: "lost"; readonly partition: number; readonly epoch: number; readonly to: string | null }
  /** Another process runs under this node's id, or another node has its number: nothing here can heal that. */
  | { readonly kind: "twin"; readonly what: "node" | "number"; readonly other: string };

/** `unknown`: timed out or broken off; it may or may not have been stored, or may yet be. */
export type WriteResult =
  | { readonly kind: "stored"; readonly revision: number }
  | { readonly kind: "conflict" }
  | { readonly kind: "unknown" };

type Purpose = "beat" | "number" | "renew" | "take" | "free";

interface Write {
  readonly purpose: Purpose;
  readonly text: string;
  readonly startedAtMs: number;
  readonly epoch: number;
  readonly isBeyondQuota: boolean;
}

export interface CoreOptions {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly nodeNumber: number;
  /** Random, of this start. */
  readonly run: string;
  readonly timing: ClusterTiming;
  /** By partition: until when, on the clock of all `nowMs` here, this node may act; 0: it may not. Written only by the core. */
  readonly validUntil: Float64Array;
}

export class MembershipCore {
  readonly view: BucketView;
  readonly #options: CoreOptions;
  readonly #own: readonly OwnLease[] = Array.from({ length: PARTITIONS }, (_, partition) => newOwnLease(partition));
  readonly #writes = new Map<string, Write>();
  /** Keys whose truth is to be read; the value tells whether the read is under way. */
  readonly #reads = new Map<string, boolean>();
  /** Keys whose last write did not succeed: until when they rest, so that no fault makes a busy loop. */
  readonly #restUntilMs = new Map<string, number>();
  readonly #twins = new Set<string>();
  #snapshotAtMs: number | null = null;
  #nextSnapshotAtMs = -Infinity;
  #joinedAtMs: number | null = null;
  #beats = 0;
  #beatAtMs = -Infinity;
  #isLeaving = false;
  #effects: Effect[] = [];

  constructor(options: CoreOptions) {
    const { nodeId, nodeNumber, timing } = options;
    this.#options = options;
    this.view = new BucketView({ nodeId, numberKey: numberKey(nodeNumber), timing });
  }

  /** Partitions held, those being released included. */
  held(): number[] {
    return this.#own.filter(({ mode }) => mode === "held" || mode === "releasing").map(({ partition }) => partition);
  }

  /** After `leave`: everything is given up and the bucket says so. */
  hasLeft(): boolean {
    const node = this.view.node(this.#options.nodeId).record;
    const isFreed = this.#own.every(
      ({ mode, partition }) => mode === "none" && !this.#isMine(this.view.lease(partition).record),
    );
    return this.#isLeaving && this.#writes.size === 0 && node?.state === "left" && isFreed;
  }

  /** After `leave`: everything is given up, whether or not the bucket could be told. */
  hasReleased(): boolean {
    return this.#own.every(({ mode }) => mode === "none" || mode === "freeing");
  }

  leave(): void {
    this.#isLeaving = true;
    this.#beatAtMs = -Infinity;
  }

  /** The connection was lost or returned: revisions are read again before anything is written. */
  interrupted(nowMs: number): void {
    this.view.unsettle(nowMs);
  }

  changed(news: StoredKey, nowMs: number): void {
    this.view.changed(news, nowMs);
  }

  snapshotDone(entries: readonly StoredKey[], nowMs: number): void {
    const startedAtMs = this.#snapshotAtMs ?? nowMs;
    this.#snapshotAtMs = null;
    if (!this.view.snapshot(entries, startedAtMs, nowMs)) return;
    this.#nextSnapshotAtMs = nowMs + snapshotEveryMs(this.#options.timing);
    this.#joinedAtMs ??= nowMs;
    for (const [key, isUnderWay] of this.#reads) if (!isUnderWay) this.#reads.delete(key);
  }

  snapshotFailed(): void {
    this.#snapshotAtMs = null;
  }

  readDone(key: string, found: StoredKey | null, startedAtMs: number, nowMs: number): void {
    this.#reads.delete(key);
    this.view.read(key, found, startedAtMs, nowMs);
  }

  readFailed(key: string): void {
    this.#reads.set(key, false);
  }

  /** The answer to a write effect. */
  wrote(key: string, result: WriteResult, nowMs: number): void {
    const write = this.#writes.get(key);
    if (write === undefined) return;
    this.#writes.delete(key);
    if (result.kind === "stored") {
      const isNewest = this.view.stored({ key, text: write.text, revision: result.revision }, nowMs);
      if (isNewest) this.#confirmed(key, write, nowMs);
      return;
    }
    if (result.kind === "conflict") this.view.refused(nowMs);
    this.#reads.set(key, false);
    this.#restUntilMs.set(key, nowMs + restMs(this.#options.timing));
  }

  #confirmed(key: string, write: Write, nowMs: number): void {
    const own = this.#own.find(({ partition }) => leaseKey(partition) === key);
    if (own === undefined) return;
    const untilMs = write.startedAtMs + this.#options.timing.holdMs;
    if (write.purpose === "take") {
      // Too late, or no longer wanted: the bucket shows this node as the holder, so that it is taken again or freed.
      if (this.#isLeaving || nowMs >= untilMs) return;
      own.mode = "held";
      own.epoch = write.epoch;
      own.renewalAtMs = write.startedAtMs;
      own.keepUntilMs = write.isBeyondQuota ? nowMs + keepMs(this.#options.timing) : -Infinity;
      own.takeableSinceMs = null;
      this.#options.validUntil[own.partition] = untilMs;
      this.#effects.push({ kind: "take", partition: own.partition, epoch: own.epoch });
    } else if (write.purpose === "renew" && write.epoch === own.epoch && isActing(own)) {
      this.#options.validUntil[own.partition] = untilMs;
    }
  }

  /** The partition was given up in good order. */
  released(partition: number, epoch: number): void {
    const own = this.#own[partition];
    if (own?.mode !== "releasing" || own.epoch !== epoch) return;
    own.mode = "freeing";
    this.#options.validUntil[partition] = 0;
  }

  /** What is to be done now. Each effect is given out once. */
  decide(nowMs: number): readonly Effect[] {
    this.view.checkGap(nowMs);
    this.#snapshot(nowMs);
    if (this.view.hasSnapshot) {
      for (const own of this.#own) this.#observe(own);
      this.#release(nowMs);
      if (this.view.isSettled) this.#writeAll(nowMs);
    }
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #snapshot(nowMs: number): void {
    if (this.#snapshotAtMs !== null) return;
    if (this.view.isSettled && nowMs < this.#nextSnapshotAtMs) return;
    this.#snapshotAtMs = nowMs;
    this.#effects.push({ kind: "snapshot" });
  }

  /** Notices what became of a lease that this node holds or gives up. */
  #observe(own: OwnLease): void {
    if (own.mode === "none") return;
    const { record } = this.view.lease(own.partition);
    const standing = standingOf(own, record, this.#options);
    if (own.mode === "freeing") {
      if (standing !== "ours") own.mode = "none";
      return;
    }
    if (standing !== "gone") return;
    own.mode = "none";
    this.#options.validUntil[own.partition] = 0;
    const to = record === null || record.state === "free" ? null : record.nodeId;
    this.#effects.push({ kind: "lost", partition: own.partition, epoch: own.epoch, to });
  }

  /** One at a time for evenness' sake; all at once when leaving. */
  #release(nowMs: number): void {
    const held = this.#own.filter(({ mode }) => mode === "held");
    if (held.length === 0) return;
    if (this.#isLeaving) return held.forEach((own) => this.#beginRelease(own));
    if (!this.view.isSettled || this.#own.some(({ mode }) => mode === "releasing" || mode === "freeing")) return;
    if (held.length <= quotaOf(this.#options.nodeId, this.view.aliveOthers(nowMs))) return;
    const last = held.findLast(({ keepUntilMs }) => nowMs >= keepUntilMs);
    if (last !== undefined) this.#beginRelease(last);
  }

  #beginRelease(own: OwnLease): void {
    own.mode = "releasing";
    this.#effects.push({ kind: "release", partition: own.partition, epoch: own.epoch });
  }

  #writeAll(nowMs: number): void {
    for (const [key, isUnderWay] of this.#reads) {
      if (isUnderWay) continue;
      this.#reads.set(key, true);
      this.#effects.push({ kind: "read", key });
    }
    this.#keepNumber(nowMs);
    this.#beat(nowMs);
    for (const own of this.#own) this.#keep(own, nowMs);
    if (!this.#isLeaving) this.#takeAll(nowMs);
  }

  /** A bucket that lost its tail may have forgotten whose number it is. */
  #keepNumber(nowMs: number): void {
    const { nodeId, nodeNumber } = this.#options;
    const owner = this.view.numberOwner.record;
    if (owner === null) this.#write(numberKey(nodeNumber), nodeId, { purpose: "number", epoch: 0 }, nowMs);
    else if (owner !== nodeId) this.#warnOfTwin("number", owner);
  }

  #beat(nowMs: number): void {
    const { nodeId, nodeName, nodeNumber, run, timing } = this.#options;
    const known = this.view.node(nodeId);
    const isTold = !this.#isLeaving || known.record?.state === "left";
    if (isTold && nowMs < this.#beatAtMs + timing.beatMs) return;
    if (this.#isLeaving && isTold) return;
    const isForeign = known.record !== null && known.record.run !== run && !known.isFirstSight;
    if (isForeign && nowMs >= this.view.suspectUntilMs) this.#warnOfTwin("node", known.record.run);
    const state = this.#isLeaving ? "left" : "up";
    const beat: NodeRecord = { name: nodeName, number: nodeNumber, run, state, beat: this.#beats + 1 };
    if (!this.#write(nodeKey(nodeId), JSON.stringify(beat), { purpose: "beat", epoch: 0 }, nowMs)) return;
    this.#beats++;
    this.#beatAtMs = nowMs;
  }

  #warnOfTwin(what: "node" | "number", other: string): void {
    if (this.#twins.has(other)) return;
    this.#twins.add(other);
    this.#effects.push({ kind: "twin", what, other });
  }

  /** Renews, or frees, what is due. */
  #keep(own: OwnLease, nowMs: number): void {
    const { record } = this.view.lease(own.partition);
    if (own.mode === "none") {
      if (this.#isLeaving && this.#isMine(record)) this.#writeLease(own, "free", record?.epoch ?? 0, nowMs);
      return;
    }
    if (own.mode === "freeing") return this.#writeLease(own, "free", own.epoch, nowMs);
    // A bucket that forgot may have forgotten that another took it when it had lapsed here.
    const isLapsed = nowMs >= (this.#options.validUntil[own.partition] ?? 0);
    if (isLapsed && nowMs < this.view.suspectUntilMs) return;
    const isDue = nowMs >= own.renewalAtMs + this.#options.timing.beatMs;
    if (isDue || standingOf(own, record, this.#options) === "forgotten")
      this.#writeLease(own, "renew", own.epoch, nowMs);
  }

  #takeAll(nowMs: number): void {
    const { nodeId, timing } = this.#options;
    const isWaiting = this.#isWaitingForPeers(nowMs);
    for (const own of this.#own) {
      if (!this.#isTakeable(own, isWaiting, nowMs)) own.takeableSinceMs = null;
      else own.takeableSinceMs ??= nowMs;
    }
    if (this.#own.every(({ takeableSinceMs }) => takeableSinceMs === null)) return;
    const alive = this.view.aliveOthers(nowMs);
    const quota = quotaOf(nodeId, alive);
    let count = this.held().length + [...this.#writes.values()].filter(({ purpose }) => purpose === "take").length;
    for (const own of this.#byPreference(firstChoice(nodeId, alive))) {
      if (own.takeableSinceMs === null || !this.#isFreeToWrite(leaseKey(own.partition), nowMs)) continue;
      const isBeyondQuota = count >= quota;
      if (isBeyondQuota && nowMs < own.takeableSinceMs + timing.idleTakeMs) continue;
      if (!this.#isConfirmed(own.takeableSinceMs, nowMs)) continue;
      this.#writeLease(own, "take", (this.view.lease(own.partition).record?.epoch ?? 0) + 1, nowMs, isBeyondQuota);
      count++;
    }
  }

  /**
   * Whether everything was read again since a lease could be taken, and lately. A watch that stalled while the bucket
   * forgot would show it as expired although its holder had renewed it; a full read shows that something is missing.
   */
  #isConfirmed(takeableSinceMs: number, nowMs: number): boolean {
    if (this.view.confirmedAtMs >= Math.max(takeableSinceMs, nowMs - this.#options.timing.beatMs)) return true;
    this.#nextSnapshotAtMs = -Infinity;
    this.#snapshot(nowMs);
    return false;
  }

  /** What was one's own before comes first, then by position, beginning where the other nodes do not. */
  #byPreference(first: number): OwnLease[] {
    const rank = ({ partition }: OwnLease): number => {
      const wasMine = this.view.lease(partition).record?.nodeId === this.#options.nodeId;
      return (wasMine ? 0 : PARTITIONS) + ((partition - first + PARTITIONS) % PARTITIONS);
    };
    return this.#own.toSorted((a, b) => rank(a) - rank(b));
  }

  /** After a power cut of everything, the node with the newest table should get its partitions back. */
  #isWaitingForPeers(nowMs: number): boolean {
    const untilMs = (this.#joinedAtMs ?? nowMs) + this.#options.timing.peersWaitMs;
    return nowMs < untilMs && this.view.hasMissingPeers(nowMs);
  }

  #isTakeable(own: OwnLease, isWaiting: boolean, nowMs: number): boolean {
    if (own.mode !== "none" || nowMs < this.view.suspectUntilMs) return false;
    const { record, isFirstSight } = this.view.lease(own.partition);
    if (record === null) return !isWaiting;
    if (record.state === "free" || this.#isMine(record)) return true;
    // An older run of this node: it is over, as two never work in one data directory.
    if (record.nodeId === this.#options.nodeId && isFirstSight) return true;
    return this.view.isExpired(own.partition, nowMs) && !isWaiting;
  }

  #isMine(record: LeaseRecord | null): boolean {
    const { nodeId, run } = this.#options;
    return record !== null && record.state === "held" && record.nodeId === nodeId && record.run === run;
  }

  #writeLease(own: OwnLease, purpose: Purpose, epoch: number, nowMs: number, isBeyondQuota: boolean = false): void {
    const { nodeId, run } = this.#options;
    const lease: LeaseRecord = { nodeId, run, epoch, state: purpose === "free" ? "free" : "held" };
    const isBegun = this.#write(
      leaseKey(own.partition),
      JSON.stringify(lease),
      { purpose, epoch, isBeyondQuota },
      nowMs,
    );
    if (isBegun) own.renewalAtMs = nowMs;
  }

  #isFreeToWrite(key: string, nowMs: number): boolean {
    return !this.#writes.has(key) && !this.#reads.has(key) && nowMs >= (this.#restUntilMs.get(key) ?? -Infinity);
  }

  /** One at a time per key, and only while its truth is known. */
  #write(
    key: string,
    text: string,
    write: { readonly purpose: Purpose; readonly epoch: number; readonly isBeyondQuota?: boolean },
    nowMs: number,
  ): boolean {
    if (!this.#isFreeToWrite(key, nowMs)) return false;
    this.#writes.set(key, { isBeyondQuota: false, ...write, text, startedAtMs: nowMs });
    this.#effects.push({ kind: "write", key, text, expectedRevision: this.view.revisionOf(key) });
    return true;
  }
}

function isActing({ mode }: OwnLease): boolean {
  return mode === "held" || mode === "releasing";
}
