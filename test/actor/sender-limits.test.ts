// What a sender learns of its limits: the number's rate, and what changes it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { mailboxRoom } from "../../engine/actor/sender-actor.ts";
import type { SenderEffect } from "../../engine/actor/sender-actor.ts";
import type { Verdict } from "../../engine/message/verdict.ts";
import { Desk, TOO_FAST } from "./desk.ts";

const TOO_FAST_RATE: Verdict = { ...TOO_FAST, isRate: true };
const MAINTENANCE: Verdict = { ...TOO_FAST, errorCode: 131_057, retryAfterMs: 60_000 };

function ratesOf(effects: readonly SenderEffect[]): number[] {
  return effects.flatMap((effect) => (effect.kind === "rate" ? [effect.messagesPerSecond] : []));
}

/** How many messages leave in a second of ticks, with an endless backlog and no answers. */
function sentInOneSecond(desk: Desk): number {
  let count = 0;
  for (const endMs = desk.nowMs + 1000; desk.nowMs < endMs; desk.nowMs++) {
    while (mailboxRoom(desk.sender, 1) > 0) desk.offer();
    const sent = desk.tick().length;
    if (sent > 0) desk.give({ kind: "departed", monotonicMs: desk.nowMs });
    count += sent;
  }
  return count;
}

test("a number that is called too fast rests, and goes on at 0.7 of its rate", () => {
  const desk = new Desk({ messagesPerSecond: 200, inFlightMax: 10_000 });
  const { effects } = desk.send(TOO_FAST_RATE);
  assert.deepEqual(ratesOf(effects), [140]);
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 1000;
  const sent = sentInOneSecond(desk);
  assert.ok(sent >= 137 && sent <= 140, `${sent} in a second`);
});

test("messages that left before the refusal was known do not lower the rate again", () => {
  const desk = new Desk({ messagesPerSecond: 200 });
  const ids = [desk.offer(), desk.offer(), desk.offer()];
  desk.tick();
  const rates = ids.flatMap((id) => ratesOf(desk.answer(id, TOO_FAST_RATE)));
  assert.deepEqual(rates, [140]);
});

test("the rate grows back with time alone, asks for the ticks to do so, and tells of each tenth", () => {
  const desk = new Desk({ messagesPerSecond: 200 });
  const { messageId } = desk.send(TOO_FAST_RATE);
  desk.give({ kind: "proved", messageId });
  const rates: number[] = [];
  let ticks = 0;
  for (let wakeAtMs: number | null = desk.nowMs; wakeAtMs !== null; ticks++) {
    desk.nowMs = Math.max(desk.nowMs, wakeAtMs);
    const effects = desk.give({ kind: "tick" });
    rates.push(...ratesOf(effects));
    const last = effects.at(-1);
    wakeAtMs = last?.kind === "wake" ? last.atMonotonicMs : null;
  }
  assert.deepEqual(rates, [160, 180, 200]);
  assert.ok(ticks <= 30, `${ticks} ticks`);
});

test("maintenance only holds the number: its rate stays", () => {
  const desk = new Desk({ messagesPerSecond: 200, inFlightMax: 10_000 });
  const { effects } = desk.send(MAINTENANCE);
  assert.deepEqual(ratesOf(effects), []);
  desk.nowMs += 59_900;
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 100;
  assert.ok(sentInOneSecond(desk) >= 195);
});

test("another limit applies at once and forgets what was learned; the same one forgets nothing", () => {
  const desk = new Desk({ messagesPerSecond: 200 });
  desk.send(TOO_FAST_RATE);
  const { settings } = desk.sender;
  assert.deepEqual(ratesOf(desk.give({ kind: "settings", settings: { ...settings, inFlightMax: 50 } })), []);
  const changed = desk.give({ kind: "settings", settings: { ...settings, messagesPerSecond: 1000 } });
  assert.deepEqual(ratesOf(changed), [1000]);
});

test("a webhook that tells of 130429 slows the number down, once for all that left before it", () => {
  const desk = new Desk({ messagesPerSecond: 200 });
  const late = { kind: "failedLater", campaignNumber: 1, phoneNumber: "+14155550100", verdict: TOO_FAST_RATE } as const;
  assert.deepEqual(ratesOf(desk.give(late)), [140]);
  desk.nowMs += 3000;
  assert.deepEqual(ratesOf(desk.give(late)), []);
  desk.nowMs += 6000;
  desk.tick();
  assert.deepEqual(ratesOf(desk.give(late)), [127], "0.7 of 182: six seconds had given some of it back");
});

test("a webhook that tells of 131056 lets that recipient rest, and no other", () => {
  const desk = new Desk();
  const verdict: Verdict = { ...TOO_FAST, scope: "pair", errorCode: 131_056 };
  desk.give({ kind: "failedLater", campaignNumber: 1, phoneNumber: "+14155550100", verdict });
  desk.offer({ phoneNumber: "+14155550100" });
  const other = desk.offer({ phoneNumber: "+14155550101" });
  assert.deepEqual(desk.tick(), [other]);
});

test("a webhook about a message of a deleted campaign is heard all the same, unless only that campaign would care", () => {
  const desk = new Desk({ messagesPerSecond: 200 });
  const of = { kind: "failedLater", campaignNumber: 77, phoneNumber: "+14155550100" } as const;
  assert.deepEqual(ratesOf(desk.give({ ...of, verdict: TOO_FAST_RATE })), [140]);
  const template = { kind: "blocked", scope: "template", errorCode: 132_015, reason: "Paused." } as const;
  assert.deepEqual(desk.give({ ...of, verdict: template }), []);
});
