import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { createAdmission } from "../../engine/ingress/admission.ts";

test("takes a burst of one second's worth, then the rate", () => {
  const admit = createAdmission({ perSecond: () => 10 });
  for (let count = 0; count < 10; count++) {
    const { kind, remaining } = admit("k", 1, 5000);
    assert.deepEqual([kind, remaining], ["allowed", 9 - count]);
  }
  const refused = admit("k", 1, 5000);
  assert.deepEqual(refused, { kind: "refused", limit: 10, remaining: 0, resetSeconds: 1, retryAfterSeconds: 1 });
  assert.equal(admit("k", 1, 5099).kind, "refused");
  assert.equal(admit("k", 1, 5100).kind, "allowed");
  assert.equal(admit("k", 1, 5100).kind, "refused");
});

test("an array costs its length, capped at the burst", () => {
  const admit = createAdmission({ perSecond: () => 100 });
  const first = admit("k", 60, 0);
  assert.deepEqual([first.kind, first.remaining], ["allowed", 40]);
  assert.equal(admit("k", 41, 0).kind, "refused");
  assert.equal(admit("k", 40, 0).kind, "allowed");
  assert.equal(admit("other", 1000, 0).kind, "allowed");
  assert.equal(admit("other", 1, 0).kind, "refused");
});

test("after Retry-After the same call is taken", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2000 }),
      fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 50 }),
      (perSecond, costs) => {
        const admit = createAdmission({ perSecond: () => perSecond });
        for (const cost of costs) {
          const answer = admit("k", cost, 0);
          if (answer.kind === "allowed") continue;
          assert.equal(admit("k", cost, answer.retryAfterSeconds * 1000).kind, "allowed");
          return;
        }
      },
    ),
  );
});

test("no window ever holds more than the burst and its time's worth", () => {
  const step = fc.tuple(fc.integer({ min: 0, max: 700 }), fc.integer({ min: 1, max: 30 }));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.array(step, { maxLength: 80 }), (perSecond, steps) => {
      const admit = createAdmission({ perSecond: () => perSecond });
      const taken: { atMs: number; cost: number }[] = [];
      let nowMs = 0;
      for (const [waitMs, wanted] of steps) {
        nowMs += waitMs;
        const cost = Math.min(wanted, perSecond);
        if (admit("k", cost, nowMs).kind === "allowed") taken.push({ atMs: nowMs, cost });
      }
      for (const [start, { atMs: fromMs }] of taken.entries()) {
        let sum = 0;
        for (const { atMs, cost } of taken.slice(start)) {
          sum += cost;
          assert.ok(sum <= perSecond + ((atMs - fromMs) * perSecond) / 1000 + 1e-6);
        }
      }
    }),
  );
});

test("one key's flood costs another nothing", () => {
  const admit = createAdmission({ perSecond: () => 5 });
  for (let count = 0; count < 100; count++) admit("flood", 1, 0);
  assert.equal(admit("quiet", 5, 0).kind, "allowed");
});

test("remembers a bounded number of keys, idle ones first forgotten", () => {
  const admit = createAdmission({ perSecond: () => 1, keysMax: 2 });
  admit("idle", 1, 0);
  admit("busy", 1, 5000);
  admit("third", 1, 5000);
  assert.equal(admit("busy", 1, 5000).kind, "refused");
  admit("fourth", 1, 5000);
  assert.equal(admit("third", 1, 5000).kind, "refused");
});

test("a changed limit holds from the next call on", () => {
  let perSecond = 1;
  const admit = createAdmission({ perSecond: () => perSecond });
  admit("k", 1, 0);
  assert.equal(admit("k", 1, 0).kind, "refused");
  perSecond = 1000;
  assert.equal(admit("k", 1, 500).kind, "allowed");
});
