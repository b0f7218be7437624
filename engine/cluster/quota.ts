// Who should hold how many partitions: as even as it gets, and the same answer on every node that sees the same nodes.

import { PARTITIONS } from "../message/partition.ts";

/** Partitions of `nodeId` among the nodes alive; the first ones by id get those that remain. */
export function quotaOf(nodeId: string, aliveNodeIds: readonly string[]): number {
  const sorted = sortedIds(nodeId, aliveNodeIds);
  const remainder = PARTITIONS % sorted.length;
  return Math.floor(PARTITIONS / sorted.length) + (sorted.indexOf(nodeId) < remainder ? 1 : 0);
}

/** Where a node begins to look for partitions, so that several that look at once try different ones first. */
export function firstChoice(nodeId: string, aliveNodeIds: readonly string[]): number {
  const sorted = sortedIds(nodeId, aliveNodeIds);
  return Math.floor((PARTITIONS * sorted.indexOf(nodeId)) / sorted.length);
}

/** Sorted by code unit, not by locale: nodes may differ in their locale, but must not in this. Oneself always counts. */
function sortedIds(nodeId: string, aliveNodeIds: readonly string[]): string[] {
  return [...new Set([...aliveNodeIds, nodeId])].toSorted((a, b) => (a < b ? -1 : 1));
}
