// Envelopes as bytes: what goes in comes out, and what older releases wrote is still read.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";
import { Packr } from "msgpackr";

import { decodeEnvelope, encodeEnvelope, type Envelope } from "../../engine/message/envelope.ts";
import type { AcceptedEvent } from "../../engine/message/event.ts";
import { encodeMessageId, type MessageId } from "../../engine/message/ids.ts";

const ACCEPTED_AT_MS = Date.UTC(2026, 7, 20, 12);
const messageId: fc.Arbitrary<MessageId> = fc
  .nat(1_000_000)
  .map((sequence) =>
    encodeMessageId({ partition: 1, campaignNumber: 2, acceptedAtMs: ACCEPTED_AT_MS, node: 0, sequence }),
  );
const text = fc.string({ unit: "binary", maxLength: 40 });
const atMs = fc.integer({ min: 1, max: 2 ** 48 - 1 });

const event: fc.Arbitrary<AcceptedEvent> = fc.record(
  {
    messageId,
    phoneNumber: text,
    attributes: text,
    attempts: fc.integer({ min: 1, max: 20 }),
    sendAtMs: atMs,
    waitKey: fc.string({ unit: "binary", minLength: 1, maxLength: 40 }),
  },
  { requiredKeys: ["messageId", "phoneNumber", "attributes"], noNullPrototype: true },
);
const update = fc.record(
  {
    messageId,
    attempt: fc.nat(20),
    status: fc.constantFrom("sent", "delivered", "read", "failed"),
    wamid: text,
    atMs,
    errorCode: fc.option(fc.nat(), { nil: null }),
    errorReason: text,
    pricingCategory: text,
  },
  { noNullPrototype: true },
);
const cancel = fc.record(
  { campaignNumber: fc.nat(2 ** 32 - 1), key: text, by: messageId, byCampaignId: text, atMs },
  { noNullPrototype: true },
);

const envelope: fc.Arbitrary<Envelope> = fc.oneof(
  fc.array(event, { maxLength: 9 }).map((events) => ({ kind: "events", events }) as const),
  fc.array(update, { maxLength: 9 }).map((updates) => ({ kind: "statuses", updates }) as const),
  fc.array(cancel, { maxLength: 9 }).map((cancels) => ({ kind: "cancels", cancels }) as const),
);

test("an envelope read back is the envelope that was written", () => {
  fc.assert(fc.property(envelope, (written) => assert.deepEqual(decodeEnvelope(encodeEnvelope(written)), written)));
});

test("an event that waits for nothing is written as before there were delays, and one of then is read", () => {
  const plain = { messageId: "m" as MessageId, phoneNumber: "+1", attributes: "{}" };
  const packr = new Packr({ useRecords: false });
  const cases: readonly (readonly [AcceptedEvent, readonly unknown[]])[] = [
    [plain, ["m", "+1", "{}"]],
    [{ ...plain, attempts: 3 }, ["m", "+1", "{}", 3]],
  ];
  for (const [written, row] of cases) {
    const old = Buffer.from(packr.pack(["e1", [row]]));
    assert.deepEqual(Buffer.from(encodeEnvelope({ kind: "events", events: [written] })), old);
    assert.deepEqual(decodeEnvelope(old), { kind: "events", events: [written] });
  }
});

test("a delay of nothing and a wait for nothing are none", () => {
  const plain = { messageId: "m" as MessageId, phoneNumber: "+1", attributes: "{}" };
  const bytes = encodeEnvelope({ kind: "events", events: [{ ...plain, attempts: 0, sendAtMs: 0, waitKey: "" }] });
  assert.deepEqual(decodeEnvelope(bytes), { kind: "events", events: [plain] });
});
