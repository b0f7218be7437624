import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";

import { stringify } from "yaml";

import { campaignBody, definitionOf, entryOf } from "../api/in-memory-engine.ts";
import { startApiServer } from "./api-server.ts";
import { temporaryFolder, volley, type Ended } from "./volley-process.ts";

const folder = temporaryFolder();
const server = await startApiServer();

beforeEach(() => {
  server.engine.campaigns.clear();
  server.engine.campaigns.set("order-confirmation", entryOf(definitionOf("order-confirmation")));
});
after(async () => {
  folder.remove();
  await server.close();
});

function run(...words: string[]): Promise<Ended> {
  return volley(["campaign", ...words], { cwd: folder.path, environment: { ...server.environment, SECRET: "s3cret" } });
}
function write(name: string, content: unknown): void {
  writeFileSync(join(folder.path, name), typeof content === "string" ? content : stringify(content));
}

test("apply creates, then updates, and reads secrets from the environment", async () => {
  const auth = { type: "hmac", header: "X-Sign", encoding: "hex", secrets: ["${SECRET}"] };
  const trigger = { attributes: { phoneNumber: { path: "phone", type: "phone" } }, auth };
  write("sale.yaml", campaignBody("sale", { trigger }));
  assert.deepEqual(await run("apply", "sale.yaml"), { code: 0, out: "sale created\n", err: "" });
  assert.deepEqual(await run("apply", "sale.yaml"), { code: 0, out: "sale updated\n", err: "" });
  assert.deepEqual(server.engine.campaigns.get("sale")?.definition.trigger.auth, { ...auth, secrets: ["s3cret"] });
});

test("apply takes a folder, and one refused file does not keep the others from being applied", async () => {
  mkdirSync(join(folder.path, "many"), { recursive: true });
  write("many/a.yaml", { ...campaignBody("a"), colour: "red" });
  write("many/b.yaml", campaignBody("b", { template: { name: "unknown", language: "en_US" } }));
  write("many/c.yaml", campaignBody("c"));
  const { code, out, err } = await run("apply", "many");
  assert.equal(code, 1);
  assert.equal(out, "c created\n");
  assert.match(err, /many\/a\.yaml:\d+:\d+ colour: /);
  assert.match(err, /many\/b\.yaml template\.name: there is no such template/);
});

test("apply --json tells what became of each file", async () => {
  write("d.yaml", campaignBody("d"));
  const { out } = await run("apply", "d.yaml", "missing.yaml", "--json");
  const { items } = JSON.parse(out);
  assert.deepEqual(
    items.map(({ file, result }: { file: string; result: string }) => [file, result]),
    [
      ["d.yaml", "created"],
      ["missing.yaml", "refused"],
    ],
  );
});

test("apply says that a campaign of a file is edited there", async () => {
  server.engine.campaigns.set("order-confirmation", entryOf(definitionOf("order-confirmation"), "file"));
  write("order.yaml", campaignBody("order-confirmation"));
  const { code, err } = await run("apply", "order.yaml");
  assert.equal(code, 1);
  assert.match(err, /^volley: order\.yaml: Campaign order-confirmation comes from a file.*\n$/);
});

test("a wrong key ends it with one line", async () => {
  write("order.yaml", campaignBody("order-confirmation"));
  const { code, err } = await run("apply", "order.yaml", "--key", "vk_wrong");
  assert.equal(code, 1);
  assert.equal(err, "volley: Send a live API key.\n");
});

test("list is a table for people and the API's list for programs", async () => {
  const { out } = await run("list");
  const [header = "", row = ""] = out.split("\n");
  assert.match(header, /^CAMPAIGN +STATUS +LANE/);
  assert.match(row, /^order-confirmation +active +transactional +main +order_confirmation \(en_US\) +api$/);
  assert.equal(JSON.parse((await run("list", "--json")).out).items[0].id, "order-confirmation");
});

test("show has the definition and the figures", async () => {
  server.engine.figures = {
    ...server.engine.figures,
    counters: { accepted: 1200, byStatus: { delivered: 1199, failed: 1 }, byError: { "131026": 1 }, doubleSends: 0 },
  };
  const { out } = await run("show", "order-confirmation");
  assert.match(out, /^accepted +1,200$/m);
  assert.match(out, /^ {2}delivered +1,199$/m);
  assert.match(out, /^ {2}error 131026 1$/m);
  const shown = JSON.parse((await run("show", "order-confirmation", "--json")).out);
  assert.equal(shown.stats.accepted, 1200);
  assert.equal(shown.template.name, "order_confirmation");
});

test("pause and activate change the status and say so", async () => {
  assert.equal((await run("pause", "order-confirmation")).out, "order-confirmation is paused\n");
  assert.equal(JSON.parse((await run("activate", "order-confirmation", "--json")).out).status, "active");
  const missing = await run("pause", "nope");
  assert.deepEqual(missing, { code: 1, out: "", err: 'volley: There is no campaign "nope".\n' });
});

test("preview renders an event from a file or standard input, digit for digit", async () => {
  const event = '{"id":820982911946154508,"phone":"+14155552671"}';
  write("event.json", event);
  const { code, out } = await run("preview", "order-confirmation", "--event", "event.json");
  assert.equal(code, 0);
  assert.equal(out, "to +14155552671\n\nHi Maria\n");
  await volley(["campaign", "preview", "order-confirmation", "--event", "-"], {
    environment: server.environment,
    input: event,
  });
  assert.deepEqual(server.dryRuns.splice(0), [event, event]);
});

test("preview tells when the message would go, and what the event cancels", async () => {
  write("timed.json", '{"phone":"+14155552671","checkout_token":"t1"}');
  const { out } = await run("preview", "order-confirmation", "--event", "timed.json");
  assert.deepEqual(out.split("\n"), [
    "to +14155552671",
    "",
    "Hi Maria",
    "",
    "sent at 2026-11-23T13:00:00.000Z",
    "waits under no key",
    "cancels what waits in abandoned-cart under the key t1",
    "",
  ]);
  server.dryRuns.splice(0);
});

test("preview's own event has what the campaign's timing reads", async () => {
  const timing = {
    sendAt: { path: "placed.at", required: true },
    key: { path: ["token", "cart_token"] },
    cancels: [{ campaign: "other", key: { path: "customer.first_name" } }],
  };
  server.engine.campaigns.set("timed", entryOf({ ...definitionOf("timed"), ...timing }));
  await run("preview", "timed");
  const event = JSON.parse(server.dryRuns.splice(0)[0] ?? "");
  assert.deepEqual(
    [event.placed, event.token, event.customer],
    [{ at: "2026-11-23T10:00:00Z" }, "example-1", { first_name: "Maria" }],
  );
});

test("preview without an event makes one from the mapping", async () => {
  const { out } = await run("preview", "order-confirmation", "--json");
  assert.equal(JSON.parse(out).dryRun, true);
  assert.deepEqual(JSON.parse(server.dryRuns.splice(0)[0] ?? ""), {
    phone: "+14155552671",
    customer: { first_name: "Maria" },
    line_items: [null, { title: "item" }],
    financial_status: "paid",
  });
});

test("an event that cannot be read is a usage error", async () => {
  const { code, err } = await run("preview", "order-confirmation", "--event", "nope.json");
  assert.equal(code, 2);
  assert.match(err, /^volley: The event cannot be read: .*nope\.json/);
});
