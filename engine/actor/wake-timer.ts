// One timer for everything that waits for a time: armed at the earliest of the wishes, never more than once.

import type { Clock } from "../runtime/clock.ts";

export class WakeTimer {
  readonly #clock: Clock;
  readonly #call: () => void;
  #atMonotonicMs = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, call: () => void) {
    this.#clock = clock;
    this.#call = call;
  }

  /** Calls at that time, unless an earlier call is already due; who still needs it then asks again. */
  at(monotonicMs: number): void {
    if (monotonicMs >= this.#atMonotonicMs) return;
    this.#cancel?.();
    this.#atMonotonicMs = monotonicMs;
    const delayMs = Math.max(0, Math.ceil(monotonicMs - this.#clock.monotonicMs()));
    this.#cancel = this.#clock.after(delayMs, () => {
      this.cancel();
      this.#call();
    });
  }

  cancel(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#atMonotonicMs = Number.POSITIVE_INFINITY;
  }
}
