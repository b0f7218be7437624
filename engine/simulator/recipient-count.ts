// How many different people were written to in the last 24 hours, to the minute: what Meta counts against a portfolio's
// limit. The strictest reading: every accepted message counts, whether it is delivered or not.
//
// Open addressing over typed arrays: a Map of so many short-lived strings would cost the garbage collector more than the
// counting does.

const DAY_MINUTES = 1440;
const MINUTE_MS = 60_000;
const SLOTS_FIRST = 1024;
/** People of whom something is known at once; more are not counted. Two of these tables take 100 MB. */
const SLOTS_MAX = 2 ** 23;

export class RecipientCount {
  /** Numbers as numbers: 15 digits fit. 0: empty. */
  #keys = new Float64Array(SLOTS_FIRST);
  /** Of the last message to them. */
  #minutes = new Int32Array(SLOTS_FIRST);
  #used = 0;
  /** People whose last message fell into that minute of the day. */
  readonly #perMinute = new Int32Array(DAY_MINUTES);
  #minute = 0;
  #lastDay = 0;
  #peak = 0;

  /** The most in any 24 hours. */
  get peak(): number {
    return this.#peak;
  }

  /** @param nowMs on a clock that never jumps. */
  lastDay(nowMs: number): number {
    this.#advance(Math.floor(nowMs / MINUTE_MS));
    return this.#lastDay;
  }

  /** Whether this person was written to in the last 24 hours. @param waId digits. */
  has(waId: string, nowMs: number): boolean {
    this.#advance(Math.floor(nowMs / MINUTE_MS));
    const slot = slotOf(this.#keys, Number(waId));
    return this.#keys[slot] !== 0 && this.#isRecent(this.#minutes[slot] ?? 0);
  }

  add(waId: string, nowMs: number): void {
    const minute = Math.floor(nowMs / MINUTE_MS);
    this.#advance(minute);
    const key = Number(waId);
    let slot = slotOf(this.#keys, key);
    if (this.#keys[slot] === 0) {
      if (this.#used * 2 >= this.#keys.length) {
        if (!this.#makeRoom()) return;
        slot = slotOf(this.#keys, key);
      }
      this.#keys[slot] = key;
      this.#used++;
      this.#lastDay++;
    } else {
      const last = this.#minutes[slot] ?? 0;
      if (this.#isRecent(last)) this.#count(last, -1);
      else this.#lastDay++;
    }
    this.#minutes[slot] = minute;
    this.#count(minute, 1);
    if (this.#lastDay > this.#peak) this.#peak = this.#lastDay;
  }

  #isRecent(minute: number): boolean {
    return minute > this.#minute - DAY_MINUTES;
  }

  #count(minute: number, by: number): void {
    const index = minute % DAY_MINUTES;
    this.#perMinute[index] = (this.#perMinute[index] ?? 0) + by;
  }

  /** Forgets the minutes that are a day old now. */
  #advance(minute: number): void {
    if (minute <= this.#minute) return;
    const first = Math.max(this.#minute + 1, minute - DAY_MINUTES + 1);
    this.#minute = minute;
    for (let one = first; one <= minute; one++) {
      this.#lastDay -= this.#perMinute[one % DAY_MINUTES] ?? 0;
      this.#perMinute[one % DAY_MINUTES] = 0;
    }
  }

  /** Drops the people of yesterday, and doubles where that is not enough. @returns false at the bound. */
  #makeRoom(): boolean {
    const isCrowded = this.#lastDay * 4 >= this.#keys.length;
    const length = isCrowded ? this.#keys.length * 2 : this.#keys.length;
    if (length > SLOTS_MAX) return false;
    const keys = new Float64Array(length);
    const minutes = new Int32Array(length);
    this.#used = 0;
    for (const [index, key] of this.#keys.entries()) {
      const minute = this.#minutes[index] ?? 0;
      if (key === 0 || !this.#isRecent(minute)) continue;
      const slot = slotOf(keys, key);
      keys[slot] = key;
      minutes[slot] = minute;
      this.#used++;
    }
    this.#keys = keys;
    this.#minutes = minutes;
    return true;
  }
}

/** Where this key is, or the empty slot where it belongs. There is always one: at most half of them are taken. */
function slotOf(keys: Float64Array, key: number): number {
  const mask = keys.length - 1;
  const low = key | 0;
  const high = (key / 2 ** 32) | 0;
  let hash = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1);
  hash ^= hash >>> 15;
  let slot = hash & mask;
  while (keys[slot] !== 0 && keys[slot] !== key) slot = (slot + 1) & mask;
  return slot;
}
