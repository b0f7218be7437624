// Which partition a sender's messages live in. A partition belongs to exactly one thread of one engine, so all
// limits of a number are plain values in one thread's memory.

/** Part of every message id: changing it would orphan stored messages. */
export const PARTITIONS = 8;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** FNV-1a: spreads short keys evenly and never changes, unlike a runtime's own string hash. */
export function partitionOf(senderId: string): number {
  let hash = FNV_OFFSET;
  for (const character of senderId) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), FNV_PRIME) >>> 0;
  }
  return hash % PARTITIONS;
}
