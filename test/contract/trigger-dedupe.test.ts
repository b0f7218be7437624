// One event, one message: by Idempotency-Key, by a header or a payload path that the campaign names.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { type RunningEngine, runEngine } from "../support/running-engine.ts";
import { greetingCampaign } from "../support/workspace.ts";
import {
  type Accepted,
  adminOf,
  type Answer,
  assertProblem,
  type Batch,
  type Client,
  type ProblemBody,
} from "./contract-kit.ts";

const EVENT = { phone: "+14155552671", first_name: "Ana", order: "#1" };

let engine: RunningEngine;
let admin: Client;

const attributes = {
  phoneNumber: { path: "phone", type: "phone", required: true },
  firstName: { path: "first_name", type: "string", default: "there" },
  orderName: { path: "order", type: "string", required: true },
};

before(async () => {
  const campaigns = [
    greetingCampaign("plain", { trigger: { attributes } }),
    greetingCampaign("twin", { trigger: { attributes } }),
    greetingCampaign("by-header", { trigger: { dedupe: { header: "X-Shopify-Webhook-Id" }, attributes } }),
    greetingCampaign("by-path", { trigger: { dedupe: { path: "data.id" }, attributes } }),
  ];
  engine = await runEngine({ campaigns });
  admin = adminOf(engine);
});

after(async () => engine.stop());

test("takes an Idempotency-Key of 1 to 255 characters and refuses longer and empty ones", async () => {
  for (const key of ["1", "k".repeat(255), "a b/c?ä~!*'()"]) {
    const headers = { "idempotency-key": key };
    const first = await admin.trigger("plain", EVENT, { headers });
    assert.deepEqual([first.status, first.body.duplicate], [202, false], key);
    const again = await admin.trigger("plain", EVENT, { headers });
    assert.equal(again.status, 202);
    assert.deepEqual(again.body, { ...first.body, duplicate: true });
  }
  for (const key of ["k".repeat(256), "k".repeat(3000), ""]) {
    const answer = await admin.trigger<ProblemBody>("plain", EVENT, { headers: { "idempotency-key": key } });
    assertProblem(answer, 422, "invalid_payload");
  }
});

test("refuses a key with another body, and keeps the keys of campaigns apart", async () => {
  const headers = { "idempotency-key": "order-1" };
  const first = await admin.trigger("plain", EVENT, { headers });
  assertProblem(
    await admin.trigger<ProblemBody>("plain", { ...EVENT, order: "#2" }, { headers }),
    422,
    "idempotency_key_reused",
  );
  const elsewhere = await admin.trigger("twin", { ...EVENT, order: "#2" }, { headers });
  assert.deepEqual([elsewhere.status, elsewhere.body.duplicate], [202, false]);
  assert.notEqual(elsewhere.body.messageId, first.body.messageId);
});

test("lets a corrected event use the key of one that was refused", async () => {
  const headers = { "idempotency-key": "corrected" };
  assert.equal((await admin.trigger<ProblemBody>("plain", { ...EVENT, phone: "x" }, { headers })).status, 422);
  const corrected = await admin.trigger("plain", EVENT, { headers });
  assert.deepEqual([corrected.status, corrected.body.duplicate], [202, false]);
});

test("sends one message for copies of one key in flight at once", async () => {
  const headers = { "idempotency-key": "in-flight" };
  const answers = await Promise.all(Array.from({ length: 50 }, async () => admin.trigger("plain", EVENT, { headers })));
  assert.ok(answers.every(({ status }) => status === 202));
  assert.equal(answers.filter(({ body }) => !body.duplicate).length, 1);
  assert.equal(new Set(answers.map(({ body }) => body.messageId)).size, 1);
});

test("repeats an array as it was answered first", async () => {
  const headers = { "idempotency-key": "array" };
  const events = [EVENT, { ...EVENT, phone: "x" }, { ...EVENT, order: "#2" }];
  const first = await admin.trigger<Batch>("plain", events, { headers });
  const again = await admin.trigger<Batch>("plain", events, { headers });
  assert.deepEqual([first.status, again.status], [202, 202]);
  const ids = (batch: Batch): unknown[] => batch.results.map(({ index, messageId }) => [index, messageId]);
  assert.deepEqual(ids(again.body), ids(first.body));
  assert.deepEqual(
    again.body.results.map(({ duplicate }) => duplicate),
    [true, undefined, true],
  );
  const other = await admin.trigger<ProblemBody>("plain", [...events, EVENT], { headers });
  assertProblem(other, 422, "idempotency_key_reused");
});

test("dedupes by the header that the campaign names", async () => {
  const deliver = async (id: string): Promise<Answer<Accepted>> =>
    admin.trigger("by-header", EVENT, { headers: { "x-shopify-webhook-id": id } });
  const [first, again, other] = [await deliver("b1"), await deliver("b1"), await deliver("b2")];
  assert.deepEqual(again.body, { ...first.body, duplicate: true });
  assert.equal(other.body.duplicate, false);
  const without = [await admin.trigger("by-header", EVENT), await admin.trigger("by-header", EVENT)];
  assert.ok(without.every(({ status, body }) => status === 202 && !body.duplicate));
});

test("dedupes by the payload path that the campaign names, to the last digit of a big id", async () => {
  const event = (id: string): string => `{"phone":"+14155552671","order":"#1","data":{"id":${id}}}`;
  const first = await admin.trigger("by-path", event("820982911946154508"));
  const again = await admin.trigger("by-path", event("820982911946154508"));
  const asText = await admin.trigger("by-path", event('"820982911946154508"'));
  const neighbour = await admin.trigger("by-path", event("820982911946154509"));
  assert.deepEqual(again.body, { ...first.body, duplicate: true });
  assert.deepEqual(asText.body, { ...first.body, duplicate: true });
  assert.equal(neighbour.body.duplicate, false);

  const [one, two] = [event("1"), event("2")];
  const batch = await admin.trigger<Batch>("by-path", `[${one},${two},${one},${event("820982911946154509")}]`);
  assert.equal(batch.status, 202);
  const { results } = batch.body;
  assert.deepEqual(
    results.map(({ duplicate }) => duplicate),
    [false, false, true, true],
  );
  assert.equal(results[2]?.messageId, results[0]?.messageId);
  assert.equal(results[3]?.messageId, neighbour.body.messageId);
  assert.deepEqual([batch.body.accepted, batch.body.rejected], [4, 0]);
});

test("still knows every key after a restart, and has sent each event once", async () => {
  const earlier = await admin.trigger("by-path", { ...EVENT, data: { id: "kept" } });
  const headers = { "idempotency-key": "kept" };
  const keyed = await admin.trigger("plain", EVENT, { headers });
  await engine.restart();
  const later = await admin.trigger("by-path", { ...EVENT, data: { id: "kept" } });
  assert.deepEqual(later.body, { ...earlier.body, duplicate: true });
  assert.deepEqual((await admin.trigger("plain", EVENT, { headers })).body, { ...keyed.body, duplicate: true });
  assertProblem(
    await admin.trigger<ProblemBody>("plain", { ...EVENT, order: "#9" }, { headers }),
    422,
    "idempotency_key_reused",
  );

  await engine.untilNothingWaits(["plain", "twin", "by-header", "by-path"]);
  const ids = (await engine.simulator.received()).map(({ bizOpaqueCallbackData }) => bizOpaqueCallbackData);
  assert.equal(new Set(ids).size, ids.length);
  const stats = await admin.get<{ accepted: number }>("/api/campaigns/by-path/stats");
  assert.equal(stats.body.accepted, 5);
});
