// The cluster in words, for the operators.

import { PARTITIONS } from "../message/partition.ts";
import type { MembershipCore } from "./membership-core.ts";

/** Name of the node that holds each partition; null: nobody is seen to. */
export function ownersOf(core: MembershipCore, nodeName: string, nowMs: number): (string | null)[] {
  const held = core.held();
  return Array.from({ length: PARTITIONS }, (_, partition) => {
    if (held.includes(partition)) return nodeName;
    const { record } = core.view.lease(partition);
    if (record === null || record.state === "free" || core.view.isExpired(partition, nowMs)) return null;
    return core.view.node(record.nodeId).record?.name ?? record.nodeId;
  });
}

export interface NodeStanding {
  readonly name: string;
  readonly number: number;
  readonly isAlive: boolean;
}

/** Every node that the bucket knows, those that left included, by number. */
export function nodesOf(core: MembershipCore, nodeId: string, nowMs: number): NodeStanding[] {
  const alive = new Set([...core.view.aliveOthers(nowMs), nodeId]);
  return [...core.view.nodes()]
    .flatMap(([id, { record }]) =>
      record === null ? [] : [{ name: record.name, number: record.number, isAlive: alive.has(id) }],
    )
    .toSorted((a, b) => a.number - b.number);
}
