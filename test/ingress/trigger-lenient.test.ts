import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, afterEach, test } from "node:test";

import type { TriggerAuth } from "../../engine/message/campaign.ts";
import { ANN, campaignOf, startTriggers, trigger, type Answer } from "./trigger-kit.ts";

const HMAC: TriggerAuth = {
  type: "hmac",
  header: "X-Shopify-Hmac-Sha256",
  encoding: "base64",
  secrets: ["new", "old"],
};
const FORM = { "content-type": "application/x-www-form-urlencoded" };
const TOKEN = "t0ken-of-thirty-two-characters-xx";

const stage = await startTriggers();
after(() => stage.close());
stage.campaigns.set("shop", campaignOf("shop", 2, { auth: HMAC, dedupe: { header: "X-Shopify-Webhook-Id" } }));
stage.campaigns.set("resting", campaignOf("resting", 3, { auth: HMAC, isActive: false }));
stage.campaigns.set("linked", campaignOf("linked", 4, { auth: { type: "urlToken" }, urlToken: TOKEN }));
stage.campaigns.set("unset", campaignOf("unset", 5, { auth: { type: "urlToken" } }));

afterEach(() => {
  Object.assign(stage.state, { waiting: 0, failure: null });
  stage.refused.length = 0;
  stage.log.lines.length = 0;
});

function signed(
  body: unknown,
  more: Record<string, string> = {},
  secret = "new",
): { key: null; headers: Record<string, string> } {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return {
    key: null,
    headers: { "x-shopify-hmac-sha256": createHmac("sha256", secret).update(text).digest("base64"), ...more },
  };
}

const hook = (body: unknown, call = signed(body), path = "/hooks/shop"): Promise<Answer> =>
  trigger(stage, body, { ...call, path });

test("a signed event gets exactly 200 with status and messageId, by either live secret", async () => {
  for (const secret of ["new", "old"]) {
    const { status, json } = await hook(ANN, signed(ANN, {}, secret));
    assert.deepEqual([status, json], [200, { status: "accepted", messageId: stage.events().at(-1)?.messageId }]);
  }
});

test("a redelivery gets the first message id", async () => {
  const delivery = { "x-shopify-webhook-id": "d1" };
  const first = await hook(ANN, signed(ANN, delivery));
  const second = await hook(ANN, signed(ANN, delivery));
  assert.deepEqual([second.status, second.json], [200, first.json]);
});

test("the signature covers the raw bytes", async () => {
  const text = '{ "phone" : "+15550001111","name":"Z\\u00fcrich é" }';
  assert.equal((await hook(text)).status, 200);
  assert.equal((await hook(JSON.stringify(JSON.parse(text)), signed(text))).status, 401);
});

test("401 for a wrong or missing signature, a wrong door, and a campaign that is not there", async () => {
  const calls: [unknown, Parameters<typeof hook>[1], string][] = [
    [ANN, signed(ANN, {}, "guess"), "/hooks/shop"],
    [ANN, { key: null, headers: {} }, "/hooks/shop"],
    [ANN, signed(ANN), `/hooks/shop/${TOKEN}`],
    [ANN, signed(ANN), "/hooks/none"],
    [ANN, signed(ANN), "/hooks/orders"],
    [ANN, { key: null, headers: { "x-api-key": stage.key } }, "/hooks/orders"],
    [ANN, { key: null, headers: {} }, "/hooks/linked"],
    [ANN, { key: null, headers: {} }, "/hooks/linked/wrong"],
    [ANN, { key: null, headers: {} }, "/hooks/unset/null"],
  ];
  const before = stage.events().length;
  for (const [body, call, path] of calls) {
    const { status, json } = await hook(body, call, path);
    assert.deepEqual([status, json["code"]], [401, "unauthorized"], path);
  }
  assert.equal(stage.events().length, before);
});

test("a URL token opens its campaign, and shows in no log", async () => {
  const { status, json } = await hook(ANN, { key: null, headers: {} }, `/hooks/linked/${TOKEN}`);
  assert.deepEqual([status, json["status"]], [200, "accepted"]);
  await hook({}, { key: null, headers: {} }, `/hooks/linked/${TOKEN}`);
  assert.equal(JSON.stringify([stage.log.lines, stage.server.lines]).includes(TOKEN), false);
});

test("faults of data are 200 ignored, logged without values, and counted", async () => {
  const { status, json } = await hook({ phone: "secret-number" });
  assert.equal(status, 200);
  assert.deepEqual([json["status"], json["code"], json["errors"].length], ["ignored", "invalid_payload", 2]);
  assert.deepEqual(stage.refused, [["shop", "invalid_payload"]]);
  assert.deepEqual(
    stage.log.lines.map(({ event, fields }) => [event, fields["campaignId"], fields["code"]]),
    [["event.ignored", "shop", "invalid_payload"]],
  );
  assert.equal(JSON.stringify(stage.log.lines).includes("secret-number"), false);
  for (const body of ["5", "[]"]) assert.deepEqual((await hook(body)).json["code"], "invalid_payload");
});

test("filtered events and paused campaigns are 200 ignored, logged and counted", async () => {
  const filtered = await hook({ ...ANN, paid: false });
  const paused = await hook(ANN, signed(ANN), "/hooks/resting");
  assert.deepEqual([filtered.status, filtered.json["status"], filtered.json["code"]], [200, "ignored", "filtered"]);
  assert.deepEqual([paused.status, paused.json["status"], paused.json["code"]], [200, "ignored", "campaign_paused"]);
  assert.deepEqual(stage.refused, [
    ["shop", "filtered"],
    ["resting", "campaign_paused"],
  ]);
  assert.deepEqual(
    stage.log.lines.map(({ fields }) => fields["code"]),
    ["filtered", "campaign_paused"],
  );
});

test("400 for an unreadable body, 413 for a huge one", async () => {
  const bad = await hook("{");
  assert.deepEqual([bad.status, bad.json["code"]], [400, "malformed_json"]);
  assert.equal((await hook("x".repeat(5 * 1024 * 1024 + 1))).status, 413);
});

test("takes JSON under any content type", async () => {
  assert.equal((await hook(ANN, signed(ANN, { "content-type": "text/plain" }))).json["status"], "accepted");
});

test("503 while nothing can be stored, so that the platform comes again", async () => {
  stage.state.failure = new Error("disk full");
  const failed = await hook(ANN);
  assert.deepEqual([failed.status, failed.json["code"], failed.headers.get("retry-after")], [503, "overloaded", "5"]);
  stage.state.failure = null;
  stage.state.waiting = stage.state.waitingMax;
  assert.equal((await hook(ANN)).status, 503);
});

test("an array gets a result for every item, always with 200", async () => {
  const some = [ANN, {}];
  const { status, json } = await hook(some);
  assert.deepEqual([status, json["status"], json["accepted"], json["rejected"]], [200, "accepted", 1, 1]);
  const none = await hook([{}, {}]);
  assert.deepEqual([none.status, none.json["status"], none.json["rejected"]], [200, "ignored", 2]);
});

test("WooCommerce's unsigned ping gets a plain 200, also while the campaign is paused", async () => {
  for (const path of ["/hooks/shop", "/hooks/resting", `/hooks/linked/${TOKEN}`]) {
    const answer = await hook("webhook_id=7", { key: null, headers: FORM }, path);
    assert.deepEqual([answer.status, answer.text], [200, ""], path);
  }
});

test("nothing but the ping gets in unsigned", async () => {
  for (const [body, path] of [
    ["webhook_id=7&phone=1", "/hooks/shop"],
    ["webhook_id=7", "/hooks/none"],
    ["webhook_id=7", "/hooks/orders"],
    ["webhook_id=7", "/hooks/linked/wrong"],
  ] as const) {
    assert.equal((await hook(body, { key: null, headers: FORM }, path)).status, 401, path);
  }
});
