// What a number may send a second, learned from what WhatsApp says (130429): the limit, or less for a while.
//
// Additive increase, multiplicative decrease: each refusal of a new episode takes the rate to 0.7 of what it was, and
// each second that was allowed to send and was not refused gives some of the limit back: 5 % far below the rate at which
// WhatsApp last refused, 0.5 % near it, 2 % once it got past. So a number that takes less than it was granted is used
// well between two refusals: of 50/s where 80 are granted about 84 %; 2 % all the way used 77 %. Nobody publishes how
// Meta counts, inbound messages count as well, and an upgrade or a downgrade of a number is known here only minutes
// later: the rate that works is found out, not known.
//
// The rate is a whole number below the limit: a fractional one has a window that is not a second long, and two of those
// windows may lie in one second.

/** Times are monotonic milliseconds. Changed in place. */
export interface LearnedRate {
  /** What Meta granted, or the operator wrote. */
  readonly limit: number;
  /** Exact: seconds of growth add up here. */
  learned: number;
  /** The rate that the last refusal met. */
  ceiling: number;
  /** The last one that {@link isNoticeable} found worth telling. */
  told: number;
  /** The end of the next second to be given back; Infinity at the limit. */
  growsAtMs: number;
  /** A message that left before says nothing of the rate since. */
  cutThroughMs: number;
}

const DECREASE = 0.7;
/** Of the limit, a second. */
const INCREASE = { below: 0.05, near: 0.005, beyond: 0.02 };
/** Of the ceiling: near it from here on. */
const NEAR_SHARE = 0.9;
const INCREASE_EACH_MS = 1000;
const FLOOR_SHARE = 0.1;
const FLOOR_PER_SECOND = 1;
/** Of the limit: smaller changes on the way up are not worth telling anybody. */
const NOTICEABLE_SHARE = 0.1;
/** 700 * 0.7 is a little less than 490. */
const ROUNDING = 1e-9;

export function createLearnedRate(limit: number): LearnedRate {
  return { limit, learned: limit, ceiling: limit, told: limit, growsAtMs: Infinity, cutThroughMs: -Infinity };
}

/** Messages a second, now. */
export function usedPerSecond(rate: LearnedRate): number {
  return rate.learned >= rate.limit ? rate.limit : Math.max(floorOf(rate), Math.floor(rate.learned + ROUNDING));
}

/**
 * A message that left at `sentAtMs` was too fast for the number, which sends again at `resumesAtMs`, now or later.
 * @returns true when this is a new episode, which lowers the rate, unless it is as low as it gets.
 */
export function lowerRate(rate: LearnedRate, refusal: { sentAtMs: number; resumesAtMs: number }): boolean {
  const isNew = refusal.sentAtMs >= rate.cutThroughMs;
  if (isNew) {
    rate.cutThroughMs = refusal.resumesAtMs;
    rate.ceiling = usedPerSecond(rate);
    rate.learned = Math.max(floorOf(rate), rate.ceiling * DECREASE);
  }
  // While nothing may leave, nothing is learned: growing meanwhile would forget the refusal unheard.
  rate.growsAtMs = rate.learned >= rate.limit ? Infinity : refusal.resumesAtMs + INCREASE_EACH_MS;
  return isNew;
}

/** Gives back the seconds that have passed. @returns whether there were any. */
export function raiseRate(rate: LearnedRate, nowMs: number): boolean {
  if (nowMs < rate.growsAtMs) return false;
  const seconds = 1 + Math.floor((nowMs - rate.growsAtMs) / INCREASE_EACH_MS);
  for (let second = 0; second < seconds && rate.learned < rate.limit; second++) rate.learned = grown(rate);
  rate.growsAtMs = rate.learned >= rate.limit ? Infinity : rate.growsAtMs + seconds * INCREASE_EACH_MS;
  return true;
}

/** After a second more. */
function grown({ limit, learned, ceiling }: LearnedRate): number {
  const nearFrom = ceiling * NEAR_SHARE;
  if (learned < nearFrom) return Math.min(nearFrom, learned + INCREASE.below * limit);
  return Math.min(limit, learned + (learned < ceiling ? INCREASE.near : INCREASE.beyond) * limit);
}

/** Whether the rate is another than the one last told, by enough; it counts as told then. */
export function isNoticeable(rate: LearnedRate): boolean {
  const used = usedPerSecond(rate);
  const isEnough = Math.abs(used - rate.told) >= rate.limit * NOTICEABLE_SHARE;
  if (used === rate.told || !(isEnough || used < rate.told || used === rate.limit)) return false;
  rate.told = used;
  return true;
}

function floorOf(rate: LearnedRate): number {
  return Math.min(rate.limit, Math.max(FLOOR_PER_SECOND, Math.ceil(rate.limit * FLOOR_SHARE)));
}
