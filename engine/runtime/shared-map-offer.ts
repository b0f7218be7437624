// A row that a node offers to the bucket of a shared map, and what may stand in its way there. Pure.

import { EngineError, messageOf } from "./errors.ts";
import { isNewer, type Row } from "./shared-map-row.ts";

export interface Offer<Value> {
  readonly key: string;
  readonly row: Row<Value>;
  /** When to give up, on the monotonic clock. */
  readonly endMs: number;
  /** What stands in its way: a newer row, or for a claim any value. What is returned is no news to this node. */
  readonly kind: "newest" | "claim" | "return";
  /** A claim gives way to these values; absent: to all. */
  readonly yieldsTo?: (there: Value) => boolean;
}

export type Offered<Value> =
  | { readonly kind: "there"; readonly row: Row<Value> }
  | { readonly kind: "again" }
  | { readonly kind: "doubt"; readonly reason: string };

export function isInTheWay<Value>(there: Row<Value>, offer: Offer<Value>): boolean {
  return (offer.kind === "claim" && isYielded(there, offer)) || !isNewer(offer.row, there);
}

export function isYielded<Value>({ value }: Row<Value>, { yieldsTo }: Pick<Offer<Value>, "yieldsTo">): boolean {
  return value !== undefined && yieldsTo?.(value) !== false;
}

export function doubtOf(error: unknown): { readonly kind: "doubt"; readonly reason: string } {
  if (error instanceof EngineError) throw error;
  return { kind: "doubt", reason: messageOf(error) };
}
