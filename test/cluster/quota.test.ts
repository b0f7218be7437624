import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { assert as holds, property, string, uniqueArray } from "fast-check";

import { chooseNumber } from "../../engine/cluster/node-number.ts";
import { quotaOf } from "../../engine/cluster/quota.ts";
import { PARTITIONS } from "../../engine/message/partition.ts";

describe("quota", () => {
  test("quotas of all nodes add up to all partitions, and differ by one at most", () => {
    holds(
      property(uniqueArray(string({ minLength: 1 }), { minLength: 1, maxLength: 12 }), (ids) => {
        const quotas = ids.map((id) => quotaOf(id, ids));
        assert.equal(
          quotas.reduce((a, b) => a + b),
          PARTITIONS,
        );
        assert.ok(Math.max(...quotas) - Math.min(...quotas) <= 1);
      }),
    );
  });

  test("a node that sees nobody takes everything", () => {
    assert.equal(quotaOf("a", []), PARTITIONS);
  });
});

describe("node number", () => {
  test("a node keeps the number it has, and else claims the smallest that nobody has or uses", () => {
    const owners = new Map([
      [0, "a"],
      [2, "b"],
    ]);
    assert.deepEqual(chooseNumber("b", owners, new Set()), { kind: "kept", number: 2 });
    assert.deepEqual(chooseNumber("c", owners, new Set()), { kind: "claim", number: 1 });
    assert.deepEqual(chooseNumber("c", owners, new Set([1])), { kind: "claim", number: 3 });
  });

  test("there are 256 numbers", () => {
    const owners = new Map(Array.from({ length: 256 }, (_, number) => [number, `node-${number}`]));
    assert.deepEqual(chooseNumber("another", owners, new Set()), { kind: "none" });
    assert.deepEqual(chooseNumber("node-255", owners, new Set()), { kind: "kept", number: 255 });
  });
});
