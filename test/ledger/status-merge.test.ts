import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as fc from "fast-check";

import { isSentTwice, mergeStatus, TIMELINE_ENTRIES_MAX, TOLD_BY_WEBHOOK } from "../../engine/ledger/status-merge.ts";
import type { MessageRecord, TimelineEntry } from "../../engine/message/message-record.ts";
import { MESSAGE_STATUSES, type MessageStatus } from "../../engine/message/status.ts";
import type { DeliveryStatus, StatusUpdate } from "../../engine/message/status-update.ts";
import { idOf, NOON_MS, PLACES, recordOf } from "./fixtures.ts";

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
});

describe("a status webhook that is not the last or the first word", () => {
  test("of an attempt that is over neither ends nor proves what came after it, unless somebody got the message", () => {
    const failed = mergeStatus(dispatched, update("failed", 5, { errorCode: 131_000 }));
    const again = { errorCode: null, failedAtMs: 0, wamid: "", closedAttempts: 1 };
    const late = [
      update("failed", 5, { errorCode: 131_000 }),
      update("failed", 6, { errorCode: 131_026 }),
      update("sent", 4),
    ];
    for (const [status, attempts] of [
      ["queued", 1],
      ["retrying", 1],
      ["dispatched", 2],
      ["expired", 1],
    ] as const) {
      const waiting: MessageRecord = { ...failed, ...again, status, attempts };
      const merged = fold(waiting, late);
      assert.deepEqual([merged.status, merged.wamid, merged.sentAtMs, merged.errorCode], [status, "", 0, null]);
      assert.equal(mergeStatus(merged, update("delivered", 6)).status, "delivered");
      assert.equal(mergeStatus(merged, update("delivered", 6)).wamid, "wamid.1");
    }
  });

  test("that WhatsApp had it does not bring back what was given up after that; anything more does", () => {
    const sent = mergeStatus(dispatched, update("sent", 2));
    const expired: MessageRecord = { ...sent, status: "expired", failedAtMs: NOON_MS + 90_000 };
    const late = fold(expired, [update("sent", 2), update("sent", 1), update("sent", 3)]);
    assert.deepEqual([late.status, late.failedAtMs, late.sentAtMs], ["expired", NOON_MS + 90_000, NOON_MS + 1_000]);
    for (const status of ["delivered", "read", "failed"] as const) {
      assert.equal(mergeStatus(late, update(status, 9)).status, status);
    }
  });

  test("that WhatsApp has it brings back what was given up before it was known", () => {
    const expired: MessageRecord = { ...dispatched, status: "expired", failedAtMs: NOON_MS + 90_000, dueAtMs: 0 };
    const merged = mergeStatus(expired, update("sent", 2));
    assert.deepEqual([merged.status, merged.failedAtMs], ["sent", 0]);
  });

  test("of sent is one line an attempt: the send's answer, or else the first that a webhook told", () => {
    const updates = [update("sent", 3), update("sent", 2), update("sent", 4), update("sent", 3)];
    assert.deepEqual(
      fold(dispatched, updates).timeline.map(({ atMs, detail }) => [atMs - NOON_MS, detail]),
      [[2_000, TOLD_BY_WEBHOOK]],
    );
    const answer = { atMs: NOON_MS + 3_000, status: "sent", attempt: 1, errorCode: null, detail: "" } as const;
    const sent: MessageRecord = { ...dispatched, status: "sent", sentAtMs: answer.atMs, timeline: [answer] };
    assert.deepEqual(fold(sent, updates).timeline, [answer]);
  });
});

describe("of what statuses tell, a record", () => {
  test("names the price that WhatsApp told last, not the one that came last", () => {
    const told = [
      update("sent", 2, { pricingCategory: "utility" }),
      update("delivered", 4, { pricingCategory: "marketing_lite" }),
      update("read", 4, { pricingCategory: "marketing" }),
      update("read", 9),
    ];
    for (const order of permutationsOf(told)) assert.equal(fold(dispatched, order).pricingCategory, "marketing");
  });

  test("names the id of the last attempt that WhatsApp took", () => {
    const second: MessageRecord = { ...dispatched, attempts: 2 };
    const told = [
      update("sent", 2, { wamid: "wamid.1" }),
      update("failed", 3, { wamid: "wamid.1", errorCode: 131_026 }),
      update("sent", 5, { attempt: 2, wamid: "wamid.2" }),
      update("failed", 6, { attempt: 3, wamid: "wamid.3", errorCode: 131_026 }),
    ];
    for (const order of permutationsOf(told)) assert.equal(fold(second, order).wamid, "wamid.2");
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

describe("a message counts as sent twice", () => {
  const second: MessageRecord = { ...dispatched, attempts: 2 };
  const failed = update("failed", 3, { errorCode: 131_026 });
  const answer: TimelineEntry = { atMs: NOON_MS, status: "sent", attempt: 1, errorCode: null, detail: "" };

  test("when WhatsApp took two attempts, by its answer or by its statuses", () => {
    const answered = { ...second, timeline: [answer] };
    assert.equal(isSentTwice(answered), false);
    for (const status of ["sent", "delivered", "read"] as const) {
      const other = update(status, 4, { attempt: 2 });
      assert.equal(isSentTwice(mergeStatus(answered, other)), true);
      assert.equal(isSentTwice(fold(second, [other, update("sent", 2)])), true);
    }
  });

  test("not for one attempt, a failure, a message held back, or a line that is about no attempt", () => {
    const one = fold(dispatched, [update("sent", 2), update("delivered", 3), update("read", 4)]);
    assert.equal(isSentTwice(one), false);
    assert.equal(isSentTwice(mergeStatus(one, { ...failed, attempt: 2 })), false);
    assert.equal(
      isSentTwice({ ...one, timeline: [...one.timeline, { ...answer, status: "delivered", attempt: 0 }] }),
      false,
    );
    assert.equal(
      isSentTwice({ ...one, timeline: [...one.timeline, { ...answer, status: "held", attempt: 2 }] }),
      false,
    );
  });

  test("not when the first had failed before it was sent again, unless it arrived all the same", () => {
    const replayed: MessageRecord = {
      ...fold(dispatched, [update("sent", 2), failed]),
      attempts: 2,
      closedAttempts: 1,
    };
    const again = mergeStatus(replayed, update("sent", 9, { attempt: 2 }));
    assert.equal(isSentTwice(again), false);
    assert.equal(isSentTwice(mergeStatus(again, update("delivered", 4))), true);
  });
});

function permutationsOf<Item>(items: readonly Item[]): Item[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, at) => permutationsOf(items.toSpliced(at, 1)).map((rest) => [item, ...rest]));
}

const STATUSES: readonly DeliveryStatus[] = ["sent", "delivered", "read", "failed"];

/** What WhatsApp might tell of three attempts, over some seconds before, in and after those of the dispatch. */
const news: fc.Arbitrary<StatusUpdate> = fc
  .record({
    status: fc.constantFrom(...STATUSES),
    seconds: fc.integer({ min: -1, max: 4 }),
    attempt: fc.integer({ min: 1, max: 3 }),
    errorCode: fc.constantFrom(null, 131_026, 131_047),
    errorReason: fc.constantFrom("One.", "Another."),
    pricingCategory: fc.constantFrom("", "utility", "marketing"),
  })
  .map(({ status, seconds, errorCode, errorReason, ...rest }) =>
    update(status, seconds, {
      ...rest,
      wamid: `wamid.${rest.attempt}`,
      ...(status === "failed" ? { errorCode, errorReason } : {}),
    }),
  );

const lines: fc.Arbitrary<readonly TimelineEntry[]> = fc.array(
  fc
    .record({
      status: fc.constantFrom<MessageStatus>("dispatched", "held", "sent", "failed", "expired", "retrying"),
      seconds: fc.constantFrom(-1, 0.5, 0.8, 1.2, 2, 3.1),
      attempt: fc.integer({ min: 1, max: 3 }),
      isByWebhook: fc.boolean(),
    })
    .map(({ status, seconds, attempt, isByWebhook }) => ({
      atMs: NOON_MS + seconds * 1_000,
      status,
      attempt,
      errorCode: null,
      detail: status === "sent" && isByWebhook ? TOLD_BY_WEBHOOK : "",
    })),
  { maxLength: 4 },
);

/** Any record, also such as no course of things leads to. */
const base: fc.Arbitrary<MessageRecord> = fc
  .record({
    status: fc.constantFrom(...MESSAGE_STATUSES),
    attempts: fc.integer({ min: 0, max: 3 }),
    closedAttempts: fc.integer({ min: 0, max: 2 }),
    dispatchedAtMs: fc.constantFrom(0, NOON_MS + 500),
    sentAtMs: fc.constantFrom(0, NOON_MS + 1_200),
    failedAtMs: fc.constantFrom(0, NOON_MS + 1, NOON_MS + 2_000),
    errorCode: fc.constantFrom(null, 131_030),
    dueAtMs: fc.constantFrom(0, NOON_MS + 9_000),
    pricingCategory: fc.constantFrom("", "service"),
    pricingAtMs: fc.constantFrom(0, NOON_MS + 1_002),
    timeline: lines,
  })
  .map((changes) => {
    const taken = changes.timeline.filter(({ status }) => status === "held" || status === "sent");
    const attempt = Math.max(0, ...taken.map((entry) => entry.attempt));
    return recordOf(idOf(1), { ...changes, wamid: attempt > changes.closedAttempts ? `wamid.${attempt}` : "" });
  });

describe("statuses leave the same record", () => {
  test("in each order in which they can come", () => {
    fc.assert(
      fc.property(base, fc.array(news, { minLength: 2, maxLength: 4 }), (record, told) => {
        const expected = fold(record, told);
        for (const order of permutationsOf(told)) assert.deepEqual(fold(record, order), expected);
      }),
      { numRuns: 3_000 },
    );
  });

  test("however often each of them comes", () => {
    fc.assert(
      fc.property(base, fc.array(news, { maxLength: 9 }), fc.infiniteStream(fc.nat()), (record, told, chance) => {
        const shuffled = [...told, ...told, ...told.slice(0, 3)]
          .map((one) => ({ one, rank: chance.next().value ?? 0 }))
          .toSorted((a, b) => a.rank - b.rank)
          .map(({ one }) => one);
        const merged = fold(record, shuffled);
        assert.deepEqual(merged, fold(record, told));
        for (const one of told) assert.equal(mergeStatus(merged, one), merged, "and then tell nothing new");
      }),
      { numRuns: 3_000 },
    );
  });

  test("also when there are more than the timeline holds", () => {
    const many = fc.array(fc.tuple(news, fc.nat(99)), { minLength: TIMELINE_ENTRIES_MAX, maxLength: 120 });
    fc.assert(
      fc.property(base, many, (record, drawn) => {
        const told = drawn.map(([one, second]) => ({ ...one, atMs: one.atMs + second * 1_000 }));
        const merged = fold(record, told);
        assert.ok(merged.timeline.length <= TIMELINE_ENTRIES_MAX);
        assert.deepEqual(fold(record, told.toReversed()).timeline, merged.timeline);
      }),
      { numRuns: 200 },
    );
  });

  test("and never one that is further back than before", () => {
    fc.assert(
      fc.property(base, fc.array(news, { maxLength: 9 }), (record, told) => {
        let before = record;
        for (const one of told) {
          const after = mergeStatus(before, one);
          assert.ok(PLACES[after.status] >= PLACES[before.status], `${before.status} to ${after.status}`);
          before = after;
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
