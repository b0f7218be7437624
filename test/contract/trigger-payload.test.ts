// What a body may look like, and that every digit and character of it survives.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { type RunningEngine, runEngine } from "../support/running-engine.ts";
import { greetingCampaign } from "../support/workspace.ts";
import { adminOf, assertProblem, type Batch, type Client, type ProblemBody } from "./contract-kit.ts";

interface DryRun {
  readonly dryRun: boolean;
  readonly phoneNumber: string;
  readonly message: string;
  readonly request: { readonly to: string; readonly type: string; readonly template: { readonly name: string } };
}

const PHONE = "+14155552671";

let engine: RunningEngine;
let admin: Client;

function mapped(id: string, path: string | readonly string[], type = "string"): { id: string } {
  return greetingCampaign(id, {
    trigger: {
      attributes: {
        phoneNumber: { path: "phone", type: "phone", required: true, defaultRegion: "US" },
        value: { path, type },
      },
    },
    template: { name: "greeting", language: "en_US", body: ["{{ value | default: 'nothing' }}", "x"] },
  });
}

before(async () => {
  const campaigns = [
    mapped("text", "id"),
    mapped("integer", "id", "integer"),
    mapped("number", "id", "number"),
    mapped("nested", "line_items[1].variant.id", "integer"),
    mapped("inherited", ["constructor.name", "__proto__.name", "toString", "hasOwnProperty.length", "list.length"]),
    mapped("own", ["__proto__.name", "constructor"]),
    mapped("odd", '["odd.key"].x'),
    greetingCampaign("resting", { status: "paused" }),
  ];
  engine = await runEngine({ campaigns });
  admin = adminOf(engine);
});

after(async () => engine.stop());

async function valueOf(campaignId: string, body: string): Promise<string> {
  const answer = await admin.trigger<DryRun>(campaignId, body, { query: "?dryRun=true" });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return /^Hello (.*), your order x is on its way\.$/s.exec(answer.body.message)?.[1] ?? answer.body.message;
}

test("keeps every digit of integers beyond 2^53, wherever they stand and whatever their type", async () => {
  const digits = ["820982911946154508", "9007199254740993", "-9007199254740993", "123456789012345678901234567890"];
  for (const id of digits) {
    for (const campaignId of ["text", "integer", "number"]) {
      assert.equal(await valueOf(campaignId, `{"phone":"${PHONE}","id":${id}}`), id, campaignId);
      assert.equal(await valueOf(campaignId, `{"phone":"${PHONE}","id":"${id}"}`), id, campaignId);
    }
    const nested = `{"phone":"${PHONE}","line_items":[{"variant":{"id":1}},{"variant":{"id":\n${id}\t}}]}`;
    assert.equal(await valueOf("nested", nested), id);
  }
  assert.equal(
    await valueOf("text", `{"phone":"${PHONE}","id":"a \\" 820982911946154508, b"}`),
    'a " 820982911946154508, b',
  );
  assert.equal(await valueOf("text", `{"phone":"${PHONE}","id":0.12345678901234567890}`), "0.12345678901234568");
  assert.equal(await valueOf("number", `{"phone":"${PHONE}","id":12.50}`), "12.5");
});

test("keeps big integers in arrays, forms and accepted messages", async () => {
  const answer = await admin.trigger<Batch>(
    "text",
    `[{"phone":"${PHONE}","id":820982911946154508},{"phone":"${PHONE}","id":820982911946154509}]`,
  );
  assert.equal(answer.status, 202);
  await engine.untilNothingWaits(["text"]);
  const rows = await engine.csv("text");
  assert.deepEqual(
    rows.map(({ message }) => message),
    ["820982911946154508", "820982911946154509"].map((id) => `Hello ${id}, your order x is on its way.`),
  );
});

test("filters by big integers, which the definition must give as text to keep their digits", async () => {
  const filtered = (wanted: string): string => {
    const campaign = mapped("by-id", "id") as { id: string; trigger: object };
    const body = JSON.stringify({
      ...campaign,
      trigger: { ...campaign.trigger, when: { path: "id", in: ["WANTED"] } },
    });
    return body.replace('"WANTED"', wanted);
  };
  const lossy = await admin.send("PUT", "/api/campaigns/by-id", filtered("820982911946154508"));
  assert.equal(lossy.status, 422);
  assert.match(JSON.stringify(lossy.body.errors), /trigger\.when\.in\[0\].*quotes/);
  assert.equal((await admin.send("PUT", "/api/campaigns/by-id", filtered('"820982911946154508"'))).status, 201);
  const statuses: (string | undefined)[] = [];
  for (const id of ["820982911946154508", "820982911946154500", '"820982911946154508"']) {
    statuses.push((await admin.trigger("by-id", `{"phone":"${PHONE}","id":${id}}`)).body.status);
  }
  assert.deepEqual(statuses, ["accepted", "ignored", "accepted"]);
});

test("skips a byte-order mark", async () => {
  assert.equal(await valueOf("text", `\uFEFF{"phone":"${PHONE}","id":"Zoë 🛒"}`), "Zoë 🛒");
});

test("reads own properties only", async () => {
  const plain = `{"phone":"${PHONE}","list":[1,2]}`;
  assert.equal(await valueOf("inherited", plain), "nothing");
  assert.equal(await valueOf("own", plain), "nothing");
  assert.equal(await valueOf("own", `{"phone":"${PHONE}","__proto__":{"name":"mine"}}`), "mine");
  assert.equal(await valueOf("own", `{"phone":"${PHONE}","constructor":"mine too"}`), "mine too");
  const polluted = await admin.trigger<ProblemBody>(
    "text",
    `{"__proto__":{"phone":"${PHONE}"},"constructor":{"prototype":{"phone":"${PHONE}"}}}`,
  );
  assertProblem(polluted, 422, "invalid_payload");
  assert.equal(({} as Record<string, unknown>)["phone"], undefined);
});

test("reads odd keys and the last of duplicate ones", async () => {
  assert.equal(await valueOf("odd", `{"phone":"${PHONE}","odd.key":{"x":"here"}}`), "here");
  assert.equal(await valueOf("text", `{"phone":"${PHONE}","id":"first","id":"last"}`), "last");
});

test("takes a form as one object", async () => {
  const headers = { "content-type": "application/x-www-form-urlencoded; charset=UTF-8" };
  const body = new URLSearchParams({ phone: "(415) 555-2671", id: "Zoë & Söhne +1 820982911946154508" }).toString();
  const dry = await admin.trigger<DryRun>("text", body, { headers, query: "?dryRun=true" });
  assert.equal(dry.status, 200);
  assert.equal(dry.body.phoneNumber, PHONE);
  assert.match(dry.body.message, /Zoë & Söhne \+1 820982911946154508/);
  assert.equal((await admin.trigger("text", body, { headers })).status, 202);
  const missing = await admin.trigger<ProblemBody>("text", "id=1", { headers });
  assertProblem(missing, 422, "invalid_payload");
});

test("renders a dry run as it would be sent, and sends and stores nothing", async () => {
  await engine.untilNothingWaits(["text", "integer", "by-id"]);
  const sends = (await engine.simulator.received()).length;
  const rows = (await engine.csv("integer")).length;
  const answer = await admin.trigger<DryRun>("integer", { phone: "(415) 555-2671", id: 7 }, { query: "?dryRun=true" });
  assert.equal(answer.status, 200);
  assert.deepEqual(
    { dryRun: answer.body.dryRun, phoneNumber: answer.body.phoneNumber, message: answer.body.message },
    { dryRun: true, phoneNumber: PHONE, message: "Hello 7, your order x is on its way." },
  );
  assert.equal(answer.body.request.to, PHONE);
  assert.equal(answer.body.request.type, "template");
  assert.equal(answer.body.request.template.name, "greeting");
  const headers = { "idempotency-key": "rehearsed" };
  await admin.trigger("integer", { phone: PHONE, id: 1 }, { query: "?dryRun=true", headers });
  const real = await admin.trigger("integer", { phone: PHONE, id: 2 }, { headers });
  assert.deepEqual([real.status, real.body.duplicate], [202, false]);
  await engine.untilNothingWaits(["integer"]);
  assert.equal((await engine.csv("integer")).length, rows + 1);
  assert.equal((await engine.simulator.received()).length, sends + 1);
  assertProblem(
    await admin.trigger<ProblemBody>("integer", { phone: "x" }, { query: "?dryRun=true" }),
    422,
    "invalid_payload",
  );
  assert.equal((await admin.trigger("integer", { phone: PHONE }, { query: "?dryRun=false" })).status, 202);
});
