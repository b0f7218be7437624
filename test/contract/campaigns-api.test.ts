// Campaigns and keys over the operators' API, with the names and statuses that clients rely on.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { type RunningEngine, runEngine } from "../support/running-engine.ts";
import { until } from "../support/until.ts";
import { greetingCampaign } from "../support/workspace.ts";
import {
  adminOf,
  assertProblem,
  type Client,
  clientOf,
  createKey,
  type List,
  type ProblemBody,
} from "./contract-kit.ts";

interface Campaign {
  readonly id: string;
  readonly name: string;
  readonly sender: string;
  readonly status: string;
  readonly lane: string;
  readonly trigger: { readonly auth: Record<string, unknown>; readonly attributes: Record<string, unknown> };
  readonly template: Record<string, unknown>;
}

const EVENT = { phone: "+14155552671", first_name: "Ana", order: "#1" };

let engine: RunningEngine;
let admin: Client;

before(async () => {
  const secret = { type: "hmac", header: "X-Sign", encoding: "hex", secrets: ["very secret"] };
  const { trigger } = greetingCampaign("x") as unknown as { trigger: object };
  const campaigns = [
    greetingCampaign("from-file"),
    greetingCampaign("signed", { trigger: { ...trigger, auth: secret } }),
    greetingCampaign("broken", {
      template: { name: "no_such_template", language: "en_US", body: ["{{ firstName }}"] },
    }),
  ];
  engine = await runEngine({ campaigns });
  admin = adminOf(engine);
});

after(async () => engine.stop());

test("lists campaigns as items with a cursor, and shows one with the keys of its file", async () => {
  const list = await admin.get<List<Campaign>>("/api/campaigns");
  assert.equal(list.status, 200);
  assert.equal(list.body.cursor, null);
  assert.ok(["from-file", "signed", "broken"].every((id) => list.body.items.some((item) => item.id === id)));
  const one = await admin.get<Campaign>("/api/campaigns/from-file");
  assert.equal(one.status, 200);
  assert.deepEqual(
    [one.body.id, one.body.name, one.body.sender, one.body.status, one.body.lane],
    ["from-file", "from-file", "main", "active", "transactional"],
  );
  assert.deepEqual(one.body.template, {
    name: "greeting",
    language: "en_US",
    body: ["{{ firstName }}", "{{ orderName }}"],
  });
  assert.deepEqual(Object.keys(one.body.trigger.attributes), ["phoneNumber", "firstName", "orderName"]);
  assertProblem(await admin.get("/api/campaigns/nobody"), 404, "campaign_not_found");
  assert.doesNotMatch(JSON.stringify((await admin.get("/api/campaigns/signed")).body), /very secret/);
});

test("creates with 201, replaces with 200, deletes, and the change holds at once", async () => {
  const created = await admin.send<Campaign>("PUT", "/api/campaigns/made", greetingCampaign("made"));
  assert.equal(created.status, 201);
  assert.deepEqual([created.body.id, created.body.status], ["made", "active"]);
  assert.equal((await admin.trigger("made", EVENT)).status, 202);
  const replaced = await admin.send<Campaign>(
    "PUT",
    "/api/campaigns/made",
    greetingCampaign("made", { name: "Renamed" }),
  );
  assert.deepEqual([replaced.status, replaced.body.name], [200, "Renamed"]);
  const shown = await admin.get<Campaign>("/api/campaigns/made");
  assert.deepEqual(shown.body, replaced.body);
  assert.equal(
    (await admin.send("PUT", "/api/campaigns/made", shown.body)).status,
    200,
    "what was read can be written",
  );
  const withoutId: Record<string, unknown> = { ...greetingCampaign("made") };
  delete withoutId["id"];
  assert.equal((await admin.send("PUT", "/api/campaigns/made", withoutId)).status, 200);
  await engine.untilNothingWaits(["made"]);

  assert.ok([200, 204].includes((await admin.send("DELETE", "/api/campaigns/made")).status));
  assertProblem(await admin.get("/api/campaigns/made"), 404, "campaign_not_found");
  assertProblem(await admin.trigger<ProblemBody>("made", EVENT), 404, "campaign_not_found");
  assertProblem(await admin.send("DELETE", "/api/campaigns/made"), 404, "campaign_not_found");
});

test("keeps what was made over the API through a restart, with its status", async () => {
  await admin.send("PUT", "/api/campaigns/kept", greetingCampaign("kept"));
  await admin.send("POST", "/api/campaigns/kept/pause");
  await engine.restart();
  const kept = await admin.get<Campaign>("/api/campaigns/kept");
  assert.deepEqual([kept.status, kept.body.status], [200, "paused"]);
});

test("refuses a definition with 422 and every fault of it", async () => {
  const body = {
    ...greetingCampaign("faulty"),
    statsu: "active",
    lane: "fast",
    timeToLiveSeconds: -1,
    uncertain: { waitSeconds: 1, then: "maybe" },
  };
  const answer = await admin.send<{ errors: { path: string; message: string }[] } & ProblemBody>(
    "PUT",
    "/api/campaigns/faulty",
    body,
  );
  assert.equal(answer.status, 422);
  const text = JSON.stringify(answer.body.errors);
  for (const word of ["statsu", "lane", "timeToLiveSeconds", "uncertain.then"]) assert.match(text, new RegExp(word));
  assert.match(text, /status/);
  assertProblem(await admin.get("/api/campaigns/faulty"), 404, "campaign_not_found");

  const noTemplate = {
    ...greetingCampaign("faulty"),
    sender: "nobody",
    template: { name: "nothing", language: "en_US", body: [] },
  };
  assert.equal((await admin.send("PUT", "/api/campaigns/faulty", noTemplate)).status, 422);
  const tooFew = {
    ...greetingCampaign("faulty"),
    template: { name: "greeting", language: "en_US", body: ["{{ firstNam }}"] },
  };
  const preflight = await admin.send<{ errors: unknown[] }>("PUT", "/api/campaigns/faulty", tooFew);
  assert.equal(preflight.status, 422);
  assert.ok(preflight.body.errors.length >= 2, "the count and the unknown attribute");
  assert.equal((await admin.send("PUT", "/api/campaigns/faulty", greetingCampaign("another"))).status, 422);
  assert.equal((await admin.send("PUT", "/api/campaigns/faulty", [1])).status, 422);
  assertProblem(await admin.send("PUT", "/api/campaigns/faulty", "{oops"), 400, "malformed_json");
});

test("409 managed_by_file for a campaign that comes from a file; pausing it is allowed", async () => {
  assertProblem(
    await admin.send("PUT", "/api/campaigns/from-file", greetingCampaign("from-file")),
    409,
    "managed_by_file",
  );
  assertProblem(await admin.send("DELETE", "/api/campaigns/from-file"), 409, "managed_by_file");
  const paused = await admin.send<Campaign>("POST", "/api/campaigns/from-file/pause");
  assert.deepEqual([paused.status, paused.body.status], [200, "paused"]);
  assertProblem(await admin.trigger<ProblemBody>("from-file", EVENT), 409, "campaign_paused");
  const active = await admin.send<Campaign>("POST", "/api/campaigns/from-file/activate", {});
  assert.deepEqual([active.status, active.body.status], [200, "active"]);
  assert.equal((await admin.trigger("from-file", EVENT)).status, 202);
  assertProblem(await admin.send("POST", "/api/campaigns/nobody/pause"), 404, "campaign_not_found");
  assert.equal((await admin.send("POST", "/api/campaigns/broken/activate")).status, 422);
});

test("makes a key that is shown once, lists it without its secret, and revokes it at once", async () => {
  const made = await admin.send<Record<string, unknown>>("POST", "/api/keys", {
    name: "shop",
    scope: "trigger",
    campaigns: ["from-file"],
  });
  assert.equal(made.status, 201);
  const { id, key, ...rest } = made.body;
  assert.match(String(key), /^vk_/);
  assert.deepEqual(rest, { name: "shop", scope: "trigger", campaigns: ["from-file"] });
  assert.equal((await clientOf(engine.url, String(key)).trigger("from-file", EVENT)).status, 202);

  const list = await admin.get<List<Record<string, unknown>>>("/api/keys");
  assert.equal(list.body.cursor, null);
  const listed = list.body.items.find((item) => item["id"] === id);
  assert.deepEqual([listed?.["name"], listed?.["scope"], listed?.["campaigns"]], ["shop", "trigger", ["from-file"]]);
  assert.doesNotMatch(JSON.stringify(list.body), new RegExp(String(key).slice(12)));
  assert.equal((await admin.send("DELETE", `/api/keys/${String(id)}`)).status, 204);
  assertProblem(await clientOf(engine.url, String(key)).trigger<ProblemBody>("from-file", EVENT), 401, "unauthorized");
  assert.equal((await admin.send("DELETE", "/api/keys/nobody")).status, 404);

  for (const body of [
    {},
    { name: "x", scope: "root" },
    { name: "x", scope: "read", campaigns: "all" },
    { name: "x", scope: "admin", campaigns: ["orders"] },
    { name: 1, scope: "read", extra: 1 },
  ]) {
    const refused = await admin.send("POST", "/api/keys", body);
    assert.equal(refused.status, 422);
    assert.ok(refused.body.errors.length > 0);
  }
});

test("a revoked key stays revoked, and a live one lives, after a restart", async () => {
  const live = await createKey(admin, "trigger");
  const dead = await createKey(admin, "trigger");
  await admin.send("DELETE", `/api/keys/${dead.id}`);
  await engine.restart();
  assert.equal((await clientOf(engine.url, live.key).trigger("from-file", EVENT)).status, 202);
  assert.equal((await clientOf(engine.url, dead.key).trigger<ProblemBody>("from-file", EVENT)).status, 401);
});

test("a read key sees its campaigns and nothing else", async () => {
  const { key } = await createKey(admin, "read", ["from-file"]);
  const reader = clientOf(engine.url, key);
  const list = await reader.get<List<Campaign>>("/api/campaigns");
  assert.deepEqual(
    list.body.items.map(({ id }) => id),
    ["from-file"],
  );
  assertProblem(await reader.get("/api/campaigns/signed"), 403, "forbidden");
  assertProblem(await reader.send("POST", "/api/keys", { name: "x", scope: "admin" }), 403, "forbidden");
  assertProblem(await reader.send("PUT", "/api/campaigns/from-file", greetingCampaign("from-file")), 403, "forbidden");
});

test("lists senders, and answers for its health without a key", async () => {
  const senders =
    await admin.get<List<{ id: string; phoneNumberId: string; messagesPerSecond: number }>>("/api/senders");
  assert.equal(senders.body.cursor, null);
  assert.deepEqual(
    senders.body.items.map(({ id, messagesPerSecond }) => [id, messagesPerSecond]),
    [["main", 1000]],
  );
  assert.doesNotMatch(JSON.stringify(senders.body), /test-access-token/);
  const nobody = clientOf(engine.url, null);
  assert.equal((await nobody.get("/healthz")).status, 200);
  assert.equal((await nobody.get("/readyz")).status, 200);
  for (const path of [
    "/api/campaigns",
    "/api/keys",
    "/api/senders",
    "/api/messages/x",
    "/api/campaigns/x/messages.csv",
  ]) {
    assertProblem(await nobody.get(path), 401, "unauthorized");
  }
  assertProblem(await nobody.get("/api/nothing"), 404, "not_found");
});

test("shows a campaign's figures under the contract's names", async () => {
  const { trigger } = greetingCampaign("figures") as unknown as { trigger: { attributes: object } };
  await admin.send(
    "PUT",
    "/api/campaigns/figures",
    greetingCampaign("figures", { trigger: { attributes: trigger.attributes } }),
  );
  await engine.simulator.setScenario({
    recipients: [{ suffix: "9", outcome: "failed", code: 131026, where: "answer" }],
  });
  for (const phone of ["+14155552671", "+14155552672", "+14155552679"])
    await admin.trigger("figures", { ...EVENT, phone });
  await engine.untilNothingWaits(["figures"]);
  await until("the failure is counted", async () => {
    const { body } = await admin.get<{ byError: Record<string, number> }>("/api/campaigns/figures/stats");
    return body.byError["131026"] === 1;
  });
  const { body } = await admin.get<Record<string, unknown>>("/api/campaigns/figures/stats");
  const byStatus = body["byStatus"] as Record<string, number>;
  assert.equal(body["accepted"], 3);
  assert.equal(byStatus["failed"], 1);
  assert.equal(
    Object.values(byStatus).reduce((sum, count) => sum + count, 0),
    3,
  );
  assert.deepEqual(body["byError"], { "131026": 1 });
  assert.deepEqual([body["waiting"], body["oldestWaitingSeconds"], body["drainSeconds"]], [0, 0, 0]);
  const { p50, p99 } = body["ackMs"] as { p50: number; p99: number };
  assert.ok(p50 > 0 && p99 >= p50);
  assert.equal(typeof body["perSecond"], "object");
  assertProblem(await admin.get("/api/campaigns/nobody/stats"), 404, "campaign_not_found");
});
