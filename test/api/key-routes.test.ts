import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, InMemoryEngine } from "./in-memory-engine.ts";

test("a key is shown once, at its creation, and never cached", async () => {
  const engine = new InMemoryEngine();
  const created = await ask(engine, "POST", "/api/keys", {
    body: { name: "shop", scope: "trigger", campaigns: ["order-confirmation"] },
  });
  assert.equal(created.status, 201);
  assert.deepEqual(created.body, {
    id: "key1",
    key: "vk_key1",
    name: "shop",
    scope: "trigger",
    campaigns: ["order-confirmation"],
  });
  assert.equal(created.headers["cache-control"], "no-store");
  const listed = await ask(engine, "GET", "/api/keys");
  assert.ok(!listed.text.includes("vk_key1"));
  assert.deepEqual(listed.body, {
    items: [
      {
        id: "key1",
        name: "shop",
        scope: "trigger",
        campaigns: ["order-confirmation"],
        createdAt: "2026-11-23T12:00:00.000Z",
        lastUsedAt: null,
        revokedAt: null,
      },
    ],
    cursor: null,
  });
});

test("a key without campaigns is good for all", async () => {
  const { body } = await ask(new InMemoryEngine(), "POST", "/api/keys", {
    body: { name: "all", scope: "read" },
  });
  assert.equal(body.campaigns, null);
});

test("every fault of a key's body is named at once", async () => {
  const { status, body } = await ask(new InMemoryEngine(), "POST", "/api/keys", {
    body: { scope: "root", campaigns: [], color: 1 },
  });
  assert.equal(status, 422);
  const { errors } = body;
  assert.deepEqual(errors.map(({ code }) => code).toSorted(), [
    "invalid_format",
    "invalid_format",
    "required",
    "unknown_key",
  ]);
  assert.match(JSON.stringify(errors), /trigger, read, admin/);
});

test("a revoked key answers 204, an unknown one 404", async () => {
  const engine = new InMemoryEngine();
  await ask(engine, "POST", "/api/keys", { body: { name: "shop", scope: "trigger" } });
  assert.equal((await ask(engine, "DELETE", "/api/keys/key1")).status, 204);
  const missing = await ask(engine, "DELETE", "/api/keys/nope");
  assert.equal(missing.status, 404);
  assert.equal(missing.body.code, "key_not_found");
});

test("readiness says what is missing", async () => {
  const engine = new InMemoryEngine();
  assert.equal((await ask(engine, "GET", "/readyz")).status, 200);
  engine.isReady = false;
  const { status, body } = await ask(engine, "GET", "/readyz");
  assert.equal(status, 503);
  assert.deepEqual(body, { status: "not_ready", reasons: ["the ledger opens"] });
  assert.equal((await ask(engine, "GET", "/healthz")).status, 200);
});

test("senders are listed without their tokens", async () => {
  const { body, text } = await ask(new InMemoryEngine(), "GET", "/api/senders");
  assert.equal(body.items.length, 1);
  assert.ok(!text.includes("accessToken"));
});
