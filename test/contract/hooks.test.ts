// The lenient door: exactly 200 for whatever a retry would not mend.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";

import { type RunningEngine, runEngine } from "../support/running-engine.ts";
import { greetingCampaign } from "../support/workspace.ts";
import { adminOf, assertProblem, call, type Answer, type Client, type Fault, postChunked } from "./contract-kit.ts";

const TOKEN = "t-0123456789abcdef0123";
const ORDER = { phone: "+14155552671", first_name: "Zoë 🛒", order: "#1", topic: "paid" };
const attributes = {
  phoneNumber: { path: "phone", type: "phone", required: true },
  firstName: { path: "first_name", type: "string", default: "there" },
  orderName: { path: "order", type: "string", required: true },
};
const when = { path: "topic", in: ["paid"] };

interface Lenient {
  readonly status: string;
  readonly code?: string;
  readonly messageId?: string;
  readonly errors?: readonly Fault[];
}

let engine: RunningEngine;
let admin: Client;

before(async () => {
  const shopify = {
    type: "hmac",
    header: "X-Shopify-Hmac-Sha256",
    encoding: "base64",
    secrets: ["old secret", "new secret"],
  };
  const calendar = { type: "hmac", header: "X-Cal-Signature-256", encoding: "hex", secrets: ["cal"] };
  const prefixed = { type: "hmac", header: "X-Hub", encoding: "hex", prefix: "sha256=", secrets: ["hub"] };
  const token = { type: "urlToken", token: TOKEN };
  const campaigns = [
    greetingCampaign("shop", {
      trigger: { auth: shopify, dedupe: { header: "X-Shopify-Webhook-Id" }, when, attributes },
    }),
    greetingCampaign("calendar", { trigger: { auth: calendar, attributes } }),
    greetingCampaign("prefixed", { trigger: { auth: prefixed, attributes } }),
    greetingCampaign("tokened", { trigger: { auth: token, when, attributes } }),
    greetingCampaign("resting", { status: "paused", trigger: { auth: token, attributes } }),
    greetingCampaign("resting-shop", { status: "paused", trigger: { auth: shopify, attributes } }),
    greetingCampaign("keyed"),
  ];
  engine = await runEngine({ campaigns });
  admin = adminOf(engine);
});

after(async () => engine.stop());

function digest(secret: string, encoding: "base64" | "hex", body: string): string {
  return createHmac("sha256", secret).update(body).digest(encoding);
}

async function post(
  path: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer<Lenient>> {
  return call<Lenient>(`${engine.url}/hooks/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
}

async function postShop(body: string, more: Readonly<Record<string, string>> = {}): Promise<Answer<Lenient>> {
  return post("shop", body, { "x-shopify-hmac-sha256": digest("new secret", "base64", body), ...more });
}

test("takes signed events: base64 and hex, either of two secrets, a prefix, over the raw bytes", async () => {
  const body = `\uFEFF${JSON.stringify(ORDER, null, 2)}\n`;
  for (const secret of ["old secret", "new secret"]) {
    const answer = await post("shop", body, { "X-Shopify-Hmac-SHA256": digest(secret, "base64", body) });
    assert.equal(answer.status, 200);
    assert.deepEqual(Object.keys(answer.body), ["status", "messageId"]);
    assert.equal(answer.body.status, "accepted");
  }
  assert.equal((await post("calendar", body, { "x-cal-signature-256": digest("cal", "hex", body) })).status, 200);
  assert.equal((await post("prefixed", body, { "x-hub": `sha256=${digest("hub", "hex", body)}` })).status, 200);
});

test("401 for a signature or token that is wrong, missing or of another campaign", async () => {
  const body = JSON.stringify(ORDER);
  const good = digest("new secret", "base64", body);
  const attempts = [
    post("shop", body),
    post("shop", body, { "x-shopify-hmac-sha256": "" }),
    post("shop", body, { "x-shopify-hmac-sha256": digest("another", "base64", body) }),
    post("shop", body, { "x-shopify-hmac-sha256": digest("new secret", "hex", body) }),
    post("shop", `${body} `, { "x-shopify-hmac-sha256": good }),
    post(`shop/${TOKEN}`, body),
    post("prefixed", body, { "x-hub": digest("hub", "hex", body) }),
    post("tokened", body),
    post("tokened/wrong", body),
    post(`tokened/${TOKEN}x`, body),
    post("keyed", body),
    post(`keyed/${TOKEN}`, body),
    post("nobody", body),
    post("shop", body, { "x-api-key": engine.key }),
  ];
  for (const attempt of attempts) {
    const answer = await attempt;
    assert.equal(answer.status, 401);
    assert.equal(answer.body.code, "unauthorized");
  }
});

test("is exactly 200 for data faults, filtered topics and paused campaigns, and counts them", async () => {
  const accepted = await post(`tokened/${TOKEN}`, JSON.stringify(ORDER));
  assert.deepEqual([accepted.status, accepted.body.status], [200, "accepted"]);
  const invalid = await post(`tokened/${TOKEN}`, JSON.stringify({ phone: "555-SHIP", topic: "paid" }));
  assert.equal(invalid.status, 200);
  assert.deepEqual([invalid.body.status, invalid.body.code], ["ignored", "invalid_payload"]);
  assert.deepEqual(
    invalid.body.errors?.map(({ pointer, attribute, code }) => [pointer, attribute, code]),
    [
      ["/phone", "phoneNumber", "invalid_phone_number"],
      ["/order", "orderName", "required"],
    ],
  );
  const filtered = await post(`tokened/${TOKEN}`, JSON.stringify({ ...ORDER, topic: "refunded" }));
  assert.deepEqual([filtered.status, filtered.body.status], [200, "ignored"]);
  const paused = await post(`resting/${TOKEN}`, JSON.stringify(ORDER));
  assert.deepEqual([paused.status, paused.body.status, paused.body.code], [200, "ignored", "campaign_paused"]);
  const list = await post(`tokened/${TOKEN}`, "[]");
  assert.deepEqual([list.status, list.body.status], [200, "ignored"]);
  const stats = await admin.get<{ requests: { refused: number } }>("/api/campaigns/tokened/stats");
  assert.ok(stats.body.requests.refused >= 3);
});

test("takes what platforms send: forms, no content type, odd content types", async () => {
  const form = new URLSearchParams({ ...ORDER }).toString();
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  assert.equal((await post(`tokened/${TOKEN}`, form, headers)).body.status, "accepted");
  assert.equal(
    (await post(`tokened/${TOKEN}`, JSON.stringify(ORDER), { "content-type": "text/plain" })).body.status,
    "accepted",
  );
});

test("400 for a body nobody can read, 413 for one that is too large, 405 for a GET", async () => {
  for (const body of ["{", "", "hello"]) {
    const answer = await post(`tokened/${TOKEN}`, body);
    assert.deepEqual([answer.status, answer.body.code], [400, "malformed_json"]);
  }
  const large = JSON.stringify({ ...ORDER, note: "x".repeat(5 * 1024 * 1024) });
  const tooLarge = await post(`tokened/${TOKEN}`, large);
  assert.deepEqual([tooLarge.status, tooLarge.body.code], [413, "payload_too_large"]);
  assertProblem(
    await postChunked(`${engine.url}/hooks/tokened/${TOKEN}`, {}, [Buffer.from(large)]),
    413,
    "payload_too_large",
  );
  assertProblem(await call(`${engine.url}/hooks/shop`), 405, "method_not_allowed");
});

test("answers WooCommerce's unsigned ping with a plain 200, whatever the campaign's state", async () => {
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  for (const path of ["shop", "resting-shop", `tokened/${TOKEN}`, `resting/${TOKEN}`]) {
    const answer = await fetch(`${engine.url}/hooks/${path}`, { method: "POST", headers, body: "webhook_id=17" });
    assert.equal(answer.status, 200, path);
    assert.doesNotMatch(await answer.text(), /accepted|ignored/);
  }
  for (const body of ["webhook_id=17&x=1", "webhook_id=x"]) {
    assert.equal((await fetch(`${engine.url}/hooks/shop`, { method: "POST", headers, body })).status, 401);
  }
});

test("dedupes redeliveries and answers them like the first", async () => {
  const body = JSON.stringify(ORDER);
  const first = await postShop(body, { "x-shopify-webhook-id": "delivery" });
  const again = await postShop(body, { "x-shopify-webhook-id": "delivery" });
  assert.deepEqual([again.status, again.body], [200, first.body]);
  assert.equal(first.body.status, "accepted");
});
