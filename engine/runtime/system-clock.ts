// The one place that reads the machine's clocks and sets its timers.

import type { Clock } from "./clock.ts";

/** The longest delay a Node.js timer keeps; a longer one would fire at once. */
const TIMER_DELAY_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, call) {
    const timer = setTimeout(call, Math.min(delayMs, TIMER_DELAY_MS_MAX));
    return () => clearTimeout(timer);
  },
};
