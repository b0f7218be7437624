import assert from "node:assert/strict";
import { test } from "node:test";

import { NumberSync } from "../../engine/number-sync.ts";
import { ManagementCalls } from "../../engine/whatsapp/cloud-api-management.ts";
import type { NumberStanding } from "../../engine/whatsapp/number-standing.ts";
import { ManualClock } from "../actor/manual-clock.ts";
import { memoryLog } from "../ingress/server-kit.ts";
import { until } from "../support/until.ts";
import { senderOf } from "./sender.ts";

interface Bench {
  readonly sync: NumberSync;
  readonly clock: ManualClock;
  readonly asked: string[];
  readonly standings: Record<string, NumberStanding>;
  answer: object;
  untilAsked(times: number): Promise<void>;
}

async function openBench(): Promise<Bench> {
  const clock = new ManualClock();
  const asked: string[] = [];
  const standings: Bench["standings"] = {};
  const senders = [senderOf("a", { phoneNumberId: "11", wabaId: "1" }), senderOf("b", { phoneNumberId: "22" })];
  const calls = new ManagementCalls({
    baseUrl: "http://graph.example",
    apiVersion: "v26.0",
    clock,
    fetchJson: async (url) => {
      asked.push(new URL(url).pathname.split("/").at(-1) ?? "");
      return { httpStatus: 200, json: bench.answer };
    },
  });
  const bench = {
    clock,
    asked,
    standings,
    answer: { throughput: { level: "STANDARD" }, whatsapp_business_manager_messaging_limit: "TIER_2K" },
    untilAsked: (times: number) => until(`${times} numbers were read`, () => asked.length >= times),
  };
  const sync = new NumberSync({
    calls,
    senders: () => senders,
    onStanding: (senderId, standing) => (standings[senderId] = standing),
    clock,
    log: memoryLog(),
  });
  await sync.firstRound;
  return Object.assign(bench, { sync });
}

test("reads every number at the start and every quarter of an hour", async () => {
  const bench = await openBench();
  assert.deepEqual(bench.asked.toSorted(), ["11", "22"]);
  assert.deepEqual([bench.standings["a"]?.messagesPerSecond, bench.standings["b"]?.dailyRecipients], [80, 2000]);
  assert.equal(bench.clock.nextInMs, 900_000);
  bench.answer = { throughput: { level: "HIGH" } };
  bench.clock.advance(900_000);
  await until("the new level is known", () => bench.sync.standingOf("a")?.messagesPerSecond === 1000);
});

test("the limit of a webhook holds at once, as a number or as a word, for the account it is about", async () => {
  const bench = await openBench();
  bench.sync.notified("business_capability_update", { max_daily_conversations_per_business: 10_000 }, "1");
  assert.deepEqual([bench.standings["a"]?.dailyRecipients, bench.standings["b"]?.dailyRecipients], [10_000, 2000]);
  bench.sync.notified("phone_number_quality_update", { current_limit: "TIER_UNLIMITED" }, "unknown portfolio");
  assert.equal(bench.standings["b"]?.dailyRecipients, "unlimited");
});

test("a throughput upgrade is read from the number a second later, other news are not about it", async () => {
  const bench = await openBench();
  bench.sync.notified("message_template_status_update", { event: "PAUSED" }, "1");
  assert.equal(bench.clock.nextInMs, 900_000);
  bench.answer = { throughput: { level: "HIGH" } };
  bench.sync.notified("phone_number_quality_update", { event: "THROUGHPUT_UPGRADE" }, "1");
  bench.sync.notified("phone_number_quality_update", { event: "THROUGHPUT_UPGRADE" }, "1");
  bench.clock.advance(1_000);
  await until("the upgrade is known", () => bench.standings["a"]?.messagesPerSecond === 1000);
  assert.deepEqual(bench.asked.slice(2), ["11"]);
});

test("a number that cannot be read keeps what is known, and is asked for at growing pauses", async () => {
  const bench = await openBench();
  bench.answer = { error: { code: 190, message: "expired" } };
  bench.sync.refresh();
  bench.clock.advance(0);
  await bench.untilAsked(4);
  await until("the next reading is planned", () => bench.clock.nextInMs === 10_000);
  bench.clock.advance(10_000);
  await bench.untilAsked(6);
  await until("the next reading is planned", () => bench.clock.nextInMs === 20_000);
  assert.equal(bench.sync.standingOf("a")?.messagesPerSecond, 80);
});
