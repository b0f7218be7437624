import assert from "node:assert/strict";
import { test } from "node:test";

import { createFairShare, front, join, leave, served } from "../../engine/actor/fair-share.ts";
import type { Sharer } from "../../engine/actor/fair-share.ts";
import type { Lane } from "../../engine/message/campaign.ts";

interface Member extends Sharer {
  readonly name: string;
}

function member(name: string, weight: number, lane: Lane = "marketing"): Member {
  return { name, weight, lane, credit: 0, standsIn: null };
}

function serve(share: ReturnType<typeof createFairShare<Member>>, count: number): string {
  let names = "";
  for (let turn = 0; turn < count; turn++) {
    const next = front(share);
    if (next === undefined) break;
    names += next.name;
    served(share, next);
  }
  return names;
}

test("equal campaigns take turns", () => {
  const share = createFairShare<Member>();
  for (const name of ["a", "b", "c"]) join(share, member(name, 1));
  assert.equal(serve(share, 7), "abcabca");
});

test("a weight of 3 gets three messages a turn", () => {
  const share = createFairShare<Member>();
  join(share, member("a", 3));
  join(share, member("b", 1));
  assert.equal(serve(share, 8), "aaabaaab");
});

test("marketing waits while anything transactional stands in line", () => {
  const share = createFairShare<Member>();
  const urgent = member("t", 1, "transactional");
  join(share, member("m", 1));
  join(share, urgent);
  assert.equal(serve(share, 3), "ttt");
  leave(share, urgent);
  assert.equal(serve(share, 2), "mm");
});

test("joining twice gives no second turn, and leaving works from the middle of the line", () => {
  const share = createFairShare<Member>();
  const [a, b, c] = [member("a", 1), member("b", 1), member("c", 1)];
  for (const each of [a, b, c, b]) join(share, each);
  leave(share, b);
  leave(share, b);
  assert.equal(serve(share, 4), "acac");
});

test("an empty share has nobody at its front", () => {
  assert.equal(front(createFairShare<Member>()), undefined);
});
