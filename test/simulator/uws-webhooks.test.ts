import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";

import { NUMBER_ID, WABA_ID, valueAt } from "./fixtures.ts";
import { startSubscriber, statusesIn } from "./http-subscriber.ts";
import { send, sendRequest, simulate, subscribe } from "./uws-simulation.ts";

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
    ...sendRequest({ to: "+14155550104" }),
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

test("in all roughness the webhooks report exactly what the log promised", async (context) => {
  const subscriber = await subscribe(context, (post) => (post % 5 === 0 ? 503 : 200));
  const quick = { minMs: 1, maxMs: 30 };
  const simulator = await simulate(context, {
    webhookUrl: subscriber.url,
    seed: randomInt(2 ** 32),
    senders: [{ phoneNumberId: NUMBER_ID, wabaId: WABA_ID, messagesPerSecond: 100_000 }],
    scenario: {
      preset: "rough",
      answers: { latency: quick, slow: { share: 0, latency: 0 }, silent: { share: 0.01, acceptedShare: 0.5 } },
      held: { share: 0.05, releaseAfter: quick, droppedShare: 0.3 },
      statuses: { sentAfter: quick, deliveredAfter: quick, readAfter: quick, reorderBy: quick },
      webhooks: { retryAfterMs: 2, retryAfterMsMax: 10, updatesPerPostMax: 40 },
    },
  });
  const giveUp = new AbortController();
  const sends = Array.from({ length: 400 }, (_, index) => {
    const content = { to: `+1415555${1000 + index}`, biz_opaque_callback_data: `message-${index}` };
    const request = { ...sendRequest(content), signal: giveUp.signal };
    return fetch(`${simulator.url}/v26.0/${NUMBER_ID}/messages`, request)
      .then((response) => response.text())
      .catch(() => "lost");
  });
  while (simulator.received().length < sends.length) await new Promise((resolve) => setImmediate(resolve));
  await simulator.idle();
  giveUp.abort();
  await Promise.all(sends);

  const reported = new Map<string, Set<string>>();
  for (const { biz_opaque_callback_data: message = "", status, errors } of subscriber.statuses()) {
    reported.set(message, (reported.get(message) ?? new Set()).add(`${status} ${errors?.[0]?.code ?? ""}`));
  }
  for (const { bizOpaqueCallbackData: message, end } of simulator.received()) {
    const statuses = reported.get(message);
    const about = `seed ${simulator.seed}, ${message}`;
    if (end === null) assert.equal(statuses, undefined, about);
    else assert.ok(statuses?.has(`${end.status} ${end.errorCode ?? ""}`), about);
    if (end?.status === "sent") assert.equal(statuses?.size, 1, about);
  }
  assert.equal(simulator.stats().answers.received, sends.length);
});
