import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { openKeyStore, type KeyStore } from "../../engine/ingress/lmdb-key-store.ts";
import type { Clock } from "../../engine/runtime/clock.ts";

const folder = mkdtempSync(join(tmpdir(), "volley-keys-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Timers are kept for the test to fire. */
function manualClock(): Clock & { ms: number; timers: (() => void)[] } {
  const timers: (() => void)[] = [];
  const clock = {
    ms: 1000,
    timers,
    nowMs: () => clock.ms,
    monotonicMs: () => clock.ms,
    after: (_: number, call: () => void) => {
      timers.push(call);
      return () => void timers.splice(timers.indexOf(call), 1);
    },
  };
  return clock;
}

let stores = 0;
function openStore(
  path = join(folder, `store-${stores++}`),
  clock = manualClock(),
): { store: KeyStore; path: string; clock: ReturnType<typeof manualClock> } {
  return { store: openKeyStore({ path, clock, randomBytes }), path, clock };
}

test("a created key is found by its text, and by nothing else", async () => {
  const { store } = openStore();
  const created = await store.create({ name: "shop", scope: "trigger", campaigns: ["a"] });
  assert.match(created.key, /^vk_/);
  const found = store.find(created.key);
  assert.deepEqual([found?.id, found?.scope, found?.campaigns], [created.id, "trigger", ["a"]]);
  const other = await store.create({ name: "other", scope: "read" });
  assert.equal(other.campaigns, null);
  for (const text of ["", "vk_nonsense", created.key.slice(0, -1), `vk_${other.id}${created.key.slice(11)}`]) {
    assert.equal(store.find(text), undefined);
  }
  await store.close();
});

test("a revoked key is refused at once and after a restart, and stays in the list", async () => {
  const { store, path } = openStore();
  const { key, id } = await store.create({ name: "shop", scope: "trigger" });
  const revoking = store.revoke(id);
  assert.equal(store.find(key), undefined);
  assert.equal(await revoking, true);
  assert.equal(await store.revoke(id), true);
  assert.equal(await store.revoke("unknown"), false);
  await store.close();
  const { store: reopened } = openStore(path);
  assert.equal(reopened.find(key), undefined);
  assert.deepEqual(
    reopened.list().map(({ revokedAtMs }) => revokedAtMs),
    [1000],
  );
  await reopened.close();
});

test("the file holds no key, and the list no hash", async () => {
  const { store, path } = openStore();
  const { key } = await store.create({ name: "shop", scope: "trigger" });
  assert.deepEqual(Object.keys(store.list()[0] ?? {}).toSorted(), [
    "campaigns",
    "createdAtMs",
    "id",
    "lastUsedAtMs",
    "name",
    "revokedAtMs",
    "scope",
  ]);
  await store.close();
  const secret = key.slice("vk_".length + 9, -6);
  assert.equal(readFileSync(join(path, "data.mdb")).includes(secret), false);
});

test("last use shows at once and is written every minute and at the end", async () => {
  const { store, path, clock } = openStore();
  const { key } = await store.create({ name: "shop", scope: "trigger" });
  assert.equal(store.list()[0]?.lastUsedAtMs, null);
  clock.ms = 2000;
  store.find(key);
  assert.equal(store.list()[0]?.lastUsedAtMs, 2000);
  clock.timers.shift()?.();
  assert.equal(clock.timers.length, 1);
  clock.ms = 3000;
  store.find(key);
  await store.close();
  await store.close();
  assert.equal(clock.timers.length, 0);
  const { store: reopened } = openStore(path);
  assert.equal(reopened.list()[0]?.lastUsedAtMs, 3000);
  await reopened.close();
});

test("writes an admin key on the first start, readable by its owner only, and keeps it", async () => {
  const { store, path } = openStore();
  const file = join(folder, "admin.key");
  const key = await store.ensureAdminKey(file);
  assert.equal(readFileSync(file, "utf8"), `${key}\n`);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(store.find(key)?.scope, "admin");
  await store.close();
  chmodSync(file, 0o644);
  const { store: reopened } = openStore(path);
  assert.equal(await reopened.ensureAdminKey(file), key);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(reopened.list().length, 1);
  await reopened.close();
});

test("makes a new admin key when the file is gone, foreign, or its key revoked", async () => {
  const { store } = openStore();
  const file = join(folder, "admin-lost.key");
  const first = await store.ensureAdminKey(file);
  unlinkSync(file);
  const second = await store.ensureAdminKey(file);
  assert.notEqual(second, first);
  writeFileSync(file, "vk_from_elsewhere\n");
  const third = await store.ensureAdminKey(file);
  await store.revoke(store.find(third)?.id ?? "");
  const fourth = await store.ensureAdminKey(file);
  assert.equal(new Set([first, second, third, fourth]).size, 4);
  assert.equal(readFileSync(file, "utf8"), `${fourth}\n`);
  await store.close();
});
