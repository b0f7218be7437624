import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { body, greeting, greetingSend, NUMBER_ID, templates, text, TOKEN, WABA_ID, valueAt } from "./fixtures.ts";
import { get, SECRET, send, simulate, subscribe } from "./uws-simulation.ts";

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
