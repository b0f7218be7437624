// This node's part in one partition. Modes:
//
// none       Not held. Entered at start, when the lease was lost, and when it was freed.
// held       Taken: renewed every beat. Entered when the bucket stored the take in time. Left by release or loss.
// releasing  Still valid and renewed while the partition is given up in good order. Left when that is done, or by loss.
// freeing    Not valid any more; being marked as free. Left once the bucket shows that it is not ours.

import type { LeaseRecord } from "./cluster-record.ts";

export type LeaseMode = "none" | "held" | "releasing" | "freeing";

export interface OwnLease {
  readonly partition: number;
  mode: LeaseMode;
  epoch: number;
  /** Start of the last renewal that was tried. */
  renewalAtMs: number;
  /** Not given up for evenness' sake before this. */
  keepUntilMs: number;
  /** Since when this node could take it; null: it cannot. */
  takeableSinceMs: number | null;
}

export function newOwnLease(partition: number): OwnLease {
  return { partition, mode: "none", epoch: 0, renewalAtMs: -Infinity, keepUntilMs: -Infinity, takeableSinceMs: null };
}

export interface Holder {
  readonly nodeId: string;
  readonly run: string;
}

export type Standing =
  /** The bucket shows this node as the holder, in this epoch. */
  | "ours"
  /** The bucket forgot this epoch and shows nobody else: a write puts it right. */
  | "forgotten"
  /** Somebody else holds it, or held it since. */
  | "gone";

/** How a lease that this node believes to hold stands, by what the bucket shows. */
export function standingOf(own: OwnLease, record: LeaseRecord | null, me: Holder): Standing {
  if (record === null) return "forgotten";
  const isMine = record.nodeId === me.nodeId && record.run === me.run;
  if (record.epoch > own.epoch) return "gone";
  if (record.state === "free") return "forgotten";
  if (!isMine) return "gone";
  return record.epoch === own.epoch ? "ours" : "forgotten";
}
