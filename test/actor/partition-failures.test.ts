// What status webhooks tell of more than their message: failures that are not its own, and proofs of a double send.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { MessageId } from "../../engine/message/ids.ts";
import type { BlockScope, Verdict } from "../../engine/message/verdict.ts";
import { acceptedVerdict, statusOf, type World } from "./partition-world.ts";
import { dispatched, HOUR_MS, MINUTE_MS, UNKNOWN, worldOf } from "./partition-scene.ts";

const blocked = (scope: BlockScope): Verdict => {
  return { kind: "blocked", scope, errorCode: 131_042, reason: "It is blocked." };
};

function failLater(world: World, id: MessageId, attempt = 1): void {
  world.updates(statusOf(id, "failed", world.clock.nowMs(), attempt));
  world.partition.appended();
}

async function sentOne(world: World, timeToLiveMs = 24 * HOUR_MS): Promise<MessageId> {
  world.setCampaign({ campaignNumber: 1, timeToLiveMs });
  world.partition.start();
  const [id] = world.accept(1, 1);
  assert.ok(id);
  world.partition.appended();
  await world.run(5_000);
  assert.equal(world.row(id).status, "sent");
  return id;
}

test("a failure that the message is not to blame for blocks its scope, and the message is sent again", async (context) => {
  const world = await worldOf(context);
  const id = await sentOne(world);
  world.failureOf = () => blocked("number");
  failLater(world, id);
  await world.settle();
  const row = world.row(id);
  assert.equal(row.status, "retrying");
  assert.equal(row.attempts, 1);
  assert.equal(row.wamid, "");
  assert.match(row.timeline.at(-1)?.detail ?? "", /told so later, in a status/);
  await world.run(1_000);
  assert.equal(world.reports.get("shop")?.blocks[0]?.scope, "number");
  await world.run(HOUR_MS);
  assert.deepEqual(
    world.sends.map(({ attempt }) => attempt),
    [1, 2],
  );
  assert.equal(world.row(id).status, "sent");
  // No webhook said otherwise of the one that was sent again: the next one opens the block.
  world.accept(1, 1);
  world.partition.appended();
  await world.run(1_000);
  assert.deepEqual(world.reports.get("shop")?.blocks, []);
  world.checkBooks();
});

test("the same failure told twice revives the message once", async (context) => {
  const world = await worldOf(context);
  const id = await sentOne(world);
  world.failureOf = () => blocked("account");
  failLater(world, id);
  failLater(world, id);
  await world.run(HOUR_MS);
  failLater(world, id);
  await world.run(HOUR_MS);
  assert.equal(world.sends.length, 2);
  assert.equal(world.row(id).status, "sent");
});

test("what comes back after a block has no retry budget to wait for", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  const ids = world.accept(1, 60);
  world.partition.appended();
  await world.run(5_000);
  world.failureOf = () => blocked("account");
  for (const id of ids) failLater(world, id);
  await world.run(5 * MINUTE_MS);
  assert.deepEqual(world.countOf(1), { sent: 60 });
  const again = world.sends.filter(({ attempt }) => attempt === 2).map(({ atMonotonicMs }) => atMonotonicMs);
  assert.equal(again.length, 60);
  // The first of them probed the block for ten seconds; the others followed as fast as the number goes.
  const [, second = 0] = again;
  assert.ok((again.at(-1) ?? 0) - second < 1_000, `${(again.at(-1) ?? 0) - second} ms`);
  world.checkBooks();
});

test("what a country, a template, a limit or the end of its life cost a message stays failed", async (context) => {
  const cases: readonly { readonly verdict: Verdict; readonly timeToLiveMs?: number }[] = [
    { verdict: { kind: "blocked", scope: "country", errorCode: 130_497, reason: "Country." } },
    { verdict: { kind: "blocked", scope: "account", errorCode: 131_031, reason: "Locked.", isFinal: true } },
    { verdict: { kind: "throttled", scope: "number", errorCode: 130_429, reason: "Fast.", retryAfterMs: null } },
    { verdict: blocked("template") },
    { verdict: blocked("token"), timeToLiveMs: 20_000 },
  ];
  for (const { verdict, timeToLiveMs } of cases) {
    const world = await worldOf(context);
    const id = await sentOne(world, timeToLiveMs);
    world.failureOf = () => verdict;
    failLater(world, id);
    await world.run(HOUR_MS);
    assert.equal(world.row(id).status, "failed", JSON.stringify(verdict));
    assert.equal(world.sends.length, 1);
    world.checkBooks();
  }
});

test("an account that fails every time by status is tried only so often", async (context) => {
  const world = await worldOf(context);
  const id = await sentOne(world, 300 * HOUR_MS);
  world.failureOf = () => blocked("account");
  for (let round = 0; round < 20 && world.row(id).status !== "failed"; round++) {
    failLater(world, id, world.row(id).attempts);
    await world.run(3 * HOUR_MS);
  }
  assert.equal(world.row(id).status, "failed");
  assert.equal(world.sends.length, 8);
});

test("codes that no release knows and templates that are out of date are passed on, of answers and of statuses", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  const [id] = world.accept(1, 2);
  assert.ok(id);
  world.partition.appended();
  const unknown: Verdict = { kind: "rejected", errorCode: 99, reason: "New.", isUnknownCode: true };
  const stale: Verdict = { kind: "rejected", errorCode: 132_001, reason: "Stale.", isTemplateStale: true };
  await world.run(1_000, ({ messageId }) => (messageId === id ? unknown : acceptedVerdict()));
  assert.deepEqual(world.unknownCodes, [99]);
  const [, other] = world.accepted;
  assert.ok(other);
  world.failureOf = () => stale;
  failLater(world, other);
  await world.run(1_000);
  assert.equal(world.staleTemplates, 1);
});

test("a late proof that an attempt given up had arrived is counted and told once", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1, uncertain: { waitMs: MINUTE_MS, then: "resend" } });
  world.partition.start();
  const [id] = world.accept(1, 1);
  assert.ok(id);
  world.partition.appended();
  await dispatched(world, 1);
  world.inFlight[0]?.answer(UNKNOWN);
  await world.run(2 * MINUTE_MS);
  assert.equal(world.row(id).attempts, 2);
  const at = world.clock.nowMs();
  world.updates(statusOf(id, "delivered", at, 2), statusOf(id, "sent", at - 60_000, 1));
  world.partition.appended();
  await world.settle();
  world.updates(statusOf(id, "delivered", at + 5_000, 1));
  world.partition.appended();
  await world.settle();
  const [state] = world.ledger.campaignStates();
  assert.equal(state?.counters.doubleSends, 1);
  const told = world.row(id).timeline.filter(({ detail }) => detail.startsWith("It reached the recipient twice"));
  assert.equal(told.length, 1);
  assert.equal(world.row(id).status, "delivered");
});

test("a replay leaves alone who is not to get more marketing, for a day or for good", async (context) => {
  const world = await worldOf(context);
  world.setCampaign({ campaignNumber: 1 });
  world.partition.start();
  const ids = world.accept(1, 3);
  world.partition.appended();
  const codes = [130_472, 131_050, 131_049];
  await world.run(1_000, ({ messageId }) => {
    return { kind: "rejected", errorCode: codes[ids.indexOf(messageId)] ?? 0, reason: "No." };
  });
  assert.equal(world.partition.replay(ids, 10), 0);
  await world.run(24 * HOUR_MS);
  assert.equal(world.partition.replay(ids, 10), 1);
  await world.run(1_000);
  assert.deepEqual(world.countOf(1), { failed: 2, sent: 1 });
});
