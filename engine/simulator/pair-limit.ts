// Meta's pair limit: one business number may send one person a message every 6 seconds, with a burst of 45 borrowed
// from the future (Meta, about the platform: pair rate limits). GCRA keeps one number a pair.

export interface PairLimitSettings {
  readonly periodMs: number;
  readonly burst: number;
}

const SWEEP_AT_FIRST = 10_000;

export class PairLimit {
  readonly #periodMs: number;
  readonly #toleranceMs: number;
  /** Pair → the time at which its borrowed quota is paid back. */
  readonly #paidBackAtMs = new Map<string, number>();
  #sweepAt = SWEEP_AT_FIRST;

  constructor(settings: PairLimitSettings) {
    this.#periodMs = settings.periodMs;
    this.#toleranceMs = (settings.burst - 1) * settings.periodMs;
  }

  /** Takes one message of the pair's quota; false when there is none left. */
  take(pair: string, nowMs: number): boolean {
    const paidBackAtMs = Math.max(this.#paidBackAtMs.get(pair) ?? 0, nowMs);
    if (paidBackAtMs - nowMs > this.#toleranceMs) return false;
    this.#paidBackAtMs.set(pair, paidBackAtMs + this.#periodMs);
    if (this.#paidBackAtMs.size >= this.#sweepAt) this.#sweep(nowMs);
    return true;
  }

  /** Forgets pairs whose quota is whole again. The threshold doubles with what stays, so sweeping costs O(1) a message. */
  #sweep(nowMs: number): void {
    for (const [pair, paidBackAtMs] of this.#paidBackAtMs) {
      if (paidBackAtMs <= nowMs) this.#paidBackAtMs.delete(pair);
    }
    this.#sweepAt = Math.max(SWEEP_AT_FIRST, this.#paidBackAtMs.size * 2);
  }
}
