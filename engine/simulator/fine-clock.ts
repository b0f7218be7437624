// Epoch time with fractions of a millisecond that never runs backwards between two sends: the simulator's log is
// compared with limits in which a millisecond decides.

import type { Clock } from "../runtime/clock.ts";

/** One moment, by both clocks. */
export interface Instant {
  /** Epoch milliseconds, with fractions. */
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** `nowMs` counts whole milliseconds, so a sample lies at most this far below the truth. */
const SAMPLE_ERROR_MS = 1;

export class FineClock {
  readonly #clock: Clock;
  #offsetMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offsetMs = clock.nowMs() - clock.monotonicMs();
  }

  now(): Instant {
    const monotonicMs = this.#clock.monotonicMs();
    return { wallMs: this.#offsetMs + monotonicMs, monotonicMs };
  }

  /**
   * Compares the two clocks once more. Samples only err downwards, so the largest is the best; a much lower one means
   * that the machine's clock was set, or that the machine slept.
   */
  correct(): void {
    const sampleMs = this.#clock.nowMs() - this.#clock.monotonicMs();
    if (sampleMs > this.#offsetMs || sampleMs < this.#offsetMs - 2 * SAMPLE_ERROR_MS) this.#offsetMs = sampleMs;
  }
}
