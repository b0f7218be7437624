/* oxlint-disable unicorn/no-thenable -- `uncertain.then` is the operators' word; settings are never awaited. */

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Verdict } from "../../engine/message/verdict.ts";
import { ACCEPTED, blocked, CAMPAIGN, Desk, EPOCH_MS, TOO_FAST, TRANSIENT } from "./desk.ts";

test("an accepted message is done", () => {
  const desk = new Desk();
  const { messageId, effects } = desk.send({ kind: "accepted", wamid: "wamid.7", isHeld: true });
  assert.deepEqual(effects, [{ kind: "accepted", messageId, wamid: "wamid.7", isHeld: true }]);
});

test("a rejected message fails with Meta's code and sentence", () => {
  const desk = new Desk();
  const { messageId, effects } = desk.send({ kind: "rejected", errorCode: 131_026, reason: "Undeliverable." });
  assert.deepEqual(effects, [
    { kind: "finish", messageId, status: "failed", errorCode: 131_026, reason: "Undeliverable." },
  ]);
});

test("a transient failure parks the message for another attempt", () => {
  const desk = new Desk();
  const { messageId, effects } = desk.send(TRANSIENT, { attempts: 0 });
  const dueAtMs = EPOCH_MS + desk.nowMs + 500;
  const news = { errorCode: 131_016, reason: "Service unavailable.", isPostponed: false };
  assert.deepEqual(effects, [{ kind: "park", messageId, status: "retrying", dueAtMs, attempts: 1, ...news }]);
});

test("the eighth transient failure is the last", () => {
  const desk = new Desk();
  const { effects } = desk.send(TRANSIENT, { attempts: 7 });
  assert.equal(effects[0]?.kind === "finish" && effects[0].status, "failed");
});

test("an error that says how often it is worth trying is obeyed", () => {
  const desk = new Desk();
  const verdict: Verdict = { ...TRANSIENT, attemptsMax: 3 };
  assert.equal(desk.send(verdict, { attempts: 1 }).effects[0]?.kind, "park");
  const [end] = desk.send(verdict, { attempts: 2 }).effects;
  assert.ok(end?.kind === "finish" && end.status === "failed");
  assert.match(end.reason, /Given up after 3 attempts/);
});

test("an error that says how long to wait is obeyed, with some spread", () => {
  const desk = new Desk();
  const [parked] = desk.send({ ...TRANSIENT, waitMs: 600_000 }).effects;
  assert.ok(parked?.kind === "park" && parked.dueAtMs === EPOCH_MS + desk.nowMs + 600_500);
});

test("an error that says to wait for longer than the message lives ends it as expired", () => {
  const desk = new Desk({}, { timeToLiveMs: 60_000 });
  const [end] = desk.send({ ...TRANSIENT, waitMs: 60_000 }).effects;
  assert.ok(end?.kind === "finish" && end.status === "expired");
});

test("a replay has all its attempts again", () => {
  const desk = new Desk();
  const attemptsBefore = 8;
  const first = desk.dispatch({ attempts: 8, attemptsBefore });
  desk.give({ kind: "due", dispatch: first, status: "queued" });
  assert.deepEqual(desk.tick(), [first.messageId]);
  const [parked] = desk.answer(first.messageId, TRANSIENT, 9);
  assert.ok(parked?.kind === "park" && parked.attempts === 9);
  assert.equal(parked.dueAtMs, EPOCH_MS + desk.nowMs + 500);
  const last = desk.dispatch({ attempts: 15, attemptsBefore });
  desk.give({ kind: "due", dispatch: last, status: "retrying" });
  desk.tick();
  const [end] = desk.answer(last.messageId, TRANSIENT, 16);
  assert.ok(end?.kind === "finish" && end.status === "failed");
  assert.match(end.reason, /Given up after 8 attempts/);
});

test("an uncertain replay counts its own attempts", () => {
  const desk = new Desk();
  const again = desk.dispatch({ attempts: 9, attemptsBefore: 8 });
  desk.give({ kind: "due", dispatch: again, status: "uncertain" });
  assert.deepEqual(desk.tick(), [again.messageId]);
  const [end] = desk.give({ kind: "due", dispatch: desk.dispatch({ attempts: 9 }), status: "uncertain" });
  assert.ok(end?.kind === "finish" && end.status === "failed");
});

test("a retry that would come after the time to live ends the message as expired", () => {
  const desk = new Desk({}, { timeToLiveMs: 400 });
  const { effects } = desk.send(TRANSIENT);
  assert.equal(effects[0]?.kind === "finish" && effects[0].status, "expired");
});

test("a throttled number waits 1 s, then twice as long, and the message goes first without costing an attempt", () => {
  const desk = new Desk();
  const first = desk.offer();
  const second = desk.offer();
  desk.tick();
  assert.equal(desk.answer(first, TOO_FAST)[0]?.kind, "returned");
  // Sent before the refusal was known: the same episode.
  assert.equal(desk.answer(second, TOO_FAST)[0]?.kind, "returned");
  const third = desk.offer();
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 1000;
  assert.deepEqual(desk.tick(), [first, second, third]);
  desk.answer(first, TOO_FAST);
  desk.nowMs += 1900;
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 200;
  assert.deepEqual(desk.tick(), [first]);
});

test("a throttled number waits for what Retry-After asks", () => {
  const desk = new Desk();
  const { messageId } = desk.send({ ...TOO_FAST, retryAfterMs: 7000 });
  desk.nowMs += 6900;
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 100;
  assert.deepEqual(desk.tick(), [messageId]);
});

test("a throttled pair parks its message and lets other recipients pass", () => {
  const desk = new Desk();
  const pair: Verdict = { kind: "throttled", scope: "pair", errorCode: 131_056, reason: "Pair.", retryAfterMs: null };
  const { effects } = desk.send(pair, { phoneNumber: "+14155550100" });
  const parked = effects[0];
  assert.ok(parked?.kind === "park");
  assert.deepEqual([parked.status, parked.attempts, parked.dueAtMs], ["retrying", 0, EPOCH_MS + desk.nowMs + 1000]);
  desk.offer({ phoneNumber: "+14155550100" });
  const other = desk.offer({ phoneNumber: "+14155550101" });
  const [behind, passing] = desk.give({ kind: "tick" });
  assert.ok(behind?.kind === "park" && behind.status === "queued");
  assert.ok(passing?.kind === "dispatch" && passing.messageId === other);
});

test("a blocked number is tried again with one message only", () => {
  const desk = new Desk();
  const { messageId, effects } = desk.send(blocked("token"));
  assert.deepEqual(
    effects.map(({ kind }) => kind),
    ["blocked", "returned"],
  );
  assert.ok(effects[0]?.kind === "blocked" && effects[0].untilMs === EPOCH_MS + desk.nowMs + 30_000);
  const second = desk.offer();
  desk.nowMs += 29_000;
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 1000;
  assert.deepEqual(desk.tick(), [messageId]);
  assert.deepEqual(desk.tick(), []);
  assert.deepEqual(
    desk.answer(messageId, blocked("token")).map(({ kind }) => kind),
    ["blocked", "returned"],
  );
  desk.nowMs += 59_000;
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 1000;
  assert.deepEqual(desk.tick(), [messageId]);
  assert.deepEqual(
    desk.answer(messageId, ACCEPTED).map(({ kind }) => kind),
    ["unblocked", "accepted"],
  );
  assert.deepEqual(desk.tick(), [second]);
});

test("a probe without an answer says nothing: another follows after 30 s", () => {
  const desk = new Desk();
  const { messageId } = desk.send(blocked("account"));
  const second = desk.offer();
  desk.nowMs += 30_000;
  assert.deepEqual(desk.tick(), [messageId]);
  desk.answer(messageId, { kind: "unknown", reason: "Timeout." });
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 30_000;
  assert.deepEqual(desk.tick(), [second]);
});

test("a blocked template holds its campaign, not the others", () => {
  const desk = new Desk();
  desk.give({ kind: "campaign", settings: { ...CAMPAIGN, campaignNumber: 2, templateKey: "another" } });
  const { messageId, effects } = desk.send(blocked("template"));
  assert.ok(effects[0]?.kind === "blocked" && effects[0].subject === CAMPAIGN.templateKey);
  const other = desk.offer({ campaignNumber: 2 });
  assert.deepEqual(desk.tick(), [other]);
  desk.nowMs += 30_000;
  assert.deepEqual(desk.tick(), [messageId]);
});

test("an unknown outcome waits, and the campaign decides: resend", () => {
  const desk = new Desk();
  const { messageId, effects } = desk.send({ kind: "unknown", reason: "Timeout." });
  const [parked] = effects;
  assert.ok(parked?.kind === "park" && parked.status === "uncertain");
  assert.deepEqual([parked.attempts, parked.dueAtMs], [1, EPOCH_MS + desk.nowMs + 600_000]);
  const dispatch = { ...desk.dispatch(), messageId, attempts: 1 };
  desk.give({ kind: "due", dispatch, status: "uncertain" });
  const [again] = desk.give({ kind: "tick" });
  assert.deepEqual(again, { kind: "dispatch", messageId, attempt: 2, route: "messages" });
});

test("an unknown outcome waits, and the campaign decides: fail", () => {
  const desk = new Desk({}, { uncertain: { waitMs: 1000, then: "fail" } });
  const { messageId } = desk.send({ kind: "unknown", reason: "Timeout." });
  const [end] = desk.give({
    kind: "due",
    dispatch: { ...desk.dispatch(), messageId, attempts: 1 },
    status: "uncertain",
  });
  assert.ok(end?.kind === "finish" && end.status === "failed");
});

test("a message proved by a webhook is forgotten, in flight or waiting, and a late answer changes nothing", () => {
  const desk = new Desk();
  const inFlight = desk.offer();
  desk.tick();
  assert.deepEqual(desk.give({ kind: "proved", messageId: inFlight }), []);
  assert.deepEqual(desk.answer(inFlight, TRANSIENT), []);
  const { messageId } = desk.send(TOO_FAST);
  desk.give({ kind: "proved", messageId });
  desk.nowMs += 5000;
  assert.deepEqual(desk.tick(), []);
});

test("a verdict for another attempt than is in flight is a broken rule", () => {
  const desk = new Desk();
  const messageId = desk.offer();
  desk.tick();
  assert.throws(() => desk.answer(messageId, ACCEPTED, 2), /another attempt/);
});
