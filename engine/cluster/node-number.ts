// Which number a node has among the nodes of its cluster: it is part of every message id, so it is never given twice.

import { NODE_NUMBERS } from "./cluster-record.ts";

export type NumberChoice =
  /** It had one before and keeps it. */
  | { readonly kind: "kept"; readonly number: number }
  /** To be claimed with a create; somebody else may be faster. */
  | { readonly kind: "claim"; readonly number: number }
  | { readonly kind: "none" };

/**
 * @param owners node id by number, as the bucket tells.
 * @param inUse numbers that nodes name in their heartbeats: a bucket that lost its tail may have lost a claim.
 */
export function chooseNumber(
  nodeId: string,
  owners: ReadonlyMap<number, string>,
  inUse: ReadonlySet<number>,
): NumberChoice {
  for (let number = 0; number < NODE_NUMBERS; number++) {
    if (owners.get(number) === nodeId) return { kind: "kept", number };
  }
  for (let number = 0; number < NODE_NUMBERS; number++) {
    if (!owners.has(number) && !inUse.has(number)) return { kind: "claim", number };
  }
  return { kind: "none" };
}
