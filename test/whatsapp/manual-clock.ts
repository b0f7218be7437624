// A clock that moves when a test says so.

import type { Clock } from "../../engine/runtime/clock.ts";

export interface ManualClock extends Clock {
  /** Moves both clocks on and calls what falls due. */
  advance(durationMs: number): void;
  /** How many timers are set. */
  timers(): number;
}

export function createManualClock(startMs = 1_795_000_000_000): ManualClock {
  let elapsedMs = 0;
  const timers = new Set<{ readonly dueAtMs: number; readonly call: () => void }>();
  return {
    nowMs: () => startMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    after(delayMs, call) {
      const timer = { dueAtMs: elapsedMs + delayMs, call };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance(durationMs) {
      elapsedMs += durationMs;
      for (const timer of timers) {
        if (timer.dueAtMs > elapsedMs) continue;
        timers.delete(timer);
        timer.call();
      }
    },
    timers: () => timers.size,
  };
}
