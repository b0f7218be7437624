// How many different people a number may write to in any 24 hours: its part of what Meta grants the portfolio. Meta
// names no error for going beyond it, so it is counted here, before a message leaves.
//
// - A recipient counts from the minute of its latest departure for 24 hours, and one who counts already costs nothing.
// - Transactional first: marketing stops while as many places are free as transactional messages took in the last
//   24 hours, at least RESERVE_SHARE of all, at most half of what they leave.
// - Who is refused is told when a place falls free, each another place, so that a backlog does not come due at once.
//
// Pure. A recipient takes about 50 bytes, so 100,000 of them 5 MB. Times are the wall clock's; one that was set back
// costs at most what was counted in the time that is now to come.

import type { Lane } from "../message/campaign.ts";
import type { Refusal } from "../message/marketing.ts";
import type { BudgetReport } from "./partition-deps.ts";

const MINUTE_MS = 60_000;
/** The minute of the departure counts whole, so that nobody counts for less than 24 hours. */
const WINDOW_MINUTES = 24 * 60 + 1;
const RESERVE_SHARE = 0.05;
/** Nobody waits longer without being asked for again: the limit may be raised meanwhile. */
const WAIT_MS_MAX: Readonly<Record<Lane, number>> = { transactional: 60_000, marketing: 900_000 };
/** What clocks are set by for summer time and a slip; further ahead than this is a clock that was wrong. */
const AHEAD_MINUTES_MAX = 120;
/** Fractions of it are spread evenly however many are taken. */
const GOLDEN_RATIO = 0.618_033_988_749_895;

/** Digits of a phone number fit a number exactly; anything else stays text. */
type RecipientKey = number | string;

interface Recipient {
  /** Of its latest departure, since the epoch. */
  minute: number;
  /** Of its first departure in the window. */
  readonly isTransactional: boolean;
  /** More than one departure: it stays even if the last one is taken back. */
  isRepeated: boolean;
}

/** A minute in which recipients departed for the last time. */
interface Minute {
  /** Some of them have departed again since. */
  readonly keys: RecipientKey[];
  /** Those that have not. */
  count: number;
}

/** Of one sender, in its thread. */
export class RecipientBudget {
  /** Null: unlimited. */
  #allowance: number | null;
  readonly #recipients = new Map<RecipientKey, Recipient>();
  readonly #minutes = new Map<number, Minute>();
  #transactional = 0;
  #nowMinute = 0;
  /** The next minute that falls out of the window, or earlier. */
  #oldestMinute = 0;
  /** Places that are to fall free and that somebody was told to wait for. */
  readonly #promised: Record<Lane, number> = { transactional: 0, marketing: 0 };
  #refusals = 0;
  #refusedSinceMs: number | null = null;

  /** @param options.allowance Recipients in 24 hours; null: unlimited. */
  constructor(options: { readonly allowance: number | null }) {
    this.#allowance = options.allowance;
  }

  setAllowance(allowance: number | null): void {
    if (allowance === this.#allowance) return;
    this.#allowance = allowance;
    this.#promised.transactional = 0;
    this.#promised.marketing = 0;
  }

  /**
   * A message left, now or in a run before this one; in any order.
   *
   * @param lane What the reserve for transactional messages is measured by.
   */
  remember(phoneNumber: string, atMs: number, lane: Lane = "marketing"): void {
    const minute = minuteOf(atMs);
    if (minute > this.#nowMinute) this.#advance(minute);
    if (minute + WINDOW_MINUTES <= this.#nowMinute) return;
    const key = keyOf(phoneNumber);
    const known = this.#recipients.get(key);
    if (known === undefined) {
      const isTransactional = lane === "transactional";
      this.#recipients.set(key, { minute, isTransactional, isRepeated: false });
      if (isTransactional) this.#transactional++;
      this.#enter(key, minute);
      return;
    }
    known.isRepeated = true;
    if (known.minute >= minute) return;
    this.#leave(known.minute);
    known.minute = minute;
    this.#enter(key, minute);
  }

  /** The message that left was certainly not taken. Its recipient goes, unless another message left for it. */
  forget(phoneNumber: string, atMs: number): void {
    this.#advance(minuteOf(atMs));
    const key = keyOf(phoneNumber);
    const known = this.#recipients.get(key);
    if (known === undefined || known.isRepeated) return;
    this.#leave(known.minute);
    this.#remove(key, known);
  }

  /** Null: it may leave. */
  refusal(phoneNumber: string, lane: Lane, nowMs: number): Refusal | null {
    const allowance = this.#allowance;
    if (allowance === null) return null;
    this.#advance(minuteOf(nowMs));
    if (this.#recipients.size < this.#limitOf(lane, allowance)) return null;
    if (this.#recipients.has(keyOf(phoneNumber))) return null;
    this.#refusedSinceMs ??= nowMs;
    return { kind: "wait", untilMs: this.#placeAt(lane, allowance, nowMs), reason: reasonOf(lane, allowance) };
  }

  report(nowMs: number): BudgetReport {
    this.#advance(minuteOf(nowMs));
    const allowance = this.#allowance;
    if (allowance === null || this.#recipients.size < this.#limitOf("marketing", allowance))
      this.#refusedSinceMs = null;
    return {
      used: this.#recipients.size,
      allowance,
      freesAtMs: this.#recipients.size === 0 ? null : this.#freesAtMs(),
      refusedSince: this.#refusedSinceMs,
    };
  }

  #limitOf(lane: Lane, allowance: number): number {
    if (lane === "transactional") return allowance;
    const left = Math.max(0, allowance - this.#transactional);
    const reserve = Math.max(Math.ceil(allowance * RESERVE_SHARE), Math.min(this.#transactional, Math.floor(left / 2)));
    return allowance - reserve;
  }

  /** When the next place is free that nobody else of the lane, or before it, was told of. */
  #placeAt(lane: Lane, allowance: number, nowMs: number): number {
    const before = lane === "transactional" ? 0 : this.#promised.marketing;
    const position = this.#recipients.size - this.#limitOf(lane, allowance) + this.#promised.transactional + before;
    let passed = 0;
    const waitMsMax = WAIT_MS_MAX[lane];
    const lastMinute = this.#nowMinute - WINDOW_MINUTES + waitMsMax / MINUTE_MS;
    for (let minute = this.#oldestMinute; minute <= lastMinute; minute++) {
      const count = this.#minutes.get(minute)?.count ?? 0;
      if (passed + count > position) {
        this.#promised[lane]++;
        return freeMs(minute) + Math.floor(((position - passed) / count) * MINUTE_MS);
      }
      passed += count;
    }
    this.#refusals++;
    return nowMs + Math.floor((waitMsMax / 2) * (1 + ((this.#refusals * GOLDEN_RATIO) % 1)));
  }

  #freesAtMs(): number {
    let minute = this.#oldestMinute;
    while ((this.#minutes.get(minute)?.count ?? 0) === 0) minute++;
    return freeMs(minute);
  }

  #enter(key: RecipientKey, minute: number): void {
    const known = this.#minutes.get(minute);
    if (known === undefined) {
      this.#minutes.set(minute, { keys: [key], count: 1 });
      return;
    }
    known.keys.push(key);
    known.count++;
  }

  #leave(minute: number): void {
    const known = this.#minutes.get(minute);
    if (known !== undefined) known.count--;
  }

  #remove(key: RecipientKey, { isTransactional }: Recipient): void {
    this.#recipients.delete(key);
    if (isTransactional) this.#transactional--;
  }

  /** Who is 24 hours old falls out of the window. */
  #advance(nowMinute: number): void {
    if (nowMinute === this.#nowMinute) return;
    if (nowMinute + AHEAD_MINUTES_MAX < this.#nowMinute) this.#rebase(nowMinute);
    this.#nowMinute = nowMinute;
    const oldestMinute = nowMinute - WINDOW_MINUTES + 1;
    let freed = 0;
    for (const [minute, { keys, count }] of this.#minutes) {
      if (minute >= oldestMinute) continue;
      freed += count;
      this.#minutes.delete(minute);
      for (const key of keys) {
        const known = this.#recipients.get(key);
        if (known?.minute === minute) this.#remove(key, known);
      }
    }
    this.#oldestMinute = oldestMinute;
    const kept = Math.max(0, this.#promised.transactional - freed);
    freed -= this.#promised.transactional - kept;
    this.#promised.transactional = kept;
    this.#promised.marketing = Math.max(0, this.#promised.marketing - freed);
  }

  /** The clock was wrong and is set back: who departed in what is now the future departed now, at the latest. */
  #rebase(nowMinute: number): void {
    for (const [minute, { keys }] of this.#minutes) {
      if (minute <= nowMinute) continue;
      this.#minutes.delete(minute);
      for (const key of keys) {
        const known = this.#recipients.get(key);
        if (known?.minute !== minute) continue;
        known.minute = nowMinute;
        this.#enter(key, nowMinute);
      }
    }
  }
}

function reasonOf(lane: Lane, allowance: number): string {
  const reached = `The number has reached the ${allowance} people it may write to in 24 hours`;
  return lane === "transactional" ? `${reached}.` : `${reached}, but for those kept for transactional messages.`;
}

function minuteOf(atMs: number): number {
  return Math.floor(atMs / MINUTE_MS);
}

/** When those who departed in the minute count no more. */
function freeMs(minute: number): number {
  return (minute + WINDOW_MINUTES) * MINUTE_MS;
}

function keyOf(phoneNumber: string): RecipientKey {
  const digits = Number(phoneNumber.slice(1));
  return Number.isSafeInteger(digits) && digits > 0 ? digits : phoneNumber;
}
