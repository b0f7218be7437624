import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { TimerWheel } from "../../engine/simulator/timer-wheel.ts";

test("hands out every item once, never early and at most one tick late", () => {
  const steps = fc.array(fc.record({ addMs: fc.nat(60_000), advanceMs: fc.nat(30_000) }), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (script) => {
      const wheel = new TimerWheel<number>(5, 1000);
      const waiting = new Set<number>();
      let nowMs = 1000;
      for (const { addMs, advanceMs } of script) {
        const dueAtMs = nowMs + addMs;
        waiting.add(dueAtMs);
        wheel.add(dueAtMs, dueAtMs);
        nowMs += advanceMs;
        const handedOut = new Set<number>();
        wheel.advance(nowMs, (due) => handedOut.add(due));
        for (const due of handedOut) assert.ok(due <= nowMs, `${due} at ${nowMs}`);
        for (const due of waiting) if (due <= nowMs - 10) assert.ok(handedOut.has(due), `${due} at ${nowMs}`);
        for (const due of handedOut) waiting.delete(due);
      }
      wheel.advance(nowMs + 120_000, (due) => waiting.delete(due));
      assert.equal(waiting.size, 0);
      assert.equal(wheel.size, 0);
    }),
  );
});

test("an item may add another one while it is handed out", () => {
  const wheel = new TimerWheel<string>(5, 0);
  const seen: string[] = [];
  wheel.add("first", 10);
  wheel.advance(20, (item) => {
    seen.push(item);
    if (item === "first") wheel.add("second", 10);
  });
  wheel.advance(30, (item) => seen.push(item));
  assert.deepEqual(seen, ["first", "second"]);
});
