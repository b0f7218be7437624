import assert from "node:assert/strict";
import { test } from "node:test";

import type { Change } from "../../engine/simulator/change.ts";
import type { Simulator } from "../../engine/simulator/simulator.ts";
import { get, send, simulate, subscribe, type Answer } from "./uws-simulation.ts";
import { body, greetingSend, invoiceParts, NUMBER_ID, TOKEN, valueAt, WABA_ID } from "./fixtures.ts";

const codeOf = (answer: Answer): unknown => valueAt(answer.body, "error", "code");
const isHeld = (answer: Answer): boolean =>
  valueAt(answer.body, "messages", 0, "message_status") === "held_for_quality_assessment";
const invoice = {
  template: {
    name: "invoice",
    language: { code: "pt_BR" },
    components: [invoiceParts.header, invoiceParts.body, invoiceParts.url, invoiceParts.coupon],
  },
};
const MARKETING = `/v26.0/${NUMBER_ID}/marketing_messages`;
const fast = { phoneNumberId: NUMBER_ID, wabaId: WABA_ID, messagesPerSecond: 100_000 };

const sendTo = (simulator: Simulator, index: number, fields: object = {}): Promise<Answer> =>
  send(simulator, { to: `+1415555${1000 + index}`, ...fields });

async function sendMany(simulator: Simulator, count: number, fields: object = {}): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let index = 0; index < count; index++) answers.push(await sendTo(simulator, index, fields));
  return answers;
}

test("marketing_messages takes marketing templates, says success, and is charged as marketing_lite", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, { webhookUrl: subscriber.url });
  const taken = await send(simulator, invoice, MARKETING);
  assert.deepEqual([taken.status, valueAt(taken.body, "success")], [200, true]);
  const other = await send(simulator, {}, MARKETING);
  assert.deepEqual([other.status, codeOf(other)], [400, 134_100]);
  assert.equal(codeOf(await send(simulator, { ...invoice, type: "text" }, MARKETING)), 100);
  assert.equal(codeOf(await send(simulator, { ...invoice, product_policy: "MAYBE" }, MARKETING)), 100);
  await simulator.idle();
  assert.deepEqual(
    subscriber.statuses().map((one) => valueAt(one["pricing"], "category")),
    ["marketing_lite", "marketing_lite"],
  );
  const { answers } = simulator.stats();
  assert.deepEqual([answers.marketingMessages, simulator.received()[0]?.route], [4, "marketing_messages"]);
});

test("an account may forbid marketing on /messages, and may not be ready for the other door", async (context) => {
  const simulator = await simulate(context);
  simulator.setState({ account: WABA_ID, marketingOnMessages: false });
  assert.equal(codeOf(await send(simulator, invoice)), 131_063);
  assert.equal((await send(simulator)).status, 200, "other templates go on");
  simulator.setState({ account: "*", marketingOnMessages: true, marketingMessages: "off" });
  const strict = await send(simulator, { ...invoice, product_policy: "STRICT" }, MARKETING);
  assert.deepEqual([strict.status, codeOf(strict)], [500, 134_102]);
  const fallback = await send(simulator, { ...invoice, product_policy: "CLOUD_API_FALLBACK" }, MARKETING);
  assert.equal(fallback.status, 200);
});

test("a template is paused after so many sends, drops what it held, and comes back", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, {
    webhookUrl: subscriber.url,
    scenario: {
      held: { share: 0, releaseAfter: 600_000, droppedShare: 0 },
      recipients: [{ suffix: "1000", outcome: "held" }],
      events: [{ when: { afterSends: 3, template: "greeting" }, do: { template: "greeting", status: "PAUSED" } }],
    },
  });
  const answers = await sendMany(simulator, 4);
  assert.deepEqual(answers.map(isHeld), [true, false, false, false]);
  assert.deepEqual([answers[3]?.status, answers[3] && codeOf(answers[3])], [400, 132_015]);
  simulator.setScenario({ events: [{ when: { atSeconds: 0.02 }, do: { template: "greeting", status: "APPROVED" } }] });
  while (simulator.stats().events.done < 1) await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await sendTo(simulator, 9)).status, 200);
  while (subscriber.news().length < 2) await new Promise((resolve) => setImmediate(resolve));
  const [paused, approved] = subscriber.news();
  assert.equal(paused?.field, "message_template_status_update");
  const { event, reason, message_template_id, message_template_language, other_info } = paused?.value ?? {};
  assert.deepEqual(
    [event, reason, message_template_id, message_template_language, valueAt(other_info, "title")],
    ["PAUSED", "NONE", 1_000_000_000_000_001, "en", "FIRST_PAUSE"],
  );
  assert.deepEqual(
    [approved?.value["event"], valueAt(approved?.value["other_info"], "title")],
    ["APPROVED", "UNPAUSE"],
  );
  const dropped = subscriber.statuses().filter((one) => one.status === "failed");
  assert.deepEqual(
    dropped.map((one) => [one.recipient_id, one.errors?.[0]?.code]),
    [["14155551000", 132_015]],
  );
  assert.deepEqual(simulator.received()[0]?.end, { status: "failed", errorCode: 132_015 });
  assert.deepEqual(simulator.stats().held, { waiting: 0, released: 0, dropped: 1 });
});

test("pacing holds every send of a template until it ends: released, or dropped with the template", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, { webhookUrl: subscriber.url });
  simulator.setState({ template: "greeting", pacing: "hold" });
  assert.deepEqual((await sendMany(simulator, 3)).map(isHeld), [true, true, true]);
  assert.deepEqual(simulator.received()[0]?.end, { status: "held", errorCode: null });
  await simulator.idle();
  assert.equal(subscriber.statuses().length, 0);
  simulator.setState({ template: "greeting", pacing: "off" });
  await simulator.idle();
  assert.equal(subscriber.statuses().length, 6);
  assert.deepEqual(simulator.received()[0]?.end, { status: "delivered", errorCode: null });
  simulator.setState({ template: "greeting", pacing: "hold" });
  await sendTo(simulator, 7);
  simulator.setState({ template: "greeting", status: "PAUSED", pacing: "off" });
  await simulator.idle();
  assert.equal(subscriber.statuses().at(-1)?.errors?.[0]?.code, 132_015);
  assert.equal(valueAt(subscriber.news()[0]?.value["other_info"], "title"), "RATE_LIMITING_PAUSE");
  assert.deepEqual(simulator.stats().held, { waiting: 0, released: 3, dropped: 1 });
});

test("a recategorised, downgraded, edited template is told by webhooks and in the list", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, {
    webhookUrl: subscriber.url,
    scenario: { webhooks: { qualityField: "message_template_status_update" } },
  });
  simulator.setState([
    { template: "invoice", correctCategory: "UTILITY" },
    { template: "invoice", category: "UTILITY", quality: "YELLOW" },
    { template: "greeting", text: "Hello {{1}}." },
    { template: "greeting", status: "DISABLED", quiet: true },
  ]);
  await simulator.idle();
  const news = subscriber.news().map(({ field, value }) => [field, value]);
  const identity = {
    message_template_id: 1_000_000_000_000_002,
    message_template_name: "invoice",
    message_template_language: "pt-BR",
  };
  assert.equal(valueAt(news, 0, 1, "correct_category"), "UTILITY");
  assert.deepEqual(news.slice(1, 3), [
    ["template_category_update", { ...identity, previous_category: "MARKETING", new_category: "UTILITY" }],
    ["message_template_status_update", { ...identity, previous_quality_score: "UNKNOWN", new_quality_score: "YELLOW" }],
  ]);
  assert.deepEqual(
    [valueAt(news, 3, 0), valueAt(news, 3, 1, "message_template_element"), news.length],
    ["message_template_components_update", "Hello {{1}}.", 4],
  );
  const path = `/v26.0/${WABA_ID}/message_templates?name=invoice&fields=category,previous_category,quality_score`;
  const listed = valueAt(await get(simulator, path), "body", "data", 0);
  assert.deepEqual(
    [valueAt(listed, "category"), valueAt(listed, "previous_category"), valueAt(listed, "quality_score", "score")],
    ["UTILITY", "MARKETING", "YELLOW"],
  );
  assert.equal(codeOf(await send(simulator)), 132_016);
});

test("a throughput upgrade: maintenance, then more, then a webhook and another level", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, {
    webhookUrl: subscriber.url,
    scenario: { events: [{ when: { afterSends: 1 }, do: { number: "*", fails: { code: 131_057 } } }] },
  });
  await send(simulator);
  const maintained = await send(simulator);
  assert.deepEqual([maintained.status, codeOf(maintained)], [500, 131_057]);
  simulator.setState({ number: NUMBER_ID, fails: null, messagesPerSecond: 1000 });
  assert.equal((await send(simulator)).status, 200);
  const level = async (): Promise<unknown> =>
    valueAt(await get(simulator, `/v26.0/${NUMBER_ID}?fields=throughput`), "body", "throughput", "level");
  assert.equal(await level(), "HIGH");
  simulator.setState({ number: NUMBER_ID, messagesPerSecond: 80 });
  assert.equal(await level(), "STANDARD");
  await simulator.idle();
  assert.deepEqual(
    subscriber.news().map(({ field, value }) => [field, value["event"]]),
    [
      ["phone_number_quality_update", "THROUGHPUT_UPGRADE"],
      ["phone_number_quality_update", "THROUGHPUT_DOWNGRADE"],
    ],
  );
});

test("an expired token is refused until another one comes, or it is declared valid", async (context) => {
  const scenario = { events: [{ when: { afterSends: 1 }, do: { token: "*", valid: false } }] };
  const simulator = await simulate(context, { accessTokens: null, scenario });
  await send(simulator);
  const expired = await send(simulator);
  assert.deepEqual([expired.status, codeOf(expired), valueAt(expired.body, "error", "error_subcode")], [401, 190, 463]);
  assert.equal((await get(simulator, `/v26.0/${NUMBER_ID}`)).status, 401);
  const renewed = await fetch(`${simulator.url}/v26.0/${NUMBER_ID}/messages`, {
    method: "POST",
    headers: { authorization: "Bearer another" },
    body: JSON.stringify(greetingSend()),
  });
  assert.equal(renewed.status, 200);
  simulator.setState({ token: TOKEN, valid: true });
  assert.equal((await send(simulator)).status, 200);
});

test("what is held against an account, a country or a template meets its sends, at once or by webhook", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, { webhookUrl: subscriber.url });
  const during = async (change: Change, end: Change, fields: object = {}): Promise<unknown> => {
    simulator.setState(change);
    const code = codeOf(await send(simulator, fields));
    simulator.setState(end);
    return code;
  };
  const account = { account: "*", fails: null };
  assert.equal(await during({ account: "*", fails: { code: 131_031 } }, account), 131_031);
  assert.equal(await during({ account: "*", fails: { code: 131_042, where: "webhook" } }, account), undefined);
  const spain = { callingCode: "34", fails: null };
  assert.equal(await during({ callingCode: "34", fails: { code: 130_497 } }, spain), undefined);
  const toSpain = { to: "+34600000001" };
  assert.equal(await during({ callingCode: "34", fails: { code: 130_497 } }, spain, toSpain), 130_497);
  const greeting = { template: "greeting", fails: null };
  assert.equal(await during({ template: "greeting", fails: { code: 132_007 } }, greeting), 132_007);
  await simulator.idle();
  assert.deepEqual(
    subscriber.statuses().flatMap((one) => one.errors?.map((error) => error.code) ?? []),
    [131_042],
  );
  assert.deepEqual(
    subscriber.news().map(({ field, value }) => [field, value["event"]]),
    [
      ["account_update", "ACCOUNT_RESTRICTION"],
      ["account_update", "DISABLED_UPDATE"],
    ],
  );
});

test("a number may take less than it was granted, and say so at once or later", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, { webhookUrl: subscriber.url, senders: [fast] });
  simulator.setState({ number: "*", trueMessagesPerSecond: 5 });
  const answers = await Promise.all(Array.from({ length: 12 }, (_, index) => sendTo(simulator, index)));
  const codes = answers.map(codeOf).filter((code) => code !== undefined);
  assert.ok(codes.length >= 2 && codes.every((code) => code === 130_429), String(codes));
  simulator.setState({ number: "*", throttles: "webhook" });
  const later = await Promise.all(Array.from({ length: 12 }, (_, index) => sendTo(simulator, 20 + index)));
  assert.ok(later.every((answer) => answer.status === 200));
  await simulator.idle();
  const failed = subscriber.statuses().filter((one) => one.errors?.[0]?.code === 130_429);
  assert.ok(failed.length >= 2, String(failed.length));
  assert.equal(simulator.stats().numbers[NUMBER_ID]?.throttled, codes.length + failed.length);
});

test("a mood strikes its share of the sends", async (context) => {
  const simulator = await simulate(context, { senders: [fast] });
  simulator.setState({ number: "*", fails: { code: 131_048, share: 0.5 } });
  const answers = await sendMany(simulator, 60);
  const struck = answers.filter((answer) => codeOf(answer) === 131_048).length;
  assert.ok(struck > 15 && struck < 45, String(struck));
});

test("the portfolio's daily limit counts people, not messages, and is told by its tier", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, {
    webhookUrl: subscriber.url,
    scenario: { limits: { dailyRecipients: 3, beyondDailyRecipients: { code: 131_048, where: "answer" } } },
  });
  await sendMany(simulator, 3);
  assert.deepEqual((await sendMany(simulator, 5)).map(codeOf), [undefined, undefined, undefined, 131_048, 131_048]);
  const tier = async (): Promise<unknown> => {
    const field = "whatsapp_business_manager_messaging_limit";
    return valueAt(await get(simulator, `/v26.0/${NUMBER_ID}?fields=${field}`), "body", field);
  };
  assert.equal(await tier(), "TIER_250");
  simulator.setState({ dailyRecipients: 2000 });
  assert.equal(await tier(), "TIER_2K");
  assert.equal((await sendTo(simulator, 4)).status, 200);
  simulator.setScenario({ limits: { dailyRecipients: 3 }, webhooks: { dailyLimit: "tier" } });
  simulator.setState({ dailyRecipients: "unlimited" });
  await simulator.idle();
  assert.deepEqual(
    subscriber.news().map(({ value }) => value["max_daily_conversations_per_business"]),
    [2000, "TIER_UNLIMITED"],
  );
  const { recipients, numbers } = simulator.stats();
  assert.deepEqual([recipients.peak, numbers[NUMBER_ID]?.recipientsPeak], [4, 4]);
});

test("management calls beyond an account's hour are refused, with the use in a header", async (context) => {
  const simulator = await simulate(context, { scenario: { limits: { managementCallsPerHour: 2 } } });
  const call = (): Promise<Response> =>
    fetch(`${simulator.url}/v26.0/${WABA_ID}/message_templates`, { headers: { authorization: `Bearer ${TOKEN}` } });
  const answers = [await call(), await call(), await call()];
  assert.deepEqual(
    answers.map((answer) => answer.status),
    [200, 200, 400],
  );
  assert.equal(valueAt(await answers[2]?.json(), "error", "code"), 80_008);
  const usages: unknown[] = answers.map((answer) =>
    JSON.parse(answer.headers.get("x-business-use-case-usage") ?? "null"),
  );
  assert.equal(valueAt(usages, 0, WABA_ID, 0, "call_count"), 50);
  assert.equal(valueAt(usages, 2, WABA_ID, 0, "estimated_time_to_regain_access"), 60);
  assert.equal((await send(simulator)).status, 200, "sends are not management calls");
  assert.deepEqual(simulator.stats().management, { calls: 3, refused: 1 });
});

test("the state can be read, put back over HTTP, and is checked before it changes anything", async (context) => {
  const simulator = await simulate(context);
  const put = async (content: unknown): Promise<Answer> => {
    const response = await fetch(`${simulator.url}/simulator/state`, { method: "PUT", body: JSON.stringify(content) });
    return { status: response.status, body: await response.json() };
  };
  const changed: Change[] = [
    { template: "greeting", language: "en", status: "PAUSED", pacing: "hold", fails: { code: 132_007 } },
    { number: NUMBER_ID, messagesPerSecond: 20, quality: "RED" },
    { person: "14155550100", marketing: "stopped" },
    { callingCode: "34", fails: { code: 130_497 } },
  ];
  assert.equal((await put(changed)).status, 200);
  const state = simulator.state();
  assert.equal((await put(state)).status, 200);
  assert.deepEqual(simulator.state(), state);
  const faulty = await put([{ template: "greeting", status: "TIRED" }, { number: "*", speed: 3 }, { weather: "fine" }]);
  assert.equal(faulty.status, 400);
  assert.match(
    JSON.stringify(faulty.body),
    /\/0\/status .*PAUSED.*\/1 has no field speed.*\/2 must name one of template/,
  );
  const unknown = await put({ template: "nothing", status: "PAUSED" });
  assert.deepEqual([unknown.status, unknown.body], [400, { faults: ["there is no template nothing"] }]);
  assert.throws(() => simulator.setState({ account: "nobody", fails: null }), { code: "ERR_CONFIG_INVALID" });
});

test("carousels show in the log", async (context) => {
  const cards = ["One", "Two"].map((words) => ({ components: [{ type: "BODY", text: words }] }));
  const components = [
    { type: "BODY", text: "See" },
    { type: "CAROUSEL", cards },
  ];
  const template = { name: "cards", language: "en", status: "APPROVED", category: "MARKETING", components };
  const simulator = await simulate(context, { templates: [template] });
  const carousel = { type: "carousel", cards: [0, 1].map((index) => ({ card_index: index, components: [body()] })) };
  await send(simulator, { template: { name: "cards", language: { code: "en" }, components: [carousel] } });
  assert.deepEqual(simulator.received()[0]?.cards, ["One", "Two"]);
});
