// Campaign and template files apply while the engine runs; a faulty one leaves what runs as it is.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { runEngine } from "../support/running-engine.ts";
import { until } from "../support/until.ts";
import { greetingCampaign } from "../support/workspace.ts";

interface View {
  readonly status?: string;
  readonly name?: string;
}

test("applies a new, a changed and not a faulty campaign file without a restart", async (context) => {
  const engine = await runEngine({ campaigns: [greetingCampaign("orders")] });
  context.after(() => engine.stop());
  const view = async (id: string): Promise<View> => engine.getJson<View>(`/api/campaigns/${id}`);

  engine.workspace.writeCampaign(greetingCampaign("late"));
  await until("the new campaign is active", async () => (await view("late")).status === "active");
  const event = { phone: "+14155552671", first_name: "Ana", order: "#1" };
  assert.equal((await engine.post("/api/campaigns/late/trigger", event)).status, 202);

  writeFileSync(join(engine.workspace.folder, "campaigns", "orders.yaml"), "id: orders\nsender: main\ntemplat: x\n");
  engine.workspace.writeCampaign(greetingCampaign("late", { name: "Late, but renamed" }));
  await until("the change is seen", async () => (await view("late")).name === "Late, but renamed");
  assert.equal((await view("orders")).status, "active");
  assert.equal((await engine.post("/api/campaigns/orders/trigger", event)).status, 202);

  engine.workspace.writeCampaign(greetingCampaign("orders", { status: "paused" }));
  await until("the pause is seen", async () => (await view("orders")).status === "paused");
  assert.equal((await engine.post("/api/campaigns/orders/trigger", event)).status, 409);
  await engine.untilNothingWaits(["late", "orders"]);
});
