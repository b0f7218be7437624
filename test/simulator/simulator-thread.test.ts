import assert from "node:assert/strict";
import { test } from "node:test";

import { startSimulatorThread } from "../../engine/simulator/simulator-thread.ts";
import type { SimulatorOptions } from "../../engine/simulator/simulator.ts";
import { greetingSend, NUMBER_ID, templates, TOKEN, WABA_ID } from "./fixtures.ts";
import { startSubscriber } from "./http-subscriber.ts";

const options: SimulatorOptions = {
  templates,
  senders: [{ phoneNumberId: NUMBER_ID, wabaId: WABA_ID, messagesPerSecond: 80 }],
  accessTokens: null,
  appSecret: "secret",
};

test("works in a thread of its own and can be steered from outside", async (context) => {
  const subscriber = await startSubscriber();
  const simulator = await startSimulatorThread(options);
  context.after(() => Promise.all([simulator.close(), subscriber.close()]));
  await simulator.setWebhookUrl(subscriber.url);
  await simulator.setScenario({ statuses: { readShare: 1 } });
  const response = await fetch(`${simulator.url}/v26.0/${NUMBER_ID}/messages`, {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify(greetingSend()),
  });
  assert.equal(response.status, 200);
  await response.text();
  await simulator.idle();
  assert.equal((await simulator.received()).length, 1);
  assert.deepEqual(
    subscriber.statuses().map((one) => one.status),
    ["sent", "delivered", "read"],
  );
  assert.equal((await simulator.stats()).webhooks.acknowledged, 3);
  await simulator.setTemplates([]);
  assert.equal((await simulator.scenario()).statuses.readShare, 1);
});

test("errors cross the thread boundary with their code", async (context) => {
  const simulator = await startSimulatorThread(options);
  context.after(() => simulator.close());
  await assert.rejects(simulator.setScenario({ statuses: { readShare: 2 } }), { code: "ERR_CONFIG_INVALID" });
  await assert.rejects(startSimulatorThread({ ...options, port: simulator.port }), { code: "ERR_INGRESS_LISTEN" });
});

test("closing twice is fine, and a closed simulator answers no more", async () => {
  const simulator = await startSimulatorThread(options);
  await Promise.all([simulator.close(), simulator.close()]);
  await assert.rejects(simulator.stats(), /closed/);
});
