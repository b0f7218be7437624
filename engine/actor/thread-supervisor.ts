// Keeps a thread alive: one that crashes is started again, with growing pauses, but not for ever.
//
//   running   entered by start. A crash (its end, when nobody asked for it) leads to resting.
//   resting   waits for the pause to end, then running again. More than RESTARTS_MAX crashes in a minute: given up.
//   given up  `onGivenUp` was told, once, with ERR_ACTOR_CRASHED. Nothing is started any more.
//   stopping  entered by stop(), from any state. The end of the thread is no crash now.
//
// A message for a thread that is not running is refused, not kept: what a thread must know is on disk, and the caller
// tells a new one everything in `onStarted`.

import { EngineError, messageOf } from "../runtime/errors.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";

/** What the supervisor needs of a `Worker`. */
export interface SupervisedThread {
  on(event: "message", listener: (message: unknown) => void): unknown;
  on(event: "error", listener: (error: unknown) => void): unknown;
  on(event: "exit", listener: (exitCode: number) => void): unknown;
  postMessage(message: unknown): void;
  terminate(): Promise<unknown>;
}

export interface SuperviseOptions {
  /** For the log. */
  readonly name: string;
  /** Makes the thread; it may throw, which counts as a crash. */
  start(): SupervisedThread;
  /** A new thread runs: the first, or one after a crash. */
  onStarted?(): void;
  onMessage(message: unknown): void;
  onGivenUp(error: EngineError): void;
  /** Crashes within a minute that are answered with a restart. Default 5. */
  readonly restartsMax?: number;
  readonly log: Log;
  readonly clock: Clock;
}

export interface Supervisor {
  /** @returns false when no thread runs that could take it. */
  post(message: unknown): boolean;
  /**
   * Asks the thread to end with `farewell` (null: nothing to ask), waits for it at most `graceMs`, then ends it.
   * Safe twice, and when nothing runs.
   */
  stop(options: { readonly farewell: unknown; readonly graceMs: number }): Promise<void>;
}

const RESTARTS_MAX = 5;
const RESTARTS_PERIOD_MS = 60_000;
const RESTART_BASE_MS = 100;
const RESTART_CAP_MS = 5000;

export function superviseThread(options: SuperviseOptions): Supervisor {
  const supervisor = new ThreadSupervisor(options);
  supervisor.start();
  return supervisor;
}

class ThreadSupervisor implements Supervisor {
  readonly #options: SuperviseOptions;
  #mode: "running" | "resting" | "given up" | "stopping" = "resting";
  #thread: SupervisedThread | null = null;
  /** Monotonic times of the crashes of the last minute. */
  #crashesAtMs: number[] = [];
  #cancelRest: () => void = () => {};
  #stopped: Promise<void> | null = null;
  #onEnded: () => void = () => {};

  constructor(options: SuperviseOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#mode !== "resting") return;
    try {
      this.#thread = this.#watched(this.#options.start());
    } catch (error) {
      this.#crashed(messageOf(error));
      return;
    }
    this.#mode = "running";
    this.#options.onStarted?.();
  }

  post(message: unknown): boolean {
    if (this.#mode !== "running" || this.#thread === null) return false;
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window.
    this.#thread.postMessage(message);
    return true;
  }

  stop(options: { readonly farewell: unknown; readonly graceMs: number }): Promise<void> {
    this.#stopped ??= this.#stop(options);
    return this.#stopped;
  }

  async #stop(options: { readonly farewell: unknown; readonly graceMs: number }): Promise<void> {
    this.#mode = "stopping";
    this.#cancelRest();
    const thread = this.#thread;
    if (thread === null) return;
    const ended = new Promise<void>((resolve) => (this.#onEnded = resolve));
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- as above.
    if (options.farewell !== null) thread.postMessage(options.farewell);
    const cancelGrace = this.#options.clock.after(options.farewell === null ? 0 : options.graceMs, () => {
      this.#options.log.warn("thread.terminated", { thread: this.#options.name, graceMs: options.graceMs });
      thread.terminate().catch((error: unknown) => {
        this.#options.log.error("thread.immortal", { thread: this.#options.name, reason: messageOf(error) });
      });
    });
    await ended;
    cancelGrace();
  }

  #watched(thread: SupervisedThread): SupervisedThread {
    // An uncaught error arrives before the exit that it causes: the exit is the crash, the error its reason.
    let reason = "";
    thread.on("message", (message) => this.#options.onMessage(message));
    thread.on("error", (error) => (reason = messageOf(error)));
    thread.on("exit", (exitCode) => {
      this.#thread = null;
      if (this.#mode === "stopping") this.#onEnded();
      else this.#crashed(reason === "" ? `It ended with exit code ${exitCode}.` : reason);
    });
    return thread;
  }

  #crashed(reason: string): void {
    const { clock, log, name } = this.#options;
    const nowMs = clock.monotonicMs();
    this.#crashesAtMs = this.#crashesAtMs.filter((atMs) => nowMs - atMs < RESTARTS_PERIOD_MS);
    this.#crashesAtMs.push(nowMs);
    const crashes = this.#crashesAtMs.length;
    log.error("thread.crashed", { thread: name, reason, crashesInAMinute: crashes });
    if (crashes > (this.#options.restartsMax ?? RESTARTS_MAX)) {
      this.#giveUp(reason, crashes);
      return;
    }
    this.#mode = "resting";
    const pauseMs = Math.min(RESTART_CAP_MS, RESTART_BASE_MS * 2 ** (crashes - 1));
    this.#cancelRest = clock.after(pauseMs, () => this.start());
  }

  #giveUp(reason: string, crashes: number): void {
    this.#mode = "given up";
    const message = `thread ${this.#options.name} crashed ${crashes} times within a minute; the last time: ${reason}`;
    this.#options.onGivenUp(new EngineError("ERR_ACTOR_CRASHED", message));
  }
}
