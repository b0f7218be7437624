import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { ClaimFilter } from "../../engine/stream/claim-filter.ts";

function hashesOf(text: string): [number, number] {
  const digest = createHash("sha256").update(text).digest();
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)];
}

test("a filter never denies a key it was given, however many blocks it grew", () => {
  const filter = new ClaimFilter();
  for (let key = 0; key < 30_000; key++) filter.add(...hashesOf(`key ${key}`));
  for (let key = 0; key < 30_000; key++) assert.ok(filter.mayHave(...hashesOf(`key ${key}`)));
});

test("a filter wrongly suspects fewer than 1 new key in 200", () => {
  const filter = new ClaimFilter();
  for (let key = 0; key < 30_000; key++) filter.add(...hashesOf(`key ${key}`));
  let suspected = 0;
  for (let key = 0; key < 20_000; key++) if (filter.mayHave(...hashesOf(`new ${key}`))) suspected += 1;
  assert.ok(suspected < 100, `${suspected} of 20,000`);
});

test("a filter takes 8 KiB for few keys and 2 to 4 bytes a key for many", () => {
  const filter = new ClaimFilter();
  filter.add(1, 2);
  assert.equal(filter.bytes, 8 * 1024);
  for (let key = 0; key < 28_000; key++) filter.add(key, key * 7);
  assert.ok(filter.bytes <= 28_000 * 4, `${filter.bytes} bytes`);
});
