import assert from "node:assert/strict";
import { test } from "node:test";

import type { Clock } from "../../engine/runtime/clock.ts";
import { FineClock } from "../../engine/simulator/fine-clock.ts";

/** A machine that started its monotonic clock at 0 when the day's time was `epochMs`. */
function machine(epochMs: number): Clock & { sleep(ms: number): void; setBack(ms: number): void } {
  let monotonicMs = 0.25;
  let offsetMs = epochMs;
  return {
    nowMs: () => Math.floor(offsetMs + monotonicMs),
    monotonicMs: () => monotonicMs,
    after: () => () => undefined,
    sleep: (ms) => {
      monotonicMs += ms;
    },
    setBack: (ms) => {
      offsetMs -= ms;
    },
  };
}

test("comes within a hundredth of a millisecond of the epoch time, from below", () => {
  const clock = machine(1_800_000_000_000.7);
  const fine = new FineClock(clock);
  for (let tick = 0; tick < 500; tick++) {
    clock.sleep(5.013);
    fine.correct();
  }
  const { wallMs, monotonicMs } = fine.now();
  const errorMs = 1_800_000_000_000.7 + monotonicMs - wallMs;
  assert.ok(errorMs >= 0 && errorMs < 0.02, String(errorMs));
});

test("follows the machine's clock when it is set", () => {
  const clock = machine(1_800_000_000_000);
  const fine = new FineClock(clock);
  clock.setBack(60_000);
  fine.correct();
  assert.ok(Math.abs(fine.now().wallMs - clock.nowMs()) <= 1);
  clock.setBack(-3_600_000);
  fine.correct();
  assert.ok(Math.abs(fine.now().wallMs - clock.nowMs()) <= 1);
});
