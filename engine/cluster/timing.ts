// How long each thing of the membership takes. One relation carries the safety: a holder counts its own lease as valid
// for `holdMs` from the start of its last renewal, everybody else waits `leaseMs` from when they saw that renewal. As
// seeing comes after starting, the gap between the two (3 s) is the margin for clocks that run at different rates.

export interface ClusterTiming {
  /** Heartbeats and renewals; 2 s. */
  readonly beatMs: number;
  /** How long a holder may act after the start of its last successful renewal; 7 s, less than `leaseMs`. */
  readonly holdMs: number;
  /** Without a new revision for this long a node counts as dead and a lease as expired; 10 s. */
  readonly leaseMs: number;
  /** How long a starting node waits for those that the bucket lists as up and that it has not seen alive; 10 s. */
  readonly peersWaitMs: number;
  /** A lease that nobody took for this long is taken by any node, whatever its quota: owned beats even; 3 s. */
  readonly idleTakeMs: number;
}

export const DEFAULT_TIMING: ClusterTiming = {
  beatMs: 2000,
  holdMs: 7000,
  leaseMs: 10_000,
  peersWaitMs: 10_000,
  idleTakeMs: 3000,
};

/** A safety net: a watch may stall, and a bucket may have lost its tail. */
export function snapshotEveryMs({ beatMs }: ClusterTiming): number {
  return 2.5 * beatMs;
}

/** Longer without any answer than this: what was known of the others may be old, and says nothing against them. */
export function contactGapMs({ beatMs }: ClusterTiming): number {
  return 2.5 * beatMs;
}

/** What was taken although another node should have it stays this long, lest it go to and fro. */
export function keepMs({ leaseMs }: ClusterTiming): number {
  return 2 * leaseMs;
}

/** After a write that did not succeed, before the next one of the same key. */
export function restMs({ beatMs }: ClusterTiming): number {
  return beatMs / 10;
}
