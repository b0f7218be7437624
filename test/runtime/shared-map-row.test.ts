import assert from "node:assert/strict";
import { test } from "node:test";

import { array, assert as check, constantFrom, nat, property, record, string } from "fast-check";

import { decodeKey, decodeRow, encodeKey, encodeRow, isNewer, type Row } from "../../engine/runtime/shared-map-row.ts";

const row = record({ counter: nat(3), writer: constantFrom("a", "b", "c") }, { noNullPrototype: true });

test("every key has a form that a bucket takes, and comes back", () => {
  check(
    property(string({ unit: "grapheme", minLength: 1 }), (key) => {
      assert.match(encodeKey(key), /^[-/_=a-zA-Z0-9]+$/);
      assert.equal(decodeKey(encodeKey(key)), key);
    }),
  );
  assert.equal(encodeKey("definition/order-confirmation"), "definition/order-confirmation");
});

test("whatever the order in which rows arrive, the same one stays", () => {
  const merged = (rows: readonly Row<unknown>[]): Row<unknown> | undefined =>
    rows.reduce<Row<unknown> | undefined>((kept, next) => (isNewer(next, kept) ? next : kept), undefined);
  check(
    property(array(row, { minLength: 1 }), (rows) => {
      assert.deepEqual(merged(rows.toReversed()), merged(rows));
      assert.deepEqual(merged([...rows, ...rows]), merged(rows));
    }),
  );
});

test("a row comes back from its bytes, and other bytes are none", () => {
  const removed = { counter: 7, writer: "a.1" };
  assert.deepEqual(decodeRow(encodeRow({ ...removed, value: { x: [1] } })), { ...removed, value: { x: [1] } });
  assert.deepEqual(decodeRow(encodeRow(removed)), removed);
  for (const text of ["", "null", "7", "{}", '{"counter":1}', "{ not", '{"counter":"1","writer":"a"}']) {
    assert.equal(decodeRow(Buffer.from(text)), null);
  }
});
