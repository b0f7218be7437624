import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { Ring } from "../../engine/actor/ring.ts";
import { Timetable } from "../../engine/actor/timetable.ts";

test("a ring behaves like an array used as a queue", () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant("push" as const), value: fc.integer({ min: 0, max: 20 }) }),
    fc.record({ kind: fc.constant("shift" as const) }),
    fc.record({ kind: fc.constant("remove" as const), value: fc.integer({ min: 0, max: 20 }) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const ring = new Ring<number>();
      const model: number[] = [];
      for (const each of actions) {
        if (each.kind === "push") {
          ring.push(each.value);
          model.push(each.value);
        } else if (each.kind === "shift") {
          assert.equal(ring.shift(), model.shift());
        } else {
          const index = model.indexOf(each.value);
          assert.equal(ring.remove(each.value), index >= 0);
          if (index >= 0) model.splice(index, 1);
        }
        assert.equal(ring.length, model.length);
        assert.equal(ring.peek(), model[0]);
      }
    }),
  );
});

test("a timetable gives back what is due, earliest first", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 })), fc.integer({ min: 0, max: 50 }), (times, through) => {
      const timetable = new Timetable<string>();
      for (const time of times) timetable.add(time, `at ${time}`);
      const due = times.filter((time) => time <= through).toSorted((one, other) => one - other);
      for (const time of due) {
        assert.equal(timetable.earliest, time);
        assert.equal(timetable.takeThrough(through), `at ${time}`);
      }
      assert.equal(timetable.takeThrough(through), undefined);
      assert.equal(timetable.size, times.length - due.length);
    }),
  );
});
