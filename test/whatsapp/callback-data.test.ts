import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { encodeMessageId } from "../../engine/message/ids.ts";
import { PARTITIONS } from "../../engine/message/partition.ts";
import { readCallbackData } from "../../engine/whatsapp/callback-data.ts";

const address = fc.record({
  partition: fc.integer({ min: 0, max: PARTITIONS - 1 }),
  campaignNumber: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  acceptedAtMs: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  node: fc.integer({ min: 0, max: 255 }),
  sequence: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
});

test("id and attempt come back as they went out", () => {
  fc.assert(
    fc.property(address, fc.integer({ min: 1, max: 999_999 }), (where, attempt) => {
      const messageId = encodeMessageId(where);
      const text = attempt === 1 ? messageId : `${messageId}.${attempt}`;
      assert.deepEqual(readCallbackData(text), { messageId, address: { ...where }, attempt });
    }),
  );
});

test("an id of a partition that this engine does not have is not ours", () => {
  const where = { partition: PARTITIONS, campaignNumber: 1, acceptedAtMs: 1, node: 0, sequence: 0 };
  assert.equal(readCallbackData(encodeMessageId(where)), null);
});

test("no text throws", () => {
  fc.assert(fc.property(fc.string(), (text) => void readCallbackData(text)));
});
