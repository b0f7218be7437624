import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";

import { ANN, campaignOf, startTriggers, trigger, type Answer } from "./trigger-kit.ts";

const stage = await startTriggers();
after(() => stage.close());
stage.campaigns.set("paused", campaignOf("paused", 2, { isActive: false }));

afterEach(() => {
  Object.assign(stage.state, { waiting: 0, waitingMax: 1_000_000, perSecond: 100_000, failure: null });
  stage.refused.length = 0;
});

function assertProblem(answer: Answer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.json["code"], answer.json["status"]], [status, code, status]);
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert.equal(answer.json["type"], `urn:volley:problem:${code}`);
  assert.equal(typeof answer.json["detail"], "string");
}

test("answers 202 with exactly status, messageId and duplicate, once the event is durable", async () => {
  const release = stage.hold();
  const pending = trigger(stage, ANN);
  await stage.arrived(1);
  assert.equal(stage.events().length, 0);
  release();
  const { status, json, headers } = await pending;
  assert.equal(status, 202);
  assert.deepEqual(json, { status: "accepted", messageId: stage.events()[0]?.messageId, duplicate: false });
  assert.equal(headers.get("content-type"), "application/json");
  assert.deepEqual(stage.events(), [
    { messageId: json["messageId"], phoneNumber: ANN.phone, attributes: '{"name":"Ann"}' },
  ]);
  assert.deepEqual(stage.accepted, [["orders", false]]);
});

test("tells the caller how much of its rate is left", async () => {
  const { headers } = await trigger(stage, ANN);
  assert.equal(headers.get("ratelimit-limit"), "100000");
  assert.match(headers.get("ratelimit-remaining") ?? "", /^9999\d$/);
  assert.equal(headers.get("ratelimit-reset"), "1");
});

test("takes a form, a bearer token and a byte-order mark", async () => {
  const form = await trigger(stage, "phone=%2B15550001111&name=Ann", {
    headers: { "content-type": "application/x-www-form-urlencoded" },
  });
  const bearer = await trigger(stage, ANN, { key: null, headers: { authorization: `Bearer ${stage.key}` } });
  const marked = await trigger(stage, `\ufeff${JSON.stringify(ANN)}`);
  assert.deepEqual([form.status, bearer.status, marked.status], [202, 202, 202]);
});

test("401 unauthorized without a key, with a wrong one, and from the moment it is revoked", async () => {
  assertProblem(await trigger(stage, ANN, { key: null }), 401, "unauthorized");
  assertProblem(await trigger(stage, ANN, { key: "vk_wrong" }), 401, "unauthorized");
  const { key, id } = await stage.keys.create({ name: "gone", scope: "trigger" });
  assert.equal((await trigger(stage, ANN, { key })).status, 202);
  await stage.keys.revoke(id);
  const answer = await trigger(stage, ANN, { key });
  assertProblem(answer, 401, "unauthorized");
  assert.match(answer.headers.get("www-authenticate") ?? "", /^Bearer/);
});

test("403 forbidden for a key of another scope or campaign, whether or not the campaign exists", async () => {
  const reader = await stage.keys.create({ name: "reader", scope: "read" });
  const other = await stage.keys.create({ name: "other", scope: "trigger", campaigns: ["paused"] });
  assertProblem(await trigger(stage, ANN, { key: reader.key }), 403, "forbidden");
  assertProblem(await trigger(stage, ANN, { key: other.key }), 403, "forbidden");
  assertProblem(await trigger(stage, ANN, { key: other.key, path: "/api/campaigns/none/trigger" }), 403, "forbidden");
});

test("404 campaign_not_found", async () => {
  assertProblem(await trigger(stage, ANN, { path: "/api/campaigns/none/trigger" }), 404, "campaign_not_found");
});

test("400 malformed_json says where", async () => {
  const answer = await trigger(stage, '{"phone":\n"+1', {});
  assertProblem(answer, 400, "malformed_json");
  assert.match(answer.json["detail"], /line 2, column 4/);
});

test("405 and 415", async () => {
  const get = await fetch(`${stage.server.url}/api/campaigns/orders/trigger`);
  assert.deepEqual([get.status, get.headers.get("allow")], [405, "POST"]);
  assertProblem(
    await trigger(stage, "<a/>", { headers: { "content-type": "text/xml" } }),
    415,
    "unsupported_media_type",
  );
  assertProblem(await trigger(stage, "{}", { headers: { "content-encoding": "gzip" } }), 415, "unsupported_media_type");
});

test("409 campaign_paused", async () => {
  assertProblem(await trigger(stage, ANN, { path: "/api/campaigns/paused/trigger" }), 409, "campaign_paused");
});

test("413 payload_too_large names the limit of 5 MiB", async () => {
  const answer = await trigger(stage, `{"a":"${"x".repeat(5 * 1024 * 1024)}"}`);
  assertProblem(answer, 413, "payload_too_large");
  assert.match(answer.json["detail"], /5242880 bytes/);
});

test("takes a body of 5 MiB", async () => {
  const filler = 5 * 1024 * 1024 - JSON.stringify({ ...ANN, a: "" }).length;
  assert.equal((await trigger(stage, { ...ANN, a: "x".repeat(filler) })).status, 202);
});

test("422 invalid_payload lists all faults at once", async () => {
  const answer = await trigger(stage, { phone: "none" });
  assertProblem(answer, 422, "invalid_payload");
  assert.deepEqual(
    answer.json["errors"].map(({ pointer, attribute, code }: Record<string, string>) => [pointer, attribute, code]),
    [
      ["/phone", "phoneNumber", "invalid_phone_number"],
      ["/name", "name", "invalid_phone_number"],
    ],
  );
  assert.deepEqual(stage.refused, [["orders", "invalid_payload"]]);
});

test("422 invalid_payload for a body that is no event, with the same shape", async () => {
  for (const body of ["5", "[]", "null", JSON.stringify(Array(1001).fill(ANN))]) {
    const answer = await trigger(stage, body);
    assertProblem(answer, 422, "invalid_payload");
    assert.deepEqual(Object.keys(answer.json["errors"][0]), ["pointer", "attribute", "code", "message"]);
  }
});

test("429 rate_limited says when to come back", async () => {
  const { key } = await stage.keys.create({ name: "eager", scope: "trigger" });
  stage.state.perSecond = 2;
  const answers = [];
  for (let count = 0; count < 3; count++) answers.push(await trigger(stage, ANN, { key }));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [202, 202, 429],
  );
  const [, , last] = answers;
  assert.ok(last);
  assertProblem(last, 429, "rate_limited");
  const names = ["retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
  assert.deepEqual(
    names.map((name) => last.headers.get(name)),
    ["1", "2", "0", "1"],
  );
  assert.equal((await trigger(stage, ANN)).status, 202);
});

test("an array costs its length", async () => {
  const { key } = await stage.keys.create({ name: "bulk", scope: "trigger" });
  stage.state.perSecond = 10;
  assert.equal((await trigger(stage, Array(8).fill(ANN), { key })).status, 202);
  assert.equal((await trigger(stage, Array(8).fill(ANN), { key })).status, 429);
});

test("503 overloaded beyond the backlog limit, with nothing stored", async () => {
  const before = stage.events().length;
  stage.state.waiting = stage.state.waitingMax;
  const full = await trigger(stage, ANN);
  assertProblem(full, 503, "overloaded");
  assert.equal(full.headers.get("retry-after"), "5");
  stage.state.waiting = stage.state.waitingMax - 2;
  assertProblem(await trigger(stage, [ANN, ANN, ANN]), 503, "overloaded");
  assert.equal((await trigger(stage, [ANN, ANN])).status, 202);
  assert.equal(stage.events().length, before + 2);
});

test("503 overloaded while the stream cannot store, and 202 for the same key afterwards", async () => {
  stage.state.failure = new Error("disk full");
  const headers = { "idempotency-key": "after-the-storm" };
  assertProblem(await trigger(stage, ANN, { headers }), 503, "overloaded");
  assertProblem(await trigger(stage, [ANN, ANN]), 503, "overloaded");
  stage.state.failure = null;
  const { status, json } = await trigger(stage, ANN, { headers });
  assert.deepEqual([status, json["duplicate"]], [202, false]);
});

test("an event that the campaign's filter leaves out is ignored, not refused", async () => {
  const { status, json } = await trigger(stage, { ...ANN, paid: false });
  assert.equal(status, 200);
  assert.deepEqual(json, { status: "ignored", code: "filtered", errors: [] });
});

test("an array gets a result for every item", async () => {
  const { status, json } = await trigger(stage, [ANN, { phone: "no" }, 5, { ...ANN, paid: false }, ANN]);
  assert.equal(status, 202);
  const { results, ...counts } = json;
  assert.deepEqual(counts, { status: "accepted", accepted: 2, rejected: 2, ignored: 1 });
  assert.deepEqual(
    results.map((result: { index: number }) => result.index),
    [0, 1, 2, 3, 4],
  );
  assert.deepEqual(Object.keys(results[0]), ["index", "messageId", "duplicate"]);
  assert.deepEqual([results[1].error.code, results[1].error.errors.length], ["invalid_payload", 2]);
  assert.equal(results[2].error.errors[0].code, "wrong_type");
  assert.deepEqual(results[3], { index: 3, status: "ignored", code: "filtered" });
  assert.notEqual(results[0].messageId, results[4].messageId);
});

test("an array without faults has the contract's members only", async () => {
  const { json } = await trigger(stage, [ANN]);
  assert.deepEqual(Object.keys(json), ["status", "accepted", "rejected", "results"]);
});

test("422 when every item of an array was rejected, with pointers into the array", async () => {
  const answer = await trigger(stage, [{ phone: "no" }, {}]);
  assertProblem(answer, 422, "invalid_payload");
  assert.deepEqual(
    answer.json["errors"].map(({ pointer }: { pointer: string }) => pointer),
    ["/0/phone", "/0/name", "/1/phone", "/1/name"],
  );
  assert.equal(answer.json["results"][1].error.code, "invalid_payload");
});

test("takes 1,000 events at once, each of them once", async () => {
  const before = stage.events().length;
  const { status, json } = await trigger(stage, Array(1000).fill(ANN));
  assert.deepEqual([status, json["accepted"], stage.events().length - before], [202, 1000, 1000]);
  assert.equal(new Set(json["results"].map(({ messageId }: { messageId: string }) => messageId)).size, 1000);
});

test("a dry run shows what would be sent, and stores nothing", async () => {
  const before = stage.events().length;
  const path = "/api/campaigns/orders/trigger?dryRun=true";
  const { status, text } = await trigger(stage, ANN, { path });
  assert.equal(status, 200);
  assert.equal(
    text,
    '{"dryRun":true,"phoneNumber":"+15550001111","message":"Hello Ann","request":{"to":"+15550001111"}}',
  );
  assertProblem(await trigger(stage, {}, { path }), 422, "invalid_payload");
  assertProblem(await trigger(stage, { ...ANN, name: "unrenderable" }, { path }), 422, "invalid_payload");
  assertProblem(await trigger(stage, "{", { path }), 400, "malformed_json");
  const many = await trigger(stage, [ANN, {}, { ...ANN, paid: false }], { path });
  assert.deepEqual(
    many.json["results"].map((result: object) => Object.keys(result)),
    [
      ["index", "phoneNumber", "message", "request"],
      ["index", "error"],
      ["index", "status", "code"],
    ],
  );
  const paused = await trigger(stage, ANN, { path: "/api/campaigns/paused/trigger?dryRun=1" });
  assert.equal(paused.status, 200);
  assert.equal(stage.events().length, before);
});

test("an unclear wish for a dry run sends nothing", async () => {
  const before = stage.events().length;
  assertProblem(
    await trigger(stage, ANN, { path: "/api/campaigns/orders/trigger?dryRun=yes" }),
    422,
    "invalid_payload",
  );
  assert.equal(stage.events().length, before);
  assert.equal((await trigger(stage, ANN, { path: "/api/campaigns/orders/trigger?dryRun=false" })).status, 202);
});

test("takes an id beyond 2^53 with every digit", async () => {
  const body = '{"phone":"+15550001111","name":820982911946154508}';
  await trigger(stage, body);
  assert.equal(stage.events().at(-1)?.attributes, '{"name":"820982911946154508"}');
});
