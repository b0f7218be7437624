// Bodies as platforms send them, through the doors of a whole engine: the right message or the right refusal, never a
// server error. Own bodies first; the shared samples too, where they lie beside the repository.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { type RunningEngine, runEngine } from "../support/running-engine.ts";
import { greetingCampaign } from "../support/workspace.ts";

const SAMPLES = "../shared/samples/payloads";
const SECRET = "shop-secret";

const attributes = {
  phoneNumber: {
    path: [
      "phone",
      "phone_number",
      "customer.phone",
      "shipping_address.phone",
      "billing.phone",
      "billing_address.phone",
      "destination.phone",
      "default_address.phone",
      "data.object.customer_details.phone",
      "payload.text_reminder_number",
      "address.telephone",
      "addresses[0].telephone",
      "context.traits.phone",
      "traits.phone",
    ],
    type: "phone",
    required: true,
    defaultRegion: "US",
    regionPath: "shipping_address.country_code",
  },
  firstName: { path: ["customer.first_name", "first_name", "billing.first_name"], type: "string", default: "there" },
  orderName: { path: ["name", "number", "id"], type: "string", default: "of today" },
};

function campaigns(): { id: string }[] {
  const auth = {
    type: "hmac",
    header: "X-Shop-Hmac-Sha256",
    encoding: "base64",
    secrets: ["retired-secret", SECRET],
  };
  return [
    greetingCampaign("strict", { trigger: { attributes } }),
    greetingCampaign("signed", { trigger: { auth, dedupe: { header: "X-Shop-Delivery" }, attributes } }),
    greetingCampaign("token", { trigger: { auth: { type: "urlToken", token: "t-0123456789abcdef0123" }, attributes } }),
  ];
}

async function postSigned(
  engine: RunningEngine,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const signature = createHmac("sha256", SECRET).update(body).digest("base64");
  return fetch(`${engine.url}/hooks/signed`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-shop-hmac-sha256": signature, ...headers },
    body,
  });
}

test("takes a shop's order through every door and keeps every digit of its id", async (context) => {
  const engine = await runEngine({ campaigns: campaigns() });
  context.after(() => engine.stop());
  const order = `\uFEFF{"id":820982911946154508,"phone":null,"customer":{"first_name":"Zoë","phone":"(415) 555-2671"}}`;

  assert.equal((await engine.post("/api/campaigns/strict/trigger", order)).status, 202);
  const signed = await postSigned(engine, order, { "x-shop-delivery": "1" });
  assert.equal(signed.status, 200);
  assert.equal(((await signed.json()) as { status: string }).status, "accepted");
  const byToken = await fetch(`${engine.url}/hooks/token/t-0123456789abcdef0123`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "phone=%2B14155552672&first_name=Ana&name=%231",
  });
  assert.equal(byToken.status, 200);
  assert.equal((await fetch(`${engine.url}/hooks/token/wrong`, { method: "POST", body: "{}" })).status, 401);

  await engine.untilNothingWaits(["strict", "signed", "token"]);
  const [strict] = await engine.csv("strict");
  assert.equal(strict?.["message"], "Hello Zoë, your order 820982911946154508 is on its way.");
  assert.equal(strict?.["phone_number"], "+14155552671");
  const [token] = await engine.csv("token");
  assert.equal(token?.["message"], "Hello Ana, your order #1 is on its way.");
});

test("answers a data fault strictly to a program and leniently to a platform", async (context) => {
  const engine = await runEngine({ campaigns: campaigns() });
  context.after(() => engine.stop());
  const body = JSON.stringify({ phone: "555-555-SHIP" });

  const strict = await engine.post("/api/campaigns/strict/trigger", body);
  assert.equal(strict.status, 422);
  const problem = (await strict.json()) as { code: string; errors: { pointer: string; code: string }[] };
  assert.equal(problem.code, "invalid_payload");
  assert.deepEqual(
    problem.errors.map(({ pointer, code }) => [pointer, code]),
    [["/phone", "invalid_phone_number"]],
  );
  const lenient = await postSigned(engine, body);
  assert.equal(lenient.status, 200);
  assert.equal(((await lenient.json()) as { status: string }).status, "ignored");
});

test("never answers a shared sample with a server error", { skip: !existsSync(SAMPLES) }, async (context) => {
  const engine = await runEngine({ campaigns: campaigns() });
  context.after(() => engine.stop());
  let accepted = 0;
  const files = readdirSync(SAMPLES).filter((name) => /\.(json|txt)$/.test(name));
  for (const file of files) {
    const body = readFileSync(join(SAMPLES, file), "utf8");
    const type = file.endsWith(".json") ? "application/json" : "application/x-www-form-urlencoded";
    const strict = await engine.post("/api/campaigns/strict/trigger", body, { "content-type": type });
    assert.ok([202, 422].includes(strict.status), `${file}: ${strict.status} ${await strict.text()}`);
    if (strict.status === 202) accepted += 1;
    const lenient = await postSigned(engine, body, { "content-type": type });
    assert.equal(lenient.status, 200, file);
  }
  assert.ok(files.length > 30 && accepted > 0, `${accepted} of ${files.length} accepted`);
  context.diagnostic(`${files.length} samples, ${accepted} accepted, the others refused with their faults`);
});
