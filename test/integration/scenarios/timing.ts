// Messages that wait for their time, and events that make them needless, through the real door; the engine is killed or
// restarted in the middle.

import assert from "node:assert/strict";
import type { TestContext } from "node:test";

import type { ReceivedSend } from "../../../engine/simulator/received-send.ts";
import { startSimulatorThread } from "../../../engine/simulator/simulator-thread.ts";
import { EngineProcess } from "../../support/engine-process.ts";
import { carts, isGood, type MessageJson, orders, readyTemplates, runScenario } from "../../support/scenario-run.ts";
import { until } from "../../support/until.ts";
import { ACCESS_TOKEN, APP_SECRET, createWorkspace, PHONE_NUMBER_ID, WABA_ID } from "../../support/workspace.ts";
import type { ScenarioCase } from "./scenario-case.ts";

const SEND_AT = { sendAt: { path: "at", offset: "2s" }, key: { path: "cart" } };
const OFFSET_MS = 2_000;
/** Dispatched this late at most: a round, a thread's start after a kill, a busy machine. */
const LATE_MS_MAX = 15_000;
const CANCELLING = [orders({ cancels: [{ campaign: "carts", key: { path: "cart" } }] }), carts(SEND_AT)];

interface Client {
  post(campaignId: string, event: Readonly<Record<string, unknown>>): Promise<string>;
  message(messageId: string): Promise<MessageJson>;
}

export const timingScenarios: readonly ScenarioCase[] = [
  {
    name: "a message leaves at its time and not before, and an order ends the reminder of its cart, over a kill -9",
    run: async (context) => {
      const { client, sends, kill } = await killable(context);
      const at = Date.now() + 4_000;
      const bought = await client.post("carts", eventOf(1, at));
      const left = await client.post("carts", eventOf(2, at));
      const after = await client.post("carts", eventOf(3, at));
      const withoutTime = await client.post("carts", { ...eventOf(4, at), at: null });
      await client.post("orders", eventOf(1));
      await kill();
      await client.post("orders", eventOf(3));
      await until(
        "the order of before the kill cancelled",
        async () => (await client.message(bought)).status === "suppressed",
      );
      await until("the order of after it, too", async () => (await client.message(after)).status === "suppressed");
      assert.match((await client.message(bought)).errorReason, /orders/);
      await until("what nobody bought left", async () => isGood(await client.message(left)));
      await until("what has no time is through", async () => isGood(await client.message(withoutTime)));
      const offers = (await sends()).filter(({ templateName }) => templateName === "abandoned_cart");
      assert.deepEqual(new Set(offers.map(({ text }) => /#\d+/.exec(text)?.[0])), new Set(["#2", "#4"]));
      assert.equal(offers.length, 2);
      const lateMs = (offers.find(({ text }) => text.includes("#2"))?.arrivedAtMs ?? 0) - (at + OFFSET_MS);
      context.diagnostic(`left ${lateMs.toFixed(0)} ms after its time`);
      assert.ok(lateMs >= -1 && lateMs < LATE_MS_MAX);
    },
  },
  {
    name: "delays, cancels that come first, and waiting messages outlive a restart",
    run: async (context) => {
      const run = await runScenario(context, null, { campaigns: CANCELLING });
      const at = Date.now() + 3_000;
      const atText = new Date(at).toISOString();
      const left = await run.trigger("carts", "+4915200000001", { cart: "a", order: "#a", at: atText });
      const bought = await run.trigger("carts", "+4915200000002", { cart: "b", order: "#b", at: atText });
      // The order is quicker than the cart, as with a shop that sends its webhooks in any order.
      await run.trigger("orders", "+4915200000003", { cart: "c", order: "#c" });
      await run.restart();
      const tooLate = await run.trigger("carts", "+4915200000003", { cart: "c", order: "#c", at: atText });
      await run.trigger("orders", "+4915200000002", { cart: "b", order: "#b" });
      await until("both are cancelled", async () => {
        const ends = await Promise.all([bought, tooLate].map((id) => run.message(id)));
        return ends.every(({ status }) => status === "suppressed");
      });
      await until("the other left", async () => isGood(await run.message(left)));
      const sends = await run.simulator.received();
      const offer = sends.find(({ templateName }) => templateName === "abandoned_cart");
      assert.ok(offer !== undefined && offer.arrivedAtMs >= at + OFFSET_MS - 1);
      assert.equal(sends.length, 3);
    },
  },
];

/** An engine in a process of its own. */
async function killable(
  context: TestContext,
): Promise<{ client: Client; sends(): Promise<readonly ReceivedSend[]>; kill(): Promise<void> }> {
  const templates = readyTemplates();
  const simulator = await startSimulatorThread({
    templates,
    senders: [{ phoneNumberId: PHONE_NUMBER_ID, wabaId: WABA_ID, messagesPerSecond: 80 }],
    accessTokens: [ACCESS_TOKEN],
    appSecret: APP_SECRET,
  });
  const workspace = await createWorkspace({
    whatsappUrl: simulator.url,
    templates,
    campaigns: CANCELLING,
    messagesPerSecond: 80,
  });
  await simulator.setWebhookUrl(`${workspace.url}/webhooks/whatsapp`);
  const engine = new EngineProcess(workspace);
  context.after(async () => {
    await engine.end("SIGKILL");
    await simulator.close();
    workspace.remove();
  });
  await engine.start();
  const headers = { "x-api-key": engine.adminKey, "content-type": "application/json" };
  const client: Client = {
    post: async (campaignId, event) => {
      const url = `${workspace.url}/api/campaigns/${campaignId}/trigger`;
      const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(event) });
      const body = (await answer.json()) as { messageId: string };
      assert.equal(answer.status, 202, JSON.stringify(body));
      return body.messageId;
    },
    message: async (messageId) => {
      return (await (await fetch(`${workspace.url}/api/messages/${messageId}`, { headers })).json()) as MessageJson;
    },
  };
  const kill = async (): Promise<void> => {
    assert.equal(await engine.end("SIGKILL"), "SIGKILL");
    await engine.start();
  };
  return { client, sends: () => simulator.received(), kill };
}

function eventOf(number: number, atMs?: number): Record<string, unknown> {
  const cart = `cart-${number}`;
  const event = { phone: `+491520000000${number}`, name: "Ana", order: `#${number}`, cart };
  return atMs === undefined ? event : { ...event, at: atMs };
}
