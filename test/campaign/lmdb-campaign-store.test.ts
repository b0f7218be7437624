import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { openCampaignStore } from "../../engine/campaign/lmdb-campaign-store.ts";
import type { LmdbCampaignStore } from "../../engine/campaign/lmdb-campaign-store.ts";
import { campaignOf } from "./campaign-fixture.ts";

const WRITER = new URL("campaign-store-writer.js", import.meta.url);

function storeFolder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "volley-campaigns-"));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return join(path, "campaigns");
}

async function reopened(store: LmdbCampaignStore, path: string): Promise<LmdbCampaignStore> {
  await store.close();
  return openCampaignStore({ path });
}

test("numbers count from 1, and stay over a restart", async (context) => {
  const path = storeFolder(context);
  let store = await openCampaignStore({ path });
  await store.assignNumbers(["a", "b"]);
  await store.putDefinition({ ...campaignOf(), id: "c" });
  store = await reopened(store, path);
  assert.deepEqual(
    [...store.numbers()],
    [
      ["a", 1],
      ["b", 2],
      ["c", 3],
    ],
  );
  await store.assignNumbers(["d", "a"]);
  assert.equal(store.numberOf("d"), 4);
  assert.equal(store.numberOf("a"), 1);
  await store.close();
});

test("a number outlives its campaign and is never another's", async (context) => {
  const path = storeFolder(context);
  let store = await openCampaignStore({ path });
  await store.putDefinition({ ...campaignOf(), id: "gone" });
  await store.removeDefinition("gone");
  assert.deepEqual(store.definitions(), []);
  store = await reopened(store, path);
  assert.deepEqual(store.definitions(), []);
  await store.assignNumbers(["next"]);
  assert.equal(store.numberOf("gone"), 1);
  assert.equal(store.numberOf("next"), 2);
  await store.close();
});

test("definitions and overrides come back as they were", async (context) => {
  const path = storeFolder(context);
  let store = await openCampaignStore({ path });
  const definition = campaignOf({ lane: "marketing" });
  await store.putDefinition({ ...definition, name: "before" });
  await store.putDefinition(definition);
  await store.putOverride("x", { status: "paused", declared: "active" });
  await store.putOverride("y", { status: "active", declared: "paused" });
  await store.removeOverrides(["y", "unknown"]);
  store = await reopened(store, path);
  assert.deepEqual(store.definitions(), [definition]);
  assert.deepEqual(store.override("x"), { status: "paused", declared: "active" });
  assert.equal(store.override("y"), undefined);
  await store.close();
});

test("the instance's secret is made once, and differs between instances", async (context) => {
  const path = storeFolder(context);
  let store = await openCampaignStore({ path });
  const secret = store.instanceSecret;
  assert.ok(secret.length >= 43);
  store = await reopened(store, path);
  assert.equal(store.instanceSecret, secret);
  await store.close();
  const other = await openCampaignStore({ path: storeFolder(context) });
  assert.notEqual(other.instanceSecret, secret);
  await other.close();
});

test("simultaneous writes keep their order", async (context) => {
  const path = storeFolder(context);
  let store = await openCampaignStore({ path });
  const definition = campaignOf();
  const names = Array.from({ length: 20 }, (_, index) => `version ${index}`);
  await Promise.all(names.map((name) => store.putDefinition({ ...definition, name })));
  assert.equal(store.definitions()[0]?.name, "version 19");
  assert.equal(store.numberOf(definition.id), 1);
  store = await reopened(store, path);
  assert.equal(store.definitions()[0]?.name, "version 19");
  await store.close();
});

test("ten thousand numbers are one commit", async (context) => {
  const store = await openCampaignStore({ path: storeFolder(context) });
  await store.assignNumbers(Array.from({ length: 10_000 }, (_, index) => `campaign-${index}`));
  assert.equal(store.numberOf("campaign-9999"), 10_000);
  await store.close();
});

test("what a killed process had confirmed is there", async (context) => {
  const path = storeFolder(context);
  const writer = spawn(process.execPath, [WRITER.pathname, path], { stdio: ["ignore", "pipe", "inherit"] });
  let confirmed = 0;
  writer.stdout.setEncoding("utf8").on("data", (text: string) => {
    confirmed += text.length;
    if (confirmed >= 50) writer.kill("SIGKILL");
  });
  await once(writer, "close");
  assert.ok(confirmed >= 50);
  const store = await openCampaignStore({ path });
  for (let index = 0; index < confirmed; index++) {
    assert.equal(store.numberOf(`campaign-${index}`), index + 1);
    assert.ok(store.definitions().some(({ id }) => id === `campaign-${index}`));
  }
  await store.close();
});

test("on a full disk a write is refused, later ones too, and all before stays", async (context) => {
  const path = storeFolder(context);
  // A limit on file size stands in for the full disk.
  const limited = `trap '' XFSZ; ulimit -f 4096; exec "$0" "$@"`;
  const writer = spawn("sh", ["-c", limited, process.execPath, WRITER.pathname, path, "20000"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let output = "";
  writer.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  const [exitCode] = await once(writer, "close");
  assert.equal(exitCode, 0, "no unhandled rejection, no abort, no endless close");
  const [, dots = "", codes] = /^(\.+)(.*)$/.exec(output) ?? [];
  assert.equal(codes, "ERR_STORE_WRITE ERR_STORE_WRITE");
  const store = await openCampaignStore({ path });
  assert.equal(store.definitions().length, dots.length);
  await store.putDefinition(campaignOf());
  assert.equal(store.numberOf(campaignOf().id), dots.length + 1);
  await store.close();
});
