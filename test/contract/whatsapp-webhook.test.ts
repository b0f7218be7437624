// Meta's verification, signatures over raw bytes, statuses in any number, order and shape.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { until } from "../support/until.ts";
import { greetingCampaign } from "../support/workspace.ts";
import { call, type EngineOnMeta, runEngineOnMeta } from "./contract-kit.ts";
import { notificationOf, postSigned, signatureOf, type Status } from "./meta-server.ts";

interface Message {
  readonly messageId: string;
  readonly status: string;
  readonly wamid: string;
  readonly errorCode: number | null;
  readonly errorReason: string;
  readonly attempts: number;
  readonly acceptedAt: string;
  readonly sentAt: string | null;
  readonly deliveredAt: string | null;
  readonly readAt: string | null;
  readonly failedAt: string | null;
  readonly pricingCategory: string;
  readonly timeline: readonly {
    at: string;
    status: string;
    attempt: number;
    errorCode: number | null;
    detail: string;
  }[];
}

let engine: EngineOnMeta;
let phones = 0;

before(async () => {
  engine = await runEngineOnMeta({ campaigns: [greetingCampaign("orders")] });
});

afterEach(() => engine.meta.release());

after(async () => engine.stop());

async function accept(): Promise<string> {
  phones += 1;
  const phone = `+1415555${String(1000 + phones)}`;
  const answer = await engine.admin.trigger("orders", { phone, order: "#1" });
  assert.equal(answer.status, 202);
  return answer.body.messageId;
}

async function messageOf(id: string): Promise<Message> {
  return (await engine.admin.get<Message>(`/api/messages/${id}`)).body;
}

async function untilStatus(id: string, status: string): Promise<Message> {
  await until(`${id} is ${status}`, async () => (await messageOf(id)).status === status, 5_000);
  return messageOf(id);
}

async function tell(...statuses: Status[]): Promise<void> {
  assert.equal((await engine.meta.postStatuses(statuses)).status, 200);
}

test("answers Meta's challenge in plain text, and only with the right verify token", async () => {
  const url = `${engine.url}/webhooks/whatsapp`;
  const ask = async (mode: string, token: string): Promise<Response> =>
    fetch(`${url}?hub.mode=${mode}&hub.verify_token=${token}&hub.challenge=1158201444`);
  const good = await ask("subscribe", "verify-me");
  assert.equal(good.status, 200);
  assert.match(good.headers.get("content-type") ?? "", /^text\/plain/);
  assert.equal(await good.text(), "1158201444");
  for (const bad of [
    await ask("subscribe", "wrong"),
    await ask("subscribe", ""),
    await ask("unsubscribe", "verify-me"),
    await fetch(url),
  ]) {
    assert.equal(bad.status, 403);
    assert.doesNotMatch(await bad.text(), /1158201444/);
  }
});

test("401 for a wrong or missing signature, and nothing of it is stored", async () => {
  const id = await accept();
  await untilStatus(id, "sent");
  const body = notificationOf([{ messageId: id, status: "delivered" }]);
  const post = async (headers: Readonly<Record<string, string>>): Promise<number> =>
    (await call(`${engine.url}/webhooks/whatsapp`, { method: "POST", headers, body })).status;
  const right = signatureOf(body);
  for (const signature of [
    "",
    "sha256=",
    right.slice(7),
    signatureOf(`${body} `),
    signatureOf(body, "other"),
    `sha1=${right.slice(7)}`,
  ]) {
    assert.equal(await post({ "x-hub-signature-256": signature }), 401);
  }
  assert.equal(await post({}), 401);
  await tell({ messageId: id, status: "read" });
  const message = await untilStatus(id, "read");
  assert.deepEqual(
    message.timeline.map(({ status }) => status),
    ["queued", "dispatched", "sent", "read"],
  );
});

test("verifies the raw bytes: escaped and plain non-ASCII both", async () => {
  const id = await accept();
  const error = (title: string): Status => ({
    messageId: id,
    status: "failed",
    errors: [{ code: 131026, title, error_data: { details: "Não entregue: é 🛒" } }],
  });
  const plain = notificationOf([error("Mensagem não entregue")]);
  const escaped = plain.replaceAll(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  assert.notEqual(plain, escaped);
  for (const body of [plain, escaped])
    assert.equal((await postSigned(`${engine.url}/webhooks/whatsapp`, body)).status, 200);
  const message = await untilStatus(id, "failed");
  assert.equal(message.errorCode, 131026);
  assert.ok(message.errorReason.length > 0);
  assert.equal(message.timeline.filter(({ status }) => status === "failed").length, 1);
});

test("folds duplicates and any order to the same message", async () => {
  const seconds = Math.floor(Date.now() / 1000) + 10;
  const steps = [
    { status: "sent", atSeconds: seconds },
    { status: "delivered", atSeconds: seconds + 1 },
    { status: "read", atSeconds: seconds + 2 },
  ] as const;
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0, 0, 1, 2],
    [2, 2, 0, 1],
  ]) {
    const id = await accept();
    await untilStatus(id, "sent");
    for (const step of order)
      await tell({ messageId: id, pricing: { category: "utility" }, ...(steps[step] ?? steps[0]) });
    const message = await untilStatus(id, "read");
    await until("all is told", async () => (await messageOf(id)).deliveredAt === isoOf(seconds + 1), 5_000);
    assert.equal(message.readAt, isoOf(seconds + 2));
    assert.equal((await messageOf(id)).pricingCategory, "utility");
    assert.equal(message.failedAt, null);
  }
});

function isoOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}

test("takes a status that comes before the send's own answer, and lets that answer change nothing", async () => {
  const sendsBefore = engine.meta.sends.length;
  engine.meta.react = () => "hold";
  const id = await accept();
  await engine.meta.untilSends(sendsBefore + 1);
  await tell({ messageId: id, status: "sent" }, { messageId: id, status: "delivered" });
  await untilStatus(id, "delivered");
  engine.meta.release();
  const other = await accept();
  await untilStatus(other, "sent");
  const message = await messageOf(id);
  assert.deepEqual([message.status, message.attempts], ["delivered", 1]);
  assert.equal(engine.meta.sends.length, sendsBefore + 2);
});

test("a failure never overrules what was delivered", async () => {
  const id = await accept();
  await untilStatus(id, "sent");
  await tell({ messageId: id, status: "failed", errors: [{ code: 131026, title: "Undeliverable" }] });
  await untilStatus(id, "failed");
  await tell({ messageId: id, status: "delivered" });
  const message = await untilStatus(id, "delivered");
  assert.deepEqual([message.errorCode, message.errorReason, message.failedAt], [null, "", null]);
});

test("answers 200 to what it does not know: foreign ids, inbound messages, template news, odd fields", async () => {
  const id = await accept();
  await untilStatus(id, "sent");
  const foreign: Status[] = ["", "someone-else's", `${id}.x`, "zzzzzzzzzzzzzzzzzzzzzzzzzz", `${id}.99`].map(
    (messageId) => ({
      messageId,
      status: "delivered",
    }),
  );
  await tell(...foreign, { messageId: id, status: "warped" });
  const news = [
    {
      field: "messages",
      value: { messages: [{ from: "14155552671", id: "wamid.in", type: "text", text: { body: "STOP" } }] },
    },
    { field: "message_template_status_update", value: { event: "PAUSED", message_template_id: 594425479261596 } },
    { field: "account_update", value: null },
    null,
  ];
  const body = JSON.stringify({ object: "whatsapp_business_account", entry: [{ id: "1", changes: news }, null, {}] });
  assert.equal((await postSigned(`${engine.url}/webhooks/whatsapp`, body)).status, 200);
  await tell({ messageId: id, status: "read" });
  assert.equal((await untilStatus(id, "read")).status, "read");
  for (const malformed of ["{", "[]", "5", ""]) {
    assert.equal((await postSigned(`${engine.url}/webhooks/whatsapp`, malformed)).status, 400);
  }
});

test("takes 1,000 updates in a call of 3 MB, and 413 beyond", async () => {
  const answer = await engine.admin.trigger<{ results: { messageId: string }[] }>(
    "orders",
    Array.from({ length: 500 }, (_, index) => ({ phone: `+1415556${String(1000 + index)}`, order: "#1" })),
  );
  const ids = answer.body.results.map(({ messageId }) => messageId);
  const updates = ids.flatMap((messageId) => [
    { messageId, status: "delivered" },
    { messageId, status: "sent" },
  ]);
  assert.equal(updates.length, 1000);
  const body = notificationOf(updates);
  const limit = 3 * 1024 * 1024;
  const full = body + " ".repeat(limit - Buffer.byteLength(body));
  assert.equal((await postSigned(`${engine.url}/webhooks/whatsapp`, full)).status, 200);
  await until("500 are delivered", async () => {
    const stats = await engine.admin.get<{ byStatus: Record<string, number> }>("/api/campaigns/orders/stats");
    return (stats.body.byStatus["delivered"] ?? 0) >= 500;
  });
  const rows = await engine.csv("orders", "?status=delivered");
  assert.ok(ids.every((id) => rows.some((row) => row["message_id"] === id)));
  assert.equal((await postSigned(`${engine.url}/webhooks/whatsapp`, `${full} `)).status, 413);
});
