/* oxlint-disable unicorn/no-thenable -- `uncertain.then` is the operators' word; settings are never awaited. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { createSender, mailboxRoom, step } from "../../engine/actor/sender-actor.ts";
import type { CampaignSettings, Dispatch, SenderEffect, SenderInput } from "../../engine/actor/sender-actor.ts";
import { encodeMessageId } from "../../engine/message/ids.ts";
import type { MessageId } from "../../engine/message/ids.ts";
import type { BlockScope, Verdict } from "../../engine/message/verdict.ts";

const EPOCH_MS = 1_790_000_000_000;
const SETTINGS = { senderId: "main", messagesPerSecond: 1000, pair: { periodMs: 6000, burst: 45 }, inFlightMax: 100 };
const CAMPAIGN: CampaignSettings = {
  campaignNumber: 1,
  lane: "transactional",
  weight: 1,
  messagesPerSecond: null,
  isPaused: false,
  timeToLiveMs: 3_600_000,
  uncertain: { waitMs: 600_000, then: "resend" },
};
const ACCEPTED: Verdict = { kind: "accepted", wamid: "wamid.1", isHeld: false };
const TRANSIENT: Verdict = { kind: "transient", errorCode: 131_016, reason: "Service unavailable." };
const TOO_FAST: Verdict = {
  kind: "throttled",
  scope: "number",
  errorCode: 130_429,
  reason: "Too fast.",
  retryAfterMs: null,
};

/** A sender actor at a desk: inputs by hand, effects by kind. */
class Desk {
  nowMs: number = 1000;
  readonly sender: ReturnType<typeof createSender>;
  #sequence = 0;

  constructor(settings: Partial<typeof SETTINGS> = {}, campaign: Partial<CampaignSettings> = {}) {
    this.sender = createSender({ ...SETTINGS, ...settings }, this.#now(), () => 0.5);
    this.give({ kind: "campaign", settings: { ...CAMPAIGN, ...campaign } });
  }

  give(input: SenderInput): readonly SenderEffect[] {
    return step(this.sender, input, this.#now());
  }

  dispatch(more: Partial<Dispatch> = {}): Dispatch {
    const sequence = this.#sequence++;
    const campaignNumber = more.campaignNumber ?? 1;
    const acceptedAtMs = this.#now().wallMs;
    const messageId = encodeMessageId({ partition: 0, campaignNumber, acceptedAtMs, node: 0, sequence });
    return { messageId, campaignNumber, phoneNumber: `+1415555${sequence}`, acceptedAtMs, attempts: 0, ...more };
  }

  offer(more: Partial<Dispatch> = {}): MessageId {
    const dispatch = this.dispatch(more);
    this.give({ kind: "offered", dispatch });
    return dispatch.messageId;
  }

  /** Ids that a tick dispatches. */
  tick(): MessageId[] {
    return this.give({ kind: "tick" }).flatMap((effect) => (effect.kind === "dispatch" ? [effect.messageId] : []));
  }

  answer(messageId: MessageId, verdict: Verdict, attempt: number = 1): readonly SenderEffect[] {
    const times = { sentMonotonicMs: this.nowMs, answeredMonotonicMs: this.nowMs + 20 };
    this.nowMs += 20;
    return this.give({ kind: "verdict", messageId, attempt, verdict, ...times }).filter(({ kind }) => kind !== "wake");
  }

  /** Offers one, sends it, answers it. */
  send(verdict: Verdict, more: Partial<Dispatch> = {}): { messageId: MessageId; effects: readonly SenderEffect[] } {
    const messageId = this.offer(more);
    assert.deepEqual(this.tick(), [messageId]);
    return { messageId, effects: this.answer(messageId, verdict, (more.attempts ?? 0) + 1) };
  }

  #now(): { wallMs: number; monotonicMs: number } {
    return { wallMs: EPOCH_MS + this.nowMs, monotonicMs: this.nowMs };
  }
}

function blocked(scope: BlockScope): Verdict {
  return { kind: "blocked", scope, errorCode: 190, reason: "The access token has expired." };
}

test("an offered message leaves with the next tick, and what was offered announces that tick", () => {
  const desk = new Desk();
  const dispatch = desk.dispatch();
  assert.deepEqual(desk.give({ kind: "offered", dispatch }), [{ kind: "wake", atMonotonicMs: 1000 }]);
  assert.deepEqual(desk.give({ kind: "offered", dispatch: desk.dispatch() }), []);
  const [first] = desk.give({ kind: "tick" });
  assert.deepEqual(first, { kind: "dispatch", messageId: dispatch.messageId, attempt: 1 });
});

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
  desk.give({ kind: "campaign", settings: { ...CAMPAIGN, campaignNumber: 2 } });
  const { messageId, effects } = desk.send(blocked("template"));
  assert.ok(effects[0]?.kind === "blocked" && effects[0].campaignNumber === 1);
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
  assert.deepEqual(again, { kind: "dispatch", messageId, attempt: 2 });
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

test("a verdict for another attempt than is in flight is a broken rule", () => {
  const desk = new Desk();
  const messageId = desk.offer();
  desk.tick();
  assert.throws(() => desk.answer(messageId, ACCEPTED, 2), /another attempt/);
});
