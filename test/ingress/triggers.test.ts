// The registry's campaigns at the doors: whom an event cancels is decided by the campaigns that there are.

import assert from "node:assert/strict";
import { test } from "node:test";

import { compileCampaign } from "../../engine/campaign/compiled-campaign.ts";
import type { CampaignEntry } from "../../engine/campaign/campaign-registry.ts";
import type { CampaignDefinition } from "../../engine/message/campaign.ts";
import { createTriggers } from "../../engine/triggers.ts";
import { campaignOf, templateOf } from "../campaign/campaign-fixture.ts";
import { memoryLog } from "./server-kit.ts";

const TEMPLATE = templateOf({ body: "Hello!" });
const NOW_MS = Date.UTC(2026, 10, 23);

function entryOf(id: string, number: number, more: Partial<CampaignDefinition> = {}): CampaignEntry {
  const definition = { ...campaignOf(), id, ...more };
  const compilation = compileCampaign(definition, TEMPLATE);
  assert(compilation.kind === "compiled", JSON.stringify(compilation));
  return {
    definition,
    number,
    partition: number % 8,
    source: "file",
    faults: [],
    parking: null,
    takesEvents: true,
    refusedFaults: [],
    template: TEMPLATE,
    compiled: compilation.campaign,
    urlToken: null,
  };
}

function cancelling(...campaigns: readonly string[]): Partial<CampaignDefinition> {
  return { key: { path: "id" }, cancels: campaigns.map((campaign) => ({ campaign, key: { path: "id" } })) };
}

test("a cancel names the campaign's number and partition as the registry has them at that moment", () => {
  const entries = new Map([
    ["orders", entryOf("orders", 1, cancelling("cart", "orders"))],
    ["cart", entryOf("cart", 10)],
  ]);
  const log = memoryLog();
  const find = createTriggers((id) => entries.get(id), log);
  const keysOf = (): unknown[] => {
    const schedule = find("orders")?.timing?.schedule({ id: 5 }, NOW_MS);
    assert(schedule?.kind === "valid");
    assert.equal(schedule.waitKey, "5");
    return schedule.cancels.map(({ campaignId, campaignNumber, partition, key }) => [
      campaignId,
      campaignNumber,
      partition,
      key,
    ]);
  };
  const own = ["orders", 1, 1, "5"];
  assert.deepEqual(keysOf(), [["cart", 10, 2, "5"], own]);
  entries.set("cart", { ...entryOf("cart", 10), partition: 6 });
  assert.deepEqual(keysOf(), [["cart", 10, 6, "5"], own]);
  assert.deepEqual(log.lines, []);
});

test("a campaign that does not exist is left out, and logged once; when it is there, it counts", () => {
  const entries = new Map([["orders", entryOf("orders", 1, cancelling("cart", "kart"))]]);
  const log = memoryLog();
  const find = createTriggers((id) => entries.get(id), log);
  const targets = (): string[] => {
    const schedule = find("orders")?.timing?.schedule({ id: 5 }, NOW_MS);
    assert(schedule?.kind === "valid");
    return schedule.cancels.map(({ campaignId }) => campaignId);
  };
  assert.deepEqual([targets(), targets(), targets()], [[], [], []]);
  assert.deepEqual(
    log.lines.map(({ event, fields }) => [event, fields]),
    [
      ["cancel.campaign_unknown", { campaignId: "orders", cancels: "cart" }],
      ["cancel.campaign_unknown", { campaignId: "orders", cancels: "kart" }],
    ],
  );
  entries.set("cart", entryOf("cart", 2));
  assert.deepEqual(targets(), ["cart"]);
});

test("a campaign without timing has none at the door, and one with faults neither", () => {
  const plain = entryOf("plain", 1);
  const faulty = { ...entryOf("faulty", 2, cancelling("plain")), compiled: null };
  const entries = new Map([plain, faulty].map((entry) => [entry.definition.id, entry]));
  const find = createTriggers((id) => entries.get(id), memoryLog());
  assert.equal(find("plain")?.timing, null);
  assert.equal(find("faulty")?.timing, null);
  assert.equal(find("faulty")?.isActive, false);
});
