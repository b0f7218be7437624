// The simulator in a thread of its own, so that it measures and answers on time while the owner's thread is busy.

import { Worker } from "node:worker_threads";

import type { WhatsAppTemplate } from "../message/template.ts";
import type { Change } from "./change.ts";
import type { Inbound } from "./inbound.ts";
import type { ReceivedSend } from "./received-send.ts";
import type { Scenario, ScenarioInput } from "./scenario.ts";
import { rebuildError, type NumberedResult, type SimulatorCall } from "./simulator-thread-protocol.ts";
import type { SimulatorOptions, SimulatorStats } from "./simulator.ts";

/** The same as `Simulator`, one thread away. */
export interface SimulatorThread {
  readonly url: string;
  readonly port: number;
  readonly seed: number;
  received(): Promise<readonly ReceivedSend[]>;
  scenario(): Promise<Scenario>;
  setScenario(scenario: ScenarioInput): Promise<void>;
  setTemplates(templates: readonly WhatsAppTemplate[]): Promise<void>;
  setWebhookUrl(url: string | null): Promise<void>;
  state(): Promise<readonly Change[]>;
  setState(changes: Change | readonly Change[]): Promise<void>;
  receiveInbound(inbound: Inbound): Promise<void>;
  stats(): Promise<SimulatorStats>;
  idle(): Promise<void>;
  /** Resolves once the thread has ended. Safe twice. */
  close(): Promise<void>;
}

interface Waiter {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** What the log keeps would otherwise be copied several times before it counts as old. */
const YOUNG_GENERATION_MB = 64;
/** The number of the thread's own first message. */
const START = 0;

/** @throws EngineError as `startSimulator` does. */
export async function startSimulatorThread(options: SimulatorOptions): Promise<SimulatorThread> {
  const thread = new Thread(options);
  const { url, port, seed } = await thread.started;
  return {
    url,
    port,
    seed,
    received: () => thread.ask<readonly ReceivedSend[]>({ kind: "received" }),
    scenario: () => thread.ask<Scenario>({ kind: "scenario" }),
    setScenario: (scenario) => thread.ask<void>({ kind: "setScenario", scenario }),
    setTemplates: (templates) => thread.ask<void>({ kind: "setTemplates", templates }),
    setWebhookUrl: (webhookUrl) => thread.ask<void>({ kind: "setWebhookUrl", url: webhookUrl }),
    state: () => thread.ask<readonly Change[]>({ kind: "state" }),
    setState: (changes) => thread.ask<void>({ kind: "setState", changes }),
    receiveInbound: (inbound) => thread.ask<void>({ kind: "receiveInbound", inbound }),
    stats: () => thread.ask<SimulatorStats>({ kind: "stats" }),
    idle: () => thread.ask<void>({ kind: "idle" }),
    close: () => thread.close(),
  };
}

class Thread {
  readonly started: Promise<{ readonly url: string; readonly port: number; readonly seed: number }>;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #waiters = new Map<number, Waiter>();
  #number = START;
  #isClosing = false;

  constructor(options: SimulatorOptions) {
    this.#worker = new Worker(new URL("./simulator-thread-worker.js", import.meta.url), {
      workerData: options,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    this.started = this.#wait(START);
    this.#worker.on("message", (result: NumberedResult) => this.#settle(result));
    this.#worker.on("error", (error) => this.#rejectAll(error));
    this.#ended = new Promise((resolve) => {
      this.#worker.on("exit", () => {
        this.#rejectAll(new Error("The simulator's thread has ended."));
        resolve();
      });
    });
  }

  ask<Value>(call: SimulatorCall): Promise<Value> {
    if (this.#isClosing) return Promise.reject(new Error("The simulator is closed."));
    const number = ++this.#number;
    const answer = this.#wait<Value>(number);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window.
    this.#worker.postMessage({ number, call });
    return answer;
  }

  async close(): Promise<void> {
    if (!this.#isClosing) {
      const closed = this.ask<void>({ kind: "close" });
      this.#isClosing = true;
      // A thread that crashed is closed as well.
      await closed.catch(() => undefined);
    }
    await this.#ended;
  }

  #wait<Value>(number: number): Promise<Value> {
    return new Promise<Value>((resolve, reject) =>
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the kind of the call decides its result's type.
      this.#waiters.set(number, { resolve: (value) => resolve(value as Value), reject }),
    );
  }

  #settle(result: NumberedResult): void {
    const waiter = this.#waiters.get(result.number);
    this.#waiters.delete(result.number);
    if (result.kind === "result") waiter?.resolve(result.value);
    else waiter?.reject(rebuildError(result.error));
  }

  #rejectAll(error: Error): void {
    for (const waiter of this.#waiters.values()) waiter.reject(error);
    this.#waiters.clear();
  }
}
