// What was opened is closed in reverse, once, whatever comes in between: a failed start leaves nothing running behind,
// and a stop that fails in one place goes on with the next.

import { messageOf } from "./errors.ts";
import type { Log } from "./log.ts";

export class Shutdown {
  readonly #steps: { readonly name: string; close(): void | Promise<void> }[] = [];
  readonly #log: Log;
  #running: Promise<void> | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  /** To be closed before everything that was added earlier. */
  add(name: string, close: () => void | Promise<void>): void {
    this.#steps.push({ name, close });
  }

  /** Resolves once everything is closed. Safe twice. */
  run(): Promise<void> {
    this.#running ??= this.#closeAll();
    return this.#running;
  }

  async #closeAll(): Promise<void> {
    for (const { name, close } of this.#steps.toReversed()) {
      try {
        await close();
      } catch (error) {
        this.#log.error("shutdown.step_failed", { step: name, reason: messageOf(error) });
      }
    }
  }
}
