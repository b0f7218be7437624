// Meta's two doors: which one a message takes, and what turns it away teaches.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { CampaignSettings, SenderEffect } from "../../engine/actor/sender-actor.ts";
import type { SendRoute, Verdict } from "../../engine/message/verdict.ts";
import { ACCEPTED, blocked, CAMPAIGN, Desk } from "./desk.ts";

const MARKETING: CampaignSettings = { ...CAMPAIGN, category: "MARKETING", templateKey: "sale" };

function misrouted(route: SendRoute): Verdict {
  return { kind: "misrouted", route, errorCode: route === "messages" ? 134_100 : 131_063, reason: "Wrong door." };
}

function routesOf(effects: readonly SenderEffect[]): SendRoute[] {
  return effects.flatMap((effect) => (effect.kind === "dispatch" ? [effect.route] : []));
}

/** The door that the campaign's next message takes. */
function nextRoute(desk: Desk, campaignNumber: number = 1): SendRoute | undefined {
  const messageId = desk.offer({ campaignNumber });
  const [route] = routesOf(desk.give({ kind: "tick" }));
  desk.answer(messageId, ACCEPTED);
  return route;
}

test("marketing that is turned away goes by the other door, costs no attempt, and all marketing follows", () => {
  const desk = new Desk({}, MARKETING);
  desk.give({ kind: "campaign", settings: { ...MARKETING, campaignNumber: 2, templateKey: "news" } });
  desk.give({ kind: "campaign", settings: { ...CAMPAIGN, campaignNumber: 3 } });
  const { messageId, effects } = desk.send(misrouted("marketing_messages"));
  assert.deepEqual(effects, [{ kind: "returned", messageId, attempts: 0, errorCode: 131_063, reason: "Wrong door." }]);
  const [again] = desk.give({ kind: "tick" });
  assert.deepEqual(again, { kind: "dispatch", messageId, attempt: 1, route: "marketing_messages" });
  desk.answer(messageId, ACCEPTED);
  assert.equal(nextRoute(desk, 2), "marketing_messages");
  assert.equal(nextRoute(desk, 3), "messages");
});

test("a template that the other door does not take goes by the ordinary one, and only that template", () => {
  const desk = new Desk({}, MARKETING);
  desk.give({ kind: "campaign", settings: { ...MARKETING, campaignNumber: 2, templateKey: "news" } });
  const first = desk.send(misrouted("marketing_messages"));
  desk.tick();
  desk.answer(first.messageId, ACCEPTED);
  desk.send(misrouted("messages"));
  assert.deepEqual(routesOf(desk.give({ kind: "tick" })), ["messages"]);
  assert.equal(nextRoute(desk, 1), "messages");
  assert.equal(nextRoute(desk, 2), "marketing_messages");
});

test("a message that both doors turn away fails with the reason instead of going to and fro", () => {
  const desk = new Desk({}, MARKETING);
  const { messageId } = desk.send(misrouted("marketing_messages"));
  desk.tick();
  assert.deepEqual(desk.answer(messageId, misrouted("messages")), [
    { kind: "finish", messageId, status: "failed", errorCode: 134_100, reason: "Wrong door." },
  ]);
  assert.deepEqual(desk.tick(), []);
});

test("what Meta takes for marketing, and has another category here, goes by the other door as well", () => {
  const desk = new Desk();
  const { messageId } = desk.send(misrouted("marketing_messages"));
  assert.deepEqual(routesOf(desk.give({ kind: "tick" })), ["marketing_messages"]);
  desk.answer(messageId, ACCEPTED);
  assert.equal(nextRoute(desk), "marketing_messages");
});

test("a template that no door takes fails at the first one, until one takes a message of it again", () => {
  const desk = new Desk({}, MARKETING);
  const { messageId } = desk.send(misrouted("marketing_messages"));
  desk.tick();
  desk.answer(messageId, misrouted("messages"));
  // It may have been parked in between, and nobody remembers where it came from.
  const [end] = desk.send(misrouted("marketing_messages")).effects;
  assert.ok(end?.kind === "finish" && end.status === "failed");
  desk.send(ACCEPTED);
  assert.equal(desk.send(misrouted("messages")).effects[0]?.kind, "returned");
});

for (const scope of ["template", "country"] as const)
  test(`a probe of a ${scope} that came to the wrong door goes by the other one at once`, () => {
    const desk = new Desk({}, MARKETING);
    const { phoneNumber } = desk.dispatch();
    desk.give({ kind: "failedLater", campaignNumber: 1, phoneNumber, verdict: blocked(scope) });
    desk.nowMs += 30_000;
    const { messageId } = desk.send(misrouted("marketing_messages"));
    const [again] = desk.give({ kind: "tick" });
    assert.deepEqual(again, { kind: "dispatch", messageId, attempt: 1, route: "marketing_messages" });
  });

test("a webhook teaches the door as an answer does", () => {
  const desk = new Desk({}, MARKETING);
  const verdict = misrouted("marketing_messages");
  desk.give({ kind: "failedLater", campaignNumber: 1, phoneNumber: "+14155550100", verdict });
  assert.equal(nextRoute(desk), "marketing_messages");
});

test("a misrouted message of a deleted campaign fails", () => {
  const desk = new Desk({}, MARKETING);
  const messageId = desk.offer();
  desk.tick();
  desk.give({ kind: "campaignRemoved", campaignNumber: 1 });
  const [end] = desk.answer(messageId, misrouted("marketing_messages"));
  assert.ok(end?.kind === "finish" && end.status === "failed");
});
