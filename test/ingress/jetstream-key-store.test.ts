import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";

import { openJetStreamKeyStore } from "../../engine/ingress/jetstream-key-store.ts";
import type { KeyStore } from "../../engine/ingress/key-book.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { withoutNats } from "../support/nats-server.ts";
import { openSite, recordedLog, type Site } from "../support/shared-map-nodes.ts";
import { until } from "../support/until.ts";

const SKIP = { skip: withoutNats };
const SOON_MS = 1000;

async function storeOf(site: Site, name: string): Promise<KeyStore> {
  const link = await site.link();
  const path = join(site.folder, name);
  const timing = { writeMs: 500 };
  return openJetStreamKeyStore({
    link,
    path,
    nodeId: name,
    clock: systemClock,
    randomBytes,
    log: recordedLog(),
    timing,
  });
}

async function twoStores(site: Site): Promise<readonly [KeyStore, KeyStore]> {
  const [a, b] = await Promise.all([storeOf(site, "a"), storeOf(site, "b")]);
  return [a, b];
}

test(
  "a key made on one node is good on the other, and refused by both once either revoked it",
  SKIP,
  async (context) => {
    const site = await openSite(context);
    const [a, b] = await twoStores(site);
    const { key, id } = await a.create({ name: "shop", scope: "trigger", campaigns: ["x"] });
    assert.equal(a.find(key)?.id, id);
    await until("the other node knows it", () => b.find(key)?.id === id, SOON_MS);
    assert.deepEqual(b.find(key)?.campaigns, ["x"]);
    const revoking = b.revoke(id);
    assert.equal(b.find(key), undefined);
    assert.equal(await revoking, true);
    await until("the other node refuses it", () => a.find(key) === undefined, SOON_MS);
    assert.notEqual(a.list()[0]?.revokedAtMs, null);
    assert.equal(await a.revoke(id), true);
    assert.equal(await a.revoke("unknown"), false);
    await Promise.all([a.close(), b.close()]);
  },
);

test("each node has an admin key of its own in its file, and all are good everywhere", SKIP, async (context) => {
  const site = await openSite(context);
  const [a, b] = await twoStores(site);
  const keys = await Promise.all([
    a.ensureAdminKey(join(site.folder, "a.key")),
    b.ensureAdminKey(join(site.folder, "b.key")),
  ]);
  assert.notEqual(keys[0], keys[1]);
  for (const key of keys) {
    await until("both know it", () => [a, b].every((store) => store.find(key)?.scope === "admin"), SOON_MS);
  }
  assert.equal(await a.ensureAdminKey(join(site.folder, "a.key")), keys[0]);
  await Promise.all([a.close(), b.close()]);
});

test("last use is this node's own, and kept over a restart", SKIP, async (context) => {
  const site = await openSite(context);
  const [a, b] = await twoStores(site);
  const { key } = await a.create({ name: "shop", scope: "trigger" });
  await until("the other node knows it", () => b.list().length === 1);
  a.find(key);
  const usedAtMs = a.list()[0]?.lastUsedAtMs ?? null;
  assert.notEqual(usedAtMs, null);
  assert.equal(b.list()[0]?.lastUsedAtMs, null);
  await a.close();
  const again = await storeOf(site, "a");
  assert.equal(again.list()[0]?.lastUsedAtMs, usedAtMs);
  await Promise.all([again.close(), b.close()]);
});

test("without the cluster a revocation is refused here at once, and told to have failed", SKIP, async (context) => {
  const site = await openSite(context);
  const a = await storeOf(site, "a");
  const { key, id } = await a.create({ name: "shop", scope: "trigger" });
  await site.server.kill();
  await assert.rejects(a.revoke(id), { code: "ERR_STORE_WRITE" });
  await assert.rejects(a.create({ name: "other", scope: "read" }), { code: "ERR_STORE_WRITE" });
  assert.equal(a.find(key), undefined);
  assert.equal(a.list().length, 1);
  await site.server.start();
  await until("it can be revoked for all", () => a.revoke(id).catch(() => false));
  const b = await storeOf(site, "b");
  assert.equal(b.find(key), undefined);
  await Promise.all([a.close(), b.close()]);
});

test(
  "a key that the server lost in a power cut is still good, and one revoked still refused",
  SKIP,
  async (context) => {
    const site = await openSite(context);
    const [a, b] = await twoStores(site);
    const kept = await a.create({ name: "kept", scope: "trigger" });
    const revoked = await a.create({ name: "revoked", scope: "trigger" });
    await a.revoke(revoked.id);
    await until(
      "b has all of it",
      () => b.find(kept.key) !== undefined && b.list().length === 2 && b.find(revoked.key) === undefined,
    );
    await b.close();
    const link = await site.link();
    await link.manager.streams.delete("KV_volley_keys");
    const again = await storeOf(site, "b");
    assert.equal(again.find(kept.key)?.id, kept.id);
    assert.equal(again.find(revoked.key), undefined);
    await Promise.all([a.close(), again.close()]);
  },
);
