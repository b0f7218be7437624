// The smallest value of late: of this measuring period and of the one before, so that a change for the worse (a
// longer route, a slower disk) is believed after a while.

const PERIOD_MS = 10_000;

export interface RecentMinimum {
  /** Infinity before the first value. */
  value: number;
  current: number;
  before: number;
  sinceMs: number;
  /** Values seen in both periods. */
  count: number;
  countBefore: number;
}

export function createRecentMinimum(): RecentMinimum {
  return { value: Infinity, current: Infinity, before: Infinity, sinceMs: -Infinity, count: 0, countBefore: 0 };
}

export function observe(minimum: RecentMinimum, atMs: number, value: number): void {
  if (atMs - minimum.sinceMs > PERIOD_MS) {
    minimum.before = minimum.current;
    minimum.current = Infinity;
    minimum.count -= minimum.countBefore;
    minimum.countBefore = minimum.count;
    minimum.sinceMs = atMs;
  }
  minimum.count++;
  minimum.current = Math.min(minimum.current, value);
  minimum.value = Math.min(minimum.current, minimum.before);
}
