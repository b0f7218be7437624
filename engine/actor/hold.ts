// A wait that doubles each time it turns out to have been too short. Used for a number that WhatsApp calls too fast,
// and for whatever it has blocked.
//
// Many messages are in flight when WhatsApp begins to refuse, and all of them come back refused: only one that left
// after the last refusal says anything new. The others belong to the same episode and do not double the wait.

export interface Hold {
  readonly baseMs: number;
  readonly maxMs: number;
  /** How often in a row it was too short; 0 when nothing is held. */
  episodes: number;
  /** Monotonic: nothing leaves before. */
  untilMs: number;
}

export function createHold(bounds: { readonly baseMs: number; readonly maxMs: number }): Hold {
  return { baseMs: bounds.baseMs, maxMs: bounds.maxMs, episodes: 0, untilMs: -Infinity };
}

/**
 * A message that left at `sentAtMs` was refused. `atLeastMs`: what the other side asked for, 0 for nothing.
 * @returns true when this began a new episode.
 */
export function refused(hold: Hold, refusal: { sentAtMs: number; nowMs: number; atLeastMs: number }): boolean {
  const isNew = hold.episodes === 0 || refusal.sentAtMs >= hold.untilMs;
  if (isNew) {
    const waitMs = Math.min(hold.maxMs, hold.baseMs * 2 ** hold.episodes);
    hold.episodes++;
    hold.untilMs = refusal.nowMs + (refusal.atLeastMs > 0 ? refusal.atLeastMs : waitMs);
  } else if (refusal.atLeastMs > 0) {
    hold.untilMs = Math.max(hold.untilMs, refusal.nowMs + refusal.atLeastMs);
  }
  return isNew;
}

/** A message that left at `sentAtMs` got through: after the wait, that ends the series. */
export function passed(hold: Hold, sentAtMs: number): void {
  if (hold.episodes > 0 && sentAtMs >= hold.untilMs) release(hold);
}

export function release(hold: Hold): void {
  hold.episodes = 0;
  hold.untilMs = -Infinity;
}
