// key, export, replay and doctor, against a real HTTP server.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";

import { stringify } from "yaml";

import { ADMIN_KEY, campaignBody, definitionOf, entryOf, NOW_MS } from "../api/in-memory-engine.ts";
import { startApiServer } from "./api-server.ts";
import { temporaryFolder, volley, type Ended } from "./volley-process.ts";

const HEADER = "message_id,message\r\n";

const folder = temporaryFolder();
const server = await startApiServer();

beforeEach(() => {
  const { engine } = server;
  engine.campaigns.clear();
  engine.campaigns.set("order-confirmation", entryOf(definitionOf("order-confirmation")));
  engine.keys.length = 0;
  engine.isReady = true;
});
after(async () => {
  folder.remove();
  await server.close();
});

function run(...words: string[]): Promise<Ended> {
  return volley(words, { cwd: folder.path, environment: server.environment });
}

test("key create prints the key alone on stdout, so that a shell can take it", async () => {
  const { code, out, err } = await run("key", "create", "shop", "--campaign", "a", "--campaign", "b");
  assert.equal(code, 0);
  assert.equal(out, "vk_key1\n");
  assert.match(err, /scope trigger, a, b\. It is not shown again/);
  const { scope, campaigns } = server.engine.keys[0] ?? { scope: "", campaigns: null };
  assert.deepEqual([scope, campaigns], ["trigger", ["a", "b"]]);
});

test("key create --json is the API's answer", async () => {
  const { out } = await run("key", "create", "ops", "--scope", "admin", "--json");
  assert.deepEqual(JSON.parse(out), { id: "key1", key: "vk_key1", name: "ops", scope: "admin", campaigns: null });
});

test("key list and key revoke", async () => {
  await run("key", "create", "shop");
  server.engine.keys.push({
    id: "old",
    name: "old",
    scope: "read",
    campaigns: ["a"],
    createdAtMs: NOW_MS,
    lastUsedAtMs: NOW_MS,
    revokedAtMs: NOW_MS,
    key: "",
  });
  const { out } = await run("key", "list");
  assert.match(out, /^key1 +shop +trigger +all campaigns +2026-11-23T12:00:00\.000Z +– +live$/m);
  assert.match(out, /^old .* revoked 2026-11-23T12:00:00\.000Z$/m);
  assert.equal((await run("key", "revoke", "key1")).out, "key1 is revoked\n");
  const missing = await run("key", "revoke", "nope");
  assert.deepEqual(missing, { code: 1, out: "", err: 'volley: There is no key "nope".\n' });
});

test("export writes the file and counts rows, not lines", async () => {
  server.engine.csv = [HEADER, '1,"two\r\nlines, ""quoted"""\r\n', "2,x\r\n"];
  const { code, out, err } = await run("export", "order-confirmation", "--out", "orders.csv");
  assert.deepEqual([code, out, err], [0, "", "2 rows in orders.csv\n"]);
  const text = readFileSync(join(folder.path, "orders.csv"), "utf8");
  assert.equal(text, server.engine.csv.join(""));
  const asJson = await run("export", "order-confirmation", "--out", "orders.csv", "--json");
  assert.deepEqual(JSON.parse(asJson.out), { file: "orders.csv", rows: 2, bytes: text.length });
});

test("export without --out is the CSV and nothing else on stdout", async () => {
  server.engine.csv = [HEADER, "1,x\r\n"];
  const { out } = await run("export", "order-confirmation", "--status", "failed");
  assert.equal(out, `${HEADER}1,x\r\n`);
});

test("a file larger than any buffer arrives whole", async () => {
  const row = `1,${"x".repeat(1_000)}\r\n`;
  server.engine.csv = [HEADER, ...Array.from({ length: 50 }, () => row.repeat(100))];
  const { out } = await run("export", "order-confirmation", "--out", "large.csv", "--json");
  assert.equal(JSON.parse(out).rows, 5_000);
});

test("an export that breaks off leaves the old file as it was and exits 1", async () => {
  writeFileSync(join(folder.path, "kept.csv"), "old");
  for (const end of [[new Error("disk")], ["2,cu"]]) {
    server.engine.csv = [HEADER, "1,x\r\n", ...end];
    const { code, err } = await run("export", "order-confirmation", "--out", "kept.csv");
    assert.equal(code, 1);
    assert.match(err, /^volley: The export broke off after \d rows: .*\n$/);
    assert.equal(readFileSync(join(folder.path, "kept.csv"), "utf8"), "old");
    assert.ok(!existsSync(join(folder.path, "kept.csv.part")));
  }
});

test("an export that the disk refuses is one line", async () => {
  server.engine.csv = [HEADER];
  const { code, err } = await run("export", "order-confirmation", "--out", "no/such/folder/x.csv");
  assert.equal(code, 1);
  assert.match(err, /^volley: no\/such\/folder\/x\.csv cannot be written: ENOENT.*\n$/);
});

test("a filter that the engine does not know how to read is refused with its reason", async () => {
  const { code, err } = await run("export", "order-confirmation", "--status", "lost");
  assert.equal(code, 1);
  assert.match(err, /status must be one of queued/);
});

test("replay passes its bounds on and says how many", async () => {
  const words = ["--error-code", "131000", "--max-per-second", "10", "--from", "2026-11-22"];
  const { out } = await run("replay", "order-confirmation", ...words);
  assert.equal(out, "3 messages of order-confirmation queued anew\n");
  const query = server.engine.replays.at(-1);
  assert.deepEqual(
    [query?.errorCode, query?.maxPerSecond, query?.fromMs, query?.toMs],
    [131000, 10, Date.UTC(2026, 10, 22), null],
  );
  assert.deepEqual(JSON.parse((await run("replay", "order-confirmation", "--json")).out), {
    status: "accepted",
    requeued: 3,
  });
});

test("doctor finds a healthy engine healthy, and says that the simulator stands in", async () => {
  const { code, out } = await run("doctor");
  assert.equal(code, 0, out);
  assert.match(out, /^ok {4}engine +ready at /m);
  assert.match(out, /^ok {4}sender main +80 messages\/s, 2000 people in 24 hours, 3 approved templates$/m);
  assert.match(out, /^ok {4}campaign order-confirmation +active/m);
  assert.match(out, /^note {2}whatsapp +the simulator stands in/m);
});

test("doctor tells of blocks, limits, unknown codes and parked campaigns, each with what to do", async () => {
  const { engine } = server;
  const [sender] = engine.senders;
  const campaigns = new Map(engine.campaigns);
  assert(sender !== undefined);
  const at = "2026-11-23T10:00:00.000Z";
  const block = { scope: "token", subject: "", errorCode: 190, reason: "Expired.", since: at, until: at };
  engine.senders = [
    {
      ...sender,
      messagesPerSecond: 500,
      rate: { configured: 500, granted: 80, now: 60 },
      recipients: { used: 1900, limit: 2000, allowance: 2000, freesAt: at, runsOutAt: at },
      blocks: [block],
      blocked: block,
    },
  ];
  const parking = { faults: [{ path: "lane", message: "must be marketing" }], sinceMs: Date.parse(at) };
  engine.campaigns.set("order-confirmation", { ...entryOf(definitionOf("order-confirmation")), parking });
  const { code, out } = await run("doctor");
  engine.senders = [sender];
  engine.campaigns.clear();
  for (const [id, entry] of campaigns) engine.campaigns.set(id, entry);
  assert.equal(code, 1);
  assert.match(out, /^FAIL {2}sender main +token blocked since 2026-11-23T10:00:00.000Z \(190\): Expired\.$/m);
  assert.match(out, /^note {2}sender main +messagesPerSecond is 500, but Meta grants the number 80$/m);
  assert.match(out, /^note {2}sender main +WhatsApp calls it too fast: 60 messages\/s for now, of 500$/m);
  assert.match(out, /^note {2}sender main +1900 of 2000 people in 24 hours; at the present pace used up at 2026/m);
  assert.match(out, /^note {2}whatsapp +answered 2 times with 131999/m);
  assert.match(
    out,
    /^note {2}campaign order-confirmation +parked since 2026-11-23T10:00:00.000Z: lane: must be marketing$/m,
  );
  assert.match(out, /goes on by itself once Meta lets it; what comes meanwhile waits$/m);
});

test("doctor names what keeps messages from flowing and exits 1", async () => {
  const entry = entryOf(definitionOf("order-confirmation"));
  server.engine.campaigns.set("broken", {
    ...entry,
    faults: [{ path: "template.name", message: "is not approved" }],
  });
  server.engine.isReady = false;
  const { code, out } = await run("doctor", "--json");
  assert.equal(code, 1);
  const { healthy, items } = JSON.parse(out);
  assert.equal(healthy, false);
  const faults = items.filter(({ state }: { state: string }) => state === "fault");
  assert.deepEqual(
    faults.map(({ subject }: { subject: string }) => subject),
    ["engine", "campaign order-confirmation"],
  );
  const wrongKey = await run("doctor", "--key", "vk_wrong");
  assert.equal(wrongKey.code, 1);
  assert.match(wrongKey.out, /^FAIL {2}key +Send a live API key\./m);
});

test("the address and the key are found through the configuration", async () => {
  const config = join(folder.path, "local", "config");
  mkdirSync(join(folder.path, "local", "data"), { recursive: true });
  mkdirSync(config, { recursive: true });
  writeFileSync(join(folder.path, "local", "data", "admin.key"), `${ADMIN_KEY}\n`, { mode: 0o600 });
  const port = Number(new URL(server.url).port);
  writeFileSync(join(config, "volley.yaml"), stringify({ server: { host: "0.0.0.0", port }, dataDir: "./data" }));
  const found = await volley(["key", "list", "--json"], { cwd: join(folder.path, "local") });
  assert.deepEqual(found, { code: 0, out: '{"items":[],"cursor":null}\n', err: "" });

  writeFileSync(join(config, "volley.yaml"), stringify({ server: { port }, dataDir: "./elsewhere" }));
  const keyless = await volley(["key", "list"], { cwd: join(folder.path, "local") });
  assert.equal(keyless.code, 2);
  assert.match(keyless.err, /^volley: No API key: .*elsewhere\/admin\.key cannot be read; give one with --key/);
});

test("config check names file, line and path of every fault, and passes what is sound", async () => {
  const config = join(folder.path, "check");
  mkdirSync(join(config, "campaigns"), { recursive: true });
  const file = join(config, "volley.yaml");
  const sender = { phoneNumberId: "1", wabaId: "2", accessToken: "t" };
  const whatsapp = { appSecret: "s", verifyToken: "v" };
  writeFileSync(file, stringify({ whatsapp, senders: { main: sender } }));
  writeFileSync(join(config, "campaigns", "a.yaml"), stringify(campaignBody("a")));
  const sound = await run("config", "check", "--config", file);
  assert.deepEqual(sound, { code: 0, out: `${file} is fine: 1 campaigns, 0 templates\n`, err: "" });

  writeFileSync(file, stringify({ whatsapp, senders: { main: { ...sender, mesagesPerSecond: 1 } } }));
  writeFileSync(join(config, "campaigns", "b.yaml"), stringify({ ...campaignBody("b"), lane: "fast" }));
  const faulty = await run("config", "check", "--config", file);
  assert.equal(faulty.code, 1);
  assert.match(faulty.err, /volley\.yaml:\d+:\d+ senders\.main\.mesagesPerSecond: .*messagesPerSecond/);
  assert.match(faulty.err, /b\.yaml:\d+:\d+ lane: /);
  const { errors } = JSON.parse((await run("config", "check", "--config", file, "--json")).out);
  assert.equal(errors.length, 2);
});
