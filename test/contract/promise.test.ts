// One end for each accepted event, sent once unless nobody can know.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { until } from "../support/until.ts";
import { greetingCampaign } from "../support/workspace.ts";
import { type EngineOnMeta, runEngineOnMeta } from "./contract-kit.ts";

interface Message {
  readonly messageId: string;
  readonly status: string;
  readonly attempts: number;
  readonly wamid: string;
  readonly errorReason: string;
  readonly timeline: readonly { status: string }[];
}

let engine: EngineOnMeta;

before(async () => {
  const waitSeconds = 0.3;
  const campaigns = [
    greetingCampaign("resent", { uncertain: { waitSeconds, then: "resend" } }),
    greetingCampaign("given-up", { uncertain: { waitSeconds, then: "fail" } }),
    greetingCampaign("patient", { uncertain: { waitSeconds: 600, then: "resend" } }),
    greetingCampaign("short-lived", { timeToLiveSeconds: 1, messagesPerSecond: 1 }),
    greetingCampaign("news", { lane: "marketing" }),
    greetingCampaign("orders"),
  ];
  engine = await runEngineOnMeta({ campaigns, messagesPerSecond: 40 });
});

afterEach(() => engine.meta.release());

after(async () => engine.stop());

async function accept(campaignId: string, phone = "+14155552671"): Promise<string> {
  const answer = await engine.admin.trigger(campaignId, { phone, order: "#1" });
  assert.equal(answer.status, 202);
  return answer.body.messageId;
}

async function messageOf(id: string): Promise<Message> {
  return (await engine.admin.get<Message>(`/api/messages/${id}`)).body;
}

async function untilStatus(id: string, status: string): Promise<Message> {
  await until(`${id} is ${status}`, async () => (await messageOf(id)).status === status, 10_000);
  return messageOf(id);
}

function sendsOf(id: string): readonly string[] {
  const all = engine.meta.sends.map(({ body }) => body.biz_opaque_callback_data);
  return all.filter((data) => data.startsWith(id));
}

test("a lost answer, then: resend: sends once more after the wait, told apart by its attempt", async () => {
  engine.meta.react = ({ body }) => (body.biz_opaque_callback_data.includes(".") ? "accept" : "cut");
  const id = await accept("resent");
  await untilStatus(id, "uncertain");
  const message = await untilStatus(id, "sent");
  assert.equal(message.attempts, 2);
  assert.deepEqual(sendsOf(id), [id, `${id}.2`]);
});

test("a lost answer, then: fail: never sends again, and a late status still tells the truth", async () => {
  engine.meta.react = () => "cut";
  const id = await accept("given-up");
  const failed = await untilStatus(id, "failed");
  assert.match(failed.errorReason, /^[A-Z].*\.$/);
  assert.deepEqual(sendsOf(id), [id]);
  await engine.meta.postStatuses([{ messageId: id, status: "delivered", wamid: "wamid.late" }]);
  const delivered = await untilStatus(id, "delivered");
  assert.equal(delivered.wamid, "wamid.late");
  assert.deepEqual(sendsOf(id), [id]);
});

test("a status that carries the id decides what the lost answer left open", async () => {
  engine.meta.react = () => "cut";
  const id = await accept("patient");
  await untilStatus(id, "uncertain");
  await engine.meta.postStatuses([{ messageId: id, status: "sent", wamid: "wamid.proof" }]);
  const message = await untilStatus(id, "sent");
  assert.deepEqual([message.wamid, message.attempts], ["wamid.proof", 1]);
  assert.deepEqual(sendsOf(id), [id]);
});

test("a bare 502 may have been sent; a refusal by code has not", async () => {
  engine.meta.react = () => "garbled";
  const unknown = await accept("patient");
  await untilStatus(unknown, "uncertain");
  let refusals = 0;
  engine.meta.react = () => (refusals++ === 0 ? { code: 131000, httpStatus: 500 } : "accept");
  const retried = await accept("patient");
  const message = await untilStatus(retried, "sent");
  assert.equal(message.attempts, 2);
  assert.ok(message.timeline.some(({ status }) => status === "retrying"));
  assert.deepEqual(sendsOf(unknown), [unknown]);
});

test("being told to slow down costs a message no attempt", async () => {
  let refusals = 0;
  engine.meta.react = () => (refusals++ === 0 ? { code: 130429, httpStatus: 400 } : "accept");
  const id = await accept("orders");
  const message = await untilStatus(id, "sent");
  assert.deepEqual([message.attempts, sendsOf(id).length], [1, 2]);
});

test("shows what Meta's pacing holds back, and its release or its drop", async () => {
  engine.meta.react = () => "held";
  const [released, dropped] = [await accept("orders"), await accept("orders", "+14155552672")];
  await untilStatus(released, "held");
  await untilStatus(dropped, "held");
  await engine.meta.postStatuses([
    { messageId: released, status: "sent" },
    { messageId: dropped, status: "failed", errors: [{ code: 132015, title: "Template is paused" }] },
  ]);
  await untilStatus(released, "sent");
  const { status } = await untilStatus(dropped, "failed");
  assert.equal(status, "failed");
});

test("a paused campaign keeps what was accepted, sends it once active, and ends it when it is deleted", async () => {
  await engine.admin.send("PUT", "/api/campaigns/made", greetingCampaign("made", { messagesPerSecond: 2 }));
  const ids = await Promise.all(
    Array.from({ length: 8 }, async (_, index) => accept("made", `+1415555${2000 + index}`)),
  );
  assert.equal((await engine.admin.send("POST", "/api/campaigns/made/pause")).status, 200);
  const waiting = async (): Promise<readonly Message[]> =>
    (await Promise.all(ids.map(messageOf))).filter(({ status }) => status === "queued");
  await until("what is under way has landed", async () => {
    const messages = await Promise.all(ids.map(messageOf));
    return messages.every(({ status }) => status === "queued" || status === "sent");
  });
  const parked = await waiting();
  assert.ok(parked.length >= 4, `${parked.length} wait`);
  assert.equal((await engine.admin.send("POST", "/api/campaigns/made/activate")).status, 200);
  await until("sending goes on", async () => (await waiting()).length < parked.length);
  assert.equal((await engine.admin.send("DELETE", "/api/campaigns/made")).status, 204);
  await until("each has its end", async () => {
    const messages = await Promise.all(ids.map(messageOf));
    return messages.every(({ status }) => ["sent", "failed", "expired", "suppressed"].includes(status));
  });
  assert.ok(ids.every((id) => sendsOf(id).length <= 1));
});

test("expires what could not be sent within its time to live, and never sends it later", async () => {
  const ids = await Promise.all(
    Array.from({ length: 6 }, async (_, index) => accept("short-lived", `+1415555${1000 + index}`)),
  );
  await until(
    "each has its end",
    async () => {
      const messages = await Promise.all(ids.map(messageOf));
      return messages.every(({ status }) => status === "sent" || status === "expired");
    },
    15_000,
  );
  const messages = await Promise.all(ids.map(messageOf));
  const expired = messages.filter(({ status }) => status === "expired");
  assert.ok(expired.length >= 3, `${expired.length} expired`);
  for (const { messageId, errorReason } of expired) {
    assert.deepEqual(sendsOf(messageId), []);
    assert.match(errorReason, /^[A-Z].*\.$/);
  }
  const rows = (await engine.csv("short-lived")).filter((row) => row["status"] === "expired");
  assert.equal(rows.length, expired.length);
  assert.ok(rows.every((row) => row["failed_at"] !== "" && row["dispatched_at"] === ""));
});

test("sends transactional messages before waiting marketing ones of the same number", async () => {
  const sends = engine.meta.sends.length;
  const events = (count: number, digit: number): object[] =>
    Array.from({ length: count }, (_, index) => ({ phone: `+1415${digit}55${1000 + index}`, order: "#1" }));
  assert.equal((await engine.admin.trigger("news", events(90, 6))).status, 202);
  await engine.meta.untilSends(sends + 5);
  assert.equal((await engine.admin.trigger("orders", events(20, 7))).status, 202);
  const from = engine.meta.sends.length;
  await until("all are sent", () => engine.meta.sends.length >= sends + 110, 15_000);
  const names = engine.meta.sends.slice(from).map(({ body }) => body.template.name);
  const lastOrder = names.lastIndexOf("greeting");
  const newsBefore = names.slice(0, lastOrder).filter((name) => name === "offer").length;
  assert.ok(newsBefore <= 6, `${newsBefore} marketing messages overtook`);
});
