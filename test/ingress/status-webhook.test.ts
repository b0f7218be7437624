import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, afterEach, test } from "node:test";

import { createGroupCommit, type CommitBatch } from "../../engine/ingress/group-commit.ts";
import { createWhatsAppWebhookRoutes, type WebhookNotification } from "../../engine/ingress/status-webhook.ts";
import type { ConsentSignal } from "../../engine/message/consent-signal.ts";
import { decodeEnvelope } from "../../engine/message/envelope.ts";
import { encodeMessageId } from "../../engine/message/ids.ts";
import type { StatusUpdate } from "../../engine/message/status-update.ts";
import { deferred, memoryLog, startServer } from "./server-kit.ts";

const batches: CommitBatch[] = [];
const notified: WebhookNotification[] = [];
const refused: string[] = [];
const heard: (readonly ConsentSignal[])[] = [];
const state = {
  secrets: ["app-secret", "old-secret"],
  verifyToken: "verify-me",
  failure: null as Error | null,
  consentFailure: null as Error | null,
};
let gate = Promise.resolve();
let consentGate = Promise.resolve();

function notificationOf(text: string): WebhookNotification {
  const notification: Partial<WebhookNotification> = JSON.parse(text);
  return { updates: [], unmatched: 0, notifications: [], consents: [], people: [], ...notification };
}

const log = memoryLog();
const routes = createWhatsAppWebhookRoutes({
  appSecrets: () => state.secrets,
  verifyToken: () => state.verifyToken,
  parse: (text) => (text.startsWith("{") ? notificationOf(text) : { kind: "malformed" }),
  commit: createGroupCommit({
    append: async (batch) => {
      await gate;
      if (state.failure !== null) throw state.failure;
      batches.push(batch);
    },
    defer: setImmediate,
    onFault: (error) => log.error("fault", { error }),
    waitingItemsMax: 2000,
  }),
  hearConsents: async (consents) => {
    await consentGate;
    if (state.consentFailure !== null) throw state.consentFailure;
    heard.push(consents);
  },
  onNotification: (notification) => void notified.push(notification),
  onRefused: (code) => void refused.push(code),
  random: () => 0.5,
});
const server = await startServer(routes);
after(() => server.close());
const URL = `${server.url}/webhooks/whatsapp`;

afterEach(() => {
  Object.assign(state, { secrets: ["app-secret", "old-secret"], verifyToken: "verify-me" });
  Object.assign(state, { failure: null, consentFailure: null });
  for (const list of [batches, notified, refused, heard]) list.length = 0;
});

function update(partition: number, sequence = 1): StatusUpdate {
  const messageId = encodeMessageId({ partition, campaignNumber: 1, acceptedAtMs: 1, node: 0, sequence });
  return {
    messageId,
    attempt: 1,
    status: "sent",
    wamid: "w",
    atMs: 1,
    errorCode: null,
    errorReason: "",
    pricingCategory: "",
  };
}

const bodyOf = (updates: StatusUpdate[], notifications: unknown[] = []): string =>
  JSON.stringify({ updates, unmatched: 0, notifications });
const sign = (body: string, secret = "app-secret"): string =>
  `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;

function post(body: string, signature: string | null = sign(body)): Promise<Response> {
  return fetch(URL, { method: "POST", body, headers: signature === null ? {} : { "x-hub-signature-256": signature } });
}

const challenge = (query: string): Promise<Response> => fetch(`${URL}?${query}`);

test("echoes the challenge to who knows the verify token", async () => {
  const response = await challenge("hub.mode=subscribe&hub.verify_token=verify-me&hub.challenge=1158201444");
  assert.deepEqual([response.status, await response.text()], [200, "1158201444"]);
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain/);
});

test("403 for a wrong token, another mode, and while none is configured", async () => {
  for (const query of [
    "hub.mode=subscribe&hub.verify_token=guess&hub.challenge=1",
    "hub.mode=unsubscribe&hub.verify_token=verify-me&hub.challenge=1",
    "hub.mode=subscribe&hub.challenge=1",
    "",
  ]) {
    assert.equal((await challenge(query)).status, 403, query);
  }
  state.verifyToken = "";
  assert.equal((await challenge("hub.mode=subscribe&hub.verify_token=&hub.challenge=1")).status, 403);
});

test("answers 200 only when the statuses are durable, each in its message's partition", async () => {
  const opening = deferred();
  gate = opening.promise;
  const pending = post(bodyOf([update(1, 1), update(6, 2), update(1, 3)]));
  while (server.inFlight() === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([batches.length, notified.length], [0, 0]);
  opening.resolve();
  assert.equal((await pending).status, 200);
  const stored = batches.flatMap(({ envelopes }) =>
    envelopes.map(({ partition, bytes }) => [partition, decodeEnvelope(bytes)] as const),
  );
  assert.deepEqual(stored, [
    [1, { kind: "statuses", updates: [update(1, 1), update(1, 3)] }],
    [6, { kind: "statuses", updates: [update(6, 2)] }],
  ]);
  assert.equal(notified.length, 1);
});

function stopOf(waId: string): ConsentSignal {
  return { kind: "stop", waId, userId: "", messageId: null, source: "text", words: "STOP", atMs: 1 };
}

test("answers 200 only when the opt-outs are durable as well, also without a status beside them", async () => {
  for (const updates of [[update(1)], []]) {
    const opening = deferred();
    consentGate = opening.promise;
    const pending = post(JSON.stringify({ updates, consents: [stopOf("16505551234")] }));
    const isUnderWay = (): boolean => server.inFlight() > 0 && batches.length >= updates.length;
    while (!isUnderWay()) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([heard.length, notified.length], [0, 0]);
    opening.resolve();
    assert.equal((await pending).status, 200);
    assert.deepEqual(heard.pop(), [stopOf("16505551234")]);
    assert.equal(notified.splice(0).length, 1);
    batches.length = 0;
  }
});

test("503 when an opt-out cannot be stored, whatever became of the statuses", async () => {
  state.consentFailure = new Error("disk full");
  for (const updates of [[update(1)], []]) {
    const response = await post(JSON.stringify({ updates, consents: [stopOf("16505551234")] }));
    assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "5"]);
  }
  state.consentFailure = null;
  state.failure = new Error("disk full");
  assert.equal((await post(JSON.stringify({ updates: [update(1)], consents: [stopOf("1650555")] }))).status, 503);
  assert.deepEqual([notified.length, refused], [0, ["overloaded", "overloaded", "overloaded"]]);
});

test("takes a signature by either of two live secrets", async () => {
  const body = bodyOf([update(1)]);
  assert.equal((await post(body, sign(body, "old-secret"))).status, 200);
});

test("401 for a missing or wrong signature, and nothing is stored", async () => {
  const body = bodyOf([update(1)]);
  for (const signature of [
    null,
    "",
    sign(body, "guess"),
    sign(`${body} `),
    sign(body).slice("sha256=".length),
    sign(body).replace("sha256=", "sha1="),
  ]) {
    assert.equal((await post(body, signature)).status, 401, signature ?? "none");
  }
  state.secrets = [""];
  assert.equal((await post(body, sign(body, ""))).status, 401);
  assert.deepEqual([batches.length, new Set(refused)], [0, new Set(["unauthorized"])]);
});

test("hands on what is not a status, and answers without a commit", async () => {
  const response = await post(bodyOf([], [{ field: "message_template_status_update", value: { event: "REJECTED" } }]));
  assert.equal(response.status, 200);
  assert.equal(notified[0]?.notifications[0]?.field, "message_template_status_update");
  assert.equal(batches.length, 0);
});

test("400 for a signed body that nobody can read", async () => {
  assert.equal((await post("not json")).status, 400);
});

test("503 when the statuses cannot be stored, so that Meta sends them again", async () => {
  state.failure = new Error("disk full");
  const response = await post(bodyOf([update(1), update(2)]));
  assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "5"]);
  assert.deepEqual([notified.length, refused], [0, ["overloaded"]]);
});

test("503 when more statuses wait than may", async () => {
  const tooMany = Array.from({ length: 2001 }, (_, index) => update(1, index));
  assert.equal((await post(bodyOf(tooMany))).status, 503);
});

test("takes 1,000 statuses and 3 MB in one call, and no more bytes", async () => {
  const updates = Array.from({ length: 1000 }, (_, index) => update(index % 8, index));
  const filler = 3 * 1024 * 1024 - bodyOf(updates, [""]).length;
  assert.equal((await post(bodyOf(updates, ["x".repeat(filler)]))).status, 200);
  assert.equal((await post(bodyOf(updates, ["x".repeat(filler + 1)]))).status, 413);
  const consents = Array.from({ length: 500 }, (_, index) => stopOf(String(16_505_550_000 + index)));
  assert.equal((await post(JSON.stringify({ updates: updates.slice(500), consents }))).status, 200);
  assert.equal(heard.at(-1)?.length, 500);
});
