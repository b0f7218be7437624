// The error table, row by row, on the strict door.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { type RunningEngine, runEngine } from "../support/running-engine.ts";
import { greetingCampaign } from "../support/workspace.ts";
import {
  adminOf,
  assertProblem,
  type Batch,
  call,
  type Client,
  clientOf,
  createKey,
  postChunked,
  type ProblemBody,
} from "./contract-kit.ts";

const EVENT = { phone: "+14155552671", first_name: "Ana", order: "#1" };
const LIMIT = 5 * 1024 * 1024;

let engine: RunningEngine;
let admin: Client;

before(async () => {
  const campaigns = [
    greetingCampaign("orders"),
    greetingCampaign("other"),
    greetingCampaign("resting", { status: "paused" }),
    greetingCampaign("filtered", {
      trigger: {
        when: { path: "financial_status", in: ["paid", "authorized"] },
        attributes: { phoneNumber: { path: "phone", type: "phone", required: true } },
      },
      template: { name: "greeting", language: "en_US", body: ["there", "of today"] },
    }),
    greetingCampaign("typed", {
      trigger: {
        attributes: {
          phoneNumber: { path: ["customer.phone", "phone"], type: "phone", required: true, defaultRegion: "US" },
          orderName: { path: "order.name", type: "string", required: true, maxLength: 10 },
          count: { path: "order.count", type: "integer" },
          mail: { path: "order.mail", type: "email" },
          link: { path: "order.link", type: "url" },
          gift: { path: "order.gift", type: "boolean" },
          day: { path: "order.day", type: "date" },
          code: { path: "order.code", type: "string", maxLength: 3 },
        },
      },
      template: { name: "greeting", language: "en_US", body: ["{{ orderName }}", "{{ count | default: 'x' }}"] },
    }),
  ];
  engine = await runEngine({ campaigns });
  admin = adminOf(engine);
});

after(async () => engine.stop());

test("answers 202 with the message's id once it has the event", async () => {
  const answer = await admin.trigger("orders", EVENT);
  assert.equal(answer.status, 202);
  assert.equal(answer.headers.get("content-type"), "application/json");
  assert.deepEqual(Object.keys(answer.body), ["status", "messageId", "duplicate"]);
  assert.deepEqual([answer.body.status, answer.body.duplicate], ["accepted", false]);
  const bearer = await call(`${engine.url}/api/campaigns/orders/trigger`, {
    method: "POST",
    headers: { authorization: `Bearer ${engine.key}`, "content-type": "application/json; charset=utf-8" },
    body: JSON.stringify(EVENT),
  });
  assert.equal(bearer.status, 202);
});

test("400 malformed_json says where the fault is", async () => {
  const broken = await admin.trigger<ProblemBody>("orders", '{"phone": "+14155552671",\n  "order": oops}');
  assertProblem(broken, 400, "malformed_json");
  assert.match(broken.body.detail, /line 2, column 12/);
  for (const body of ["", " ", "{", '{"a":1}}', "{'a':1}", '{"a":1,}', "[", "nul", "\uFEFF", "NaN"]) {
    assertProblem(await admin.trigger<ProblemBody>("orders", body), 400, "malformed_json");
  }
  const notUtf8 = Buffer.concat([Buffer.from('{"phone":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
  assertProblem(await admin.trigger<ProblemBody>("orders", notUtf8), 400, "malformed_json");
});

test("401 unauthorized for a key that is missing, unknown, altered or revoked, at once", async () => {
  const { id, key } = await createKey(admin, "trigger");
  const client = clientOf(engine.url, key);
  assert.equal((await client.trigger("orders", EVENT)).status, 202);
  assert.ok([200, 204].includes((await admin.send("DELETE", `/api/keys/${id}`)).status));
  const altered = key.slice(0, -1) + (key.endsWith("0") ? "1" : "0");
  for (const wrong of [null, key, altered, "vk_", "", `vk_00000000_${"0".repeat(49)}`]) {
    assertProblem(await clientOf(engine.url, wrong).trigger<ProblemBody>("orders", EVENT), 401, "unauthorized");
  }
  assertProblem(await clientOf(engine.url, null).trigger<ProblemBody>("nobody", EVENT), 401, "unauthorized");
});

test("403 forbidden for a key whose scope or campaigns do not cover the call", async () => {
  const { key: readKey } = await createKey(admin, "read");
  const { key: triggerKey } = await createKey(admin, "trigger", ["orders"]);
  const { key: narrowKey } = await createKey(admin, "read", ["orders"]);
  const reader = clientOf(engine.url, readKey);
  const shop = clientOf(engine.url, triggerKey);
  const narrow = clientOf(engine.url, narrowKey);
  assertProblem(await reader.trigger<ProblemBody>("orders", EVENT), 403, "forbidden");
  assertProblem(await shop.trigger<ProblemBody>("other", EVENT), 403, "forbidden");
  assert.equal((await shop.trigger("orders", EVENT)).status, 202);
  for (const path of ["/api/campaigns/orders", "/api/campaigns/orders/messages", "/api/keys", "/api/senders"]) {
    assertProblem(await shop.get(path), 403, "forbidden");
  }
  assertProblem(await narrow.get("/api/campaigns/other/messages.csv"), 403, "forbidden");
  assertProblem(await reader.send("POST", "/api/campaigns/orders/pause"), 403, "forbidden");
  assert.equal((await narrow.get("/api/campaigns/orders/stats")).status, 200);
});

test("404 campaign_not_found, 405 method_not_allowed, 415 unsupported_media_type, 409 campaign_paused", async () => {
  assertProblem(await admin.trigger<ProblemBody>("nobody", EVENT), 404, "campaign_not_found");
  assertProblem(await admin.trigger<ProblemBody>("constructor", EVENT), 404, "campaign_not_found");
  for (const method of ["GET", "PUT", "DELETE", "PATCH"]) {
    const answer = await admin.send(method, "/api/campaigns/orders/trigger");
    assertProblem(answer, 405, "method_not_allowed");
    assert.match(answer.headers.get("allow") ?? "", /POST/);
  }
  for (const type of [
    "text/plain",
    "application/xml",
    "multipart/form-data; boundary=x",
    "application/json; charset=latin1",
  ]) {
    const headers = { "content-type": type };
    assertProblem(await admin.trigger<ProblemBody>("orders", EVENT, { headers }), 415, "unsupported_media_type");
  }
  assertProblem(await admin.trigger<ProblemBody>("resting", EVENT), 409, "campaign_paused");
});

test("413 payload_too_large names the limit, with and without a content-length", async () => {
  const frame = JSON.stringify({ ...EVENT, note: "" });
  const fits = JSON.stringify({ ...EVENT, note: "x".repeat(LIMIT - frame.length) });
  assert.equal(Buffer.byteLength(fits), LIMIT);
  assert.equal((await admin.trigger("orders", fits)).status, 202);
  const tooLarge = await admin.trigger<ProblemBody>("orders", `${fits} `);
  assertProblem(tooLarge, 413, "payload_too_large");
  assert.match(tooLarge.body.detail, /5242880|5 MiB/);

  const headers = { "x-api-key": engine.key, "content-type": "application/json" };
  const url = `${engine.url}/api/campaigns/orders/trigger`;
  const half = Buffer.from(fits.slice(0, LIMIT / 2));
  const rest = Buffer.from(fits.slice(LIMIT / 2));
  assert.equal((await postChunked(url, headers, [half, rest])).status, 202);
  assertProblem(await postChunked(url, headers, [half, rest, Buffer.from(" ")]), 413, "payload_too_large");
});

test("422 invalid_payload names every fault with its pointer, attribute and code", async () => {
  const answer = await admin.trigger<ProblemBody>("typed", {
    customer: { phone: "555-SHIP" },
    order: { count: "many", mail: "nobody", link: "ftp:/x", gift: "perhaps", day: "2026-02-30", code: "abcd" },
  });
  assertProblem(answer, 422, "invalid_payload");
  assert.deepEqual(
    answer.body.errors.map(({ pointer, attribute, code }) => [pointer, attribute, code]),
    [
      ["/customer/phone", "phoneNumber", "invalid_phone_number"],
      ["/order/name", "orderName", "required"],
      ["/order/count", "count", "wrong_type"],
      ["/order/mail", "mail", "invalid_format"],
      ["/order/link", "link", "invalid_format"],
      ["/order/gift", "gift", "wrong_type"],
      ["/order/day", "day", "invalid_format"],
      ["/order/code", "code", "too_long"],
    ],
  );
  assert.ok(answer.body.errors.every(({ message }) => message.length > 0));
  const structured = await admin.trigger<ProblemBody>("typed", { phone: { mobile: 1 }, order: { name: ["a"] } });
  assert.deepEqual(
    structured.body.errors.map(({ pointer, code }) => [pointer, code]),
    [
      ["/phone", "wrong_type"],
      ["/order/name", "wrong_type"],
    ],
  );
  const nothing = await admin.trigger<ProblemBody>("typed", { phone: null, order: { name: "  " } });
  assert.deepEqual(
    nothing.body.errors.map(({ attribute, code }) => [attribute, code]),
    [
      ["phoneNumber", "required"],
      ["orderName", "required"],
    ],
  );
});

test("422 for what is no event: scalars, an empty array, more than 1,000 items, 33 levels", async () => {
  for (const body of ["5", '"text"', "null", "true", "[]"]) {
    assertProblem(await admin.trigger<ProblemBody>("orders", body), 422, "invalid_payload");
  }
  const many = Array.from({ length: 1001 }, () => EVENT);
  assertProblem(await admin.trigger<ProblemBody>("orders", many), 422, "invalid_payload");
  const deep = `{"phone":"+14155552671","order":"#1","a":${"[".repeat(5000)}${"]".repeat(5000)}}`;
  assertProblem(await admin.trigger<ProblemBody>("orders", deep), 422, "invalid_payload");
  const asDeepAsShops = `{"phone":"+14155552671","order":"#1","a":${'{"b":'.repeat(20)}1${"}".repeat(20)}}`;
  assert.equal((await admin.trigger("orders", asDeepAsShops)).status, 202);
});

test("takes 1,000 events in one array and gives each its result in order", async () => {
  const answer = await admin.trigger<Batch>(
    "orders",
    Array.from({ length: 1000 }, () => EVENT),
  );
  assert.equal(answer.status, 202);
  assert.deepEqual([answer.body.status, answer.body.accepted, answer.body.rejected], ["accepted", 1000, 0]);
  assert.deepEqual(
    answer.body.results.map(({ index }) => index),
    Array.from({ length: 1000 }, (_, index) => index),
  );
  assert.equal(new Set(answer.body.results.map(({ messageId }) => messageId)).size, 1000);
});

test("answers an array item by item, and 422 when every item was rejected", async () => {
  const bad = { ...EVENT, phone: "555-SHIP" };
  const mixed = await admin.trigger<Batch>("orders", [EVENT, bad, 7, { phone: "+14155552671" }]);
  assert.equal(mixed.status, 202);
  const { status, accepted, rejected, results } = mixed.body;
  assert.deepEqual({ status, accepted, rejected }, { status: "accepted", accepted: 1, rejected: 3 });
  assert.deepEqual(Object.keys(results[0] ?? {}), ["index", "messageId", "duplicate"]);
  assert.equal(results[1]?.error?.code, "invalid_payload");
  assert.deepEqual(
    results.map(({ index, error }) => [index, error?.errors.map((fault) => [fault.pointer, fault.code])]),
    [
      [0, undefined],
      [1, [["/phone", "invalid_phone_number"]]],
      [2, [["", "wrong_type"]]],
      [3, [["/order", "required"]]],
    ],
  );
  const none = await admin.trigger<ProblemBody & Batch>("orders", [bad, 7]);
  assertProblem(none, 422, "invalid_payload");
  assert.deepEqual(
    none.body.errors.map(({ pointer, code }) => [pointer, code]),
    [
      ["/0/phone", "invalid_phone_number"],
      ["/1", "wrong_type"],
    ],
  );
});

test("ignores events that the campaign's filter does not take", async () => {
  const paid = await admin.trigger("filtered", { ...EVENT, financial_status: "paid" });
  assert.equal(paid.status, 202);
  const pending = await admin.trigger<{ status: string; messageId?: string }>("filtered", {
    ...EVENT,
    financial_status: "pending",
  });
  assert.equal(pending.body.status, "ignored");
  assert.equal(pending.body.messageId, undefined);
});
