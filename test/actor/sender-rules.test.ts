// The rules that are asked before each departure: consent, quiet hours, caps, budgets.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Dispatch, SendRules } from "../../engine/actor/sender-actor.ts";
import type { Refusal } from "../../engine/message/marketing.ts";
import type { Verdict } from "../../engine/message/verdict.ts";
import { ACCEPTED, blocked, Desk, EPOCH_MS, TOO_FAST, TRANSIENT } from "./desk.ts";

const ANNA = "+14155550100";

/** Refuses Anna, and writes down what it is told. */
function rulesFor(refusal: Refusal | null): { rules: SendRules; told: string[] } {
  const told: string[] = [];
  const note =
    (what: string) =>
    ({ messageId }: Dispatch): void =>
      void told.push(`${what} ${messageId}`);
  const rules = {
    refusal: ({ phoneNumber }: Dispatch) => (phoneNumber === ANNA ? refusal : null),
    left: note("left"),
    returned: note("returned"),
  };
  return { rules, told };
}

test("a message that may not be sent ends as suppressed with the reason, and holds up nobody", () => {
  const { rules, told } = rulesFor({ kind: "suppressed", reason: "Anna said stop." });
  const desk = new Desk({}, {}, { rules });
  const refused = desk.offer({ phoneNumber: ANNA });
  const other = desk.offer();
  const [end, sent] = desk.give({ kind: "tick" });
  assert.deepEqual(end, {
    kind: "finish",
    messageId: refused,
    status: "suppressed",
    errorCode: null,
    reason: "Anna said stop.",
  });
  assert.ok(sent?.kind === "dispatch" && sent.messageId === other);
  assert.deepEqual(told, [`left ${other}`]);
});

test("a message that has to wait is parked until then and asked about again when it comes back", () => {
  let refusal: Refusal | null = { kind: "wait", untilMs: EPOCH_MS + 60_000, reason: "Night." };
  const desk = new Desk({}, {}, { rules: { refusal: () => refusal } });
  const dispatch = desk.dispatch();
  desk.give({ kind: "offered", dispatch });
  const [parked] = desk.give({ kind: "tick" });
  assert.deepEqual(parked, {
    kind: "park",
    messageId: dispatch.messageId,
    status: "queued",
    dueAtMs: EPOCH_MS + 60_000,
    attempts: 0,
    errorCode: null,
    reason: "Night.",
    isPostponed: false,
  });
  desk.nowMs = 60_000;
  refusal = null;
  desk.give({ kind: "due", dispatch, status: "queued" });
  assert.deepEqual(desk.tick(), [dispatch.messageId]);
});

test("a retry that has to wait stays a retry", () => {
  const refusal: Refusal = { kind: "wait", untilMs: EPOCH_MS + 60_000, reason: "Night." };
  const desk = new Desk({}, {}, { rules: { refusal: () => refusal } });
  desk.give({ kind: "due", dispatch: desk.dispatch({ attempts: 2 }), status: "retrying" });
  const [parked] = desk.give({ kind: "tick" });
  assert.ok(parked?.kind === "park" && parked.status === "retrying" && parked.attempts === 2);
});

test("a wait never goes beyond the time to live, and one that is over already is a second", () => {
  const untilMs = { value: EPOCH_MS + 3_600_000 };
  const refusal = (): Refusal => ({ kind: "wait", untilMs: untilMs.value, reason: "Night." });
  const desk = new Desk({}, { timeToLiveMs: 10_000 }, { rules: { refusal } });
  desk.offer();
  const [parked] = desk.give({ kind: "tick" });
  assert.ok(parked?.kind === "park" && parked.dueAtMs === EPOCH_MS + desk.nowMs + 10_000);
  untilMs.value = EPOCH_MS;
  desk.offer();
  const [again] = desk.give({ kind: "tick" });
  assert.ok(again?.kind === "park" && again.dueAtMs === EPOCH_MS + desk.nowMs + 1000);
});

test("a message that is too old expires without being asked about", () => {
  const asked: string[] = [];
  const refusal = ({ messageId }: Dispatch): null => (asked.push(messageId), null);
  const desk = new Desk({}, { timeToLiveMs: 1000 }, { rules: { refusal } });
  desk.offer();
  desk.nowMs += 1000;
  const [end] = desk.give({ kind: "tick" });
  assert.ok(end?.kind === "finish" && end.status === "expired");
  assert.deepEqual(asked, []);
});

test("only a message whose number is free is asked about", () => {
  const asked: string[] = [];
  const refusal = ({ messageId }: Dispatch): null => (asked.push(messageId), null);
  const desk = new Desk({ messagesPerSecond: 1 }, {}, { rules: { refusal } });
  const first = desk.offer();
  desk.offer();
  desk.tick();
  desk.tick();
  assert.deepEqual(asked, [first]);
});

const NOT_TAKEN: Record<string, Verdict> = {
  "a rejected": { kind: "rejected", errorCode: 131_026, reason: "Undeliverable." },
  "an unrenderable": { kind: "rejected", errorCode: null, reason: "The template could not be filled." },
  "a throttled": TOO_FAST,
  "a pair-throttled": { ...TOO_FAST, scope: "pair", errorCode: 131_056 },
  "a transient": TRANSIENT,
  "a blocked": blocked("token"),
  "a finally blocked": { kind: "blocked", scope: "country", errorCode: 130_497, reason: "No.", isFinal: true },
  "a misrouted": { kind: "misrouted", route: "marketing_messages", errorCode: 131_063, reason: "Wrong door." },
};

for (const [name, verdict] of Object.entries(NOT_TAKEN))
  test(`${name} message left and came back`, () => {
    const { rules, told } = rulesFor(null);
    const { messageId } = new Desk({}, {}, { rules }).send(verdict);
    assert.deepEqual(told, [`left ${messageId}`, `returned ${messageId}`]);
  });

test("an accepted message, one of unknown outcome and one proved by a webhook do not come back", () => {
  const { rules, told } = rulesFor(null);
  const desk = new Desk({}, {}, { rules });
  desk.send(ACCEPTED);
  desk.send({ kind: "unknown", reason: "Timeout." });
  const proved = desk.offer();
  desk.tick();
  desk.give({ kind: "proved", messageId: proved });
  desk.answer(proved, TRANSIENT);
  assert.deepEqual(
    told.map((line) => line.split(" ")[0]),
    ["left", "left", "left"],
  );
});
