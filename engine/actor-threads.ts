// The actor threads, seen from the main thread: which partitions each one owns, and what is told to them.
// A thread that crashes is started anew with the same partitions and takes up what it left; the others never notice.

import { Worker } from "node:worker_threads";

import type { PartitionProgress, SenderReport } from "./actor/partition-deps.ts";
import type {
  FromThread,
  SenderAllowance,
  ThreadCampaign,
  ThreadStart,
  ThreadStream,
  ToThread,
} from "./actor/protocol.ts";
import { type Supervisor, superviseThread } from "./actor/thread-supervisor.ts";
import type { MessageId } from "./message/ids.ts";
import type { ConsentRules } from "./message/marketing.ts";
import { PARTITIONS } from "./message/partition.ts";
import type { Clock } from "./runtime/clock.ts";
import type { SenderConfig } from "./runtime/config.ts";
import { EngineError } from "./runtime/errors.ts";
import type { Log } from "./runtime/log.ts";

export interface ActorThreadsOptions {
  readonly count: number;
  readonly start: Omit<ThreadStart, "threadIndex" | "partitions" | "campaigns" | "senders" | "consent" | "stream">;
  /** Read at each start of a thread, like the next three, so that a restarted one knows the present. */
  stream(): ThreadStream;
  campaigns(): readonly ThreadCampaign[];
  senders(): readonly SenderConfig[];
  consent(): ConsentRules;
  /** A thread of these partitions starts, or starts again. */
  onStarted(partitions: readonly number[]): void;
  onProgress(progress: PartitionProgress): void;
  onResponseTimes(milliseconds: readonly number[]): void;
  onSender(senderId: string, report: SenderReport): void;
  /** WhatsApp answered with a code that this release does not know. */
  onUnknownCode(errorCode: number): void;
  /** WhatsApp refused a message because its template is another one than the one here. */
  onStaleTemplate(): void;
  /** In a cluster: the partition's table copies what it missed. */
  onRebuilding?(partition: number, done: number, total: number): void;
  /** In a cluster: the partition's stream lost its tail. */
  onRewound?(partition: number): void;
  /** A thread can no longer do its work: the engine has to end. */
  onFatal(error: EngineError): void;
  readonly log: Log;
  readonly clock: Clock;
}

interface ActorThread {
  readonly partitions: readonly number[];
  readonly supervisor: Supervisor;
}

export class ActorThreads {
  readonly #options: ActorThreadsOptions;
  readonly #threads: readonly ActorThread[];
  readonly #ready: readonly Promise<void>[];
  readonly #replays = new Map<number, (count: number) => void>();
  readonly #releases = new Map<number, () => void>();
  #calls = 0;

  constructor(options: ActorThreadsOptions) {
    this.#options = options;
    const count = Math.min(options.count, PARTITIONS);
    const seats = Array.from({ length: count }, (_, index) => this.#seat(index, partitionsOf(index, count)));
    this.#threads = seats.map(({ thread }) => thread);
    this.#ready = seats.map(({ ready }) => ready);
  }

  /** Resolves once every thread has taken up its partitions. */
  async ready(): Promise<void> {
    await Promise.all(this.#ready);
  }

  /** The stream holds more for these partitions. A thread that is being restarted looks there by itself. */
  appended(partitions: ReadonlySet<number>): void {
    for (const thread of this.#threads) {
      const own = thread.partitions.filter((partition) => partitions.has(partition));
      if (own.length > 0) tell(thread, { kind: "appended", partitions: own });
    }
  }

  setCampaigns(campaigns: readonly ThreadCampaign[]): void {
    for (const thread of this.#threads) tell(thread, { kind: "campaigns", campaigns });
  }

  setSenders(senders: readonly SenderConfig[]): void {
    for (const thread of this.#threads) tell(thread, { kind: "senders", senders });
  }

  setAllowances(allowances: readonly SenderAllowance[]): void {
    for (const thread of this.#threads) tell(thread, { kind: "allowances", allowances });
  }

  /** Senders of any thread met, or may meet, a block that one of them reported. */
  blockedElsewhere(news: Extract<ToThread, { kind: "blockedElsewhere" }>): void {
    for (const thread of this.#threads) tell(thread, news);
  }

  setConsent(rules: ConsentRules): void {
    for (const thread of this.#threads) tell(thread, { kind: "consent", rules });
  }

  /** In a cluster: this node owns the partition from now on. A thread that is being restarted learns it at its start. */
  own(partition: number): void {
    this.#tellOwner(partition, { kind: "own", partition });
  }

  /** Resolves once the partition was given up in good order. */
  async release(partition: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#releases.set(partition, resolve);
      if (!this.#tellOwner(partition, { kind: "release", partition })) this.#released(partition);
    });
  }

  /** Another node owns the partition. */
  lost(partition: number): void {
    this.#tellOwner(partition, { kind: "lost", partition });
  }

  folded(partition: number): void {
    this.#tellOwner(partition, { kind: "folded", partition });
  }

  /** @returns How many were queued anew; durable a moment later. */
  async replay(partition: number, ids: readonly MessageId[], maxPerSecond: number): Promise<number> {
    const thread = this.#threads.find((candidate) => candidate.partitions.includes(partition));
    if (thread === undefined) return 0;
    const call = ++this.#calls;
    return new Promise((resolve) => {
      this.#replays.set(call, resolve);
      if (!tell(thread, { kind: "replay", call, partition, ids, maxPerSecond })) this.#replayed(call, 0);
    });
  }

  /** Resolves once every thread has sent its last request, heard its verdict and made it durable. */
  async stop(graceMs: number): Promise<void> {
    const farewell: ToThread = { kind: "stop" };
    await Promise.all(this.#threads.map((thread) => thread.supervisor.stop({ farewell, graceMs })));
  }

  #tellOwner(partition: number, message: ToThread): boolean {
    const thread = this.#threads.find((candidate) => candidate.partitions.includes(partition));
    return thread !== undefined && tell(thread, message);
  }

  #released(partition: number): void {
    this.#releases.get(partition)?.();
    this.#releases.delete(partition);
  }

  #seat(threadIndex: number, partitions: readonly number[]): { thread: ActorThread; ready: Promise<void> } {
    const { start, stream, campaigns, senders, consent, log, clock, onStarted, onFatal } = this.#options;
    const { promise: ready, resolve: onReady } = withResolver();
    const supervisor = superviseThread({
      name: `actor-${threadIndex}`,
      start: () => {
        const workerData: ThreadStart = {
          ...start,
          threadIndex,
          partitions,
          stream: stream(),
          campaigns: campaigns(),
          senders: senders(),
          consent: consent(),
        };
        return new Worker(new URL("./actor-thread.js", import.meta.url), { workerData, name: `actor-${threadIndex}` });
      },
      onStarted: () => {
        // What a crashed thread was asked to give up it has given up.
        for (const partition of partitions) this.#released(partition);
        onStarted(partitions);
      },
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only actor-thread.ts speaks here
      onMessage: (message) => this.#hear(message as FromThread, onReady),
      onGivenUp: (error) => onFatal(error),
      log,
      clock,
    });
    return { thread: { partitions, supervisor }, ready };
  }

  #hear(message: FromThread, onReady: () => void): void {
    switch (message.kind) {
      case "ready":
        onReady();
        return;
      case "progress":
        this.#options.onProgress(message.progress);
        return;
      case "responseTimes":
        this.#options.onResponseTimes(message.milliseconds);
        return;
      case "sender":
        this.#options.onSender(message.senderId, message.report);
        return;
      case "unknownCode":
        this.#options.onUnknownCode(message.errorCode);
        return;
      case "staleTemplate":
        this.#options.onStaleTemplate();
        return;
      case "replayed":
        this.#replayed(message.call, message.count);
        return;
      case "rebuilding":
        this.#options.onRebuilding?.(message.partition, message.done, message.total);
        return;
      case "seated":
        this.#options.onStarted([message.partition]);
        return;
      case "released":
        this.#released(message.partition);
        return;
      case "rewound":
        this.#options.onRewound?.(message.partition);
        return;
      case "broken":
        this.#options.onFatal(new EngineError("ERR_LEDGER_WRITE", message.message));
    }
  }

  #replayed(call: number, count: number): void {
    this.#replays.get(call)?.(count);
    this.#replays.delete(call);
  }
}

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  const resolvers: (() => void)[] = [];
  const promise = new Promise<void>((resolve) => resolvers.push(resolve));
  return { promise, resolve: () => resolvers.forEach((resolve) => resolve()) };
}

function partitionsOf(threadIndex: number, threads: number): readonly number[] {
  const all = Array.from({ length: PARTITIONS }, (_, partition) => partition);
  return all.filter((partition) => partition % threads === threadIndex);
}

function tell(thread: ActorThread, message: ToThread): boolean {
  return thread.supervisor.post(message);
}
