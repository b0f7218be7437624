// Time as an argument. Everything that waits or measures gets a Clock; only system-clock.ts asks the machine.

export interface Clock {
  /** Epoch milliseconds, for records. May jump when the machine's clock is set. */
  nowMs(): number;
  /** Milliseconds that only ever grow, for limits and durations. */
  monotonicMs(): number;
  /** Calls once after `delayMs`; the returned function cancels. */
  after(delayMs: number, call: () => void): () => void;
}

/** Resolves once `delayMs` have passed. */
export function passed(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => void clock.after(delayMs, resolve));
}
