// The log of messages: search, cursors, one message with its timeline, replay.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { until } from "../support/until.ts";
import { greetingCampaign } from "../support/workspace.ts";
import { assertProblem, type EngineOnMeta, type List, runEngineOnMeta } from "./contract-kit.ts";

interface Message {
  readonly messageId: string;
  readonly campaignId: string;
  readonly phoneNumber: string;
  readonly message: string;
  readonly status: string;
  readonly errorCode: number | null;
  readonly attempts: number;
  readonly acceptedAt: string;
  readonly timeline: readonly {
    at: string;
    status: string;
    attempt: number;
    errorCode: number | null;
    detail: string;
  }[];
}

const COLUMNS = [
  "messageId",
  "campaignId",
  "phoneNumber",
  "templateName",
  "templateLanguage",
  "message",
  "status",
  "errorCode",
  "errorReason",
  "attempts",
  "wamid",
  "acceptedAt",
  "dispatchedAt",
  "sentAt",
  "deliveredAt",
  "readAt",
  "failedAt",
  "pricingCategory",
];
const COUNT = 25;

let engine: EngineOnMeta;
let ids: readonly string[];

before(async () => {
  engine = await runEngineOnMeta({
    campaigns: [greetingCampaign("orders"), greetingCampaign("replayed"), greetingCampaign("empty")],
  });
  engine.meta.react = ({ body }) => (body.to.endsWith("9") ? { code: 131026, httpStatus: 400 } : "accept");
  const accepted: string[] = [];
  for (let number = 0; number < COUNT; number++) {
    const answer = await engine.admin.trigger("orders", {
      phone: phoneOf(number),
      first_name: "Zoë",
      order: `#${number}`,
    });
    accepted.push(answer.body.messageId);
  }
  ids = accepted;
  await untilSettled("orders", COUNT);
});

after(async () => engine.stop());

function phoneOf(number: number): string {
  return `+1415555${String(2000 + number)}`;
}

async function untilSettled(campaignId: string, count: number): Promise<void> {
  await until(`${count} messages of ${campaignId} are settled`, async () => {
    const { body } = await engine.admin.get<{ accepted: number; waiting: number }>(
      `/api/campaigns/${campaignId}/stats`,
    );
    return body.accepted === count && body.waiting === 0;
  });
}

async function search(query: string): Promise<List<Message>> {
  const answer = await engine.admin.get<List<Message>>(`/api/campaigns/orders/messages${query}`);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
}

async function walk(query: string): Promise<Message[]> {
  const all: Message[] = [];
  let cursor: string | null = "";
  for (let page = 0; cursor !== null && page < 1000; page++) {
    const more: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const list: List<Message> = await search(`?limit=4${query}${more}`);
    assert.ok(list.items.length <= 4);
    all.push(...list.items);
    cursor = list.cursor;
  }
  return all;
}

test("shows one message under the CSV's names with its whole timeline, as soon as it was accepted", async () => {
  const id = ids[0] ?? "";
  const { status, body } = await engine.admin.get<Message>(`/api/messages/${id}`);
  assert.equal(status, 200);
  assert.deepEqual(Object.keys(body), [...COLUMNS, "timeline"]);
  assert.deepEqual(
    [body.messageId, body.campaignId, body.phoneNumber, body.message, body.status, body.attempts],
    [id, "orders", phoneOf(0), "Hello Zoë, your order #0 is on its way.", "sent", 1],
  );
  assert.deepEqual(
    body.timeline.map((entry) => [entry.status, entry.attempt, entry.errorCode]),
    [
      ["queued", 0, null],
      ["dispatched", 1, null],
      ["sent", 1, null],
    ],
  );
  assert.ok(body.timeline.every((entry) => Object.keys(entry).join() === "at,status,attempt,errorCode,detail"));
  for (const unknown of ["x", id.slice(0, -1), `${id.slice(0, -8)}00000000`, "z".repeat(26), "%00"]) {
    assertProblem(await engine.admin.get(`/api/messages/${unknown}`), 404, "message_not_found");
  }
  for (let round = 0; round < 20; round++) {
    const answer = await engine.admin.trigger("empty", { phone: "+14155552671", order: "#1" });
    const at = await engine.admin.get<Message>(`/api/messages/${answer.body.messageId}`);
    assert.equal(at.status, 200, `round ${round}`);
  }
});

test("lists newest first and walks every page by its cursor", async () => {
  const newestFirst = ids.toReversed();
  const list = await search("");
  assert.deepEqual(Object.keys(list.items[0] ?? {}), COLUMNS);
  assert.deepEqual(
    list.items.map(({ messageId }) => messageId),
    newestFirst,
  );
  assert.equal(list.cursor, null);
  assert.deepEqual(
    (await walk("")).map(({ messageId }) => messageId),
    newestFirst,
  );
  const nothing = await engine.admin.get("/api/campaigns/nobody/messages");
  assertProblem(nothing, 404, "campaign_not_found");
});

test("filters by status, phone and time, and together", async () => {
  const failed = await walk("&status=failed");
  assert.deepEqual(
    failed.map(({ phoneNumber, errorCode }) => [phoneNumber, errorCode]),
    [19, 9].map((number) => [phoneOf(number), 131026]),
  );
  for (const phone of [encodeURIComponent(phoneOf(3)), phoneOf(3), phoneOf(3).slice(1)]) {
    assert.deepEqual(
      (await search(`?phone=${phone}`)).items.map(({ messageId }) => messageId),
      [ids[3]],
    );
  }
  const [third, tenth] = [await messageAt(3), await messageAt(10)];
  const within = await walk(`&from=${third.acceptedAt}&to=${tenth.acceptedAt}`);
  assert.ok(within.every(({ acceptedAt }) => acceptedAt >= third.acceptedAt && acceptedAt < tenth.acceptedAt));
  assert.ok(within.some(({ messageId }) => messageId === ids[3]));
  assert.deepEqual((await search(`?phone=${phoneOf(3)}&status=failed`)).items, []);
  assert.deepEqual((await search("?to=2020-01-01")).items, []);
  assert.equal((await engine.csv("orders", "?status=failed")).length, 2);
  assert.equal((await engine.csv("orders", `?phone=${encodeURIComponent(phoneOf(3))}`)).length, 1);
});

async function messageAt(index: number): Promise<Message> {
  return (await engine.admin.get<Message>(`/api/messages/${ids[index] ?? ""}`)).body;
}

test("refuses a query that cannot be meant", async () => {
  for (const query of [
    "status=lost",
    "from=yesterday",
    "limit=0",
    "limit=x",
    "cursor=nonsense",
    "phone=x",
    "statsu=failed",
  ]) {
    assert.equal((await engine.admin.get(`/api/campaigns/orders/messages?${query}`)).status, 400, query);
  }
});

test("replays failed messages of one error, never one that was delivered, and only those", async () => {
  engine.meta.react = ({ body }) => {
    if (body.to.endsWith("1")) return { code: 131026, httpStatus: 400 };
    return body.to.endsWith("2") ? { code: 131008, httpStatus: 400 } : "accept";
  };
  const made: string[] = [];
  for (const number of [1, 2, 3, 11]) {
    const answer = await engine.admin.trigger("replayed", { phone: phoneOf(number), order: `#${number}` });
    made.push(answer.body.messageId);
  }
  await untilSettled("replayed", 4);
  await engine.meta.postStatuses([{ messageId: made[3] ?? "", status: "delivered" }]);
  await until("the fourth is delivered", async () => {
    const { body } = await engine.admin.get<Message>(`/api/messages/${made[3] ?? ""}`);
    return body.status === "delivered";
  });
  engine.meta.react = () => "accept";
  const sends = engine.meta.sends.length;
  const replay = { status: "failed", errorCode: 131026, maxPerSecond: 10 };
  const answer = await engine.admin.send<{ requeued: number }>("POST", "/api/campaigns/replayed/replay", replay);
  assert.ok([200, 202].includes(answer.status));
  assert.equal(answer.body.requeued, 1);
  await engine.meta.untilSends(sends + 1);
  await untilSettled("replayed", 4);
  const statuses = await Promise.all(
    made.map(async (id) => (await engine.admin.get<Message>(`/api/messages/${id}`)).body),
  );
  assert.deepEqual(
    statuses.map(({ status, errorCode }) => [status, errorCode]),
    [
      ["sent", null],
      ["failed", 131008],
      ["sent", null],
      ["delivered", null],
    ],
  );
  assert.equal(engine.meta.sends.length, sends + 1);
  assert.equal(statuses[0]?.attempts, 2);
  for (const body of [{ status: "delivered" }, { maxPerSecond: 0 }, { errorCode: "x" }, { nonsense: 1 }]) {
    const refused = await engine.admin.send("POST", "/api/campaigns/replayed/replay", body);
    assert.equal(refused.status, 422);
  }
  assertProblem(await engine.admin.send("POST", "/api/campaigns/nobody/replay", replay), 404, "campaign_not_found");
});
