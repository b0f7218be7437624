// The actor threads, seen from the main thread: which partitions each one owns, and what is told to them.
// A thread that crashes is started anew with the same partitions and takes up what it left; the others never notice.

import { Worker } from "node:worker_threads";

import type { PartitionProgress } from "./actor/partition-deps.ts";
import type { FromThread, ThreadCampaign, ThreadStart, ToThread } from "./actor/protocol.ts";
import type { MessageId } from "./message/ids.ts";
import { PARTITIONS } from "./message/partition.ts";
import type { SenderConfig } from "./runtime/config.ts";
import { EngineError, messageOf } from "./runtime/errors.ts";
import type { Log } from "./runtime/log.ts";

/** Crashes of one thread within the window beyond which the engine gives up. */
const CRASHES_MAX = 5;
const CRASH_WINDOW_MS = 60_000;
const RESTART_DELAY_MS = 200;

export interface ActorThreadsOptions {
  readonly count: number;
  readonly start: Omit<ThreadStart, "threadIndex" | "partitions" | "campaigns" | "senders">;
  /** Read at each start of a thread, so that a restarted one knows the present. */
  campaigns(): readonly ThreadCampaign[];
  senders(): readonly SenderConfig[];
  onProgress(progress: PartitionProgress): void;
  onResponseTimes(milliseconds: readonly number[]): void;
  /** A thread can no longer do its work: the engine has to end. */
  onFatal(error: EngineError): void;
  readonly log: Log;
}

interface ActorThread {
  readonly index: number;
  readonly partitions: readonly number[];
  worker: Worker;
  crashedAtMs: number[];
  isStopped: boolean;
}

export class ActorThreads {
  readonly #options: ActorThreadsOptions;
  readonly #threads: ActorThread[] = [];
  readonly #replays = new Map<number, (count: number) => void>();
  readonly #starting: Promise<void>[] = [];
  #calls = 0;
  #isStopping = false;
  #stopped: (() => void)[] = [];

  constructor(options: ActorThreadsOptions) {
    this.#options = options;
    const count = Math.min(options.count, PARTITIONS);
    for (let index = 0; index < count; index++) {
      const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition).filter(
        (partition) => partition % count === index,
      );
      const thread: ActorThread = { index, partitions, worker: this.#spawn(index, partitions), crashedAtMs: [], isStopped: false };
      this.#threads.push(thread);
      this.#starting.push(this.#attach(thread));
    }
  }

  /** Resolves once every thread has taken up its partitions. */
  async ready(): Promise<void> {
    await Promise.all(this.#starting);
  }

  /** The stream holds more for these partitions. */
  appended(partitions: ReadonlySet<number>): void {
    for (const thread of this.#threads) {
      const own = thread.partitions.filter((partition) => partitions.has(partition));
      if (own.length > 0) this.#tell(thread, { kind: "appended", partitions: own });
    }
  }

  setCampaigns(campaigns: readonly ThreadCampaign[]): void {
    for (const thread of this.#threads) this.#tell(thread, { kind: "campaigns", campaigns });
  }

  setSenders(senders: readonly SenderConfig[]): void {
    for (const thread of this.#threads) this.#tell(thread, { kind: "senders", senders });
  }

  /** @returns How many were queued anew. */
  async replay(partition: number, ids: readonly MessageId[], maxPerSecond: number): Promise<number> {
    const thread = this.#threads.find((candidate) => candidate.partitions.includes(partition));
    if (thread === undefined) return 0;
    const call = ++this.#calls;
    return new Promise((resolve) => {
      this.#replays.set(call, resolve);
      this.#tell(thread, { kind: "replay", call, partition, ids, maxPerSecond });
    });
  }

  /** Resolves once every thread has sent its last request, heard its verdict and made it durable. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const running = this.#threads.filter((thread) => !thread.isStopped);
    await Promise.all(
      running.map(async (thread) => {
        const ended = new Promise<void>((resolve) => this.#stopped.push(resolve));
        this.#tell(thread, { kind: "stop" });
        await ended;
        await thread.worker.terminate();
      }),
    );
  }

  #tell(thread: ActorThread, message: ToThread): void {
    if (!thread.isStopped) thread.worker.postMessage(message);
  }

  #spawn(threadIndex: number, partitions: readonly number[]): Worker {
    const { start, campaigns, senders } = this.#options;
    const workerData: ThreadStart = { ...start, threadIndex, partitions, campaigns: campaigns(), senders: senders() };
    return new Worker(new URL("./actor-thread.js", import.meta.url), { workerData, name: `actor-${threadIndex}` });
  }

  /** Listens to a thread until its end. Resolves once it is ready. */
  async #attach(thread: ActorThread): Promise<void> {
    const { worker } = thread;
    await new Promise<void>((resolve) => {
      worker.on("message", (message: FromThread) => {
        if (message.kind === "ready") resolve();
        else this.#hear(thread, message);
      });
      worker.on("error", (error) => {
        this.#options.log.error("thread.crashed", { thread: thread.index, reason: messageOf(error) });
      });
      worker.on("exit", () => this.#onExit(thread));
    });
  }

  #hear(thread: ActorThread, message: Exclude<FromThread, { kind: "ready" }>): void {
    switch (message.kind) {
      case "progress":
        this.#options.onProgress(message.progress);
        return;
      case "responseTimes":
        this.#options.onResponseTimes(message.milliseconds);
        return;
      case "replayed":
        this.#replays.get(message.call)?.(message.count);
        this.#replays.delete(message.call);
        return;
      case "stopped":
        thread.isStopped = true;
        this.#stopped.pop()?.();
        return;
      case "broken":
        this.#options.onFatal(new EngineError("ERR_LEDGER_WRITE", message.message));
    }
  }

  #onExit(thread: ActorThread): void {
    if (thread.isStopped) return;
    if (this.#isStopping) {
      thread.isStopped = true;
      this.#stopped.pop()?.();
      return;
    }
    const nowMs = performance.now();
    thread.crashedAtMs = [...thread.crashedAtMs.filter((atMs) => nowMs - atMs < CRASH_WINDOW_MS), nowMs];
    if (thread.crashedAtMs.length >= CRASHES_MAX) {
      const reason = `actor thread ${thread.index} crashed ${thread.crashedAtMs.length} times within a minute`;
      this.#options.onFatal(new EngineError("ERR_ACTOR_CRASHED", reason));
      return;
    }
    setTimeout(() => {
      if (this.#isStopping) return;
      thread.worker = this.#spawn(thread.index, thread.partitions);
      this.#attach(thread).then(
        () => {
          this.#options.log.warn("thread.restarted", { thread: thread.index });
          this.appended(new Set(thread.partitions));
        },
        (error: unknown) => this.#options.log.error("thread.lost", { reason: messageOf(error) }),
      );
    }, RESTART_DELAY_MS);
  }
}
