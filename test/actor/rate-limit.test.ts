import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { arrived, changedPace, createPace, departed, nextAtMs, recall, take } from "../../engine/actor/rate-limit.ts";
import { seededRandom } from "./seeded-random.ts";
import { busiestWindow } from "./simulated-sender.ts";

interface Line {
  /** Between decision and departure, at least and at most. */
  readonly commitMs: readonly [number, number];
  /** On the way to Meta, beyond the quickest. */
  readonly spreadMs: number;
  readonly thinkingMs: readonly [number, number];
  /** How late ticks are at most. */
  readonly tickMs: number;
}

/** A number with an endless backlog: when its messages reached Meta. */
function flood(perSecond: number, seconds: number, line: Line, seed: number): number[] {
  const random = seededRandom(seed);
  const between = ([low, high]: readonly [number, number]): number => low + random() * (high - low);
  const pace = createPace({ perSecond });
  const arrivals: number[] = [];
  const answers: { atMs: number; ticket: number; sentAtMs: number; roundTripMs: number }[] = [];
  let nowMs = 5;
  let departedAtMs = 0;
  while (nowMs < seconds * 1000) {
    nowMs = Math.max(nowMs, nextAtMs(pace)) + random() * line.tickMs;
    while (answers[0] !== undefined && answers[0].atMs <= nowMs) {
      const answer = answers.shift();
      if (answer !== undefined) arrived(pace, answer.ticket, answer.sentAtMs, answer.roundTripMs);
    }
    const first = pace.taken;
    while (take(pace, nowMs));
    if (pace.taken === first) continue;
    departedAtMs = Math.max(departedAtMs, nowMs + between(line.commitMs));
    departed(pace, departedAtMs, pace.taken - first);
    for (let ticket = first; ticket < pace.taken; ticket++) {
      const arrivalMs = departedAtMs + 20 + random() * line.spreadMs;
      arrivals.push(arrivalMs);
      const answeredAtMs = arrivalMs + between(line.thinkingMs);
      answers.push({ atMs: answeredAtMs, ticket, sentAtMs: departedAtMs, roundTripMs: answeredAtMs - departedAtMs });
    }
    answers.sort((one, other) => one.atMs - other.atMs);
  }
  return arrivals;
}

const LINES: Record<string, Line> = {
  "a quiet line": { commitMs: [1, 2], spreadMs: 0.5, thinkingMs: [5, 6], tickMs: 1 },
  "a slow disk and a busy Meta": { commitMs: [4, 6], spreadMs: 4, thinkingMs: [20, 300], tickMs: 1 },
};

for (const [name, line] of Object.entries(LINES)) {
  for (const perSecond of [20, 80, 1000]) {
    test(`on ${name}, ${perSecond}/s is never exceeded in any second and at least 99 % of it is used`, () => {
      for (let seed = 1; seed <= 5; seed++) {
        const arrivals = flood(perSecond, 60, line, seed);
        const busiest = busiestWindow(arrivals, 1000);
        assert.ok(busiest.count <= perSecond, `seed ${seed}: ${busiest.count} from ${busiest.fromMs} on`);
        const first = arrivals[0] ?? 0;
        const last = arrivals.at(-1) ?? 0;
        const used = (arrivals.length - 1) / (((last - first) / 1000) * perSecond);
        assert.ok(used >= 0.99, `seed ${seed}: ${used} of the rate used`);
      }
    });
  }
}

test("a stall of 100 ms on the way to Meta does not break the limit a second later", () => {
  const pace = createPace({ perSecond: 80 });
  const arrivals: number[] = [];
  for (let nowMs = 0; nowMs < 20_000; nowMs = Math.max(nowMs + 0.01, nextAtMs(pace))) {
    if (!take(pace, nowMs)) continue;
    // Whatever leaves between 10.0 and 10.1 s arrives only at 10.1 s.
    const isStalled = nowMs > 10_000 && nowMs < 10_100;
    const arrivalMs = isStalled ? 10_110 : nowMs + 10;
    arrivals.push(arrivalMs);
    departed(pace, nowMs, 1);
    arrived(pace, pace.taken - 1, nowMs, arrivalMs - nowMs + 10);
  }
  assert.ok(busiestWindow(arrivals, 1000).count <= 80);
  assert.ok(arrivals.length > 19.5 * 80);
});

test("a rate below one a second works", () => {
  const pace = createPace({ perSecond: 0.5 });
  assert.ok(take(pace, 0));
  departed(pace, 0, 1);
  assert.ok(!take(pace, 1900));
  assert.ok(nextAtMs(pace) >= 2000 && nextAtMs(pace) < 2020);
  assert.ok(take(pace, nextAtMs(pace)));
});

test("what was granted and has not left is never more than one window's worth, however long it is held up", () => {
  const pace = createPace({ perSecond: 20 });
  let granted = 0;
  for (let nowMs = 0; nowMs < 10_000; nowMs++) if (take(pace, nowMs)) granted++;
  assert.equal(granted, 20);
  assert.equal(nextAtMs(pace), Infinity);
  departed(pace, 10_000, 20);
  assert.ok(nextAtMs(pace) >= 11_000 && nextAtMs(pace) < 11_020);
});

test("messages are spread over the second instead of leaving at its beginning", () => {
  const pace = createPace({ perSecond: 1000 });
  let atOnce = 0;
  while (take(pace, 0)) atOnce++;
  assert.ok(atOnce <= 55, `${atOnce} at once`);
});

test("what a run before sent counts: the limit holds over the edge, and no more is lost than that", () => {
  for (const perSecond of [0.1, 0.7, 1, 3, 80]) {
    const windowMs = Math.max(1000, 1000 / perSecond);
    for (let gapMs = 0; gapMs <= windowMs * 1.2; gapMs += windowMs / 7) {
      const before = createPace({ perSecond });
      const arrivals: number[] = [];
      for (let nowMs = 0; nowMs < 3 * windowMs; nowMs++) {
        while (take(before, nowMs)) arrivals.push(nowMs);
        departed(before, nowMs, Infinity);
      }
      const startMs = Math.ceil(3 * windowMs + gapMs);
      const pace = createPace({ perSecond });
      for (const atMs of arrivals) recall(pace, atMs);
      assert.ok(nextAtMs(pace) <= (arrivals.at(-1) ?? 0) + windowMs + 10);
      for (let nowMs = startMs; nowMs < startMs + 2 * windowMs; nowMs++) {
        while (take(pace, nowMs)) arrivals.push(nowMs);
        departed(pace, nowMs, Infinity);
      }
      const countMax = Math.max(1, Math.floor(perSecond));
      const { count } = busiestWindow(arrivals, (countMax / perSecond) * 1000);
      assert.ok(count <= countMax, `${count} of ${perSecond}/s, ${gapMs} ms after the run before`);
    }
  }
});

test("a run does not send at once what the one before sent at once just now", () => {
  const pace = createPace({ perSecond: 1000 });
  for (let count = 0; count < 50; count++) recall(pace, 1000);
  let atOnce = 0;
  while (take(pace, 1000)) atOnce++;
  assert.ok(atOnce <= 5, `${atOnce} at once`);
});

test("what is recalled out of order counts as late as what was recalled before it", () => {
  const pace = createPace({ perSecond: 2 });
  for (const atMs of [900, 300]) recall(pace, atMs);
  assert.ok(nextAtMs(pace) >= 1900);
});

test("an earlier run cannot be recalled while messages of this one are leaving", () => {
  const pace = createPace({ perSecond: 10 });
  take(pace, 1000);
  assert.throws(() => recall(pace, 900), /after this one began/);
});

test("a changed rate forgets nothing that was just sent", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 120 }),
      fc.integer({ min: 1, max: 120 }),
      fc.integer({ min: 0, max: 3000 }),
      (before, after, changeAtMs) => {
        let pace = createPace({ perSecond: before });
        const arrivals: number[] = [];
        let isChanged = false;
        for (let nowMs = 0; nowMs < 5000; nowMs++) {
          if (!isChanged && nowMs >= changeAtMs) {
            pace = changedPace(pace, { perSecond: after });
            isChanged = true;
          }
          while (take(pace, nowMs)) {
            arrivals.push(nowMs);
            departed(pace, nowMs, 1);
          }
        }
        assert.ok(busiestWindow(arrivals, 1000).count <= Math.max(before, after));
        const later = arrivals.filter((atMs) => atMs > changeAtMs);
        assert.ok(busiestWindow(later, 1000).count <= after);
        assert.ok(later.length >= ((5000 - changeAtMs - 1100) / 1000) * after * 0.97 - 2);
      },
    ),
  );
});
