// One delivery, many copies: one message, also after a restart.

import assert from "node:assert/strict";
import { test } from "node:test";

import { runEngine } from "../support/running-engine.ts";
import { greetingCampaign } from "../support/workspace.ts";

const COPIES = 200;

test("makes one message of 200 parallel copies of a delivery, before and after a restart", async (context) => {
  const engine = await runEngine({ campaigns: [greetingCampaign("orders")] });
  context.after(() => engine.stop());
  const event = { phone: "+14155552671", first_name: "Ana", order: "#1" };

  const postCopies = async (): Promise<{ messageId: string; duplicate: boolean }[]> =>
    Promise.all(
      Array.from({ length: COPIES }, async () => {
        const answer = await engine.post("/api/campaigns/orders/trigger", event, { "x-delivery-id": "delivery-1" });
        assert.equal(answer.status, 202);
        return (await answer.json()) as { messageId: string; duplicate: boolean };
      }),
    );

  const before = await postCopies();
  assert.equal(before.filter(({ duplicate }) => !duplicate).length, 1);
  await engine.restart();
  const after = await postCopies();
  assert.equal(after.filter(({ duplicate }) => !duplicate).length, 0);
  assert.equal(new Set([...before, ...after].map(({ messageId }) => messageId)).size, 1);

  await engine.untilNothingWaits(["orders"]);
  assert.equal((await engine.csv("orders")).length, 1);
  assert.equal((await engine.simulator.received()).length, 1);
});

test("keeps an idempotency key over a restart and refuses it for another body", async (context) => {
  const engine = await runEngine({ campaigns: [greetingCampaign("orders")] });
  context.after(() => engine.stop());
  const headers = { "idempotency-key": "order-1" };
  const event = { phone: "+14155552671", first_name: "Ana", order: "#1" };

  const first = await engine.post("/api/campaigns/orders/trigger", event, headers);
  assert.equal(first.status, 202);
  const { messageId } = (await first.json()) as { messageId: string };
  await engine.restart();
  const again = await engine.post("/api/campaigns/orders/trigger", event, headers);
  assert.deepEqual(await again.json(), { status: "accepted", messageId, duplicate: true });
  const other = await engine.post("/api/campaigns/orders/trigger", { ...event, order: "#2" }, headers);
  assert.equal(other.status, 422);
  assert.equal(((await other.json()) as { code: string }).code, "idempotency_key_reused");
});
