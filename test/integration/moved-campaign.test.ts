// A campaign that moves to a sender of another partition: what waited in the old one ends with the reason, what was
// sent keeps its statuses, and new events take the new sender.

import assert from "node:assert/strict";
import { test } from "node:test";

import { partitionOf } from "../../engine/message/partition.ts";
import { runEngine } from "../support/running-engine.ts";
import { until } from "../support/until.ts";
import { greetingCampaign, PHONE_NUMBER_ID } from "../support/workspace.ts";

const SENDERS = {
  main: { phoneNumberId: PHONE_NUMBER_ID, messagesPerSecond: 1000 },
  second: { phoneNumberId: "106540352242923", messagesPerSecond: 1000 },
};

test("a campaign moved to another sender ends what waited and goes on there", async (context) => {
  assert.notEqual(partitionOf("main"), partitionOf("second"), "the test needs two partitions");
  const engine = await runEngine({
    senders: SENDERS,
    campaigns: [greetingCampaign("orders", { messagesPerSecond: 1 })],
  });
  context.after(() => engine.stop());
  const event = (order: string): object => ({ phone: "+14155552671", first_name: "Ana", order });

  const events = Array.from({ length: 20 }, (_, index) => event(`#${index}`));
  assert.equal((await engine.post("/api/campaigns/orders/trigger", events)).status, 202);
  engine.workspace.writeCampaign(greetingCampaign("orders", { sender: "second" }));
  const sender = async (): Promise<string> =>
    (await engine.getJson<{ sender: string }>("/api/campaigns/orders")).sender;
  await until("the campaign moved", async () => (await sender()) === "second");
  assert.equal((await engine.post("/api/campaigns/orders/trigger", event("#new"))).status, 202);
  await engine.restart();
  await engine.untilNothingWaits(["orders"]);

  const rows = await engine.csv("orders");
  assert.equal(rows.length, 21);
  const ended = rows.filter((row) => row["status"] === "failed");
  assert.ok(ended.length >= 10 && ended.every((row) => row["error_reason"]?.includes("moved to another sender")));
  assert.ok(rows.some((row) => row["status"] === "delivered" && row["message"]?.includes("#new")));
});
