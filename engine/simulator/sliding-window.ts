// How many events fell into the last second, exactly and for any second: the strictest reading of Meta's "80 messages
// a second", so that an engine which passes here passes under every other reading.

const CAPACITY_FIRST = 64;

export class SlidingWindow {
  readonly #windowMs: number;
  /** A ring of times, oldest at #head. */
  #times: Float64Array = new Float64Array(CAPACITY_FIRST);
  #head = 0;
  #length = 0;
  #peak = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** The most events that any window ever held. */
  get peak(): number {
    return this.#peak;
  }

  /** When the oldest of those in the window fell into it; 0 when there is none. */
  get oldestMs(): number {
    return this.#length === 0 ? 0 : (this.#times[this.#head] ?? 0);
  }

  /** Events in the window that ends now: later than `nowMs - windowMs`. Times must not go back. */
  count(nowMs: number): number {
    const edgeMs = nowMs - this.#windowMs;
    while (this.#length > 0 && (this.#times[this.#head] ?? 0) <= edgeMs) {
      this.#head = (this.#head + 1) % this.#times.length;
      this.#length--;
    }
    return this.#length;
  }

  add(nowMs: number): void {
    this.count(nowMs);
    if (this.#length === this.#times.length) this.#grow();
    this.#times[(this.#head + this.#length) % this.#times.length] = nowMs;
    this.#length++;
    if (this.#length > this.#peak) this.#peak = this.#length;
  }

  #grow(): void {
    const larger = new Float64Array(this.#times.length * 2);
    const tail = this.#times.subarray(this.#head);
    larger.set(tail);
    larger.set(this.#times.subarray(0, this.#head), tail.length);
    this.#times = larger;
    this.#head = 0;
  }
}
