import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";
import { Packr } from "msgpackr";

import { decodeRecord, decodeSummary, encodeRecord } from "../../engine/ledger/record.ts";
import { MESSAGE_STATUSES } from "../../engine/message/status.ts";
import { idOf, recordOf } from "./fixtures.ts";

const text = fc.string({ unit: "binary", maxLength: 300 });
const atMs = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 48 - 1 }));
const status = fc.constantFrom(...MESSAGE_STATUSES);
const errorCode = fc.option(fc.integer({ min: 0, max: 2_999_999 }));
const timelineEntry = fc.record(
  { atMs, status, attempt: fc.nat(20), errorCode, detail: text },
  { noNullPrototype: true },
);

const record = fc
  .record({
    campaignId: text,
    phoneNumber: text,
    attributes: text,
    templateName: text,
    templateLanguage: text,
    message: text,
    status,
    errorCode,
    errorReason: text,
    attempts: fc.nat(100),
    wamid: text,
    acceptedAtMs: atMs,
    dispatchedAtMs: atMs,
    sentAtMs: atMs,
    deliveredAtMs: atMs,
    readAtMs: atMs,
    failedAtMs: atMs,
    pricingCategory: text,
    dueAtMs: atMs,
    timeline: fc.array(timelineEntry, { maxLength: 12 }),
  })
  .map((changes) => recordOf(idOf(1), changes));

test("a record read back is the record that was written", () => {
  fc.assert(
    fc.property(record, (written) => {
      assert.deepEqual(decodeRecord(written.messageId, encodeRecord(written)), written);
    }),
  );
});

test("a summary is the record without attributes, due time and timeline", () => {
  fc.assert(
    fc.property(record, (written) => {
      const { attributes: _attributes, dueAtMs: _dueAtMs, timeline: _timeline, ...rest } = written;
      assert.deepEqual(decodeSummary(written.messageId, encodeRecord(written)), rest);
    }),
  );
});

test("a row of another layout is refused by its version", () => {
  const other = new Packr({ useRecords: false }).pack([2, "order-confirmation"]);
  assert.throws(() => decodeRecord(idOf(1), other), /layout 2; this release reads layout 1/);
});
