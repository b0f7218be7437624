// Meta's limit between one number and one person: a message in 6 seconds, 45 of them at once after a rest (GCRA),
// and a wait of 4^X seconds after the X-th time it says 131056 all the same.
//
// A busy number talks to many people, so the pairs lie in columns of numbers, a map tells the row, and rows of pairs
// that have rested are reused: a few are looked at with each new pair, never all at once.

import assert from "node:assert/strict";

export interface PairSettings {
  readonly periodMs: number;
  readonly burst: number;
}

const ROWS_MIN = 64;
/** Rows looked at for each new pair: more than one, so that rested pairs leave faster than new ones come. */
const SWEEP_ROWS = 4;
/** Beyond this, new pairs are not limited by us but by Meta (131056). */
const PAIRS_MAX = 500_000;
const THROTTLE_BASE_MS = 1000;
/** 4^4 s is 256 s, about the 270 s that a burst of 45 borrows. */
const THROTTLE_EXPONENT_MAX = 4;

/** Times are monotonic milliseconds. */
export class PairLimit {
  #periodMs: number;
  #burst: number;
  #toleranceMs: number;
  readonly #rows = new Map<string, number>();
  readonly #phones: string[] = [];
  readonly #freeRows: number[] = [];
  /** When the pair would be at rest again: GCRA's theoretical arrival time. */
  #restsAtMs = new Float64Array(ROWS_MIN);
  /** Until when places are given to messages that were told to wait. */
  #reservedThroughMs = new Float64Array(ROWS_MIN);
  #throttles = new Uint8Array(ROWS_MIN);
  /** Messages that were given a place and have not left: they wait for their commit. */
  #leaving = new Uint16Array(ROWS_MIN);
  #sweepRow = 0;

  constructor(settings: PairSettings) {
    assert.ok(settings.periodMs >= 0 && settings.burst >= 1, "a pair limit needs a period and a burst of at least 1");
    this.#periodMs = settings.periodMs;
    this.#burst = settings.burst;
    this.#toleranceMs = (settings.burst - 1) * settings.periodMs;
  }

  /** How many pairs are remembered. */
  get size(): number {
    return this.#rows.size;
  }

  change(settings: PairSettings): void {
    this.#periodMs = settings.periodMs;
    this.#burst = settings.burst;
    this.#toleranceMs = (settings.burst - 1) * settings.periodMs;
  }

  /**
   * When a message to this person may leave: `nowMs` or earlier means now. One that never waited goes behind those
   * that were told to come back, or each newcomer would take the place that a waiting one was promised.
   */
  freeAtMs(phoneNumber: string, hasWaited: boolean): number {
    const row = this.#rows.get(phoneNumber);
    if (row === undefined) return -Infinity;
    if (this.#isFull(row)) return Infinity;
    const freeAtMs = (this.#restsAtMs[row] ?? 0) - this.#toleranceMs;
    return hasWaited ? freeAtMs : Math.max(freeAtMs, this.#reservedThroughMs[row] ?? -Infinity);
  }

  take(phoneNumber: string, nowMs: number): void {
    const row = this.#rowOf(phoneNumber, nowMs);
    if (row === undefined) return;
    this.#restsAtMs[row] = Math.max(this.#restsAtMs[row] ?? 0, nowMs) + this.#periodMs;
    this.#leaving[row] = (this.#leaving[row] ?? 0) + 1;
  }

  /**
   * A message that took its place has left by `nowMs`. A commit that took long makes all that waited for it leave at
   * once, so it is from here that the pair rests.
   */
  departed(phoneNumber: string, nowMs: number): void {
    const row = this.#rows.get(phoneNumber);
    const leaving = row === undefined ? 0 : (this.#leaving[row] ?? 0);
    if (row === undefined || leaving === 0) return;
    this.#restsAtMs[row] = Math.max(this.#restsAtMs[row] ?? 0, nowMs + leaving * this.#periodMs);
    this.#leaving[row] = leaving - 1;
  }

  /**
   * A run before this one sent a message at `sentAtMs`: given in their order, before anything is taken, as far back as
   * `burst * periodMs`. What the pair had borrowed before that is not known, and paid back by now at the latest: so it
   * counts as just paid back. But no message left unless it might, which says how much was borrowed at most by then.
   */
  recall(phoneNumber: string, times: { sentAtMs: number; nowMs: number }): void {
    const restsAtMsMax = times.sentAtMs + this.#toleranceMs + this.#periodMs;
    if (restsAtMsMax <= times.nowMs) return;
    const row = this.#rowOf(phoneNumber, times.nowMs);
    if (row === undefined) return;
    const restsAtMs = this.#restsAtMs[row] ?? 0;
    this.#restsAtMs[row] = Math.max(restsAtMs, Math.min(restsAtMs + this.#periodMs, restsAtMsMax));
  }

  /** The message did not count after all. */
  giveBack(phoneNumber: string): void {
    const row = this.#rows.get(phoneNumber);
    if (row !== undefined) this.#restsAtMs[row] = (this.#restsAtMs[row] ?? 0) - this.#periodMs;
  }

  /**
   * Books the next place for a message that has to wait, and says when that is. One whose place would come after
   * `latestMs` will not live to use it: it books none and is told `latestMs`.
   */
  reserve(phoneNumber: string, times: { nowMs: number; latestMs: number }): number {
    const row = this.#rowOf(phoneNumber, times.nowMs);
    if (row === undefined) return Math.min(times.latestMs, times.nowMs + this.#periodMs);
    const restsAtMs = (this.#restsAtMs[row] ?? 0) - this.#toleranceMs;
    const freeAtMs = this.#isFull(row) ? Math.max(restsAtMs, times.nowMs + this.#periodMs) : restsAtMs;
    const reservedMs = this.#reservedThroughMs[row] ?? -Infinity;
    const behindMs = reservedMs > times.nowMs ? reservedMs + this.#periodMs : -Infinity;
    const atMs = Math.max(times.nowMs, freeAtMs, behindMs);
    if (atMs >= times.latestMs) return times.latestMs;
    this.#reservedThroughMs[row] = atMs;
    return atMs;
  }

  /** Meta said that this pair is too fast. @returns how long it now rests, in milliseconds. */
  throttled(phoneNumber: string, nowMs: number, throttlesBefore: number): number {
    const row = this.#rowOf(phoneNumber, nowMs);
    const exponent = Math.max(throttlesBefore, row === undefined ? 0 : (this.#throttles[row] ?? 0));
    const waitMs = THROTTLE_BASE_MS * 4 ** Math.min(exponent, THROTTLE_EXPONENT_MAX);
    if (row === undefined) return waitMs;
    this.#throttles[row] = Math.min(exponent + 1, THROTTLE_EXPONENT_MAX);
    // Meta counts more than we do, so the burst is used up: one message then, and one a period after it.
    this.#restsAtMs[row] = Math.max(this.#restsAtMs[row] ?? 0, nowMs + waitMs + this.#toleranceMs);
    return waitMs;
  }

  accepted(phoneNumber: string): void {
    const row = this.#rows.get(phoneNumber);
    if (row !== undefined) this.#throttles[row] = 0;
  }

  /** As many as may go at once have not left yet: nobody knows when they do. */
  #isFull(row: number): boolean {
    return (this.#leaving[row] ?? 0) >= this.#burst;
  }

  #rowOf(phoneNumber: string, nowMs: number): number | undefined {
    const known = this.#rows.get(phoneNumber);
    if (known !== undefined) return known;
    this.#sweep(nowMs);
    if (this.#rows.size >= PAIRS_MAX) return undefined;
    const row = this.#freeRows.pop() ?? this.#phones.length;
    if (row === this.#restsAtMs.length) this.#grow();
    this.#rows.set(phoneNumber, row);
    this.#phones[row] = phoneNumber;
    this.#restsAtMs[row] = nowMs;
    this.#reservedThroughMs[row] = -Infinity;
    this.#throttles[row] = 0;
    this.#leaving[row] = 0;
    return row;
  }

  #sweep(nowMs: number): void {
    for (let count = 0; count < SWEEP_ROWS && this.#phones.length > 0; count++) {
      this.#sweepRow = (this.#sweepRow + 1) % this.#phones.length;
      const row = this.#sweepRow;
      const phoneNumber = this.#phones[row];
      if (phoneNumber === undefined || phoneNumber === "" || (this.#leaving[row] ?? 0) > 0) continue;
      if ((this.#restsAtMs[row] ?? 0) > nowMs || (this.#reservedThroughMs[row] ?? -Infinity) > nowMs) continue;
      this.#rows.delete(phoneNumber);
      this.#phones[row] = "";
      this.#freeRows.push(row);
    }
  }

  #grow(): void {
    const length = this.#restsAtMs.length * 2;
    this.#restsAtMs = widened(this.#restsAtMs, new Float64Array(length));
    this.#reservedThroughMs = widened(this.#reservedThroughMs, new Float64Array(length));
    this.#throttles = widened(this.#throttles, new Uint8Array(length));
    this.#leaving = widened(this.#leaving, new Uint16Array(length));
  }
}

function widened<Column extends Float64Array | Uint8Array | Uint16Array>(column: Column, wider: Column): Column {
  wider.set(column);
  return wider;
}
