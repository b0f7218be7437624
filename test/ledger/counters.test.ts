import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";
import { Packr } from "msgpackr";

import { countDoubleSend, type CountedState, countTransition, emptyCounters } from "../../engine/ledger/counters.ts";
import { decodeCampaignState, encodeCampaignState } from "../../engine/ledger/state-record.ts";
import { MESSAGE_STATUSES } from "../../engine/message/status.ts";

test("counts a message where it is, and no longer where it was", () => {
  const counters = emptyCounters();
  countTransition(counters, null, { status: "queued", errorCode: null });
  countTransition(counters, null, { status: "queued", errorCode: null });
  countTransition(counters, { status: "queued", errorCode: null }, { status: "failed", errorCode: 131_026 });
  assert.deepEqual(counters, {
    accepted: 2,
    byStatus: { queued: 1, failed: 1 },
    byError: { 131026: 1 },
    doubleSends: 0,
  });
  countTransition(counters, { status: "failed", errorCode: 131_026 }, { status: "delivered", errorCode: null });
  assert.deepEqual(counters, { accepted: 2, byStatus: { queued: 1, delivered: 1 }, byError: {}, doubleSends: 0 });
});

test("counts messages that were sent twice beside all else, and keeps that in the bytes of a campaign's state", () => {
  const state = { campaignNumber: 1, headId: "", diskFromId: "", tailId: "" };
  const before = emptyCounters();
  const bytes = encodeCampaignState({ ...state, counters: before });
  assert.deepEqual(decodeCampaignState(bytes).counters, before);
  const counters = emptyCounters();
  countDoubleSend(counters);
  countDoubleSend(counters);
  assert.deepEqual(counters, { accepted: 0, byStatus: {}, byError: {}, doubleSends: 2 });
  assert.deepEqual(decodeCampaignState(encodeCampaignState({ ...state, counters })).counters, counters);
  const old = Buffer.from(new Packr({ useRecords: false }).pack([1, "", "", "", 0, {}, {}]));
  assert.deepEqual(Buffer.from(bytes), old, "without any it is written as before they were counted");
});

test("counts are exactly the messages' states, however they moved", () => {
  const state: fc.Arbitrary<CountedState> = fc.record({
    status: fc.constantFrom(...MESSAGE_STATUSES),
    errorCode: fc.constantFrom(null, 131_000, 131_026),
  });
  fc.assert(
    fc.property(fc.array(fc.array(state, { minLength: 1 })), (messages) => {
      const counters = emptyCounters();
      const expected = emptyCounters();
      for (const states of messages) {
        states.forEach((after, index) => countTransition(counters, states[index - 1] ?? null, after));
        countTransition(expected, null, states.at(-1) ?? { status: "queued", errorCode: null });
      }
      assert.deepEqual(counters, expected);
    }),
  );
});
