import assert from "node:assert/strict";
import { test } from "node:test";

import { assert as check, array, boolean, integer, nat, option, property, record } from "fast-check";

import { portfolioShares, type Sharer, steppedParts } from "../../engine/portfolio-shares.ts";

function sharer(senderId: string, more: Partial<Sharer> = {}): Sharer {
  return { senderId, used: 0, demand: 0, cap: null, isElsewhere: false, ...more };
}

function sharesOf(limit: number, ...sharers: readonly Sharer[]): Record<string, number> {
  return Object.fromEntries(portfolioShares(limit, sharers));
}

test("one sender has all of it, up to its own cap", () => {
  assert.deepEqual(sharesOf(2000, sharer("a", { used: 1999 })), { a: 2000 });
  assert.deepEqual(sharesOf(2000, sharer("a", { cap: 500 })), { a: 500 });
});

test("without demand all have the same of what is free; with it who wants more gets most", () => {
  assert.deepEqual(sharesOf(1000, sharer("a", { used: 200 }), sharer("b")), { a: 600, b: 400 });
  assert.deepEqual(sharesOf(1000, sharer("a", { used: 500, demand: 10 }), sharer("b")), { a: 950, b: 50 });
});

test("what a cap keeps back is the others'", () => {
  assert.deepEqual(sharesOf(1000, sharer("a", { cap: 100, demand: 9 }), sharer("b", { demand: 1 })), {
    a: 100,
    b: 900,
  });
});

test("a sender of another node keeps an even part, and the own ones share the rest", () => {
  assert.deepEqual(sharesOf(1000, sharer("a", { used: 700 }), sharer("b", { isElsewhere: true })), { a: 700 });
  assert.deepEqual(sharesOf(900, sharer("a"), sharer("b"), sharer("c", { isElsewhere: true })), { a: 300, b: 300 });
});

const SHARER = record({ used: nat(400), demand: nat(50), cap: option(nat(500)), isElsewhere: boolean() });

test("the parts never exceed the limit, lose at most one a sender, and take nothing away that was used", () => {
  check(
    property(integer({ min: 1, max: 3000 }), array(SHARER, { minLength: 1, maxLength: 6 }), (limit, some) => {
      const sharers = some.map((one, index) => sharer(String(index), one));
      const shares = portfolioShares(limit, sharers);
      const own = sharers.filter(({ isElsewhere }) => !isElsewhere);
      const pool = limit - (sharers.length - own.length) * Math.floor(limit / sharers.length);
      const used = own.reduce((sum, one) => sum + one.used, 0);
      const sum = [...shares.values()].reduce((total, share) => total + share, 0);
      assert.ok(sum <= Math.max(pool, used), `${sum} of ${pool}`);
      for (const one of own) {
        const share = shares.get(one.senderId) ?? -1;
        assert.ok(share >= Math.min(one.used, one.cap ?? one.used) && share <= Math.max(one.used, one.cap ?? limit));
      }
      const isCapped = own.every(({ senderId, cap }) => cap !== null && (shares.get(senderId) ?? 0) >= cap);
      if (own.length > 0 && used <= pool && !isCapped && own.every(({ cap }) => cap === null)) {
        assert.ok(sum > pool - own.length - 1, `${sum} of ${pool}`);
      }
    }),
  );
});

test("a part grows only out of what nobody holds any more", () => {
  const first = steppedParts(
    1000,
    new Map([
      ["a", { target: 900, held: 500 }],
      ["b", { target: 100, held: 500 }],
    ]),
  );
  assert.deepEqual(Object.fromEntries(first), { a: 500, b: 100 });
  const then = steppedParts(
    1000,
    new Map([
      ["a", { target: 900, held: 500 }],
      ["b", { target: 100, held: 120 }],
    ]),
  );
  assert.deepEqual(Object.fromEntries(then), { a: 880, b: 100 });
});

test("whatever the threads still hold, all of them together never get beyond the limit", () => {
  const part = record({ target: nat(300), held: nat(300) });
  check(
    property(integer({ min: 0, max: 1000 }), array(part, { maxLength: 5 }), (limit, some) => {
      const parts = new Map(some.map((one, index) => [String(index), one]));
      const told = steppedParts(limit, parts);
      const most = some.reduce((sum, one, index) => sum + Math.max(one.held, told.get(String(index)) ?? 0), 0);
      const held = some.reduce((sum, one) => sum + one.held, 0);
      assert.ok(most <= Math.max(limit, held));
    }),
  );
});
