// Registries of several nodes in one process, on one real nats-server.

import assert from "node:assert/strict";
import { mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { type CampaignRegistry, createRegistry, type RegistryChange } from "../../engine/campaign/campaign-registry.ts";
import { compileCampaign } from "../../engine/campaign/compiled-campaign.ts";
import {
  type JetStreamCampaignStore,
  openJetStreamCampaignStore,
} from "../../engine/campaign/jetstream-campaign-store.ts";
import type { CampaignDefinition } from "../../engine/message/campaign.ts";
import type { WhatsAppTemplate } from "../../engine/message/template.ts";
import { loadCampaignFolder } from "../../engine/runtime/campaign-file.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { withoutNats } from "../support/nats-server.ts";
import { openSite, recordedLog, type RecordedLog, type Site } from "../support/shared-map-nodes.ts";
import { until } from "../support/until.ts";
import { campaignOf } from "./campaign-fixture.ts";

const SKIP = { skip: withoutNats };
const SOON_MS = 1000;
const BODY = { body: ["{{ firstName }}"] };
const TEMPLATE: WhatsAppTemplate = {
  name: "order_confirmation",
  language: "en_US",
  status: "APPROVED",
  category: "UTILITY",
  components: [{ type: "BODY", text: "Hello {{1}}, we have your order." }],
};

function campaign(id: string, more: Partial<CampaignDefinition> = {}): CampaignDefinition {
  return { ...campaignOf({ template: BODY }), id, ...more };
}

interface Node {
  readonly registry: CampaignRegistry;
  readonly store: JetStreamCampaignStore;
  readonly log: RecordedLog;
  readonly changes: RegistryChange[];
  /** Saves a campaign file of this node, null deletes it; then the folder is read as after a change. */
  save(id: string, file: Partial<CampaignDefinition> | string | null, savedAtMs?: number): Promise<void>;
  nameOf(id: string): string | undefined;
  leave(): Promise<void>;
}

async function nodeOf(site: Site, name: string, environment: Record<string, string> = {}): Promise<Node> {
  const log = recordedLog();
  const link = await site.link();
  const path = join(site.folder, name);
  const store = await openJetStreamCampaignStore({ link, path, nodeId: name, log, clock: systemClock });
  const registry = createRegistry({
    store,
    compile: compileCampaign,
    senders: { main: { wabaId: "1" } },
    nowMs: () => 0,
    log,
  });
  registry.setTemplates(new Map([["1", [TEMPLATE]]]));
  const changes: RegistryChange[] = [];
  registry.onChange((change) => void changes.push(change));
  const folder = join(site.folder, `files of ${name}`);
  mkdirSync(folder, { recursive: true });
  const read = (): Promise<void> => registry.setFiles(loadCampaignFolder(folder, environment).campaigns);
  // As at a start of the engine; a new node has no folder content yet unless a test wrote it before.
  await read();
  return {
    registry,
    store,
    log,
    changes,
    save: async (id, file, savedAtMs) => {
      writeFile(site, name, id, file, savedAtMs);
      await read();
    },
    nameOf: (id) => registry.get(id)?.definition.name,
    leave: async () => {
      await store.close();
      await link.close();
    },
  };
}

function writeFile(
  site: Site,
  node: string,
  id: string,
  file: Partial<CampaignDefinition> | string | null,
  savedAtMs?: number,
): void {
  const folder = join(site.folder, `files of ${node}`);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${id}.json`);
  if (file === null) return rmSync(path);
  writeFileSync(path, typeof file === "string" ? file : JSON.stringify(campaign(id, file)));
  if (savedAtMs !== undefined) utimesSync(path, savedAtMs / 1000, savedAtMs / 1000);
}

async function nodesOf(context: TestContext, names: readonly string[]): Promise<{ site: Site; nodes: Node[] }> {
  const site = await openSite(context);
  const nodes = await Promise.all(names.map((name) => nodeOf(site, name)));
  context.after(() => Promise.all(nodes.map((node) => node.leave())));
  return { site, nodes };
}

async function untilNamed(nodes: readonly Node[], id: string, name: string | undefined): Promise<void> {
  await until(`${id} is ${name} everywhere`, () => nodes.every((node) => node.nameOf(id) === name), SOON_MS);
}

async function pair(context: TestContext): Promise<{ site: Site; a: Node; b: Node }> {
  const { site, nodes } = await nodesOf(context, ["a", "b"]);
  const [a, b] = nodes;
  assert(a !== undefined && b !== undefined);
  return { site, a, b };
}

// Made over the API

test("a campaign of the API, its changes, its pause and its end are the same on three nodes", SKIP, async (context) => {
  const { nodes } = await nodesOf(context, ["a", "b", "c"]);
  const [a, b, c] = nodes;
  assert(a !== undefined && b !== undefined && c !== undefined);
  const put = await a.registry.put(campaign("x", { name: "first" }));
  assert(put.kind === "stored");
  await untilNamed(nodes, "x", "first");
  assert.ok(nodes.every(({ registry }) => registry.get("x")?.number === put.entry.number));
  assert.ok(nodes.every(({ registry }) => registry.get("x")?.compiled !== null));
  assert.deepEqual(
    b.changes.at(-1)?.changed.map(({ definition }) => definition.id),
    ["x"],
  );
  await b.registry.put(campaign("x", { name: "second" }));
  await untilNamed(nodes, "x", "second");
  await c.registry.setStatus("x", "paused");
  const isPaused = ({ registry }: Node): boolean => registry.get("x")?.definition.status === "paused";
  await until("it is paused everywhere", () => nodes.every(isPaused), SOON_MS);
  await a.registry.remove("x");
  await untilNamed(nodes, "x", undefined);
  assert.deepEqual(c.registry.removed(), [{ id: "x", number: put.entry.number }]);
  assert.deepEqual(
    b.changes.at(-1)?.removed.map(({ definition }) => definition.id),
    ["x"],
  );
});

test("a node that was away has all of it at its start, with the same numbers and URL tokens", SKIP, async (context) => {
  const { site, a, b } = await pair(context);
  await b.leave();
  const auth = { type: "urlToken" } as const;
  await a.registry.put(campaign("x", { trigger: { ...campaign("x").trigger, auth } }));
  const again = await nodeOf(site, "b");
  assert.equal(again.registry.get("x")?.number, a.registry.get("x")?.number);
  assert.match(a.registry.get("x")?.urlToken ?? "", /^[\w-]{32}$/);
  assert.equal(again.registry.get("x")?.urlToken, a.registry.get("x")?.urlToken);
  await again.leave();
});

test("nodes that number the same campaigns at the same time agree", SKIP, async (context) => {
  const { a, b } = await pair(context);
  const ids = Array.from({ length: 500 }, (_, index) => `campaign-${index}`);
  await Promise.all([a.store.assignNumbers(ids), b.store.assignNumbers(ids.toReversed())]);
  assert.equal(new Set(ids.map((id) => a.store.numberOf(id))).size, 500);
  assert.ok(ids.every((id) => a.store.numberOf(id) === b.store.numberOf(id)));
});

test("what the bucket lost is given back, with its number", SKIP, async (context) => {
  const { site, a, b } = await pair(context);
  await a.registry.put(campaign("x"));
  await untilNamed([b], "x", "Order confirmation");
  await b.leave();
  const link = await site.link();
  await link.manager.streams.delete("KV_volley_campaigns");
  const again = await nodeOf(site, "b");
  const c = await nodeOf(site, "c");
  assert.equal(c.registry.get("x")?.number, a.registry.get("x")?.number);
  assert.equal(c.store.instanceSecret, a.store.instanceSecret);
  await Promise.all([again.leave(), c.leave()]);
});

test("hundreds of changes of another node are there soon after the last", SKIP, async (context) => {
  const { a, b } = await pair(context);
  const startedAtMs = performance.now();
  for (let index = 0; index < 300; index++) await a.registry.put(campaign(`c${index}`));
  const putAtMs = performance.now();
  await until("the other node has them", () => b.registry.list().length === 300, SOON_MS);
  const behindMs = performance.now() - putAtMs;
  context.diagnostic(
    `300 puts ${(putAtMs - startedAtMs).toFixed()} ms, the other node ${behindMs.toFixed(1)} ms behind`,
  );
});

// From files

test("a file saved on one node runs on all, whether they have it or not", SKIP, async (context) => {
  const { a, b } = await pair(context);
  await a.save("x", { name: "of a" });
  await untilNamed([a, b], "x", "of a");
  assert.equal(b.registry.get("x")?.source, "file");
  assert.equal((await b.registry.put(campaign("x"))).kind, "managed_by_file");
  await b.registry.setStatus("x", "paused");
  const isPaused = ({ registry }: Node): boolean => registry.get("x")?.definition.status === "paused";
  await until("it is paused everywhere", () => [a, b].every(isPaused), SOON_MS);
  await a.save("x", { name: "edited" });
  await untilNamed([a, b], "x", "edited");
  assert.ok([a, b].every(isPaused));
});

test("the newest saved file counts on every node, and the node it overrides says so", SKIP, async (context) => {
  const { a, b } = await pair(context);
  await a.save("x", { name: "same" });
  await b.save("x", { name: "same" });
  await b.save("x", { name: "newer on b" });
  await untilNamed([a, b], "x", "newer on b");
  const overridden = a.log.lines.filter(({ event }) => event === "campaign.file_overridden");
  assert.deepEqual(
    overridden.map(({ fields }) => fields["campaignId"]),
    ["x"],
  );
  // Read again without a change of its own: still overridden.
  await a.save("y", { name: "another file" });
  assert.equal(a.nameOf("x"), "newer on b");
  await a.save("x", { name: "newest on a" });
  await untilNamed([a, b], "x", "newest on a");
});

test("a stale file does not count when its node restarts, and one edited meanwhile does", SKIP, async (context) => {
  const { site, a, b } = await pair(context);
  await a.save("x", { name: "old" });
  await b.save("x", { name: "old" });
  await b.leave();
  await a.save("x", { name: "new" });
  const again = await nodeOf(site, "b");
  assert.equal(again.nameOf("x"), "new");
  await again.leave();
  writeFile(site, "b", "x", { name: "edited while away" });
  const once = await nodeOf(site, "b");
  assert.equal(once.nameOf("x"), "edited while away");
  await untilNamed([a], "x", "edited while away");
  await once.leave();
});

test("of a node that joins, an older file follows and a newer one counts", SKIP, async (context) => {
  const { site, a } = await pair(context);
  await a.save("x", { name: "running" });
  await a.save("y", { name: "running" });
  writeFile(site, "c", "x", { name: "old checkout" }, Date.now() - 86_400_000);
  writeFile(site, "c", "y", { name: "just written" }, Date.now() + 1000);
  const c = await nodeOf(site, "c");
  await untilNamed([a, c], "x", "running");
  await untilNamed([a, c], "y", "just written");
  await c.leave();
});

test("a deleted file ends its campaign on all nodes, also on those that have the file", SKIP, async (context) => {
  const { site, a, b } = await pair(context);
  await a.save("x", { name: "x" });
  await b.save("x", { name: "x" });
  await a.save("x", null);
  await untilNamed([a, b], "x", undefined);
  await b.leave();
  const again = await nodeOf(site, "b");
  assert.equal(again.nameOf("x"), undefined);
  await again.save("x", { name: "wanted after all" });
  await untilNamed([a, again], "x", "wanted after all");
  await again.leave();
});

test("a file with faults tells the others nothing, and shows its faults where it is", SKIP, async (context) => {
  const { a, b } = await pair(context);
  await a.save("x", { name: "good" });
  await untilNamed([b], "x", "good");
  await a.save("x", "{ not even");
  await a.save("x", { name: "bad", sender: "nobody" });
  assert.equal(a.nameOf("x"), "good");
  assert.equal(a.registry.get("x")?.refusedFaults[0]?.path, "sender");
  await a.registry.setStatus("x", "paused");
  await until("b has all of it", () => b.registry.get("x")?.definition.status === "paused", SOON_MS);
  assert.equal(b.nameOf("x"), "good");
  assert.deepEqual(b.registry.get("x")?.refusedFaults, []);
  await a.save("x", "{ not even");
  assert.equal(a.nameOf("x"), "good");
  assert.equal(a.registry.get("x")?.refusedFaults.length, 1);
  await a.save("x", { name: "good again" });
  await untilNamed([a, b], "x", "good again");
  assert.deepEqual(a.registry.get("x")?.refusedFaults, []);
});

test("a node without the secret runs the campaign of the node that has it", SKIP, async (context) => {
  const { site, a } = await pair(context);
  const c = await nodeOf(site, "c", { SHOP_SECRET: "s3cret-s3cret-s3cret" });
  const auth = { type: "hmac", header: "x-signature", encoding: "hex", secrets: ["${SHOP_SECRET}"] } as const;
  const file = { name: "signed", trigger: { ...campaign("x").trigger, auth } };
  await a.save("x", file);
  assert.equal(a.registry.get("x")?.compiled, null);
  assert.equal(c.nameOf("x"), undefined);
  await c.save("x", file);
  await until("both run it", () => [a, c].every(({ registry }) => registry.get("x")?.compiled != null), SOON_MS);
  await c.leave();
});

test("an API-made campaign that another node's file hides is back when the file is gone", SKIP, async (context) => {
  const { a, b } = await pair(context);
  await b.registry.put(campaign("x", { name: "of the API" }));
  await untilNamed([a], "x", "of the API");
  await a.save("x", { name: "of the file" });
  await untilNamed([a, b], "x", "of the file");
  await a.save("x", null);
  await untilNamed([a, b], "x", "of the API");
});
