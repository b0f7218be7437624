import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { createRegistry } from "../../engine/campaign/campaign-registry.ts";
import type { CampaignEntry, CampaignRegistry, RegistryChange } from "../../engine/campaign/campaign-registry.ts";
import { compileCampaign } from "../../engine/campaign/compiled-campaign.ts";
import { openCampaignStore } from "../../engine/campaign/lmdb-campaign-store.ts";
import type { CampaignDefinition } from "../../engine/message/campaign.ts";
import { partitionOf } from "../../engine/message/partition.ts";
import type { WhatsAppTemplate } from "../../engine/message/template.ts";
import { loadCampaignFolder } from "../../engine/runtime/campaign-file.ts";
import type { CampaignFile } from "../../engine/runtime/campaign-file.ts";
import { loadConfig } from "../../engine/runtime/config-file.ts";
import type { LogFields } from "../../engine/runtime/log.ts";
import { loadTemplateFolder } from "../../engine/runtime/template-file.ts";
import { campaignOf } from "./campaign-fixture.ts";

const SENDERS = { main: { wabaId: "1" }, second: { wabaId: "2" } };
const clock = { nowMs: 1_000 };
const BODY = { body: ["{{ firstName }}"] };
const TEMPLATE: WhatsAppTemplate = {
  name: "order_confirmation",
  language: "en_US",
  status: "APPROVED",
  category: "UTILITY",
  components: [{ type: "BODY", text: "Hello {{1}}, we have your order." }],
};
const TEMPLATES = new Map([
  ["1", [TEMPLATE]],
  ["2", [TEMPLATE]],
]);

function campaign(id: string, more: Partial<CampaignDefinition> = {}): CampaignDefinition {
  return { ...campaignOf({ template: BODY }), id, ...more };
}

function fileOf(
  definition: CampaignDefinition,
  more: { file?: string; faults?: CampaignFile["faults"] } = {},
): CampaignFile {
  return { kind: "loaded", file: more.file ?? `${definition.id}.yaml`, definition, faults: more.faults ?? [] };
}

function refusedFile(file: string): CampaignFile {
  return { kind: "refused", file, faults: [{ file, line: 1, column: 1, path: "nmae", message: "unknown key" }] };
}

interface Bench {
  readonly registry: CampaignRegistry;
  readonly changes: RegistryChange[];
  readonly logged: { readonly event: string; readonly fields: LogFields }[];
  compilations(): number;
  /** A new engine in the same data directory. */
  restart(): Promise<Bench>;
}

async function openBench(context: TestContext, path?: string): Promise<Bench> {
  const folder = path ?? mkdtempSync(join(tmpdir(), "volley-registry-"));
  const store = await openCampaignStore({ path: folder });
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (isOpen) await store.close();
    isOpen = false;
  };
  context.after(async () => {
    await close();
    rmSync(folder, { recursive: true, force: true });
  });
  const logged: Bench["logged"] = [];
  const record = (event: string, fields: LogFields = {}): void => void logged.push({ event, fields });
  let compilations = 0;
  const registry = createRegistry({
    store,
    compile: (definition, template) => {
      compilations++;
      return compileCampaign(definition, template);
    },
    senders: SENDERS,
    nowMs: () => clock.nowMs,
    log: { info: record, warn: record, error: record },
  });
  registry.setTemplates(TEMPLATES);
  const changes: RegistryChange[] = [];
  registry.onChange((change) => void changes.push(change));
  return {
    registry,
    changes,
    logged,
    compilations: () => compilations,
    restart: async () => {
      await close();
      return openBench(context, folder);
    },
  };
}

function entryOf(registry: CampaignRegistry, id: string): CampaignEntry {
  const entry = registry.get(id);
  assert(entry !== undefined, `${id} is not there`);
  return entry;
}

// Made over the API

test("a campaign of the API is stored, numbered, compiled and there after a restart", async (context) => {
  const bench = await openBench(context);
  const put = await bench.registry.put(campaign("a"));
  assert(put.kind === "stored" && put.isNew);
  assert.equal(put.entry, bench.registry.get("a"));
  const { registry } = await bench.restart();
  const entry = entryOf(registry, "a");
  assert.equal(entry.number, 1);
  assert.equal(entry.partition, partitionOf("main"));
  assert.equal(entry.source, "api");
  assert.equal(entry.definition.status, "active");
  assert.equal(entry.template, TEMPLATE);
  assert.ok(entry.compiled?.matches({}));
});

test("putting it again replaces it and keeps its number", async (context) => {
  const { registry } = await openBench(context);
  await registry.put(campaign("a"));
  const put = await registry.put(campaign("a", { name: "Renamed" }));
  assert(put.kind === "stored");
  assert.equal(put.isNew, false);
  assert.equal(put.entry.number, 1);
  assert.equal(entryOf(registry, "a").definition.name, "Renamed");
});

test("one that cannot work is refused with every reason, and the one before stays", async (context) => {
  const { registry, changes } = await openBench(context);
  await registry.put(campaign("a"));
  const template = { name: "order_confirmation", language: "en_US", body: ["{{ nobody }}", "{{ firstName }}"] };
  const put = await registry.put(campaign("a", { template }));
  assert(put.kind === "refused");
  assert.ok(put.faults.length > 0);
  assert.deepEqual(entryOf(registry, "a").definition.template.body, BODY.body);
  assert.equal(changes.length, 1);
});

test("an unknown sender is refused, and the nearest one named", async (context) => {
  const { registry } = await openBench(context);
  const put = await registry.put(campaign("a", { sender: "mian" }));
  assert.deepEqual(put, {
    kind: "refused",
    faults: [{ path: "sender", message: 'volley.yaml has no sender "mian"; the nearest is "main"' }],
  });
  assert.equal((await registry.put(campaign("a", { sender: "constructor" }))).kind, "refused");
});

test("a removed campaign is gone, but its number is remembered for its messages", async (context) => {
  const bench = await openBench(context);
  await bench.registry.put(campaign("a"));
  assert.equal((await bench.registry.remove("a")).kind, "changed");
  assert.equal((await bench.registry.remove("a")).kind, "not_found");
  const { registry } = await bench.restart();
  assert.deepEqual(registry.list(), []);
  assert.deepEqual(registry.removed(), [{ id: "a", number: 1 }]);
  const again = await registry.put(campaign("a"));
  assert(again.kind === "stored");
  assert.equal(again.entry.number, 1);
  assert.deepEqual(registry.removed(), []);
});

test("a pause holds over a restart", async (context) => {
  const bench = await openBench(context);
  await bench.registry.put(campaign("a"));
  const paused = await bench.registry.setStatus("a", "paused");
  assert(paused.kind === "changed");
  assert.equal(paused.entry.definition.status, "paused");
  const { registry } = await bench.restart();
  assert.equal(entryOf(registry, "a").definition.status, "paused");
  assert.equal((await registry.setStatus("nobody", "paused")).kind, "not_found");
});

test("simultaneous puts of one campaign end with the last", async (context) => {
  const { registry } = await openBench(context);
  const puts = await Promise.all(["x", "y", "z"].map((name) => registry.put(campaign("a", { name }))));
  assert.deepEqual(
    puts.map((put) => put.kind === "stored" && put.isNew),
    [true, false, false],
  );
  assert.equal(entryOf(registry, "a").definition.name, "z");
});

// From files

test("a file's campaign can be paused over the API, but not edited or removed", async (context) => {
  const { registry } = await openBench(context);
  await registry.setFiles([fileOf(campaign("a"))]);
  assert.equal((await registry.put(campaign("a"))).kind, "managed_by_file");
  assert.equal((await registry.remove("a")).kind, "managed_by_file");
  assert.equal((await registry.setStatus("a", "paused")).kind, "changed");
  assert.equal(entryOf(registry, "a").source, "file");
});

test("a pause of a file's campaign holds over restarts and edits, until the file's own status changes", async (context) => {
  const bench = await openBench(context);
  await bench.registry.setFiles([fileOf(campaign("a"))]);
  await bench.registry.setStatus("a", "paused");
  const { registry } = await bench.restart();
  await registry.setFiles([fileOf(campaign("a"))]);
  assert.equal(entryOf(registry, "a").definition.status, "paused");
  await registry.setFiles([fileOf(campaign("a", { name: "Edited" }))]);
  assert.equal(entryOf(registry, "a").definition.status, "paused");
  await registry.setFiles([fileOf(campaign("a", { status: "paused" }))]);
  await registry.setFiles([fileOf(campaign("a"))]);
  assert.equal(entryOf(registry, "a").definition.status, "active");
});

test("activating what the file calls active forgets the pause", async (context) => {
  const { registry } = await openBench(context);
  await registry.setFiles([fileOf(campaign("a"))]);
  await registry.setStatus("a", "paused");
  await registry.setStatus("a", "active");
  assert.equal(entryOf(registry, "a").definition.status, "active");
});

test("a new file with a fault is visible with it, paused, and cannot be activated", async (context) => {
  const { registry, logged } = await openBench(context);
  await registry.setFiles([fileOf(campaign("a", { sender: "nobody" }))]);
  const entry = entryOf(registry, "a");
  assert.equal(entry.faults[0]?.path, "sender");
  assert.equal(entry.definition.status, "paused");
  assert.equal(entry.compiled, null);
  assert.equal((await registry.setStatus("a", "active")).kind, "refused");
  assert.deepEqual(
    logged.map(({ event }) => event),
    ["campaign.faulty"],
  );
});

test("a campaign whose secret is not set shows that and takes nothing", async (context) => {
  const { registry } = await openBench(context);
  const fault = { file: "a.yaml", line: 5, column: 3, path: "trigger.auth.secrets[0]", message: "S is not set" };
  await registry.setFiles([fileOf(campaign("a"), { faults: [fault] })]);
  assert.deepEqual(entryOf(registry, "a").faults, [fault]);
  assert.equal(entryOf(registry, "a").compiled, null);
  await registry.setFiles([fileOf(campaign("a"))]);
  assert.deepEqual(entryOf(registry, "a").faults, []);
  assert.notEqual(entryOf(registry, "a").compiled, null);
});

test("an unreadable new version of a file leaves the one before running, and says so", async (context) => {
  const { registry, logged } = await openBench(context);
  await registry.setFiles([fileOf(campaign("a")), fileOf(campaign("b"))]);
  const before = entryOf(registry, "a");
  await registry.setFiles([refusedFile("a.yaml"), fileOf(campaign("b")), refusedFile("new.yaml")]);
  const after = entryOf(registry, "a");
  assert.equal(after.definition.status, "active");
  assert.equal(after.compiled, before.compiled);
  assert.equal(after.refusedFaults[0]?.path, "nmae");
  assert.equal(registry.list().length, 2);
  assert.deepEqual(
    logged.map(({ event, fields }) => [event, fields["file"], fields["isEarlierVersionKept"]]),
    [
      ["campaign.file_refused", "a.yaml", true],
      ["campaign.file_refused", "new.yaml", false],
    ],
  );
  await registry.setFiles([fileOf(campaign("a")), fileOf(campaign("b"))]);
  assert.deepEqual(entryOf(registry, "a").refusedFaults, []);
});

test("a new version that cannot work leaves the one before running as well", async (context) => {
  const { registry } = await openBench(context);
  await registry.setFiles([fileOf(campaign("a"))]);
  await registry.setFiles([fileOf(campaign("a", { sender: "mian" }))]);
  const entry = entryOf(registry, "a");
  assert.equal(entry.definition.sender, "main");
  assert.equal(entry.definition.status, "active");
  assert.deepEqual(entry.faults, []);
  assert.equal(entry.refusedFaults[0]?.path, "sender");
});

test("a file that is gone takes its campaign with it; an id that moved to another file stays", async (context) => {
  const { registry, changes } = await openBench(context);
  await registry.setFiles([fileOf(campaign("a")), fileOf(campaign("b"))]);
  await registry.setFiles([fileOf(campaign("b"), { file: "other.yaml" })]);
  assert.deepEqual(
    registry.list().map(({ definition }) => definition.id),
    ["b"],
  );
  assert.deepEqual(
    changes.at(-1)?.removed.map(({ definition }) => definition.id),
    ["a"],
  );
  assert.deepEqual(changes.at(-1)?.changed, []);
  assert.equal(registry.get("b")?.number, 2);
});

test("a file hides an API-made campaign of its id until it is gone", async (context) => {
  const { registry, logged } = await openBench(context);
  await registry.put(campaign("a", { name: "API" }));
  await registry.setFiles([fileOf(campaign("a", { name: "File" }))]);
  assert.equal(entryOf(registry, "a").definition.name, "File");
  assert.equal(logged.at(-1)?.event, "campaign.hidden_by_file");
  await registry.setFiles([]);
  assert.equal(entryOf(registry, "a").definition.name, "API");
  assert.equal(entryOf(registry, "a").number, 1);
});

// Templates and senders change

test("a template that is no longer approved stops its campaigns, and starts them again", async (context) => {
  const { registry, changes } = await openBench(context);
  await registry.setFiles([fileOf(campaign("a"))]);
  registry.setTemplates(new Map([["1", [{ ...TEMPLATE, status: "PAUSED" }]]]));
  assert.equal(entryOf(registry, "a").definition.status, "paused");
  assert.match(entryOf(registry, "a").faults[0]?.message ?? "", /PAUSED/);
  registry.setTemplates(TEMPLATES);
  assert.equal(entryOf(registry, "a").definition.status, "active");
  assert.equal(entryOf(registry, "a").parking, null);
  assert.equal(changes.length, 3);
});

test("a parked campaign says since when, and stays able to take events if they may come late", async (context) => {
  const { registry, logged } = await openBench(context);
  await registry.setFiles([fileOf(campaign("orders")), fileOf(campaign("news", { lane: "marketing" }))]);
  clock.nowMs = 2_000;
  registry.setTemplates(new Map([["1", [{ ...TEMPLATE, status: "PAUSED" }]]]));
  clock.nowMs = 3_000;
  registry.setTemplates(new Map([["1", [{ ...TEMPLATE, status: "DISABLED" }]]]));
  const orders = entryOf(registry, "orders");
  assert.equal(orders.parking?.sinceMs, 2_000);
  assert.match(orders.parking.faults[0]?.message ?? "", /DISABLED/);
  assert.deepEqual([orders.definition.status, orders.takesEvents], ["paused", true]);
  assert.ok(orders.compiled?.extract({ phone: "+14155552671" }));
  const news = entryOf(registry, "news");
  assert.deepEqual([news.parking?.sinceMs, news.takesEvents], [2_000, false]);
  assert.ok(logged.some(({ event, fields }) => event === "campaign.parked" && fields["campaignId"] === "orders"));
  await registry.setStatus("orders", "paused");
  assert.equal(entryOf(registry, "orders").takesEvents, false);
});

test("a template that Meta made marketing parks transactional campaigns only, and says what to do", async (context) => {
  const { registry } = await openBench(context);
  const moved = { ...TEMPLATE, category: "MARKETING", previous_category: "UTILITY" };
  await registry.setFiles([fileOf(campaign("orders")), fileOf(campaign("news", { lane: "marketing" }))]);
  registry.setTemplates(new Map([["1", [moved]]]));
  assert.equal(entryOf(registry, "news").definition.status, "active");
  const { parking, takesEvents } = entryOf(registry, "orders");
  assert.equal(takesEvents, true);
  assert.match(parking?.faults[0]?.message ?? "", /since Meta moved it from UTILITY; set lane: marketing, or ask Meta/);
  registry.setTemplates(new Map([["1", [{ ...moved, category: "UTILITY", previous_category: "MARKETING" }]]]));
  assert.equal(entryOf(registry, "orders").definition.status, "active");
});

test("a campaign that is wrong itself is not parked: it has faults, and takes nothing", async (context) => {
  const { registry } = await openBench(context);
  const wrong = { name: "order_confirmation", language: "en_US", body: ["{{ firstName }}", "{{ firstName }}"] };
  await registry.setFiles([fileOf(campaign("a", { template: wrong })), fileOf(campaign("b"))]);
  registry.setTemplates(new Map([["1", [{ ...TEMPLATE, status: "PAUSED", category: "MARKETING" }]]]));
  for (const id of ["a", "b"]) {
    const { parking, takesEvents, compiled } = entryOf(registry, id);
    assert.deepEqual([parking, takesEvents, compiled], [null, false, null], id);
  }
});

test("a campaign waits quietly for the templates of its account", async (context) => {
  const { registry, logged } = await openBench(context);
  registry.setTemplates(new Map());
  await registry.setFiles([fileOf(campaign("a"))]);
  assert.match(entryOf(registry, "a").faults[0]?.message ?? "", /not been read yet/);
  assert.deepEqual(logged, []);
  registry.setTemplates(new Map([["1", []]]));
  assert.match(entryOf(registry, "a").faults[0]?.message ?? "", /does not exist/);
  assert.deepEqual(
    logged.map(({ event }) => event),
    ["campaign.faulty"],
  );
});

test("reading the same again compiles nothing and tells nobody", async (context) => {
  const bench = await openBench(context);
  const { registry, changes } = bench;
  await registry.setFiles([fileOf(campaign("a")), fileOf(campaign("b"))]);
  const before = registry.list();
  const compilations = bench.compilations();
  await registry.setFiles([fileOf(campaign("a")), fileOf(campaign("b"))]);
  registry.setTemplates(new Map([["1", [structuredClone(TEMPLATE)]]]));
  registry.setSenders({ ...SENDERS, third: { wabaId: "3" } });
  assert.equal(bench.compilations(), compilations);
  assert.equal(changes.length, 1);
  assert.ok(registry.list().every((entry, index) => entry === before[index]));
});

test("only the campaigns of a changed template are told of", async (context) => {
  const { registry, changes } = await openBench(context);
  await registry.setFiles([fileOf(campaign("a")), fileOf(campaign("b", { sender: "second" }))]);
  registry.setTemplates(
    new Map([
      ["1", [TEMPLATE]],
      ["2", [{ ...TEMPLATE, id: "7" }]],
    ]),
  );
  assert.deepEqual(
    changes.at(-1)?.changed.map(({ definition }) => definition.id),
    ["b"],
  );
});

test("a sender that appears brings its campaigns to life", async (context) => {
  const { registry } = await openBench(context);
  await registry.setFiles([fileOf(campaign("a", { sender: "third" }))]);
  registry.setSenders({ ...SENDERS, third: { wabaId: "1" } });
  assert.equal(entryOf(registry, "a").definition.status, "active");
});

test("a campaign that moves to a sender of another partition is removed from its old one first", async (context) => {
  assert.notEqual(partitionOf("main"), partitionOf("second"));
  const { registry, changes } = await openBench(context);
  await registry.setFiles([fileOf(campaign("a"))]);
  await registry.setFiles([fileOf(campaign("a", { sender: "second" }))]);
  assert.deepEqual(
    changes.at(-1)?.removed.map(({ partition }) => partition),
    [partitionOf("main")],
  );
  assert.deepEqual(
    changes.at(-1)?.changed.map(({ partition }) => partition),
    [partitionOf("second")],
  );
});

test("`en-US` and `en_US` name the same template", async (context) => {
  const { registry } = await openBench(context);
  const template = { ...campaign("a").template, language: "en-US" };
  assert.equal((await registry.put(campaign("a", { template }))).kind, "stored");
});

// URL tokens

test("a URL token is the campaign's own, or one that this instance derives and keeps", async (context) => {
  const bench = await openBench(context);
  const urlToken = (id: string, token?: string): CampaignDefinition => {
    const auth = token === undefined ? ({ type: "urlToken" } as const) : ({ type: "urlToken", token } as const);
    return campaign(id, { trigger: { ...campaign(id).trigger, auth } });
  };
  await bench.registry.put(urlToken("a"));
  await bench.registry.put(urlToken("b"));
  await bench.registry.put(urlToken("c", "its-own-token-0123"));
  await bench.registry.put(campaign("d"));
  const tokens = bench.registry.list().map((entry) => entry.urlToken);
  assert.match(tokens[0] ?? "", /^[\w-]{32}$/);
  assert.notEqual(tokens[0], tokens[1]);
  assert.deepEqual(tokens.slice(2), ["its-own-token-0123", null]);
  const { registry } = await bench.restart();
  assert.deepEqual(
    registry.list().map((entry) => entry.urlToken),
    tokens,
  );
});

// The samples

test("the three sample campaigns are ready to run with the sample templates", async (context) => {
  const { registry } = await openBench(context);
  const { config } = loadConfig({ file: "config/volley.yaml", environment: {} });
  const { templates, faults } = loadTemplateFolder("config/templates");
  assert.deepEqual(faults, []);
  registry.setSenders(config.senders);
  registry.setTemplates(new Map([[config.senders["main"]?.wabaId ?? "", templates]]));
  await registry.setFiles(loadCampaignFolder("config/campaigns", {}).campaigns);
  assert.deepEqual(
    registry.list().map(({ definition, faults: own }) => [definition.id, definition.status, definition.lane, own]),
    [
      ["abandoned-cart", "paused", "marketing", []],
      ["order-confirmation", "active", "transactional", []],
      ["shipping-update", "active", "transactional", []],
    ],
  );
});
