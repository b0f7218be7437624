import assert from "node:assert/strict";
import { test } from "node:test";

import type { WhatsAppTemplate } from "../../engine/message/template.ts";
import { TemplateSync } from "../../engine/template-sync.ts";
import { ManagementCalls } from "../../engine/whatsapp/cloud-api-management.ts";
import { ManualClock } from "../actor/manual-clock.ts";
import { memoryLog } from "../ingress/server-kit.ts";
import { until } from "../support/until.ts";
import { senderOf } from "./sender.ts";

const TEMPLATE = {
  id: "7",
  name: "orders",
  language: "en_US",
  status: "APPROVED",
  category: "UTILITY",
  components: [],
};

interface Bench {
  readonly sync: TemplateSync;
  readonly clock: ManualClock;
  /** Tokens of the lists that were read. */
  readonly asked: string[];
  /** As last told. */
  known(): WhatsAppTemplate | undefined;
  listed: WhatsAppTemplate;
  token: string;
  onAsked(): void;
  untilAsked(times: number): Promise<void>;
}

async function openBench(fromFiles: readonly WhatsAppTemplate[] = []): Promise<Bench> {
  const clock = new ManualClock();
  let known: readonly WhatsAppTemplate[] = [];
  const asked: string[] = [];
  const calls = new ManagementCalls({
    baseUrl: "http://graph.example",
    apiVersion: "v26.0",
    clock,
    fetchJson: async (_url, headers) => {
      const data = [bench.listed];
      asked.push(headers["authorization"] ?? "");
      bench.onAsked();
      return { httpStatus: 200, json: { data } };
    },
  });
  const bench: Omit<Bench, "sync"> = {
    clock,
    asked,
    known: () => known.find(({ name }) => name === "orders"),
    listed: TEMPLATE,
    token: "t1",
    onAsked: () => undefined,
    untilAsked: async (times) => {
      await until(`${times} lists`, () => asked.length >= times);
      await until("the list is in", () => clock.nextInMs !== null);
    },
  };
  const sync = new TemplateSync({
    calls,
    senders: () => [senderOf("main", { accessToken: bench.token })],
    fromFiles,
    onTemplates: (_wabaId, templates) => (known = templates),
    clock,
    log: memoryLog(),
  });
  await sync.firstRound;
  return Object.assign(bench, { sync });
}

test("what a webhook says holds at once, and the list is read again a second later", async () => {
  const bench = await openBench();
  bench.listed = { ...TEMPLATE, status: "PAUSED", quality_score: { score: "RED" } };
  bench.sync.notified("message_template_status_update", { event: "PAUSED", message_template_id: 7 });
  assert.equal(bench.known()?.status, "PAUSED");
  assert.equal(bench.clock.nextInMs, 1_000);
  bench.clock.advance(1_000);
  await bench.untilAsked(2);
  assert.deepEqual(bench.known()?.["quality_score"], { score: "RED" });
});

test("news under a wrong field is understood, news of other things is not", async () => {
  const bench = await openBench();
  const quality = { new_quality_score: "YELLOW", message_template_name: "orders", message_template_language: "en-US" };
  bench.sync.notified("whatever", quality);
  assert.deepEqual(bench.known()?.["quality_score"], { score: "YELLOW" });
  const other = await openBench();
  other.sync.notified("account_update", { event: "ACCOUNT_VIOLATION" });
  assert.equal(other.clock.nextInMs, 300_000);
});

test("a list that was asked for before the news does not undo them", async () => {
  const bench = await openBench();
  bench.onAsked = () => {
    bench.onAsked = () => undefined;
    bench.sync.notified("message_template_status_update", { event: "PAUSED", message_template_id: 7 });
  };
  bench.clock.advance(300_000);
  await bench.untilAsked(2);
  assert.equal(bench.known()?.status, "PAUSED");
  assert.equal(bench.clock.nextInMs, 1_000);
  bench.clock.advance(1_000);
  await bench.untilAsked(3);
  assert.equal(bench.known()?.status, "APPROVED");
});

test("stale templates ask for one list, then ever less often, and again after a quiet while", async () => {
  const bench = await openBench();
  bench.clock.advance(100);
  for (let count = 0; count < 1_000; count++) bench.sync.stale();
  assert.equal(bench.clock.nextInMs, 1_000);
  bench.clock.advance(1_000);
  await bench.untilAsked(2);
  for (let elapsedMs = 0; elapsedMs < 240_000; elapsedMs += 1_000) {
    bench.sync.stale();
    const before = bench.asked.length;
    const isDue = bench.clock.nextInMs !== null && bench.clock.nextInMs <= 1_000;
    bench.clock.advance(1_000);
    if (isDue) await bench.untilAsked(before + 1);
  }
  assert.ok(bench.asked.length <= 7, `${bench.asked.length} lists in four minutes`);
});

test("a new token is used with the next list", async () => {
  const bench = await openBench();
  bench.token = "t2";
  bench.sync.refresh();
  bench.clock.advance(1_000);
  await bench.untilAsked(2);
  assert.deepEqual(bench.asked, ["Bearer t1", "Bearer t2"]);
});

test("Meta's word goes before a file's, and what only a file has stays", async () => {
  const bench = await openBench([{ ...TEMPLATE, status: "REJECTED" }]);
  assert.equal(bench.known()?.status, "APPROVED");
  bench.sync.setFiles([]);
  assert.equal(bench.known()?.status, "APPROVED");
});
