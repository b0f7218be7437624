// How many a second, averaged over the last few seconds: a ring of one-second counts.

const SECONDS = 8;

export class RateMeter {
  readonly #counts = new Float64Array(SECONDS);
  #second = 0;

  add(count: number, monotonicMs: number): void {
    this.#advance(monotonicMs);
    const slot = this.#second % SECONDS;
    this.#counts[slot] = (this.#counts[slot] ?? 0) + count;
  }

  /** Of the whole seconds before the current one. */
  perSecond(monotonicMs: number): number {
    this.#advance(monotonicMs);
    const current = this.#second % SECONDS;
    let sum = 0;
    for (const [slot, count] of this.#counts.entries()) if (slot !== current) sum += count;
    return sum / (SECONDS - 1);
  }

  #advance(monotonicMs: number): void {
    const second = Math.floor(monotonicMs / 1_000);
    const passed = Math.min(SECONDS, second - this.#second);
    for (let back = 0; back < passed; back++) this.#counts[(second - back) % SECONDS] = 0;
    this.#second = Math.max(this.#second, second);
  }
}
