import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, definitionOf, entryOf, InMemoryEngine, NOW_MS, READ_KEY, recordOf } from "./in-memory-engine.ts";

const PATH = "/api/campaigns/order-confirmation";

function engineWithMessages(count = 3): InMemoryEngine {
  const engine = new InMemoryEngine();
  engine.campaigns.set("order-confirmation", entryOf(definitionOf("order-confirmation")));
  for (let sequence = 0; sequence < count; sequence++) engine.records.push(recordOf(sequence));
  return engine;
}

test("a message shows the CSV's columns in camelCase, null for a time not reached, and its timeline", async () => {
  const engine = engineWithMessages(1);
  const { messageId } = engine.records[0] ?? recordOf(0);
  const { status, body } = await ask(engine, "GET", `/api/messages/${messageId}`);
  assert.equal(status, 200);
  assert.deepEqual(body, {
    messageId,
    campaignId: "order-confirmation",
    phoneNumber: "+14155552671",
    templateName: "order_confirmation",
    templateLanguage: "en_US",
    message: "Hi Maria",
    status: "delivered",
    errorCode: null,
    errorReason: "",
    attempts: 1,
    wamid: "wamid.1",
    acceptedAt: "2026-11-23T12:00:00.000Z",
    dispatchedAt: "2026-11-23T12:00:00.005Z",
    sentAt: "2026-11-23T12:00:00.010Z",
    deliveredAt: "2026-11-23T12:00:00.020Z",
    readAt: null,
    failedAt: null,
    pricingCategory: "utility",
    timeline: [{ at: "2026-11-23T12:00:00.000Z", status: "queued", attempt: 0, errorCode: null, detail: "" }],
  });
});

test("an unknown message, a text that is no id and a message outside the key's reach look the same", async () => {
  const engine = engineWithMessages(0);
  engine.records.push(recordOf(1, { campaignId: "other" }));
  const { messageId } = engine.records[0] ?? recordOf(0);
  const answers = await Promise.all([
    ask(engine, "GET", `/api/messages/${recordOf(2).messageId}`, { key: READ_KEY }),
    ask(engine, "GET", "/api/messages/nonsense", { key: READ_KEY }),
    ask(engine, "GET", `/api/messages/${messageId}`, { key: READ_KEY }),
  ]);
  for (const { status, body } of answers) {
    assert.equal(status, 404);
    assert.equal(body.code, "message_not_found");
  }
  assert.equal((await ask(engine, "GET", `/api/messages/${messageId}`)).status, 200);
});

test("a search passes its filters on and answers with a cursor", async () => {
  const engine = engineWithMessages();
  const query = "status=failed&phone=%2B14155552671&from=2026-11-22&to=2026-11-23T01:00:00%2B01:00&limit=2&cursor=abc";
  const { body } = await ask(engine, "GET", `${PATH}/messages?${query}`);
  const { items, cursor } = body;
  assert.equal(items.length, 2);
  assert.equal(items[0]?.timeline, undefined);
  assert.equal(cursor, "next");
  const { campaign, ...search } = engine.searches[0] ?? { campaign: null };
  assert.equal(campaign?.definition.id, "order-confirmation");
  assert.deepEqual(search, {
    status: "failed",
    phone: "+14155552671",
    fromMs: Date.UTC(2026, 10, 22),
    toMs: Date.UTC(2026, 10, 23),
    limit: 2,
    cursor: "abc",
  });
});

test("a plus sign that the query turned into a space still makes a phone number and an offset", async () => {
  const engine = engineWithMessages();
  await ask(engine, "GET", `${PATH}/messages?phone=+1 (415) 555-2671&from=2026-11-23T02:00:00+02:00`);
  assert.equal(engine.searches[0]?.phone, "+14155552671");
  assert.equal(engine.searches[0]?.fromMs, Date.UTC(2026, 10, 23));
});

test("a time without an offset is UTC, whatever the machine's zone", async () => {
  const engine = engineWithMessages();
  await ask(engine, "GET", `${PATH}/messages?from=2026-11-23T10:00`);
  await ask(engine, "GET", `${PATH}/messages?from=${NOW_MS}`);
  assert.deepEqual(
    engine.searches.map(({ fromMs }) => fromMs),
    [Date.UTC(2026, 10, 23, 10), NOW_MS],
  );
});

test("every fault of a query is named at once, unknown parameters too", async () => {
  const query = "status=lost&phone=abc&from=yesterday&to=2026-13-01&limit=0&statsu=failed";
  const { status, body } = await ask(engineWithMessages(), "GET", `${PATH}/messages?${query}`);
  assert.equal(status, 400);
  const { code, errors } = body;
  assert.equal(code, "invalid_query");
  assert.deepEqual(errors.map(({ parameter }) => parameter).toSorted(), [
    "from",
    "limit",
    "phone",
    "statsu",
    "status",
    "to",
  ]);
});

test("limits are kept: 100 by default, 1,000 at most", async () => {
  const engine = engineWithMessages();
  await ask(engine, "GET", `${PATH}/messages`);
  assert.equal(engine.searches[0]?.limit, 100);
  assert.equal((await ask(engine, "GET", `${PATH}/messages?limit=1000`)).status, 200);
  assert.equal((await ask(engine, "GET", `${PATH}/messages?limit=1001`)).status, 400);
});

test("a cursor of another search is refused, and so is a time span that ends before it begins", async () => {
  assert.equal((await ask(engineWithMessages(), "GET", `${PATH}/messages?cursor=bad`)).status, 400);
  assert.equal((await ask(engineWithMessages(), "GET", `${PATH}/messages?from=2026-11-23&to=2026-11-22`)).status, 400);
});

test("an export streams its chunks as a CSV file", async () => {
  const engine = engineWithMessages();
  engine.csv = ["a,b\r\n", "1,2\r\n"];
  const { status, headers, text, isComplete } = await ask(engine, "GET", `${PATH}/messages.csv?status=failed`);
  assert.equal(status, 200);
  assert.equal(headers["content-type"], "text/csv; charset=utf-8");
  assert.match(headers["content-disposition"] ?? "", /filename="order-confirmation\.csv"/);
  assert.equal(text, "a,b\r\n1,2\r\n");
  assert.ok(isComplete);
});

test("an export that fails before its first row is an honest 500, one that fails later is never ended", async () => {
  const engine = engineWithMessages();
  engine.csv = [new Error("disk")];
  const early = await ask(engine, "GET", `${PATH}/messages.csv`);
  assert.equal(early.status, 500);
  assert.equal(early.body.code, "export_failed");

  engine.csv = ["a,b\r\n", new Error("disk")];
  const late = await ask(engine, "GET", `${PATH}/messages.csv`);
  assert.equal(late.status, 200);
  assert.equal(late.isComplete, false);
  assert.match(String(late.thrown), /disk/);
  assert.equal(engine.brokenExports.length, 2);
});

test("an export refuses search parameters that would not apply", async () => {
  assert.equal((await ask(engineWithMessages(), "GET", `${PATH}/messages.csv?limit=5`)).status, 400);
});

test("a replay passes its bounds on and says how many were queued anew", async () => {
  const engine = engineWithMessages();
  const body = { status: "failed", errorCode: 131000, maxPerSecond: 10, from: "2026-11-22" };
  const answer = await ask(engine, "POST", `${PATH}/replay`, { body });
  assert.equal(answer.status, 202);
  assert.deepEqual(answer.body, { status: "accepted", requeued: 3 });
  const { campaign: _campaign, ...query } = engine.replays[0] ?? { campaign: null };
  assert.deepEqual(query, {
    status: "failed",
    errorCode: 131000,
    maxPerSecond: 10,
    fromMs: Date.UTC(2026, 10, 22),
    toMs: null,
  });
});

test("a replay of anything but failed messages is refused", async () => {
  for (const body of [
    { status: "delivered" },
    { maxPerSecond: 0 },
    { errorCode: "131000" },
    { from: "x" },
    { speed: 1 },
    [],
  ]) {
    const answer = await ask(engineWithMessages(), "POST", `${PATH}/replay`, { body });
    assert.equal(answer.status, 422, JSON.stringify(body));
    assert.equal(answer.body.code, "invalid_body");
  }
});
