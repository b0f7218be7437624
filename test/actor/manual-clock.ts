// A clock that stands still until a test moves it; its wall time may be set on its own, as a machine's may.

import type { Clock } from "../../engine/runtime/clock.ts";

const EPOCH_MS = 1_790_000_000_000;

interface Timer {
  readonly atMs: number;
  readonly call: () => void;
}

export class ManualClock implements Clock {
  wallMs: number = EPOCH_MS;
  #monotonicMs = 5_000;
  #timers: Timer[] = [];

  nowMs(): number {
    return this.wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  after(delayMs: number, call: () => void): () => void {
    const timer = { atMs: this.#monotonicMs + delayMs, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  /** Milliseconds until the first timer; null when none is armed. */
  get nextInMs(): number | null {
    if (this.#timers.length === 0) return null;
    return Math.max(0, Math.min(...this.#timers.map(({ atMs }) => atMs)) - this.#monotonicMs);
  }

  /** Milliseconds until the last one; 0 when none is armed. */
  get lastInMs(): number {
    return Math.max(0, ...this.#timers.map(({ atMs }) => atMs - this.#monotonicMs));
  }

  /** Moves both clocks on and fires what has come due by then. */
  advance(ms: number): void {
    this.wallMs += ms;
    this.#monotonicMs += ms;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.#monotonicMs);
    for (const timer of due) {
      if (!this.#timers.includes(timer)) continue;
      this.#timers = this.#timers.filter((each) => each !== timer);
      timer.call();
    }
  }

  forgetTimers(): void {
    this.#timers = [];
  }
}
