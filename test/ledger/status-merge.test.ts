import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as fc from "fast-check";

import { mergeStatus, TIMELINE_ENTRIES_MAX } from "../../engine/ledger/status-merge.ts";
import type { MessageRecord } from "../../engine/message/message-record.ts";
import { MESSAGE_STATUSES } from "../../engine/message/status.ts";
import type { DeliveryStatus, StatusUpdate } from "../../engine/message/status-update.ts";
import { idOf, NOON_MS, recordOf } from "./fixtures.ts";

const dispatched = recordOf(idOf(1), {
  status: "dispatched",
  attempts: 1,
  dispatchedAtMs: NOON_MS + 500,
  dueAtMs: NOON_MS + 60_000,
});

function update(status: DeliveryStatus, seconds: number, changes: Partial<StatusUpdate> = {}): StatusUpdate {
  return {
    messageId: dispatched.messageId,
    attempt: 1,
    status,
    wamid: "wamid.1",
    atMs: NOON_MS + seconds * 1_000,
    errorCode: null,
    errorReason: "",
    pricingCategory: "",
    ...changes,
  };
}

const fold = (record: MessageRecord, updates: readonly StatusUpdate[]): MessageRecord =>
  updates.reduce(mergeStatus, record);

describe("a status webhook", () => {
  test("proves a send that waits for news, and ends the waiting", () => {
    for (const status of ["queued", "dispatched", "retrying", "held", "uncertain"] as const) {
      const merged = mergeStatus({ ...dispatched, status, errorCode: 131_000 }, update("sent", 2));
      assert.deepEqual(
        [merged.status, merged.dueAtMs, merged.errorCode, merged.wamid, merged.sentAtMs],
        ["sent", 0, null, "wamid.1", NOON_MS + 2_000],
      );
    }
  });

  test("changes nothing the second time, and says so by returning the same record", () => {
    const once = fold(dispatched, [update("sent", 2), update("failed", 3, { errorCode: 131_026 })]);
    assert.equal(mergeStatus(once, update("sent", 2)), once);
    assert.equal(mergeStatus(once, update("failed", 3, { errorCode: 131_026 })), once);
  });

  test("never takes a message back: read stays read", () => {
    const read = mergeStatus(dispatched, update("read", 9));
    const merged = fold(read, [update("sent", 2), update("delivered", 4), update("failed", 5, { errorCode: 131_026 })]);
    assert.deepEqual(
      [merged.status, merged.errorCode, merged.failedAtMs, merged.sentAtMs, merged.deliveredAtMs, merged.readAtMs],
      ["read", null, 0, NOON_MS + 2_000, NOON_MS + 4_000, NOON_MS + 9_000],
    );
  });

  test("fills the times of the steps that are never reported", () => {
    const merged = mergeStatus(dispatched, update("read", 9));
    assert.deepEqual([merged.sentAtMs, merged.deliveredAtMs, merged.readAtMs], Array(3).fill(NOON_MS + 9_000));
  });

  test("is not placed before the dispatch that it falls into the same second with", () => {
    const merged = mergeStatus(dispatched, update("sent", 0));
    assert.equal(merged.sentAtMs, dispatched.dispatchedAtMs);
    assert.equal(merged.timeline[0]?.atMs, dispatched.dispatchedAtMs);
  });

  test("is not placed before the send's answer that it falls into the same second with, nor tells it twice", () => {
    const answer = { atMs: NOON_MS + 900, status: "sent", attempt: 1, errorCode: null, detail: "" } as const;
    const sent = { ...dispatched, status: "sent", sentAtMs: answer.atMs, timeline: [answer] } as const;
    for (const second of [0, 1]) {
      const merged = fold(sent, [update("read", 1), update("sent", second), update("delivered", 0)]);
      assert.deepEqual(
        merged.timeline.map(({ status, atMs }) => [status, atMs - NOON_MS]),
        [
          ["sent", 900],
          ["delivered", 900],
          ["read", 1_000],
        ],
      );
      assert.deepEqual([merged.sentAtMs, merged.deliveredAtMs], [answer.atMs, answer.atMs]);
    }
  });

  test("of a failure wins over sent and over an expiry, and keeps the first reason", () => {
    const failure = update("failed", 5, { errorCode: 131_026, errorReason: "The number cannot take it." });
    const later = update("failed", 6, { errorCode: 131_047, errorReason: "Another." });
    for (const record of [fold(dispatched, [update("sent", 2)]), { ...dispatched, status: "expired" as const }]) {
      const merged = fold(record, [later, failure]);
      assert.deepEqual(
        [merged.status, merged.errorCode, merged.errorReason, merged.failedAtMs, merged.dueAtMs],
        ["failed", 131_026, "The number cannot take it.", NOON_MS + 5_000, 0],
      );
    }
  });

  test("of an earlier attempt's failure decides nothing", () => {
    const second = { ...dispatched, attempts: 2 };
    const merged = mergeStatus(second, update("failed", 5, { errorCode: 131_026 }));
    assert.deepEqual([merged.status, merged.dueAtMs, merged.timeline.length], ["dispatched", second.dueAtMs, 1]);
  });

  test("that repeats a failure does not end its replay", () => {
    const failed = mergeStatus(dispatched, update("failed", 5, { errorCode: 131_000 }));
    const replayed: MessageRecord = { ...failed, status: "queued", errorCode: null, failedAtMs: 0 };
    const merged = fold(replayed, [update("failed", 5, { errorCode: 131_000 }), update("sent", 4)]);
    assert.equal(merged.status, "queued");
    assert.equal(mergeStatus(merged, update("delivered", 6)).status, "delivered");
  });

  test("keeps the timeline in order of time, and bounded", () => {
    const updates = Array.from({ length: 100 }, (_, index) => update("delivered", 100 - index));
    const { timeline, deliveredAtMs } = fold(dispatched, updates);
    assert.equal(timeline.length, TIMELINE_ENTRIES_MAX);
    assert.deepEqual(
      timeline,
      timeline.toSorted((a, b) => a.atMs - b.atMs),
    );
    assert.equal(deliveredAtMs, NOON_MS + 1_000);
  });
});

test("statuses leave the same record in whatever order, and however often, they come", () => {
  const updates = fc.array(
    fc.record({
      status: fc.constantFrom<DeliveryStatus>("sent", "delivered", "read", "failed"),
      seconds: fc.integer({ min: -1, max: 4 }),
      attempt: fc.integer({ min: 1, max: 2 }),
      errorCode: fc.constantFrom(131_026, 131_047),
    }),
    { maxLength: 7 },
  );
  const base = fc.record({
    status: fc.constantFrom(...MESSAGE_STATUSES),
    attempts: fc.integer({ min: 0, max: 2 }),
    dispatchedAtMs: fc.constantFrom(0, NOON_MS + 500),
    answeredAtMs: fc.constantFrom(0, NOON_MS + 800, NOON_MS + 1_200, NOON_MS + 2_000),
  });
  fc.assert(
    fc.property(base, updates, fc.infiniteStream(fc.nat()), (drawnBase, drawn, chance) => {
      const { answeredAtMs, ...changes } = drawnBase;
      const answer = { atMs: answeredAtMs, status: "sent", attempt: 1, errorCode: null, detail: "" } as const;
      const timeline = answeredAtMs === 0 ? [] : [answer];
      const record = recordOf(idOf(1), {
        ...changes,
        timeline,
        failedAtMs: changes.status === "failed" ? NOON_MS + 1 : 0,
      });
      const news = drawn.map(({ status, seconds, attempt, errorCode }) =>
        update(status, seconds, {
          attempt,
          errorCode: status === "failed" ? errorCode : null,
          errorReason: status === "failed" ? `Reason ${errorCode}` : "",
          pricingCategory: status === "sent" ? "" : "utility",
        }),
      );
      const shuffled = [...news, ...news.slice(0, 3)]
        .map((one) => ({ one, rank: chance.next().value ?? 0 }))
        .toSorted((a, b) => a.rank - b.rank)
        .map(({ one }) => one);
      assert.deepEqual(fold(record, shuffled), fold(record, news));
    }),
    { numRuns: 2_000 },
  );
});
