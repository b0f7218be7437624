// Limits of volley.yaml apply while the engine runs; on several nodes the newest saved file counts on all of them.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test, type TestContext } from "node:test";

import { parse, stringify } from "yaml";

import { startNatsServer, withoutNats } from "../support/nats-server.ts";
import { runEngine, type RunningEngine } from "../support/running-engine.ts";
import { until } from "../support/until.ts";
import { greetingCampaign } from "../support/workspace.ts";

interface Limits {
  readonly messagesPerSecond: number;
  readonly triggersPerSecond: string | null;
}

async function limitsOf(engine: RunningEngine): Promise<Limits> {
  const { items } = await engine.getJson<{ items: { messagesPerSecond: number }[] }>("/api/senders");
  const answer = await engine.post("/api/campaigns/orders/trigger?dryRun=true", { phone: "+14155552671", order: "#1" });
  return {
    messagesPerSecond: items[0]?.messagesPerSecond ?? 0,
    triggersPerSecond: answer.headers.get("ratelimit-limit"),
  };
}

function save(engine: RunningEngine, limits: { messagesPerSecond: number; triggersPerSecond: number }): void {
  const { configFile } = engine.workspace;
  const config = parse(readFileSync(configFile, "utf8")) as {
    senders: { main: { messagesPerSecond: number } };
    limits: { triggersPerSecondPerKey: number };
  };
  config.senders.main.messagesPerSecond = limits.messagesPerSecond;
  config.limits.triggersPerSecondPerKey = limits.triggersPerSecond;
  writeFileSync(configFile, stringify(config));
}

async function untilLimits(engine: RunningEngine, wanted: Limits): Promise<number> {
  const startedMs = performance.now();
  await until(`the limits are ${JSON.stringify(wanted)}`, async () => {
    const { messagesPerSecond, triggersPerSecond } = await limitsOf(engine);
    return messagesPerSecond === wanted.messagesPerSecond && triggersPerSecond === wanted.triggersPerSecond;
  });
  return performance.now() - startedMs;
}

async function startEngineFor(
  context: TestContext,
  options: { stream?: Readonly<Record<string, unknown>> } = {},
): Promise<RunningEngine> {
  const engine = await runEngine({ campaigns: [greetingCampaign("orders")], ...options });
  context.after(() => engine.stop());
  return engine;
}

test("a saved volley.yaml changes the limits without a restart, one with a fault changes nothing", async (context) => {
  const engine = await startEngineFor(context);
  save(engine, { messagesPerSecond: 20, triggersPerSecond: 500 });
  await untilLimits(engine, { messagesPerSecond: 20, triggersPerSecond: "500" });
  writeFileSync(engine.workspace.configFile, "limitz: {}\n");
  // A campaign that changes after it shows that the faulty file was read.
  engine.workspace.writeCampaign(greetingCampaign("later"));
  await until("the later change is seen", async () => {
    const { status } = await engine.getJson<{ status?: string }>("/api/campaigns/later");
    return status === "active";
  });
  assert.deepEqual(await limitsOf(engine), { messagesPerSecond: 20, triggersPerSecond: "500" });
});

test("on several nodes the newest saved file counts on all of them", { skip: withoutNats }, async (context) => {
  const nats = await startNatsServer();
  const stream = { driver: "jetstream", servers: [nats.url] };
  const one = await startEngineFor(context, { stream });
  const other = await startEngineFor(context, { stream });
  context.after(() => nats.stop());
  save(one, { messagesPerSecond: 80, triggersPerSecond: 700 });
  const wanted = { messagesPerSecond: 80, triggersPerSecond: "700" };
  await untilLimits(one, wanted);
  assert.ok((await untilLimits(other, wanted)) < 1_000);
  save(other, { messagesPerSecond: 50, triggersPerSecond: 300 });
  await untilLimits(one, { messagesPerSecond: 50, triggersPerSecond: "300" });
  // What a node's own file says is older than what runs: a restart does not turn the cluster back.
  await one.restart();
  await untilLimits(one, { messagesPerSecond: 50, triggersPerSecond: "300" });
  await untilLimits(other, { messagesPerSecond: 50, triggersPerSecond: "300" });
});
