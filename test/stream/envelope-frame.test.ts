import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { encodeFrame, frameClaims, frameEnvelope, frameHasClaims } from "../../engine/stream/envelope-frame.ts";
import { claimOf, idOf } from "./envelopes.ts";

test("a frame gives back its claims and its envelope, whatever they are", () => {
  const claim = fc
    .record({ key: fc.string(), number: fc.nat(), atMs: fc.nat(), bodyHash: fc.string() })
    .map(({ key, number, atMs, bodyHash }) => ({ ...claimOf(key, idOf(number), atMs), bodyHash }));
  fc.assert(
    fc.property(fc.array(claim, { maxLength: 20 }), fc.uint8Array({ maxLength: 300 }), (claims, bytes) => {
      const frame = encodeFrame({ bytes, claims });
      assert.deepEqual(frameClaims(frame), claims);
      assert.deepEqual([...frameEnvelope(frame)], [...bytes]);
      assert.equal(frameHasClaims(frame), claims.length > 0);
    }),
  );
});

test("a frame without claims is four bytes longer than its envelope, and may lie anywhere in a buffer", () => {
  const frame = encodeFrame({ bytes: Buffer.from("abc"), claims: [] });
  assert.equal(frame.length, 7);
  const shifted = Buffer.concat([Buffer.alloc(3), frame]).subarray(3);
  assert.equal(Buffer.from(frameEnvelope(shifted)).toString(), "abc");
});
