import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import type { Simulator, SimulatorOptions } from "../../engine/simulator/simulator.ts";
import { startSimulator } from "../../engine/simulator/uws-simulator.ts";
import { body, greeting, greetingSend, NUMBER_ID, templates, text, TOKEN, valueAt, WABA_ID } from "./fixtures.ts";
import { startSubscriber, statusesIn, type Subscriber } from "./http-subscriber.ts";

const SECRET = "app-secret";

async function simulate(context: TestContext, options: Partial<SimulatorOptions> = {}): Promise<Simulator> {
  const simulator = await startSimulator({
    templates,
    senders: [{ phoneNumberId: NUMBER_ID, wabaId: WABA_ID, messagesPerSecond: 80 }],
    accessTokens: [TOKEN],
    appSecret: SECRET,
    seed: 11,
    ...options,
  });
  context.after(() => simulator.close());
  return simulator;
}

async function subscribe(context: TestContext, answer?: (post: number) => number): Promise<Subscriber> {
  const subscriber = await startSubscriber(answer);
  context.after(() => subscriber.close());
  return subscriber;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function send(simulator: Simulator, fields: object = {}, path = `/v26.0/${NUMBER_ID}/messages`): Promise<Answer> {
  const response = await fetch(simulator.url + path, {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify(greetingSend({ ...fields })),
  });
  return { status: response.status, body: await response.json() };
}

async function get(simulator: Simulator, path: string): Promise<Answer> {
  const response = await fetch(simulator.url + path, { headers: { authorization: `Bearer ${TOKEN}` } });
  return { status: response.status, body: await response.json() };
}

test("accepts a message as Meta does and reports its statuses by signed webhooks", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, { webhookUrl: subscriber.url, scenario: { statuses: { readShare: 1 } } });
  const { status, body: answer } = await send(simulator);
  assert.equal(status, 200);
  const wamid = valueAt(answer, "messages", 0, "id");
  assert.deepEqual(answer, {
    messaging_product: "whatsapp",
    contacts: [{ input: "+14155550100", wa_id: "14155550100" }],
    messages: [{ id: wamid, message_status: "accepted" }],
  });
  await simulator.idle();
  assert.deepEqual(
    subscriber.statuses().map((one) => [one.id, one.status, one.biz_opaque_callback_data]),
    ["sent", "delivered", "read"].map((one) => [wamid, one, "message-1"]),
  );
  for (const post of subscriber.posts) {
    const signature = createHmac("sha256", SECRET).update(post.body, "latin1").digest("hex");
    assert.equal(post.headers["x-hub-signature-256"], `sha256=${signature}`);
    assert.equal(post.headers["content-type"], "application/json");
  }
});

test("keeps of every send what a checker needs, in memory and in the log file", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "volley-simulator-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const logFile = join(folder, "log", "received.jsonl");
  const simulator = await simulate(context, {
    logFile,
    scenario: { recipients: [{ suffix: "404", outcome: "failed", code: 131_026 }] },
  });
  const startedAtMs = Date.now();
  await send(simulator);
  await send(simulator, { to: "+14155550404", biz_opaque_callback_data: "message-2" });
  await send(simulator, { template: { name: "greeting", language: { code: "en" }, components: [body(text("é"))] } });
  await simulator.idle();
  const [accepted, failing, refused] = simulator.received();
  assert.ok(accepted !== undefined && failing !== undefined && refused !== undefined);
  assert.ok(Math.abs(accepted.arrivedAtMs - startedAtMs) < 5000);
  assert.ok(failing.arrivedMonotonicMs > accepted.arrivedMonotonicMs);
  assert.deepEqual(
    [accepted.sequence, accepted.phoneNumberId, accepted.to, accepted.templateName, accepted.templateLanguage],
    [1, NUMBER_ID, "+14155550100", "greeting", "en"],
  );
  assert.equal(accepted.text, "Hello Ana, parcel P-1 waits. Bye Ana!");
  assert.equal(accepted.bizOpaqueCallbackData, "message-1");
  assert.equal(accepted.answer.kind, "accepted");
  assert.deepEqual(accepted.end, { status: "delivered", errorCode: null });
  assert.deepEqual(failing.end, { status: "failed", errorCode: 131_026 });
  assert.deepEqual([refused.answer.kind === "refused" && refused.answer.errorCode, refused.end], [132_000, null]);
  await simulator.close();
  const lines = readFileSync(logFile, "utf8").trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    structuredClone(simulator.received()),
  );
});

test("refuses calls without a valid token, of unknown objects and of unknown paths", async (context) => {
  const simulator = await simulate(context);
  const post = (authorization: string) =>
    fetch(`${simulator.url}/v26.0/${NUMBER_ID}/messages`, { method: "POST", headers: { authorization }, body: "{}" });
  const withoutToken = await post("");
  assert.equal(withoutToken.status, 401);
  const withWrongToken = await post("Bearer wrong");
  assert.equal(withWrongToken.status, 401);
  assert.equal(valueAt(await withWrongToken.json(), "error", "code"), 190);
  const unknown = await send(simulator, {}, "/v26.0/999/messages");
  assert.deepEqual(
    [unknown.status, valueAt(unknown.body, "error", "code"), valueAt(unknown.body, "error", "error_subcode")],
    [400, 100, 33],
  );
  assert.equal(valueAt(await get(simulator, "/v26.0/999/message_templates"), "body", "error", "error_subcode"), 33);
  assert.equal(valueAt(await get(simulator, "/nothing"), "body", "error", "code"), 2500);
});

test("a number's limit holds for every second, by time of arrival", async (context) => {
  const simulator = await simulate(context);
  const answers = await Promise.all(
    Array.from({ length: 120 }, (_, index) => send(simulator, { to: `+1415555${1000 + index}` })),
  );
  const received = simulator.received();
  const withinLimit = received.filter((one) => one.answer.kind === "accepted").map((one) => one.arrivedMonotonicMs);
  for (const from of withinLimit) {
    const inSecond = withinLimit.filter((at) => at >= from && at < from + 1000).length;
    assert.ok(inSecond <= 80, `${inSecond} in one second`);
  }
  const refused = answers.filter((answer) => answer.status !== 200);
  assert.equal(refused.length, 120 - withinLimit.length);
  assert.ok(refused.length > 0);
  assert.equal(valueAt(refused[0], "body", "error", "message"), "(#130429) Rate limit hit");
  const stats = simulator.stats().numbers[NUMBER_ID];
  assert.deepEqual([stats?.received, stats?.throttled], [120, refused.length]);
  assert.equal(stats?.withinLimitPerSecondPeak, 80);
});

test("a pair has a burst of 45, others are not affected", async (context) => {
  const simulator = await simulate(context);
  const answers = await Promise.all(Array.from({ length: 47 }, () => send(simulator)));
  const codes = answers
    .filter((answer) => answer.status !== 200)
    .map((answer) => valueAt(answer, "body", "error", "code"));
  assert.deepEqual(codes, [131_056, 131_056]);
  assert.equal((await send(simulator, { to: "+14155550999" })).status, 200);
});

test("webhooks are repeated byte for byte until they are answered with 200", async (context) => {
  const subscriber = await subscribe(context, (post) => (post <= 3 ? 500 : 200));
  const webhooks = { retryAfterMs: 5, retryAfterMsMax: 20, parallelPostsMax: 1 };
  const simulator = await simulate(context, { webhookUrl: subscriber.url, scenario: { webhooks } });
  await send(simulator);
  await simulator.idle();
  assert.ok(subscriber.posts.length >= 4);
  const bodies = new Set(subscriber.posts.map((post) => post.body));
  assert.ok(bodies.size < subscriber.posts.length);
  assert.deepEqual(
    subscriber
      .statuses()
      .map((one) => one.status)
      .toSorted(),
    ["delivered", "sent"],
  );
  const { acknowledged, failedPosts, lastFailure } = simulator.stats().webhooks;
  assert.deepEqual([acknowledged, failedPosts, lastFailure], [2, 3, "HTTP 500"]);
});

test("webhooks survive a subscriber that is away for a while", async (context) => {
  const first = await startSubscriber();
  await first.close();
  const simulator = await simulate(context, {
    webhookUrl: first.url,
    scenario: { webhooks: { retryAfterMs: 5, retryAfterMsMax: 20 } },
  });
  await send(simulator);
  const second = await subscribe(context);
  simulator.setWebhookUrl(second.url);
  await simulator.idle();
  assert.deepEqual(
    second
      .statuses()
      .map((one) => one.status)
      .toSorted(),
    ["delivered", "sent"],
  );
});

test("statuses are dropped while nobody is subscribed, and when the subscriber stays away too long", async (context) => {
  const away = await startSubscriber();
  await away.close();
  const simulator = await simulate(context);
  await send(simulator);
  await simulator.idle();
  assert.equal(simulator.stats().webhooks.dropped, 2);
  simulator.setScenario({ webhooks: { retryAfterMs: 1, retryAfterMsMax: 2, giveUpAfterMs: 30 } });
  simulator.setWebhookUrl(away.url);
  await send(simulator);
  await simulator.idle();
  assert.equal(simulator.stats().webhooks.dropped, 4);
  simulator.setScenario({});
  await send(simulator);
  while (simulator.stats().webhooks.failedPosts === 0) await new Promise((resolve) => setImmediate(resolve));
  simulator.setWebhookUrl(null);
  await simulator.idle();
  assert.deepEqual([simulator.stats().webhooks.dropped, simulator.stats().webhooks.acknowledged], [6, 0]);
});

test("updates are gathered into POSTs of bounded size, doubled and shuffled as told", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, {
    webhookUrl: subscriber.url,
    senders: [{ phoneNumberId: NUMBER_ID, wabaId: WABA_ID, messagesPerSecond: 100_000 }],
    scenario: {
      statuses: { readShare: 1, duplicateShare: 1, reorderShare: 0.5, reorderBy: { minMs: 5, maxMs: 60 } },
      webhooks: { updatesPerPostMax: 7 },
    },
  });
  await Promise.all(Array.from({ length: 60 }, (_, index) => send(simulator, { to: `+1415555${1000 + index}` })));
  await simulator.idle();
  const statuses = subscriber.statuses();
  assert.equal(statuses.length, 60 * 3 * 2);
  const counts = subscriber.posts.map((post) => statusesIn(post.body).length);
  assert.ok(Math.max(...counts) === 7, String(counts));
  const firstSeen = new Map<string, string>();
  for (const one of statuses) if (!firstSeen.has(one.id)) firstSeen.set(one.id, one.status);
  assert.ok(
    [...firstSeen.values()].some((status) => status !== "sent"),
    "none came out of order",
  );
});

test("lost answers: cut, silent and garbled ones, taken or not", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, {
    webhookUrl: subscriber.url,
    scenario: {
      answers: { latency: 5 },
      recipients: [
        { suffix: "01", outcome: "cut" },
        { suffix: "02", outcome: "cut", accepted: false },
        { suffix: "03", outcome: "garbled" },
        { suffix: "04", outcome: "silent" },
      ],
    },
  });
  await assert.rejects(send(simulator, { to: "+14155550101" }));
  await assert.rejects(send(simulator, { to: "+14155550102" }));
  await assert.rejects(send(simulator, { to: "+14155550103" }), SyntaxError);
  const giveUp = new AbortController();
  const silent = fetch(`${simulator.url}/v26.0/${NUMBER_ID}/messages`, {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify(greetingSend({ to: "+14155550104" })),
    signal: giveUp.signal,
  });
  while (simulator.received().length < 4) await new Promise((resolve) => setImmediate(resolve));
  giveUp.abort();
  await assert.rejects(silent);
  await simulator.idle();
  const how = simulator.received().map(({ answer }) => answer.kind === "lost" && [answer.how, answer.wamid !== null]);
  assert.deepEqual(how, [
    ["cut", true],
    ["cut", false],
    ["garbled", true],
    ["silent", true],
  ]);
  const reported = new Set(subscriber.statuses().map((one) => one.recipient_id));
  assert.deepEqual([...reported].toSorted(), ["14155550101", "14155550103", "14155550104"]);
  assert.equal(simulator.stats().answers.lostButTaken, 3);
});

test("a held message says so and is released later or dropped", async (context) => {
  const subscriber = await subscribe(context);
  const simulator = await simulate(context, {
    webhookUrl: subscriber.url,
    scenario: {
      held: { releaseAfter: 20 },
      recipients: [
        { suffix: "1", outcome: "held" },
        { suffix: "2", outcome: "dropped" },
      ],
    },
  });
  const held = await send(simulator, { to: "+14155550101" });
  assert.equal(valueAt(held, "body", "messages", 0, "message_status"), "held_for_quality_assessment");
  await send(simulator, { to: "+14155550102" });
  await simulator.idle();
  const ends = subscriber.statuses().map((one) => `${one.recipient_id} ${one.status} ${one.errors?.[0]?.code ?? ""}`);
  assert.deepEqual(ends.toSorted(), ["14155550101 delivered ", "14155550101 sent ", "14155550102 failed 132015"]);
});

test("the scenario and the templates can be changed while it runs", async (context) => {
  const simulator = await simulate(context);
  const put = (scenario: unknown) =>
    fetch(`${simulator.url}/simulator/scenario`, { method: "PUT", body: JSON.stringify(scenario) });
  assert.equal((await put({ failures: [{ code: 131_016, share: 1, where: "answer" }] })).status, 200);
  const failing = await send(simulator);
  assert.deepEqual([failing.status, valueAt(failing, "body", "error", "code")], [500, 131_016]);
  const refused = await put({ failures: [{ code: 131_016, share: 3, where: "answer" }] });
  assert.equal(refused.status, 400);
  assert.deepEqual(await refused.json(), { faults: ["/failures/0/share must be <= 1"] });
  assert.equal(valueAt(await get(simulator, "/simulator/scenario"), "body", "failures", 0, "share"), 1);
  assert.throws(() => simulator.setScenario({ preset: "rough", statuses: { readShare: -1 } }), {
    code: "ERR_CONFIG_INVALID",
  });
  simulator.setScenario({});
  simulator.setTemplates([{ ...greeting, status: "PAUSED" }]);
  assert.equal(valueAt(await send(simulator), "body", "error", "code"), 132_015);
});

test("what it received and counted can be read over HTTP", async (context) => {
  const simulator = await simulate(context, { receivedMax: 4 });
  for (let index = 0; index < 5; index++) await send(simulator, { to: `+1415555010${index}` });
  const page = (await get(simulator, "/simulator/received?after=3")).body;
  const sequences = [0, 1, 2].map((index) => valueAt(page, "items", index, "sequence"));
  assert.deepEqual([sequences, valueAt(page, "forgotten")], [[4, 5, undefined], 1]);
  assert.equal((await get(simulator, "/simulator/received?after=x")).status, 400);
  const stats = (await get(simulator, "/simulator/stats")).body;
  assert.equal(valueAt(stats, "seed"), 11);
  assert.deepEqual([valueAt(stats, "answers", "received"), valueAt(stats, "answers", "accepted")], [5, 5]);
});

test("lists templates page by page and tells a number's throughput", async (context) => {
  const simulator = await simulate(context);
  let url = `${simulator.url}/v26.0/${WABA_ID}/message_templates?limit=3&access_token=${TOKEN}`;
  const names: unknown[] = [];
  while (url !== "undefined") {
    const page: unknown = await (await fetch(url)).json();
    for (let index = 0; valueAt(page, "data", index) !== undefined; index++)
      names.push(valueAt(page, "data", index, "name"));
    url = String(valueAt(page, "paging", "next"));
  }
  assert.deepEqual(
    names,
    templates.map((template) => template.name),
  );
  const number = await get(simulator, `/v26.0/${NUMBER_ID}?fields=throughput`);
  assert.deepEqual(number.body, { throughput: { level: "STANDARD" }, id: NUMBER_ID });
});

test("the same seed and order give the same outcomes", async (context) => {
  const outcomes: string[] = [];
  for (let run = 0; run < 2; run++) {
    const simulator = await simulate(context, {
      seed: 4711,
      scenario: { preset: "rough", answers: { latency: 0, slow: { share: 0, latency: 0 } } },
    });
    for (let index = 0; index < 60; index++) {
      await send(simulator, { to: `+1415555${1000 + index}` }).catch(() => null);
    }
    outcomes.push(JSON.stringify(simulator.received().map((one) => [one.answer.kind, one.end])));
  }
  assert.equal(outcomes[0], outcomes[1]);
});

test("clients that vanish at any moment and bodies in pieces do no harm", async (context) => {
  const simulator = await simulate(context, { scenario: { answers: { latency: { minMs: 1, maxMs: 20 } } } });
  const content = JSON.stringify(greetingSend({ to: "+1 415 555 0100 é".slice(0, 15) }));
  const head = `POST /v26.0/${NUMBER_ID}/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\ncontent-length: ${Buffer.byteLength(content)}\r\n\r\n`;
  const request = head + content;
  for (let cut = 0; cut <= request.length; cut += 23) {
    await new Promise<void>((resolve) => {
      const socket = connect(simulator.port, "127.0.0.1", () => {
        socket.write(request.slice(0, cut));
        setImmediate(() => socket.destroy());
      });
      socket.on("close", () => resolve());
    });
  }
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(simulator.port, "127.0.0.1", () => {
      socket.setNoDelay(true);
      socket.write(head + content.slice(0, 100));
      setImmediate(() => socket.write(content.slice(100)));
    });
    socket.once("data", (data) => {
      resolve(data.toString());
      socket.destroy();
    });
  });
  assert.match(answer, /^HTTP\/1\.1 200 OK/);
  await simulator.idle();
});

test("a body beyond a mebibyte is refused", async (context) => {
  const simulator = await simulate(context);
  const response = await fetch(`${simulator.url}/v26.0/${NUMBER_ID}/messages`, {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}` },
    body: "x".repeat(1024 * 1024 + 1),
  }).catch(() => null);
  assert.ok(response === null || response.status === 413);
  assert.equal(simulator.received().length, 0);
});

test("a port that is taken is an error with a code", async (context) => {
  const simulator = await simulate(context);
  await assert.rejects(simulate(context, { port: simulator.port }), { code: "ERR_INGRESS_LISTEN" });
});
