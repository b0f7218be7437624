import assert from "node:assert/strict";
import { test } from "node:test";

import { SECRET_MASK } from "../../engine/api/campaign-view.ts";
import { ask, campaignBody, definitionOf, entryOf, InMemoryEngine, NOW_MS, READ_KEY } from "./in-memory-engine.ts";

const PATH = "/api/campaigns/order-confirmation";
const HMAC = {
  type: "hmac",
  header: "X-Shopify-Hmac-Sha256",
  encoding: "base64",
  secrets: ["s3cret-one", "s3cret-two"],
};

function engineWithCampaign(
  more: Readonly<Record<string, unknown>> = {},
  source: "file" | "api" = "api",
): InMemoryEngine {
  const engine = new InMemoryEngine();
  engine.campaigns.set("order-confirmation", entryOf(definitionOf("order-confirmation", more), source));
  return engine;
}

function withAuth(auth: unknown): Record<string, unknown> {
  return { trigger: { attributes: { phoneNumber: { path: "phone", type: "phone" } }, auth } };
}

test("a campaign is created with 201, replaced with 200, and shown with its defaults", async () => {
  const engine = new InMemoryEngine();
  const created = await ask(engine, "PUT", PATH, { body: campaignBody("order-confirmation") });
  assert.equal(created.status, 201);
  assert.equal((await ask(engine, "PUT", PATH, { body: campaignBody("order-confirmation") })).status, 200);
  const shown = await ask(engine, "GET", PATH);
  assert.deepEqual(shown.body, created.body);
  assert.deepEqual(shown.body, {
    ...definitionOf("order-confirmation"),
    source: "api",
    faults: [],
    parked: null,
    triggerPath: `${PATH}/trigger`,
    hookPath: null,
  });
  const { lane, timeToLiveSeconds } = definitionOf("order-confirmation");
  assert.deepEqual({ lane, timeToLiveSeconds }, { lane: "transactional", timeToLiveSeconds: 86_400 });
});

test("what a GET answered can be changed and sent back", async () => {
  const engine = engineWithCampaign(withAuth(HMAC));
  const shown = (await ask(engine, "GET", PATH)).body;
  const changed = await ask(engine, "PUT", PATH, { body: { ...shown, name: "New name" } });
  assert.equal(changed.status, 200);
  assert.equal(engine.campaigns.get("order-confirmation")?.definition.name, "New name");
});

test("secrets are masked in every answer, and a masked one in a PUT keeps the stored one", async () => {
  const engine = engineWithCampaign(withAuth(HMAC));
  for (const address of [PATH, "/api/campaigns"]) {
    const { text } = await ask(engine, "GET", address);
    assert.ok(!text.includes("s3cret"), text);
  }
  const body = campaignBody("order-confirmation", withAuth({ ...HMAC, secrets: ["new", SECRET_MASK] }));
  const changed = await ask(engine, "PUT", PATH, { body });
  assert.ok(!changed.text.includes('new"'));
  const auth = engine.campaigns.get("order-confirmation")?.definition.trigger.auth;
  assert.deepEqual(auth?.type === "hmac" ? auth.secrets : [], ["new", "s3cret-two"]);
});

test("a masked secret that nothing is stored for is a fault, not a password of asterisks", async () => {
  const body = campaignBody("order-confirmation", withAuth({ ...HMAC, secrets: [SECRET_MASK] }));
  const { status, body: answer } = await ask(new InMemoryEngine(), "PUT", PATH, { body });
  assert.equal(status, 422);
  assert.match(JSON.stringify(answer), /trigger\.auth\.secrets\[0\]/);
});

test("the hook's token is shown to admins only", async () => {
  const engine = engineWithCampaign(withAuth({ type: "urlToken" }));
  const admin = await ask(engine, "GET", PATH);
  assert.equal(admin.body.hookPath, "/hooks/order-confirmation/t0k3n");
  const reader = await ask(engine, "GET", PATH, { key: READ_KEY });
  assert.equal(reader.body.hookPath, null);
  assert.ok(!reader.text.includes("t0k3n"));
});

test("every fault of a definition is named at once", async () => {
  const { status, headers, body } = await ask(new InMemoryEngine(), "PUT", PATH, {
    body: { ...campaignBody("order-confirmation"), lane: "fast", colour: "red" },
  });
  assert.equal(status, 422);
  assert.equal(headers["content-type"], "application/problem+json");
  const { code, errors } = body;
  assert.equal(code, "invalid_campaign");
  assert.ok(errors.length >= 2);
  assert.deepEqual(new Set(errors.map(({ path }) => path)), new Set(["lane", "colour"]));
});

test("a campaign that pre-flight refuses is answered with its reasons", async () => {
  const template = { name: "unknown", language: "en_US" };
  const { status, body } = await ask(new InMemoryEngine(), "PUT", PATH, {
    body: campaignBody("order-confirmation", { template }),
  });
  assert.equal(status, 422);
  assert.match(JSON.stringify(body), /there is no such template/);
});

test("the id of the body must be the one of the address", async () => {
  assert.equal((await ask(new InMemoryEngine(), "PUT", PATH, { body: campaignBody("other") })).status, 422);
  const { id: _id, ...withoutId } = campaignBody("x");
  assert.equal((await ask(new InMemoryEngine(), "PUT", PATH, { body: withoutId })).status, 201);
});

test("a body that is no JSON is a 400 that says where, another type a 415", async () => {
  const malformed = await ask(new InMemoryEngine(), "PUT", PATH, { body: '{"id": }' });
  assert.equal(malformed.status, 400);
  assert.match(malformed.body.detail, /Unexpected token '}'/);
  const cut = await ask(new InMemoryEngine(), "PUT", PATH, { body: '{"id": ' });
  assert.match(cut.body.detail, /position 7/);
  const bytes = await ask(new InMemoryEngine(), "PUT", PATH, {
    body: Buffer.from([0x7b, 0xff, 0x7d]),
  });
  assert.equal(bytes.status, 400);
  const form = await ask(new InMemoryEngine(), "PUT", PATH, {
    body: "id=x",
    headers: { "content-type": "application/x-www-form-urlencoded" },
  });
  assert.equal(form.status, 415);
});

test("a body of any JSON type is refused politely", async () => {
  for (const body of [
    "null",
    "[]",
    "3",
    '"text"',
    '{"trigger":null}',
    '{"trigger":{"auth":null}}',
    '{"trigger":{"auth":{"secrets":{}}}}',
  ]) {
    assert.equal((await ask(new InMemoryEngine(), "PUT", PATH, { body })).status, 422, body);
  }
});

test("a campaign from a file is not edited or deleted over the API", async () => {
  const engine = engineWithCampaign({}, "file");
  for (const method of ["PUT", "DELETE"]) {
    const { status, body } = await ask(engine, method, PATH, {
      body: method === "PUT" ? campaignBody("order-confirmation") : "",
    });
    assert.equal(status, 409);
    assert.equal(body.code, "managed_by_file");
  }
});

test("activate and pause answer with the campaign as it then is", async () => {
  const engine = engineWithCampaign();
  assert.equal((await ask(engine, "POST", `${PATH}/pause`)).body.status, "paused");
  assert.equal((await ask(engine, "POST", `${PATH}/activate`)).body.status, "active");
  const entry = engine.campaigns.get("order-confirmation");
  if (entry !== undefined)
    engine.campaigns.set("order-confirmation", {
      ...entry,
      faults: [{ path: "sender", message: "none" }],
    });
  assert.equal((await ask(engine, "POST", `${PATH}/activate`)).status, 422);
});

test("a campaign that does not exist is a 404 with its own code everywhere", async () => {
  const engine = new InMemoryEngine();
  const calls = [
    ["GET", ""],
    ["DELETE", ""],
    ["POST", "/activate"],
    ["POST", "/pause"],
    ["GET", "/stats"],
    ["GET", "/messages"],
    ["GET", "/messages.csv"],
    ["POST", "/replay"],
  ] as const;
  for (const [method, end] of calls) {
    const { status, body } = await ask(engine, method, PATH + end, {
      body: method === "POST" ? "{}" : "",
    });
    assert.equal(status, 404, method + end);
    assert.equal(body.code, "campaign_not_found");
  }
});

test("a delete answers 204 and the campaign is gone", async () => {
  const engine = engineWithCampaign();
  assert.equal((await ask(engine, "DELETE", PATH)).status, 204);
  assert.equal((await ask(engine, "GET", PATH)).status, 404);
});

test("the list holds what the key may see", async () => {
  const engine = engineWithCampaign();
  engine.campaigns.set("other", entryOf(definitionOf("other")));
  const idsSeenBy = async (key?: string): Promise<string[]> => {
    const { body } = await ask(engine, "GET", "/api/campaigns", key === undefined ? {} : { key });
    const { items, cursor } = body;
    assert.equal(cursor, null);
    return items.map(({ id }) => id);
  };
  assert.deepEqual(await idsSeenBy(), ["order-confirmation", "other"]);
  assert.deepEqual(await idsSeenBy(READ_KEY), ["order-confirmation"]);
});

test("without a key every route but health and the home page answers 401", async () => {
  const engine = engineWithCampaign();
  for (const { method, pattern } of engine.routes) {
    const address = pattern.replace(":campaignId", "order-confirmation").replace(/:\w+/, "x");
    const { status } = await ask(engine, method.toUpperCase(), address, { key: "vk_wrong" });
    assert.equal(status, ["/healthz", "/readyz", "/"].includes(pattern) ? 200 : 401, pattern);
  }
});

test("the figures say what waits, how well it went and when the backlog is gone", async () => {
  const engine = engineWithCampaign();
  engine.figures = {
    ...engine.figures,
    counters: {
      accepted: 100,
      byStatus: {
        queued: 30,
        retrying: 5,
        held: 3,
        uncertain: 2,
        sent: 10,
        delivered: 20,
        read: 20,
        failed: 10,
      },
      byError: { "131026": 10 },
      doubleSends: 0,
    },
    oldestWaitingAtMs: NOW_MS - 12_400,
    delayed: 8,
    perSecond: { accepted: 0, dispatched: 8, settled: 7 },
    ackMs: { p50: 2, p99: 9 },
  };
  const { body } = await ask(engine, "GET", `${PATH}/stats`);
  const { byStatus, ...rest } = body;
  assert.equal(byStatus["expired"], 0);
  assert.equal(byStatus["read"], 20);
  assert.deepEqual(rest, {
    campaignId: "order-confirmation",
    status: "active",
    accepted: 100,
    byError: { "131026": 10 },
    doubleSends: 0,
    successRate: 0.8333,
    requests: { accepted: 0, refused: 0 },
    waiting: 40,
    oldestWaitingSeconds: 12,
    drainSeconds: 4,
    perSecond: { accepted: 0, dispatched: 8, settled: 7 },
    ackMs: { p50: 2, p99: 9 },
    responseMs: { p50: null, p99: null },
  });
});

test("a paused campaign's backlog has no end in sight, an empty one is drained, an idle one goes at its limit", async () => {
  assert.equal(await drainSeconds({ status: "paused" }, 10), null);
  assert.equal(await drainSeconds({}, 0), 0);
  assert.equal(await drainSeconds({}, 800), 10);
});

async function drainSeconds(more: Readonly<Record<string, unknown>>, queued: number): Promise<number | null> {
  const engine = engineWithCampaign(more);
  engine.figures = {
    ...engine.figures,
    counters: { accepted: queued, byStatus: { queued }, byError: {}, doubleSends: 0 },
  };
  return (await ask(engine, "GET", `${PATH}/stats`)).body.drainSeconds;
}
