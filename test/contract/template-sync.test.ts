// Templates come from Meta, whose word goes before a file's; files are for work without a connection.

import assert from "node:assert/strict";
import { test } from "node:test";

import { startEngine } from "../../engine/main.ts";
import { until } from "../support/until.ts";
import { createWorkspace, GREETING, greetingCampaign, OFFER } from "../support/workspace.ts";
import { assertProblem, clientOf, type ProblemBody } from "./contract-kit.ts";
import { startMeta } from "./meta-server.ts";

const EVENT = { phone: "+14155552671", first_name: "Ana", order: "#1" };

test("fills the template that Meta has, and refuses a campaign whose template Meta has paused", async (context) => {
  const meta = await startMeta([
    { ...GREETING, components: [{ type: "BODY", text: "Dear {{1}}, {{2}} left." }] },
    { ...OFFER, status: "PAUSED" },
  ]);
  const workspace = await createWorkspace({
    whatsappUrl: meta.url,
    campaigns: [greetingCampaign("orders"), greetingCampaign("news", { lane: "marketing" })],
    templates: [GREETING, OFFER],
  });
  const { configFile, url } = workspace;
  const engine = await startEngine({ configFile, environment: {}, simulator: "never", logLevel: "silent" });
  context.after(async () => {
    await engine.stop();
    await meta.close();
    workspace.remove();
  });
  const admin = clientOf(url, engine.adminKey);
  await until("the engine is ready", async () => (await fetch(`${url}/readyz`)).status === 200);
  const rehearsal = await admin.trigger<{ message: string }>("orders", EVENT, { query: "?dryRun=true" });
  assert.equal(rehearsal.body.message, "Dear Ana, #1 left.");
  const news = await admin.get<{ faults: { path: string; message: string }[] }>("/api/campaigns/news");
  assert.match(JSON.stringify(news.body.faults), /PAUSED/);
  assertProblem(await admin.trigger<ProblemBody>("news", EVENT), 409, "campaign_paused");
  assert.equal((await admin.send("POST", "/api/campaigns/news/activate")).status, 422);
});
