import assert from "node:assert/strict";
import { test } from "node:test";

import { mailboxRoom } from "../../engine/actor/sender-actor.ts";
import { ACCEPTED, CAMPAIGN, Desk } from "./desk.ts";

test("an offered message leaves with the next tick, and what was offered announces that tick", () => {
  const desk = new Desk();
  const dispatch = desk.dispatch();
  assert.deepEqual(desk.give({ kind: "offered", dispatch }), [{ kind: "wake", atMonotonicMs: 1000 }]);
  assert.deepEqual(desk.give({ kind: "offered", dispatch: desk.dispatch() }), []);
  const [first] = desk.give({ kind: "tick" });
  assert.deepEqual(first, { kind: "dispatch", messageId: dispatch.messageId, attempt: 1, route: "messages" });
});

test("a due row that the actor already has is not taken twice", () => {
  const desk = new Desk();
  const dispatch = desk.dispatch({ attempts: 1 });
  for (let times = 0; times < 2; times++) desk.give({ kind: "due", dispatch, status: "retrying" });
  assert.deepEqual(desk.tick(), [dispatch.messageId]);
  desk.give({ kind: "due", dispatch, status: "retrying" });
  assert.deepEqual(desk.tick(), []);
});

test("messages that were on their way before go before fresh ones", () => {
  const desk = new Desk();
  const fresh = desk.offer();
  const retry = desk.dispatch({ attempts: 1 });
  const parked = desk.dispatch();
  desk.give({ kind: "due", dispatch: retry, status: "retrying" });
  desk.give({ kind: "due", dispatch: parked, status: "queued" });
  assert.deepEqual(desk.tick(), [parked.messageId, retry.messageId, fresh]);
});

test("retries beyond the budget let fresh messages pass and follow when it has grown", () => {
  const desk = new Desk();
  for (let count = 0; count < 25; count++)
    desk.give({ kind: "due", dispatch: desk.dispatch({ attempts: 1 }), status: "retrying" });
  const fresh = desk.offer();
  const sent = desk.tick();
  assert.equal(sent.length, 21);
  assert.equal(sent.at(-1), fresh);
  desk.nowMs += 2000;
  assert.equal(desk.tick().length, 2);
});

test("replays need no retry budget; their own retries do", () => {
  const desk = new Desk();
  for (let count = 0; count < 40; count++)
    desk.give({ kind: "due", dispatch: desk.dispatch({ attempts: 3, attemptsBefore: 3 }), status: "queued" });
  assert.equal(desk.tick().length, 40);
  desk.give({ kind: "departed", monotonicMs: desk.nowMs });
  desk.nowMs += 1000;
  for (let count = 0; count < 40; count++)
    desk.give({ kind: "due", dispatch: desk.dispatch({ attempts: 4, attemptsBefore: 3 }), status: "retrying" });
  assert.equal(desk.tick().length, 20);
});

test("a paused campaign keeps its messages, lets the old ones expire, and goes on where it was", () => {
  const desk = new Desk({}, { isPaused: true, timeToLiveMs: 10_000 });
  const old = desk.offer();
  desk.nowMs += 6000;
  const young = desk.offer();
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 4000;
  const [end] = desk.give({ kind: "tick" });
  assert.ok(end?.kind === "finish" && end.status === "expired" && end.messageId === old);
  desk.give({ kind: "campaign", settings: { ...CAMPAIGN, isPaused: false } });
  assert.deepEqual(desk.tick(), [young]);
});

test("a mailbox takes 512 messages, says when it has drained to half, and offers beyond it are a broken rule", () => {
  const desk = new Desk({ inFlightMax: 256 });
  for (let count = 0; count < 512; count++) desk.offer();
  assert.equal(mailboxRoom(desk.sender, 1), 0);
  assert.throws(() => desk.offer(), /more than its room/);
  const kinds: string[] = [];
  for (let ticks = 0; ticks < 400; ticks++) {
    desk.nowMs += 1;
    kinds.push(...desk.give({ kind: "tick" }).map(({ kind }) => kind));
  }
  assert.equal(kinds.filter((kind) => kind === "room").length, 1);
  assert.equal(mailboxRoom(desk.sender, 1), 256);
});

test("when all mailboxes of a number are full together, each campaign still has a small share", () => {
  const desk = new Desk();
  for (let number = 1; number <= 128; number++) {
    desk.give({ kind: "campaign", settings: { ...CAMPAIGN, campaignNumber: number } });
    for (let count = 0; count < 512; count++) desk.offer({ campaignNumber: number });
  }
  desk.give({ kind: "campaign", settings: { ...CAMPAIGN, campaignNumber: 129 } });
  assert.equal(mailboxRoom(desk.sender, 129), 8);
  for (let count = 0; count < 8; count++) desk.offer({ campaignNumber: 129 });
  assert.equal(mailboxRoom(desk.sender, 129), 0);
});

test("a tick stops after 2,048 effects and asks for the next at once", () => {
  const desk = new Desk({ messagesPerSecond: 1_000_000, inFlightMax: 10_000 });
  for (let number = 1; number <= 5; number++) {
    desk.give({ kind: "campaign", settings: { ...CAMPAIGN, campaignNumber: number } });
    for (let count = 0; count < 500; count++) desk.offer({ campaignNumber: number });
  }
  const effects = desk.give({ kind: "tick" });
  assert.equal(effects.length, 2049);
  assert.deepEqual(effects.at(-1), { kind: "wake", atMonotonicMs: desk.nowMs });
  const all = [...effects, ...desk.give({ kind: "tick" })];
  assert.equal(all.filter(({ kind }) => kind === "dispatch").length, 2500);
});

test("a due row without room is parked again, without any news", () => {
  const desk = new Desk({}, { isPaused: true });
  for (let count = 0; count < 512; count++) desk.offer();
  const dispatch = desk.dispatch({ attempts: 2 });
  const [again] = desk.give({ kind: "due", dispatch, status: "retrying" });
  assert.ok(again?.kind === "park" && again.isPostponed && again.status === "retrying" && again.attempts === 2);
});

test("a due row that is too old ends, room or not (seed 10617 parked it for ever)", () => {
  const desk = new Desk({}, { isPaused: true, timeToLiveMs: 10_000 });
  for (let count = 0; count < 512; count++) desk.offer();
  const dispatch = desk.dispatch();
  desk.nowMs += 10_000;
  const [end] = desk.give({ kind: "due", dispatch, status: "queued" });
  assert.ok(end?.kind === "finish" && end.status === "expired");
});

test("a deleted campaign ends what waits, lets what is in flight end, and ends what comes later", () => {
  const desk = new Desk();
  const inFlight = desk.offer();
  desk.tick();
  const waiting = desk.offer();
  const ends = desk.give({ kind: "campaignRemoved", campaignNumber: 1 });
  assert.deepEqual(
    ends.map((end) => end.kind === "finish" && end.messageId),
    [waiting],
  );
  assert.equal(desk.answer(inFlight, ACCEPTED)[0]?.kind, "accepted");
  const [late] = desk.give({ kind: "offered", dispatch: desk.dispatch() });
  assert.ok(late?.kind === "finish" && late.status === "failed");
});

test("nothing leaves before the hold after a restart is over", () => {
  const desk = new Desk();
  desk.give({ kind: "holdUntil", monotonicMs: 2000 });
  const messageId = desk.offer();
  const [wake] = desk.give({ kind: "tick" });
  assert.deepEqual(wake, { kind: "wake", atMonotonicMs: 2000 });
  desk.nowMs = 2000;
  assert.deepEqual(desk.tick(), [messageId]);
});

test("no more than inFlightMax sends wait for their verdict", () => {
  const desk = new Desk({ inFlightMax: 2 });
  const [first] = [desk.offer(), desk.offer(), desk.offer()];
  assert.equal(desk.tick().length, 2);
  assert.equal(desk.tick().length, 0);
  desk.answer(first, ACCEPTED);
  assert.equal(desk.tick().length, 1);
});

test("a message of a campaign that was never announced is a broken rule", () => {
  assert.throws(() => new Desk().offer({ campaignNumber: 9 }), /never announced/);
});
