import assert from "node:assert/strict";
import { test } from "node:test";

import { knownCodes } from "../../engine/simulator/graph-error-table.ts";
import { invoiceParts, NUMBER_ID, valueAt, WABA_ID } from "./fixtures.ts";
import { changesIn } from "./http-subscriber.ts";
import { get, send, simulate, subscribe } from "./uws-simulation.ts";

const fast = { phoneNumberId: NUMBER_ID, wabaId: WABA_ID, messagesPerSecond: 100_000 };
const invoice = {
  template: {
    name: "invoice",
    language: { code: "pt_BR" },
    components: [invoiceParts.header, invoiceParts.body, invoiceParts.url, invoiceParts.coupon],
  },
};

test("people answer after the delivery: with a text, a button, or WhatsApp's own switch", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, {
    webhookUrl: subscriber.url,
    scenario: {
      recipients: [
        { suffix: "1", outcome: "delivered", replies: { text: "STOP" } },
        { suffix: "2", outcome: "read", replies: { button: "Unsubscribe", payload: "stop-now", afterMs: 20 } },
        { suffix: "3", outcome: "read", replies: { preference: "stop" } },
        { suffix: "4", outcome: "sent", replies: { text: "never" } },
      ],
    },
  });
  for (const last of [1, 2, 3, 4]) await send(simulator, { ...invoice, to: `+1415555010${last}` });
  await simulator.idle();
  const wamids = simulator.received().map(({ answer }) => (answer.kind === "accepted" ? answer.wamid : ""));
  const byPerson = new Map(subscriber.news().map((news) => [valueAt(news.value, "contacts", 0, "wa_id"), news]));
  const message = (person: string): unknown => valueAt(byPerson.get(person)?.value, "messages", 0);
  assert.equal(byPerson.size, 3);
  assert.deepEqual(valueAt(message("14155550101"), "text"), { body: "STOP" });
  assert.equal(valueAt(message("14155550101"), "context", "id"), wamids[0]);
  assert.deepEqual(valueAt(message("14155550102"), "button"), { payload: "stop-now", text: "Unsubscribe" });
  const switched = byPerson.get("14155550103");
  assert.equal(switched?.field, "user_preferences");
  const preference = valueAt(switched?.value, "user_preferences", 0);
  assert.deepEqual(
    [valueAt(preference, "wa_id"), valueAt(preference, "category"), valueAt(preference, "value")],
    ["14155550103", "marketing_messages", "stop"],
  );
  assert.equal(typeof valueAt(preference, "timestamp"), "number");
  assert.deepEqual(simulator.stats().news, { messages: 2, user_preferences: 1 });
});

test("who used the switch gets no marketing template any more, but everything else", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, { webhookUrl: subscriber.url });
  const post = (content: object): Promise<Response> =>
    fetch(`${simulator.url}/simulator/inbound`, { method: "POST", body: JSON.stringify(content) });
  assert.equal((await post({ from: "+14155550100", preference: "stop" })).status, 202);
  await send(simulator, invoice);
  await send(simulator);
  simulator.receiveInbound({ from: "+14155550100", preference: "resume" });
  await send(simulator, invoice);
  await simulator.idle();
  assert.deepEqual(
    simulator.received().map(({ end }) => end),
    [
      { status: "failed", errorCode: 131_050 },
      { status: "delivered", errorCode: null },
      { status: "delivered", errorCode: null },
    ],
  );
  const context400 = await post({ from: "+14155550100", to: "999", text: "Hi" });
  assert.deepEqual([context400.status, await context400.json()], [400, { faults: ["there is no number 999"] }]);
  for (const faulty of [{}, { from: "+14155550100" }, { from: "x", text: "a" }, { from: "+14155550100", texts: "a" }]) {
    assert.equal((await post(faulty)).status, 400, JSON.stringify(faulty));
  }
  assert.throws(() => simulator.receiveInbound({ from: "+14155550100", to: "999", text: "Hi" }), {
    code: "ERR_CONFIG_INVALID",
  });
});

test("statuses may come before the answer, without a phone number, with another price, or twice differently", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, {
    webhookUrl: subscriber.url,
    scenario: {
      recipients: [
        { suffix: "1", outcome: "early" },
        { suffix: "2", outcome: "delivered", withoutPhone: true },
        { suffix: "3", outcome: "delivered", pricingChanges: true },
        { suffix: "4", outcome: "deliveredAndFailed" },
        { suffix: "5", outcome: "silentDrop" },
      ],
    },
  });
  await send(simulator, { to: "+14155550101" });
  assert.deepEqual(
    subscriber.statuses().map((one) => one.status),
    ["sent", "delivered"],
  );
  for (const last of [2, 3, 4, 5]) await send(simulator, { to: `+1415555010${last}` });
  await simulator.idle();
  const ofMessage = (index: number): Record<string, unknown>[] => {
    const answer = simulator.received()[index]?.answer;
    return subscriber.statuses().filter((one) => answer?.kind === "accepted" && one.id === answer.wamid);
  };
  const [nameless] = ofMessage(1);
  assert.equal(nameless?.["recipient_id"], undefined);
  assert.match(String(nameless?.["recipient_user_id"]), /^US\./);
  const post = subscriber.posts.find(({ body }) => body.includes(String(nameless?.["recipient_user_id"])));
  assert.doesNotMatch(JSON.stringify(valueAt(changesIn(post?.body ?? ""), 0, "value", "contacts")), /14155550102/);
  assert.deepEqual(
    ofMessage(2).map((one) => valueAt(one["pricing"], "type")),
    ["regular", "free_entry_point"],
  );
  assert.deepEqual(
    ofMessage(3).map((one) => one["status"]),
    ["sent", "delivered", "failed"],
  );
  assert.deepEqual(simulator.received()[3]?.end, { status: "delivered", errorCode: null });
  assert.deepEqual(
    ofMessage(4).map((one) => one["status"]),
    ["sent"],
  );
});

test("old ones lie days back, doubled ones may name another second", async (context) => {
  const subscriber = await subscribe(context);
  const day = 86_400_000;
  const simulator = await simulate(context, {
    webhookUrl: subscriber.url,
    scenario: {
      statuses: { oldShare: 1, oldBy: 2 * day, duplicateShare: 1, duplicateOtherSecondShare: 1, undeliveredShare: 1 },
    },
  });
  await send(simulator);
  await simulator.idle();
  const [first, second] = subscriber.statuses().map((one) => Number(one.timestamp));
  const arrivedAt = (simulator.received()[0]?.arrivedAtMs ?? 0) - 2 * day;
  assert.equal(first, Math.floor(arrivedAt / 1000));
  assert.equal(second, (first ?? 0) + 1);
});

test("a storm: webhooks gather, then come at once, shuffled, as full as Meta allows", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, {
    webhookUrl: subscriber.url,
    senders: [fast],
    scenario: { events: [{ when: { atSeconds: 0 }, do: { webhooks: "held" } }] },
  });
  const callbackData = "é".repeat(512);
  const total = 600;
  await Promise.all(
    Array.from({ length: total }, (_, index) =>
      send(simulator, { to: `+1415555${1000 + index}`, biz_opaque_callback_data: callbackData }),
    ),
  );
  while (simulator.stats().pendingUpdates > 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(subscriber.posts.length, 0);
  assert.equal(simulator.stats().webhooks.waiting, 2 * total);
  simulator.setState({ webhooks: "shuffled" });
  await simulator.idle();
  const statuses = subscriber.statuses();
  assert.equal(statuses.length, 2 * total);
  assert.ok(subscriber.posts.every(({ body }) => body.length <= 3 * 1024 * 1024));
  assert.ok(subscriber.posts.length >= 2, "1,200 updates are more than one POST may carry");
  const firsts = new Map<string, string>();
  for (const one of statuses) if (!firsts.has(one.id)) firsts.set(one.id, one.status);
  const reversed = [...firsts.values()].filter((status) => status === "delivered").length;
  assert.ok(reversed > total / 4, `${reversed} of ${total} were shuffled`);
});

test("lost answers: a 503 without a body, and a 200 that breaks off", async (context) => {
  const simulator = await simulate(context, {
    scenario: {
      recipients: [
        { suffix: "1", outcome: "empty" },
        { suffix: "2", outcome: "unreadable", accepted: false },
        { suffix: "3", outcome: "failed", code: 999_999, where: "answer", httpStatus: 500, transient: true },
      ],
    },
  });
  await assert.rejects(send(simulator, { to: "+14155550101" }), SyntaxError);
  await assert.rejects(send(simulator, { to: "+14155550102" }), SyntaxError);
  const transient = await send(simulator, { to: "+14155550103" });
  assert.deepEqual(
    [transient.status, valueAt(transient.body, "error", "is_transient"), valueAt(transient.body, "error", "code")],
    [500, true, 999_999],
  );
  const how = simulator.received().map(({ answer }) => answer.kind === "lost" && [answer.how, answer.wamid !== null]);
  assert.deepEqual(how, [["empty", true], ["unreadable", false], false]);
  const { lost, lostButTaken } = simulator.stats().answers;
  assert.deepEqual([lost.empty, lost.unreadable, lostButTaken], [1, 1, 1]);
});

test("every known code can be an answer and a webhook", async (context) => {
  const subscriber = await subscribe(context);
  const codes = knownCodes();
  const simulator = await simulate(context, {
    webhookUrl: subscriber.url,
    senders: [fast],
    scenario: {
      recipients: codes.flatMap((code, index) => [
        { suffix: `1${String(index).padStart(3, "0")}`, outcome: "failed" as const, code, where: "answer" as const },
        { suffix: `2${String(index).padStart(3, "0")}`, outcome: "failed" as const, code, where: "webhook" as const },
      ]),
    },
  });
  for (const [index, code] of codes.entries()) {
    const digits = String(index).padStart(3, "0");
    const answer = await send(simulator, { to: `+14155551${digits}` });
    assert.ok(answer.status >= 400, `${code} has HTTP status ${answer.status}`);
    assert.equal(valueAt(answer.body, "error", "code"), code);
    assert.match(String(valueAt(answer.body, "error", "message")), /^\(#\d+\) \S/);
    await send(simulator, { to: `+14155552${digits}` });
  }
  await simulator.idle();
  assert.deepEqual(
    subscriber
      .statuses()
      .map((one) => one.errors?.[0]?.code)
      .toSorted((a = 0, b = 0) => a - b),
    codes.toSorted((a, b) => a - b),
  );
});

test("a number tells its quality, status and health", async (context) => {
  const simulator = await simulate(context);
  simulator.setState([
    { number: "*", quality: "YELLOW", status: "FLAGGED" },
    { account: "*", fails: { code: 368 } },
  ]);
  const number = (await get(simulator, `/v26.0/${NUMBER_ID}?fields=quality_rating,status,health_status`)).body;
  assert.deepEqual([valueAt(number, "quality_rating"), valueAt(number, "status")], ["YELLOW", "FLAGGED"]);
  assert.equal(valueAt(number, "health_status", "can_send_message"), "BLOCKED");
});
