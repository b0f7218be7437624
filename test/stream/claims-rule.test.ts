import assert from "node:assert/strict";
import { test } from "node:test";

import type { MessageId } from "../../engine/message/ids.ts";
import type { Claim } from "../../engine/stream/claim.ts";
import { decideClaims } from "../../engine/stream/claims-rule.ts";
import { claimOf, idOf, keyOf } from "./envelopes.ts";

const HOUR_MS = 3_600_000;
const NOON_MS = Date.UTC(2026, 7, 20, 12);

function book() {
  const held = new Map<string, Claim>();
  const superseded: MessageId[] = [];
  const decide = (...claims: readonly Claim[]): void =>
    decideClaims(claims, {
      find: (key) => held.get(key),
      take: (claim) => void held.set(claim.key, claim),
      supersede: (id) => void superseded.push(id),
    });
  const holder = (key: string): MessageId | undefined => held.get(keyOf(key))?.messageId;
  return { decide, holder, superseded };
}

test("the first event of a key holds it, the second is superseded", () => {
  const { decide, holder, superseded } = book();
  decide(claimOf("a", idOf(1)), claimOf("a", idOf(2)), claimOf("b", idOf(3)));
  assert.deepEqual([holder("a"), holder("b"), superseded], [idOf(1), idOf(3), [idOf(2)]]);
});

test("an envelope that comes twice changes nothing", () => {
  const { decide, holder, superseded } = book();
  const envelope = [claimOf("a", idOf(1)), claimOf("b", idOf(2))];
  decide(...envelope);
  decide(...envelope);
  assert.deepEqual([holder("a"), holder("b"), superseded], [idOf(1), idOf(2), []]);
});

test("only an event's first claim decides about it; of the others it takes those that are free", () => {
  const { decide, holder, superseded } = book();
  decide(claimOf("request", idOf(1)));
  decide(claimOf("item", idOf(2)), claimOf("request", idOf(2)), claimOf("more", idOf(2)));
  assert.deepEqual([holder("item"), holder("request"), holder("more")], [idOf(2), idOf(1), idOf(2)]);
  assert.deepEqual(superseded, []);
});

test("a superseded event takes none of its keys", () => {
  const { decide, holder, superseded } = book();
  decide(claimOf("a", idOf(1)));
  decide(claimOf("a", idOf(2)), claimOf("b", idOf(2)));
  assert.deepEqual([holder("b"), superseded], [undefined, [idOf(2)]]);
});

test("a claim holds its key for 72 hours", () => {
  const { decide, holder, superseded } = book();
  decide(claimOf("a", idOf(1), NOON_MS));
  decide(claimOf("a", idOf(2), NOON_MS + 72 * HOUR_MS));
  assert.deepEqual([holder("a"), superseded], [idOf(1), [idOf(2)]]);
  decide(claimOf("a", idOf(3), NOON_MS + 72 * HOUR_MS + 1));
  assert.deepEqual([holder("a"), superseded], [idOf(3), [idOf(2)]]);
});
