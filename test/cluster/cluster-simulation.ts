// Nodes, a bucket and a network in one thread, driven by one seed: messages are late or lost, nodes stop, die and return,
// the bucket goes away and forgets. True time is known here; each node sees only its own clock.

import type { StoredKey } from "../../engine/cluster/bucket-view.ts";
import { type Effect, MembershipCore, type WriteResult } from "../../engine/cluster/membership-core.ts";
import { type ClusterTiming, DEFAULT_TIMING } from "../../engine/cluster/timing.ts";
import { PARTITIONS } from "../../engine/message/partition.ts";
import { seededRandom } from "../actor/seeded-random.ts";
import { SimulatedBucket } from "./simulated-bucket.ts";

const ANSWER_TIMEOUT_MS = 1500;
const TICK_MS = 250;

interface Happening {
  readonly atMs: number;
  readonly order: number;
  readonly call: () => void;
}

export class SimulatedNode {
  readonly id: string;
  readonly number: number;
  core: MembershipCore | null = null;
  validUntil: Float64Array = new Float64Array(PARTITIONS);
  /** Changes at each start: what was meant for an older process does not arrive. */
  life: number = 0;
  isPaused: boolean = false;
  /** Cut off from the bucket. */
  isCutOff: boolean = false;
  readonly acting: Set<number> = new Set<number>();
  waiting: (() => void)[] = [];
  session: number = 0;
  readonly #offsetMs: number;
  readonly #rate: number;

  constructor(number: number, random: () => number) {
    this.id = `node-${number}`;
    this.number = number;
    this.#offsetMs = random() * 1e6;
    this.#rate = 0.999 + random() * 0.002;
  }

  localMs(trueMs: number): number {
    return this.#offsetMs + trueMs * this.#rate;
  }

  isValid(partition: number, trueMs: number): boolean {
    return this.core !== null && this.localMs(trueMs) < (this.validUntil[partition] ?? 0);
  }
}

export class ClusterSimulation {
  readonly bucket: SimulatedBucket = new SimulatedBucket();
  readonly nodes: readonly SimulatedNode[];
  readonly random: () => number;
  readonly violations: string[] = [];
  nowMs: number = 0;
  /** Chance that a request, or its answer, is lost; and that it is very late. */
  lossChance: number = 0;
  lateChance: number = 0;
  releaseMsMax: number = 100;
  takes: number = 0;
  losses: number = 0;
  readonly #timing: ClusterTiming;
  #heap: Happening[] = [];
  #order = 0;

  constructor(seed: number, timing: Partial<ClusterTiming> = {}, size: number = 3) {
    this.random = seededRandom(seed);
    this.#timing = { ...DEFAULT_TIMING, ...timing };
    this.nodes = Array.from({ length: size }, (_, index) => new SimulatedNode(index, this.random));
  }

  at(atMs: number, call: () => void): void {
    const heap = this.#heap;
    const happening = { atMs, order: this.#order++, call };
    let place = heap.length;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(happening, above)) break;
      heap[place] = above;
      place = parent;
    }
    heap[place] = happening;
  }

  after(delayMs: number, call: () => void): void {
    this.at(this.nowMs + delayMs, call);
  }

  /** Runs until the true time `untilMs`. */
  run(untilMs: number): void {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#dropFirst();
      this.nowMs = next.atMs;
      next.call();
    }
    this.nowMs = untilMs;
  }

  #dropFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let place = 0;
    for (;;) {
      const left = heap[2 * place + 1];
      const right = heap[2 * place + 2];
      const isRight = left !== undefined && right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (child === undefined || !isBefore(child, last)) break;
      heap[place] = child;
      place = 2 * place + (isRight ? 2 : 1);
    }
    heap[place] = last;
  }

  start(node: SimulatedNode): void {
    node.life++;
    node.isPaused = false;
    node.waiting = [];
    node.acting.clear();
    node.validUntil = new Float64Array(PARTITIONS);
    node.core = new MembershipCore({
      nodeId: node.id,
      nodeName: node.id.toUpperCase(),
      nodeNumber: node.number,
      run: `${node.id}/${node.life}`,
      timing: this.#timing,
      validUntil: node.validUntil,
    });
    this.#openWatch(node);
    this.#tick(node, node.life);
  }

  crash(node: SimulatedNode): void {
    node.life++;
    node.session++;
    node.core = null;
    node.acting.clear();
  }

  pause(node: SimulatedNode): void {
    node.isPaused = true;
  }

  /** What came meanwhile is dealt with now, in any order. */
  resume(node: SimulatedNode): void {
    node.isPaused = false;
    const waiting = node.waiting.toSorted(() => this.random() - 0.5);
    node.waiting = [];
    for (const call of waiting) call();
  }

  /** The bucket, or the way to it, went or came back. */
  reconnect(node: SimulatedNode): void {
    const { core, life } = node;
    if (core === null) return;
    node.session++;
    this.#deliver(node, life, () => {
      core.interrupted(node.localMs(this.nowMs));
      if (this.#reaches(node)) this.#openWatch(node);
    });
  }

  holders(partition: number): SimulatedNode[] {
    return this.nodes.filter((node) => node.isValid(partition, this.nowMs));
  }

  #reaches(node: SimulatedNode): boolean {
    return this.bucket.isUp && !node.isCutOff;
  }

  #tick(node: SimulatedNode, life: number): void {
    if (node.life !== life) return;
    this.#deliver(node, life, () => undefined);
    this.after(TICK_MS, () => this.#tick(node, life));
  }

  /** An input of the node: at once, or when it goes on. Then it decides, as the real one does. */
  #deliver(node: SimulatedNode, life: number, input: () => void): void {
    const call = (): void => {
      const { core } = node;
      if (core === null || node.life !== life) return;
      input();
      for (const effect of core.decide(node.localMs(this.nowMs))) this.#carryOut(node, core, effect);
      this.#check();
    };
    if (!node.isPaused) call();
    else if (node.life === life) node.waiting.push(call);
  }

  #check(): void {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      let holder: SimulatedNode | null = null;
      for (const node of this.nodes) {
        if (!node.isValid(partition, this.nowMs)) continue;
        if (holder !== null) this.#violated(`${holder.id} and ${node.id} both hold ${partition} as valid`);
        holder = node;
      }
    }
  }

  #violated(what: string): void {
    this.violations.push(`${Math.round(this.nowMs)} ms: ${what}`);
  }

  #carryOut(node: SimulatedNode, core: MembershipCore, effect: Effect): void {
    const { life } = node;
    const startedAtMs = node.localMs(this.nowMs);
    switch (effect.kind) {
      case "write":
        return this.#request(node, {
          ask: (): WriteResult => this.#put(effect),
          answer: (result) => core.wrote(effect.key, result, node.localMs(this.nowMs)),
          fail: () => core.wrote(effect.key, { kind: "unknown" }, node.localMs(this.nowMs)),
        });
      case "read":
        return this.#request(node, {
          ask: () => this.bucket.get(effect.key),
          answer: (found) => core.readDone(effect.key, found, startedAtMs, node.localMs(this.nowMs)),
          fail: () => core.readFailed(effect.key),
        });
      case "snapshot":
        return this.#request(node, {
          ask: () => this.bucket.all(),
          answer: (entries) => core.snapshotDone(entries, node.localMs(this.nowMs)),
          fail: () => core.snapshotFailed(),
        });
      case "take":
        this.takes++;
        if (node.acting.has(effect.partition)) this.#violated(`${node.id} took ${effect.partition} twice`);
        return void node.acting.add(effect.partition);
      case "release":
        if (!node.acting.has(effect.partition)) this.#violated(`${node.id} releases ${effect.partition} unheld`);
        return this.after(this.random() * this.releaseMsMax, () =>
          this.#deliver(node, life, () => {
            core.released(effect.partition, effect.epoch);
            if (!core.held().includes(effect.partition)) node.acting.delete(effect.partition);
          }),
        );
      case "lost":
        this.losses++;
        if (!node.acting.delete(effect.partition)) this.#violated(`${node.id} lost ${effect.partition} unheld`);
        return;
      case "twin":
    }
  }

  #put(write: { key: string; text: string; expectedRevision: number }): WriteResult {
    const result = this.bucket.put(write, this.nowMs);
    if (result.kind !== "stored") return result;
    const news = { key: write.key, text: write.text, revision: result.revision };
    for (const node of this.nodes) this.#tell(node, node.session, news);
    return result;
  }

  readonly #watchedUntilMs = new Map<string, number>();

  /** In order within a session, each with its delay. */
  #tell(node: SimulatedNode, session: number, news: StoredKey): void {
    if (node.core === null || !this.#reaches(node)) return;
    const { core, life } = node;
    const lane = `${node.id}/${session}`;
    const atMs = Math.max(this.#watchedUntilMs.get(lane) ?? 0, this.nowMs + this.#delayMs());
    this.#watchedUntilMs.set(lane, atMs);
    this.at(atMs, () => {
      if (node.session !== session) return;
      this.#deliver(node, life, () => core.changed(news, node.localMs(this.nowMs)));
    });
  }

  #openWatch(node: SimulatedNode): void {
    node.session++;
    for (const news of this.bucket.all()) this.#tell(node, node.session, news);
  }

  #delayMs(): number {
    return this.random() < this.lateChance ? this.random() * 4000 : 1 + this.random() * 15;
  }

  #request<Answer>(
    node: SimulatedNode,
    calls: { ask: () => Answer; answer: (answer: Answer) => void; fail: () => void },
  ): void {
    const { life } = node;
    let isOver = false;
    const end = (input: () => void): void => {
      if (isOver) return;
      isOver = true;
      this.#deliver(node, life, input);
    };
    this.after(ANSWER_TIMEOUT_MS, () => end(calls.fail));
    if (this.random() < this.lossChance) return;
    this.after(this.#delayMs(), () => {
      if (!this.#reaches(node)) return;
      const answer = calls.ask();
      if (this.random() >= this.lossChance) this.after(this.#delayMs(), () => end(() => calls.answer(answer)));
    });
  }
}

function isBefore(a: Happening, b: Happening): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
