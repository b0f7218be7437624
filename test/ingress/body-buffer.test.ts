import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { BodyBuffer } from "../../engine/ingress/body-buffer.ts";

test("gives back what was put in, however it was cut", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 5000 }), { maxLength: 30 }), (pieces) => {
      const whole = Buffer.concat(pieces);
      const body = new BodyBuffer(whole.length);
      for (const piece of pieces) body.append(piece);
      assert.equal(body.isOverLimit, false);
      assert.ok(body.take().equals(whole));
    }),
  );
});

test("copies the pieces, whose memory is only lent", () => {
  const body = new BodyBuffer(10);
  const piece = Buffer.from("abc");
  body.append(piece);
  piece.fill("x");
  assert.equal(body.take().toString(), "abc");
});

test("beyond the limit it counts and holds nothing", () => {
  const body = new BodyBuffer(4);
  body.append(Buffer.from("abcd"));
  assert.equal(body.isOverLimit, false);
  body.append(Buffer.from("e"));
  body.append(Buffer.from("fgh"));
  assert.deepEqual([body.isOverLimit, body.length, body.bytesHeld], [true, 8, 0]);
});

test("a body in single bytes takes memory like a body in one piece", () => {
  const body = new BodyBuffer(1_000_000);
  const piece = Buffer.from("x");
  for (let index = 0; index < 100_000; index++) body.append(piece);
  assert.ok(body.bytesHeld <= 2 * 100_000 + 16 * 1024);
});
