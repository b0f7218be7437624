// How one portfolio's people in 24 hours are shared among its numbers. Meta lets any number of a portfolio use up all of
// it; each number counts in its own thread, so each gets a part that it may use without asking, and the parts follow the
// demand. Pure.

export interface Sharer {
  readonly senderId: string;
  /** People it wrote to in the last 24 hours. */
  readonly used: number;
  /** People it is likely to want next; any unit, the same for all. */
  readonly demand: number;
  /** The file's own limit for it; null: none. */
  readonly cap: number | null;
  /** Another node of the cluster sends for it: its part is fixed, so that all nodes count with the same one. */
  readonly isElsewhere: boolean;
}

/** Of what is free, shared evenly: a number that has been quiet can begin at once. */
const EVEN_SHARE = 0.2;

/**
 * People in 24 hours by sender, for those that are not elsewhere. The sum, with the fixed parts of those that are, never
 * exceeds `limit` unless more is used already: then each keeps what it used.
 */
export function portfolioShares(limit: number, sharers: readonly Sharer[]): Map<string, number> {
  const own = sharers.filter(({ isElsewhere }) => !isElsewhere);
  const pool = limit - (sharers.length - own.length) * Math.floor(limit / Math.max(1, sharers.length));
  const shares = new Map(own.map(({ senderId, used, cap }) => [senderId, Math.min(used, cap ?? used)]));
  let free = pool - own.reduce((sum, { used }) => sum + used, 0);
  let open = own.filter((sharer) => roomOf(sharer, shares) > 0);
  while (free >= 1 && open.length > 0) {
    const given = spread(free, open, shares);
    // Less than one for each: the first ones get it.
    if (given === 0) {
      for (const { senderId } of open.slice(0, Math.floor(free))) shares.set(senderId, (shares.get(senderId) ?? 0) + 1);
      break;
    }
    free -= given;
    open = open.filter((sharer) => roomOf(sharer, shares) > 0);
  }
  return shares;
}

/** One round; what a cap keeps back is for the next one. */
function spread(free: number, open: readonly Sharer[], shares: Map<string, number>): number {
  const demand = open.reduce((sum, sharer) => sum + sharer.demand, 0);
  let given = 0;
  for (const sharer of open) {
    const even = 1 / open.length;
    const weight = demand === 0 ? even : EVEN_SHARE * even + (1 - EVEN_SHARE) * (sharer.demand / demand);
    const more = Math.min(Math.floor(free * weight), roomOf(sharer, shares));
    shares.set(sharer.senderId, (shares.get(sharer.senderId) ?? 0) + more);
    given += more;
  }
  return given;
}

function roomOf({ senderId, cap }: Sharer, shares: ReadonlyMap<string, number>): number {
  return cap === null ? Number.POSITIVE_INFINITY : cap - (shares.get(senderId) ?? 0);
}

export interface Part {
  /** What it is to have. */
  readonly target: number;
  /** The most that it may still use: what it used, was told last, or works with. */
  readonly held: number;
}

/**
 * What to tell each number now, so that the sum of what all of them may use stays within `limit` at every moment:
 * less applies at once, more only out of what no other number holds any longer.
 */
export function steppedParts(limit: number, parts: ReadonlyMap<string, Part>): Map<string, number> {
  const told = new Map<string, number>();
  let free = limit;
  for (const { held } of parts.values()) free -= held;
  for (const [senderId, { target, held }] of parts) {
    const more = Math.max(0, Math.min(target - held, free));
    told.set(senderId, target <= held ? target : held + more);
    free -= more;
  }
  return told;
}
