// What this node knows of the cluster's bucket, and since when. Pure.
//
// News comes on three ways: the watch (in order, may be late), reads (true at some moment after they began) and the
// answers to own writes. A revision that the watch brings counts only if it is higher than the known one. A read may
// also bring a lower one, or nothing: then the bucket lost its tail (a power cut: NATS acknowledges before it syncs), and
// whatever was written since is unknown, so nobody's lease is touched for a whole lease time.

import { PARTITIONS } from "../message/partition.ts";
import { type LeaseRecord, meaningOf, type NodeRecord, nodeKey, parseLease, parseNode } from "./cluster-record.ts";
import { type ClusterTiming, contactGapMs } from "./timing.ts";

export interface StoredKey {
  readonly key: string;
  /** null: deleted by somebody. */
  readonly text: string | null;
  readonly revision: number;
}

export interface Known<Record> {
  /** null: absent, or unreadable. */
  readonly record: Record | null;
  readonly text: string | null;
  /** What a write must expect; 0: the bucket has nothing under this key. */
  readonly revision: number;
  /** When this revision was learned, not when it was written. */
  readonly seenAtMs: number;
  /** There when this node first looked: no sign that its writer is alive now. */
  readonly isFirstSight: boolean;
}

const ABSENT: Known<never> = { record: null, text: null, revision: 0, seenAtMs: -Infinity, isFirstSight: true };

export class BucketView {
  readonly #timing: ClusterTiming;
  readonly #nodeId: string;
  readonly #numberKey: string;
  readonly #nodes = new Map<string, Known<NodeRecord>>();
  readonly #leases: Known<LeaseRecord>[] = Array.from({ length: PARTITIONS }, () => ABSENT);
  #numberOwner: Known<string> = ABSENT;
  #hasSnapshot = false;
  #isSettled = false;
  #unsettledAtMs = -Infinity;
  #confirmedAtMs = -Infinity;
  #contactAtMs = -Infinity;
  /** The bucket could not be seen before: silence of others counts from here. */
  #graceFromMs = -Infinity;
  #suspectUntilMs = -Infinity;

  constructor(options: { readonly nodeId: string; readonly numberKey: string; readonly timing: ClusterTiming }) {
    this.#nodeId = options.nodeId;
    this.#numberKey = options.numberKey;
    this.#timing = options.timing;
  }

  /** Everything was read once. */
  get hasSnapshot(): boolean {
    return this.#hasSnapshot;
  }

  /** Everything was read since the connection was last in doubt: only then are the revisions good for writing. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** When the last reading of everything began. */
  get confirmedAtMs(): number {
    return this.#confirmedAtMs;
  }

  /** Whether a held lease stood still for a lease time in which this node could see the bucket. */
  isExpired(partition: number, nowMs: number): boolean {
    return nowMs >= Math.max(this.lease(partition).seenAtMs, this.#graceFromMs) + this.#timing.leaseMs;
  }

  /** Until then nothing may be taken: the bucket forgot something. */
  get suspectUntilMs(): number {
    return this.#suspectUntilMs;
  }

  /** nodeId of whoever has this node's number; null: nobody. */
  get numberOwner(): Known<string> {
    return this.#numberOwner;
  }

  lease(partition: number): Known<LeaseRecord> {
    return this.#leases[partition] ?? ABSENT;
  }

  node(nodeId: string): Known<NodeRecord> {
    return this.#nodes.get(nodeId) ?? ABSENT;
  }

  nodes(): IterableIterator<[string, Known<NodeRecord>]> {
    return this.#nodes.entries();
  }

  revisionOf(key: string): number {
    return this.#known(key).revision;
  }

  /** Other nodes with a heartbeat lately. */
  aliveOthers(nowMs: number): string[] {
    return [...this.#nodes].filter(([id, node]) => id !== this.#nodeId && this.#isAlive(node, nowMs)).map(([id]) => id);
  }

  /** Whether some other node is listed as up that was never, or not lately, seen alive. */
  hasMissingPeers(nowMs: number): boolean {
    for (const [id, node] of this.#nodes) {
      if (id !== this.#nodeId && node.record?.state === "up" && !this.#isAlive(node, nowMs)) return true;
    }
    return false;
  }

  #isAlive(node: Known<NodeRecord>, nowMs: number): boolean {
    if (node.isFirstSight || node.record?.state !== "up") return false;
    return nowMs < Math.max(node.seenAtMs, this.#graceFromMs) + this.#timing.leaseMs;
  }

  /** The connection returned, or everything stood still: what is known may be of another time. */
  unsettle(nowMs: number): void {
    this.#isSettled = false;
    this.#unsettledAtMs = nowMs;
  }

  /** Notices that this node heard nothing for long (the bucket was away, or this process stood still). */
  checkGap(nowMs: number): void {
    if (this.#isSettled && nowMs - this.#contactAtMs > contactGapMs(this.#timing)) this.unsettle(nowMs);
  }

  /** The bucket answered. */
  #contacted(nowMs: number): void {
    this.checkGap(nowMs);
    if (nowMs - this.#contactAtMs > contactGapMs(this.#timing)) this.#graceFromMs = nowMs;
    this.#contactAtMs = nowMs;
  }

  /** The bucket answered that a write expected the wrong revision. */
  refused(nowMs: number): void {
    this.#contacted(nowMs);
  }

  /** From the watch. */
  changed(news: StoredKey, nowMs: number): void {
    this.#contacted(nowMs);
    if (this.#hasSnapshot && news.revision > this.#known(news.key).revision) this.#learn(news, nowMs);
  }

  /** This node's own write was stored. Answers whether nothing newer is known of the key. */
  stored(news: StoredKey, nowMs: number): boolean {
    this.#contacted(nowMs);
    const known = this.#known(news.key).revision;
    if (news.revision > known) this.#learn(news, nowMs);
    return news.revision >= known;
  }

  /** What a read found; `found` null: nothing. What was learned after the read began is not undone by it. */
  read(key: string, found: StoredKey | null, startedAtMs: number, nowMs: number): void {
    this.#contacted(nowMs);
    this.#adopt(found ?? { key, text: null, revision: 0 }, startedAtMs, nowMs);
  }

  /** Everything the bucket holds. Answers false when it is of no use: it began before the connection was in doubt. */
  snapshot(entries: readonly StoredKey[], startedAtMs: number, nowMs: number): boolean {
    this.#contacted(nowMs);
    if (startedAtMs < this.#unsettledAtMs) return false;
    if (this.#hasSnapshot) this.#adoptAbsences(entries, startedAtMs, nowMs);
    else for (const partition of this.#leases.keys()) this.#leases[partition] = { ...ABSENT, seenAtMs: nowMs };
    for (const entry of entries) this.#adopt(entry, startedAtMs, nowMs);
    this.#hasSnapshot = true;
    this.#isSettled = true;
    this.#confirmedAtMs = startedAtMs;
    return true;
  }

  #adoptAbsences(entries: readonly StoredKey[], startedAtMs: number, nowMs: number): void {
    const present = new Set(entries.map(({ key }) => key));
    const keys = [...this.#nodes.keys()].map(nodeKey);
    for (let partition = 0; partition < PARTITIONS; partition++) keys.push(`lease.${partition}`);
    for (const key of [...keys, this.#numberKey]) {
      if (!present.has(key)) this.#adopt({ key, text: null, revision: 0 }, startedAtMs, nowMs);
    }
  }

  #adopt(entry: StoredKey, startedAtMs: number, nowMs: number): void {
    const known = this.#known(entry.key);
    if (entry.revision > known.revision) return this.#learn(entry, nowMs);
    if (isSame(entry, known) || known.seenAtMs >= startedAtMs) return;
    this.#suspectUntilMs = nowMs + this.#timing.leaseMs;
    this.#learn(entry, nowMs);
  }

  #known(key: string): Known<unknown> {
    const meaning = meaningOf(key);
    if (meaning.kind === "lease") return this.lease(meaning.partition);
    if (meaning.kind === "node") return this.node(meaning.nodeId);
    return key === this.#numberKey ? this.#numberOwner : ABSENT;
  }

  #learn({ key, text, revision }: StoredKey, nowMs: number): void {
    const meaning = meaningOf(key);
    const seen = { text, revision, seenAtMs: nowMs, isFirstSight: !this.#hasSnapshot };
    if (meaning.kind === "lease") this.#leases[meaning.partition] = { ...seen, record: parseLease(text) };
    else if (meaning.kind === "node") this.#nodes.set(meaning.nodeId, { ...seen, record: parseNode(text) });
    else if (key === this.#numberKey) this.#numberOwner = { ...seen, record: text };
  }
}

/** A bucket that lost its tail gives the same revisions out again, for something else. */
function isSame(entry: StoredKey, known: Known<unknown>): boolean {
  return entry.revision === known.revision && entry.text === known.text;
}
