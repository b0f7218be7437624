// 429 with its headers, and 503 when the backlog is full: nothing of such an event is stored.

import assert from "node:assert/strict";
import { test } from "node:test";

import { runEngine } from "../support/running-engine.ts";
import { until } from "../support/until.ts";
import { greetingCampaign } from "../support/workspace.ts";
import {
  adminOf,
  assertProblem,
  type Batch,
  clientOf,
  createKey,
  type ProblemBody,
  runEngineOnMeta,
} from "./contract-kit.ts";

const EVENT = { phone: "+14155552671", first_name: "Ana", order: "#1" };

test("429 rate_limited says when to come back, and each key has its own rate", async (context) => {
  const campaigns = [greetingCampaign("orders", { trigger: { attributes: greetingAttributes } })];
  const engine = await runEngine({ campaigns, limits: { triggersPerSecondPerKey: 5 } });
  context.after(() => engine.stop());
  const admin = adminOf(engine);
  const answers = [];
  for (let number = 0; number < 40; number++) answers.push(await admin.trigger<ProblemBody>("orders", EVENT));
  const [first] = answers;
  assert.equal(first?.status, 202);
  assert.equal(first?.headers.get("ratelimit-limit"), "5");
  assert.equal(first?.headers.get("ratelimit-remaining"), "4");
  assert.match(first?.headers.get("ratelimit-reset") ?? "", /^[01]$/);
  const refused = answers.filter(({ status }) => status !== 202);
  assert.ok(refused.length > 20, `${refused.length} of 40 refused`);
  for (const answer of refused) {
    assertProblem(answer, 429, "rate_limited");
    assert.match(answer.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
    assert.deepEqual(
      ["limit", "remaining", "reset"].map((name) => /^\d+$/.test(answer.headers.get(`ratelimit-${name}`) ?? "")),
      [true, true, true],
    );
  }
  const { key } = await createKey(admin, "trigger");
  const longArray = await clientOf(engine.url, (await createKey(admin, "trigger")).key).trigger(
    "orders",
    Array(20).fill(EVENT),
  );
  assert.equal(longArray.status, 202, "an array above the limit passes when the key is idle");
  assert.equal((await clientOf(engine.url, key).trigger("orders", EVENT)).status, 202);
  const accepted = answers.length - refused.length + 20 + 1;
  await engine.untilNothingWaits(["orders"]);
  assert.equal((await engine.csv("orders")).length, accepted);
});

const greetingAttributes = {
  phoneNumber: { path: "phone", type: "phone", required: true },
  firstName: { path: "first_name", type: "string" },
  orderName: { path: "order", type: "string" },
};

test("503 overloaded when the backlog is full: nothing is stored, and the same call succeeds later", async (context) => {
  const engine = await runEngineOnMeta({
    campaigns: [greetingCampaign("orders"), greetingCampaign("hook", { trigger: hookTrigger })],
    limits: { backlogMax: 5 },
  });
  context.after(() => engine.stop());
  engine.meta.react = () => "hold";
  for (let number = 0; number < 5; number++) assert.equal((await engine.admin.trigger("orders", EVENT)).status, 202);
  const headers = { "x-delivery-id": "refused" };
  const refused = await engine.admin.trigger<ProblemBody>("orders", EVENT, { headers });
  assertProblem(refused, 503, "overloaded");
  assert.match(refused.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
  assertProblem(await engine.admin.trigger<ProblemBody>("orders", [EVENT, EVENT]), 503, "overloaded");
  const hook = await fetch(`${engine.url}/hooks/hook/${TOKEN}`, { method: "POST", body: JSON.stringify(EVENT) });
  assert.equal(hook.status, 503);
  assert.notEqual(hook.headers.get("retry-after"), null);

  engine.meta.release();
  await until(
    "there is room again",
    async () => (await engine.admin.trigger("orders", EVENT, { headers })).status === 202,
  );
  await until("all are sent", async () => {
    const stats = await engine.admin.get<{ waiting: number }>("/api/campaigns/orders/stats");
    return stats.body.waiting === 0;
  });
  const rows = await engine.csv("orders");
  assert.equal(rows.length, 6);
  const batch = await engine.admin.trigger<Batch>("orders", [EVENT, EVENT, EVENT]);
  assert.equal(batch.status, 202);
});

const TOKEN = "t-0123456789abcdef0123";
const hookTrigger = { auth: { type: "urlToken", token: TOKEN }, attributes: greetingAttributes };
