// What is blocked, for whom, how it is probed, and who else tells of it. (The number's own block: sender-verdict.test.ts.)

import assert from "node:assert/strict";
import { test } from "node:test";

import type { SenderEffect } from "../../engine/actor/sender-actor.ts";
import type { MessageId } from "../../engine/message/ids.ts";
import type { BlockScope, Verdict } from "../../engine/message/verdict.ts";
import { ACCEPTED, blocked, CAMPAIGN, Desk, EPOCH_MS } from "./desk.ts";

const NIGERIAN = "+2348012345670";
const FORBIDDEN: Verdict = {
  kind: "blocked",
  scope: "country",
  errorCode: 130_497,
  reason: "Not to this country.",
  isFinal: true,
};

function deskWithCountries(): Desk {
  return new Desk({}, {}, { regionOf: (phoneNumber) => (phoneNumber.startsWith("+234") ? "NG" : "US") });
}

function kindsOf(effects: readonly SenderEffect[]): string[] {
  return effects.map(({ kind }) => kind).filter((kind) => kind !== "wake");
}

function scopesOf(effects: readonly SenderEffect[]): string[] {
  return effects.flatMap((effect) =>
    effect.kind === "blocked" || effect.kind === "unblocked" ? [`${effect.kind} ${effect.scope}`] : [],
  );
}

/** Failures that came by webhook. */
function failLater(desk: Desk, scope: BlockScope, campaignNumber: number = 1): readonly SenderEffect[] {
  return desk.give({ kind: "failedLater", campaignNumber, phoneNumber: NIGERIAN, verdict: blocked(scope) });
}

// ---- templates

test("campaigns with the same template share its block and its probe; its end lets all of them go", () => {
  const desk = new Desk();
  desk.give({ kind: "campaign", settings: { ...CAMPAIGN, campaignNumber: 2 } });
  const { messageId } = desk.send(blocked("template"));
  const second = desk.offer({ campaignNumber: 2 });
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 30_000;
  const [probe, none] = desk.tick();
  assert.ok(probe !== undefined && none === undefined);
  const waiting = probe === messageId ? second : messageId;
  assert.deepEqual(kindsOf(desk.answer(probe, ACCEPTED)), ["unblocked", "accepted"]);
  assert.deepEqual(desk.tick(), [waiting]);
});

test("a probe of a template that is blocked again holds all its campaigns for twice as long", () => {
  const desk = new Desk();
  desk.give({ kind: "campaign", settings: { ...CAMPAIGN, campaignNumber: 2 } });
  desk.send(blocked("template"));
  desk.offer({ campaignNumber: 2 });
  desk.nowMs += 30_000;
  const [probe] = desk.tick();
  assert.ok(probe !== undefined);
  assert.deepEqual(scopesOf(desk.answer(probe, blocked("template"))), ["blocked template"]);
  desk.nowMs += 59_900;
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 200;
  assert.equal(desk.tick().length, 1);
});

test("a campaign that takes another template leaves the block behind, which ends with its last campaign", () => {
  const desk = new Desk();
  const { messageId } = desk.send(blocked("template"));
  const effects = desk.give({ kind: "campaign", settings: { ...CAMPAIGN, templateKey: "another" } });
  assert.deepEqual(scopesOf(effects), ["unblocked template"]);
  assert.deepEqual(desk.tick(), [messageId]);
});

test("a message of a template that its campaign no longer uses blocks nobody", () => {
  const desk = new Desk();
  const messageId = desk.offer();
  desk.tick();
  desk.give({ kind: "campaign", settings: { ...CAMPAIGN, templateKey: "another" } });
  assert.deepEqual(kindsOf(desk.answer(messageId, blocked("template"))), ["returned"]);
  assert.deepEqual(desk.tick(), [messageId]);
});

test("a deleted campaign takes its template's block with it", () => {
  const desk = new Desk();
  desk.send(blocked("template"));
  const effects = desk.give({ kind: "campaignRemoved", campaignNumber: 1 });
  assert.deepEqual(scopesOf(effects), ["unblocked template"]);
});

// ---- countries

test("a country that the account may not message fails that message, and parks the others without holding anybody up", () => {
  const desk = deskWithCountries();
  const { messageId, effects } = desk.send(FORBIDDEN, { phoneNumber: NIGERIAN });
  const untilMs = EPOCH_MS + desk.nowMs + 30_000;
  const why = { errorCode: 130_497, reason: "Not to this country." };
  assert.deepEqual(effects, [
    { kind: "blocked", scope: "country", subject: "NG", ...why, untilMs },
    { kind: "finish", messageId, status: "failed", ...why },
  ]);
  const waiting = desk.offer({ phoneNumber: "+2348012345671" });
  const other = desk.offer();
  const [parked, sent] = desk.give({ kind: "tick" });
  assert.ok(parked?.kind === "park" && parked.messageId === waiting && parked.status === "queued");
  assert.ok(parked.dueAtMs >= untilMs && parked.dueAtMs <= untilMs + 10_000, `${parked.dueAtMs - untilMs} ms later`);
  assert.ok(sent?.kind === "dispatch" && sent.messageId === other);
});

test("after its wait a country gets one probe, the others wait a little longer; it passes: all may go", () => {
  const desk = deskWithCountries();
  desk.send(FORBIDDEN, { phoneNumber: NIGERIAN });
  desk.nowMs += 30_000;
  const probe = desk.offer({ phoneNumber: "+2348012345671" });
  desk.offer({ phoneNumber: "+2348012345672" });
  const [sent, parked] = desk.give({ kind: "tick" });
  assert.ok(sent?.kind === "dispatch" && sent.messageId === probe);
  assert.ok(parked?.kind === "park");
  assert.ok(parked.dueAtMs > EPOCH_MS + desk.nowMs && parked.dueAtMs <= EPOCH_MS + desk.nowMs + 15_000);
  assert.deepEqual(kindsOf(desk.answer(probe, ACCEPTED)), ["unblocked", "accepted"]);
  const next = desk.offer({ phoneNumber: "+2348012345673" });
  assert.deepEqual(desk.tick(), [next]);
});

test("a country that is still forbidden costs one message a probe, ever more rarely", () => {
  const desk = deskWithCountries();
  desk.send(FORBIDDEN, { phoneNumber: NIGERIAN });
  desk.nowMs += 30_000;
  const { effects } = desk.send(FORBIDDEN, { phoneNumber: "+2348012345671" });
  const [again] = effects;
  assert.ok(again?.kind === "blocked" && again.untilMs === EPOCH_MS + desk.nowMs + 60_000);
});

test("a message to a blocked country is not parked beyond its time to live", () => {
  const desk = deskWithCountries();
  desk.send(FORBIDDEN, { phoneNumber: NIGERIAN });
  const settings = { ...CAMPAIGN, timeToLiveMs: 5000 };
  desk.give({ kind: "campaign", settings });
  desk.offer({ phoneNumber: "+2348012345671" });
  const [parked] = desk.give({ kind: "tick" });
  assert.ok(parked?.kind === "park" && parked.dueAtMs === EPOCH_MS + desk.nowMs + 5000);
});

test("while no country is blocked nobody asks for a recipient's region", () => {
  let asked = 0;
  const regionOf = (): string => `${asked++}`;
  const desk = new Desk({}, {}, { regionOf });
  for (let count = 0; count < 10; count++) desk.send(ACCEPTED);
  assert.equal(asked, 0);
});

// ---- told by a webhook

test("a failure told by a webhook blocks like an answer, and an open probe is doubted for 10 s", () => {
  const desk = new Desk();
  assert.deepEqual(scopesOf(failLater(desk, "account")), ["blocked account"]);
  assert.deepEqual(failLater(desk, "account"), [], "told once");
  const probe = desk.offer();
  const second = desk.offer();
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 30_000;
  assert.deepEqual(desk.tick(), [probe]);
  assert.deepEqual(kindsOf(desk.answer(probe, ACCEPTED)), ["accepted"]);
  desk.nowMs += 9900;
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 100;
  const effects = desk.give({ kind: "tick" });
  assert.deepEqual(scopesOf(effects), ["unblocked account"]);
  assert.ok(effects.some((effect) => effect.kind === "dispatch" && effect.messageId === second));
});

test("a probe that Meta takes and fails by webhook holds the account for twice as long", () => {
  const desk = new Desk();
  failLater(desk, "account");
  desk.nowMs += 30_000;
  desk.send(ACCEPTED);
  desk.nowMs += 2000;
  const [again] = failLater(desk, "account");
  assert.ok(again?.kind === "blocked" && again.untilMs === EPOCH_MS + desk.nowMs + 60_000);
  desk.offer();
  desk.nowMs += 59_900;
  assert.deepEqual(desk.tick(), []);
});

test("a webhook that fails the probe before its answer comes holds the account for longer, whatever the answer", () => {
  const desk = new Desk();
  failLater(desk, "account");
  desk.nowMs += 30_000;
  const probe = desk.offer();
  desk.offer();
  assert.deepEqual(desk.tick(), [probe]);
  assert.deepEqual(scopesOf(failLater(desk, "account")), ["blocked account"]);
  desk.answer(probe, ACCEPTED);
  desk.nowMs += 59_900;
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 100;
  assert.equal(desk.tick().length, 1);
});

test("a webhook blocks the template of its campaign, and the country of its recipient", () => {
  const desk = deskWithCountries();
  const [template] = failLater(desk, "template");
  assert.ok(template?.kind === "blocked" && template.subject === CAMPAIGN.templateKey);
  const [country] = failLater(desk, "country");
  assert.ok(country?.kind === "blocked" && country.subject === "NG");
});

// ---- told by another number

test("a block met by another number blocks this one, which probes for itself", () => {
  const desk = new Desk();
  const elsewhere = { kind: "blockedElsewhere", scope: "account", errorCode: 131_031, reason: "Locked." } as const;
  const untilMs = EPOCH_MS + desk.nowMs + 30_000;
  const [first] = desk.give(elsewhere);
  assert.deepEqual(first, {
    kind: "blocked",
    scope: "account",
    subject: "",
    errorCode: 131_031,
    reason: "Locked.",
    untilMs,
  });
  desk.nowMs += 1000;
  assert.deepEqual(desk.give(elsewhere), [], "it waits already");
  const probe = desk.offer();
  desk.nowMs += 29_000;
  assert.deepEqual(desk.tick(), [probe]);
  desk.nowMs += 1000;
  assert.deepEqual(desk.give(elsewhere), [], "it probes already");
  assert.deepEqual(scopesOf(desk.answer(probe, ACCEPTED)), ["unblocked account"]);
});

for (const scope of ["number", "template", "country"] as const)
  test(`what another number met with its ${scope} says nothing of this one`, () => {
    const desk = new Desk();
    assert.deepEqual(desk.give({ kind: "blockedElsewhere", scope, errorCode: 131_045, reason: "Not yours." }), []);
  });

// ---- another token

for (const scope of ["token", "app"] as const)
  test(`another token opens a block of the ${scope} at once`, () => {
    const desk = new Desk();
    const { messageId } = desk.send(blocked(scope));
    assert.deepEqual(scopesOf(desk.give({ kind: "tokenChanged" })), [`unblocked ${scope}`]);
    assert.deepEqual(desk.tick(), [messageId]);
  });

test("another token does not open a block of the account", () => {
  const desk = new Desk();
  desk.send(blocked("account"));
  desk.give({ kind: "tokenChanged" });
  assert.deepEqual(desk.tick(), []);
});

test("answers to messages that left with the old token do not block the new one", () => {
  const desk = new Desk();
  const messageId = desk.offer();
  desk.tick();
  const sentMonotonicMs = desk.nowMs;
  desk.nowMs += 10;
  desk.give({ kind: "tokenChanged" });
  desk.nowMs += 10;
  const times = { sentMonotonicMs, answeredMonotonicMs: desk.nowMs };
  const effects = desk.give({ kind: "verdict", messageId, attempt: 1, verdict: blocked("token"), ...times });
  assert.deepEqual(kindsOf(effects), ["returned"]);
  assert.deepEqual(desk.tick(), [messageId]);
});

test("the old token's probe comes back when the new one works: it changes nothing", () => {
  const desk = new Desk();
  const { messageId: probe } = desk.send(blocked("token"));
  desk.nowMs += 30_000;
  assert.deepEqual(desk.tick(), [probe]);
  const sentMonotonicMs = desk.nowMs;
  desk.nowMs += 10;
  desk.give({ kind: "tokenChanged" });
  const others: MessageId[] = [desk.offer(), desk.offer()];
  assert.deepEqual(desk.tick(), others);
  const times = { sentMonotonicMs, answeredMonotonicMs: desk.nowMs };
  const effects = desk.give({ kind: "verdict", messageId: probe, attempt: 1, verdict: blocked("token"), ...times });
  assert.deepEqual(kindsOf(effects), ["returned"]);
});

// ---- several at once

test("a number that turns out to be blocked for another reason says so", () => {
  const desk = new Desk();
  desk.send(blocked("token"));
  desk.nowMs += 30_000;
  const [probe] = desk.tick();
  assert.ok(probe !== undefined);
  assert.deepEqual(scopesOf(desk.answer(probe, blocked("account"))), ["unblocked token", "blocked account"]);
});

test("one message probes the number and the template, and each learns what the answer says of it", () => {
  const desk = new Desk();
  const messageId = desk.offer();
  const other = desk.offer();
  desk.tick();
  desk.answer(messageId, blocked("token"));
  desk.answer(other, blocked("template"));
  desk.nowMs += 31_000;
  const [probe, none] = desk.tick();
  assert.ok(probe !== undefined && none === undefined);
  const effects = desk.answer(probe, blocked("template"));
  assert.deepEqual(scopesOf(effects), ["unblocked token", "blocked template"]);
});
