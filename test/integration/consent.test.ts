// Who writes STOP gets no more marketing, whatever waits for them already; and all else goes on.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test, type TestContext } from "node:test";

import { parse, stringify } from "yaml";

import { postSigned } from "../contract/meta-server.ts";
import { type RunningEngine, runEngine } from "../support/running-engine.ts";
import { until } from "../support/until.ts";
import { greetingCampaign } from "../support/workspace.ts";

interface Message {
  readonly status: string;
  readonly errorReason: string;
}

async function start(context: TestContext, offers: Readonly<Record<string, unknown>> = {}): Promise<RunningEngine> {
  const engine = await runEngine({
    campaigns: [greetingCampaign("offers", { lane: "marketing", ...offers }), greetingCampaign("orders")],
  });
  context.after(() => engine.stop());
  return engine;
}

async function trigger(engine: RunningEngine, campaignId: string, phone: string): Promise<string> {
  const answer = await engine.post(`/api/campaigns/${campaignId}/trigger`, { phone, order: "#1" });
  assert.equal(answer.status, 202);
  const { messageId } = (await answer.json()) as { messageId: string };
  return messageId;
}

/** The message once it has come to an end or to WhatsApp. */
async function outcome(engine: RunningEngine, messageId: string): Promise<Message> {
  const read = (): Promise<Message> => engine.getJson<Message>(`/api/messages/${messageId}`);
  const isUnderWay = ({ status }: Message): boolean => ["queued", "dispatched", "retrying"].includes(status);
  await until(`${messageId} has left or ended`, async () => !isUnderWay(await read()), 20_000);
  return read();
}

async function say(engine: RunningEngine, waId: string, words: string): Promise<void> {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const messages = [{ from: waId, id: "wamid.x", timestamp, type: "text", text: { body: words } }];
  const change = { field: "messages", value: { messaging_product: "whatsapp", messages } };
  const body = JSON.stringify({ object: "whatsapp_business_account", entry: [{ id: "1", changes: [change] }] });
  const answer = await postSigned(`${engine.url}/webhooks/whatsapp`, body);
  assert.equal(answer.status, 200);
}

test("after a STOP marketing is suppressed, orders go on, and a restart changes nothing", async (context) => {
  const engine = await start(context);
  // As WhatsApp writes it, without the ninth digit of the event's number.
  await say(engine, "554198765432", "Parar!");
  const suppressed = await outcome(engine, await trigger(engine, "offers", "+5541998765432"));
  assert.equal(suppressed.status, "suppressed");
  assert.match(suppressed.errorReason, /^The recipient asked for no more marketing messages on .* \(Parar!\)\.$/);
  assert.notEqual((await outcome(engine, await trigger(engine, "orders", "+5541998765432"))).status, "suppressed");
  assert.notEqual((await outcome(engine, await trigger(engine, "offers", "+5541998765433"))).status, "suppressed");
  await engine.restart();
  assert.equal((await outcome(engine, await trigger(engine, "offers", "+5541998765432"))).status, "suppressed");
});

test("a message that waits when its recipient writes STOP does not leave", async (context) => {
  const engine = await start(context, { messagesPerSecond: 2 });
  const phones = Array.from({ length: 10 }, (_, index) => `+49151000010${String(index).padStart(2, "0")}`);
  const ids = [];
  // oxlint-disable-next-line no-await-in-loop -- in this order they leave
  for (const phone of phones) ids.push(await trigger(engine, "offers", phone));
  await say(engine, (phones.at(-1) ?? "").slice(1), "STOP");
  assert.equal((await outcome(engine, ids.at(-1) ?? "")).status, "suppressed");
  const sends = await engine.simulator.received();
  assert.ok(sends.every((send) => !JSON.stringify(send).includes((phones.at(-1) ?? "").slice(1))));
});

test("an operator's opt-out counts at once, and so does taking it back", async (context) => {
  const engine = await start(context);
  const phone = "+4915100001099";
  const added = await engine.post("/api/opt-outs", { items: [{ phone, source: "phone call" }] });
  assert.deepEqual(await added.json(), { added: 1, known: 0, refused: 0, errors: [] });
  assert.equal((await outcome(engine, await trigger(engine, "offers", phone))).status, "suppressed");
  const path = `${engine.url}/api/opt-outs/${encodeURIComponent(phone)}`;
  const removed = await fetch(path, { method: "DELETE", headers: { "x-api-key": engine.key } });
  assert.equal(removed.status, 204);
  assert.notEqual((await outcome(engine, await trigger(engine, "offers", phone))).status, "suppressed");
});

test("a word that is added to the configuration stops from the next webhook on", async (context) => {
  const engine = await start(context);
  const { configFile } = engine.workspace;
  const config: Readonly<Record<string, unknown>> = parse(readFileSync(configFile, "utf8"));
  writeFileSync(configFile, stringify({ ...config, consent: { extraStopWords: ["Schluss jetzt"] } }));
  const isListed = async (): Promise<boolean> => {
    await say(engine, "4915100001098", "schluss JETZT!!");
    const { items } = await engine.getJson<{ items: unknown[] }>("/api/opt-outs?phone=4915100001098");
    return items.length === 1;
  };
  await until("the engine knows the word", isListed, 20_000);
});
