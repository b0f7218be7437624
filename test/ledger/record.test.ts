import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";
import { Packr } from "msgpackr";

import { decodeRecord, decodeSummary, encodeRecord } from "../../engine/ledger/record.ts";
import { MESSAGE_STATUSES } from "../../engine/message/status.ts";
import type { MessageRecord } from "../../engine/message/message-record.ts";
import { idOf, NOON_MS, recordOf } from "./fixtures.ts";

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
    sendAtMs: atMs,
    waitKey: fc.oneof(fc.constant(""), text),
    pricingAtMs: atMs,
    closedAttempts: fc.nat(2),
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

test("a summary is the record as far as the CSV shows it", () => {
  fc.assert(
    fc.property(record, (written) => {
      const { attributes: _attributes, dueAtMs: _dueAtMs, timeline: _timeline, ...shown } = written;
      const { sendAtMs: _sendAtMs, waitKey: _waitKey, pricingAtMs: _at, closedAttempts: _closed, ...rest } = shown;
      assert.deepEqual(decodeSummary(written.messageId, encodeRecord(written)), rest);
    }),
  );
});

test("a row of a release before delays, cancels and replays were known reads as one that has none of them", () => {
  const written = recordOf(idOf(1), { status: "delivered", pricingCategory: "utility", dueAtMs: 7 });
  const packr = new Packr({ useRecords: false });
  const { messageId: _id, timeline: _timeline, attributes, dueAtMs, ...rest } = written;
  const { sendAtMs: _sendAtMs, waitKey: _waitKey, pricingAtMs: _at, closedAttempts: _closed, ...old } = rest;
  const row = packr.pack([1, ...Object.values(old), dueAtMs, attributes, packr.pack([])]);
  assert.deepEqual(decodeRecord(written.messageId, row), written);
  assert.deepEqual(
    Buffer.from(encodeRecord(written)),
    Buffer.from(row),
    "and where there are none, nothing is written",
  );
});

test("what later releases added costs its own bytes only", () => {
  const bytes = (changes: Partial<MessageRecord>): number => encodeRecord(recordOf(idOf(1), changes)).length;
  const plain = bytes({});
  assert.deepEqual(
    [
      bytes({ pricingAtMs: NOON_MS }),
      bytes({ sendAtMs: NOON_MS }),
      bytes({ waitKey: "cart-7" }),
      bytes({ closedAttempts: 1 }),
    ].map((size) => size - plain),
    [9, 10, 9, 4],
  );
});

test("a row of another layout is refused by its version", () => {
  const other = new Packr({ useRecords: false }).pack([2, "order-confirmation"]);
  assert.throws(() => decodeRecord(idOf(1), other), /layout 2; this release reads layout 1/);
});
