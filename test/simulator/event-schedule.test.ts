import assert from "node:assert/strict";
import { test } from "node:test";

import { EventSchedule } from "../../engine/simulator/event-schedule.ts";

const paused = { template: "greeting", status: "PAUSED" };
const held = { webhooks: "held" } as const;
const released = { webhooks: "released" } as const;
const message = { template: "greeting", number: "1" };

test("an event comes after so many messages, or so long after them", () => {
  const schedule = new EventSchedule(
    [
      { when: { afterSends: 2 }, do: [paused, held] },
      { when: { afterSends: 2, plusSeconds: 5 }, do: released },
    ],
    0,
  );
  assert.deepEqual(schedule.count(message, 1000), []);
  assert.deepEqual(schedule.count(message, 1001), [paused, held]);
  assert.equal(schedule.isCounting, false);
  assert.equal(schedule.nextAtMs, 6001);
  assert.deepEqual(schedule.advance(6000), []);
  assert.deepEqual(schedule.advance(6001), [released]);
  assert.deepEqual([schedule.nextAtMs, schedule.stats], [null, { done: 2, waiting: 0 }]);
});

test("only messages of its template and from its number count", () => {
  const schedule = new EventSchedule(
    [
      { when: { afterSends: 1, template: "other" }, do: paused },
      { when: { afterSends: 1, number: "2" }, do: held },
    ],
    0,
  );
  assert.deepEqual(schedule.count(message, 0), []);
  assert.deepEqual(schedule.count({ template: "other", number: "1" }, 0), [paused]);
  assert.deepEqual(schedule.count({ template: "other", number: "2" }, 0), [held]);
});

test("events by the clock come in order of time, counted from the start", () => {
  const schedule = new EventSchedule(
    [
      { when: { atSeconds: 9 }, do: released },
      { when: { atSeconds: 1 }, do: held },
    ],
    10_000,
  );
  assert.deepEqual(schedule.advance(10_999), []);
  assert.deepEqual(schedule.advance(60_000), [held, released]);
});
