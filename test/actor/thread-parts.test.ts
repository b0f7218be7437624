// What an actor thread adds to its partitions: how long a delivery may take, whom each sender may still reach, and what
// other partitions sent to a person.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { FrequencyCap, marketingKey } from "../../engine/actor/frequency-cap.ts";
import { MessageJournal } from "../../engine/actor/message-journal.ts";
import { countTransition } from "../../engine/ledger/counters.ts";
import { type Ledger, openLedger } from "../../engine/ledger/lmdb-ledger.ts";
import { MarketingElsewhere } from "../../engine/marketing-elsewhere.ts";
import { encodeMessageId } from "../../engine/message/ids.ts";
import type { WhatsAppTemplate } from "../../engine/message/template.ts";
import type { SenderConfig } from "../../engine/runtime/config.ts";
import { ThreadBudgets } from "../../engine/thread-budgets.ts";
import { deliveryTimeoutMs } from "../../engine/thread-campaigns.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const PHONE = "+4915112345678";

function template(category: string, seconds?: number): WhatsAppTemplate {
  const ttl = seconds === undefined ? {} : { message_send_ttl_seconds: seconds };
  return { name: "hello", language: "en", status: "APPROVED", category, components: [], ...ttl };
}

test("a delivery is waited for as long as the template lives, and a tenth longer", () => {
  assert.equal(deliveryTimeoutMs(template("UTILITY")), 31 * DAY_MS);
  assert.equal(deliveryTimeoutMs(null), 31 * DAY_MS);
  assert.equal(deliveryTimeoutMs(template("AUTHENTICATION")), 20 * MINUTE_MS);
  assert.equal(deliveryTimeoutMs(template("authentication", 600)), 20 * MINUTE_MS);
  assert.equal(deliveryTimeoutMs(template("UTILITY", 12 * 3_600)), 12 * HOUR_MS + 72 * MINUTE_MS);
  assert.equal(deliveryTimeoutMs(template("UTILITY", 30)), 30_000 + 10 * MINUTE_MS);
  assert.equal(deliveryTimeoutMs(template("AUTHENTICATION", -1)), 31 * DAY_MS);
});

test("a sender without a limit has no budget, and gets one when a limit is set", () => {
  const sender: SenderConfig = {
    id: "shop",
    phoneNumberId: "1",
    wabaId: "2",
    accessToken: "token",
    portfolio: "2",
    messagesPerSecond: 80,
    pairLimit: { periodSeconds: 6, burst: 45 },
    dailyRecipients: 250,
    configured: { messagesPerSecond: 80, dailyRecipients: 250 },
  };
  const budgets = new ThreadBudgets([sender, { ...sender, id: "news", dailyRecipients: "unlimited" }]);
  const shop = budgets.of("shop");
  assert.equal(shop?.report(0).allowance, 250);
  assert.equal(budgets.of("news"), null);
  budgets.set([
    { senderId: "shop", allowance: 2_000 },
    { senderId: "news", allowance: 10 },
  ]);
  assert.equal(budgets.of("shop"), shop, "what was counted counts on");
  assert.equal(shop?.report(0).allowance, 2_000);
  assert.equal(budgets.of("news")?.report(0).allowance, 10);
  budgets.set([{ senderId: "shop", allowance: null }]);
  assert.equal(budgets.of("shop"), null);
});

async function sendMarketing(ledger: Ledger, atMs: number): Promise<void> {
  const journal = new MessageJournal({ get: () => undefined, mark: (key) => ledger.mark(key), countTransition });
  const rules = { refusal: () => null, cap: () => ({ messages: 1, periodMs: DAY_MS }) };
  const frequency = new FrequencyCap({ journal, rules, marketingSendsElsewhere: () => 0 });
  const address = { partition: 0, campaignNumber: 1, node: 0 };
  const messageId = encodeMessageId({ ...address, acceptedAtMs: atMs, sequence: 1 });
  frequency.left({ messageId, phoneNumber: PHONE }, atMs);
  await ledger.commit(journal.take());
}

test("marketing that other partitions sent is counted, whichever thread has them open", async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "volley-marketing-"));
  const paths = [0, 1, 2].map((partition) => join(folder, String(partition)));
  const ledgers = paths.map((path) => openLedger({ path, readOnly: false }));
  const [first, second, third] = ledgers;
  assert.ok(first && second && third);
  const elsewhere = new MarketingElsewhere({ paths, own: [{ partition: 0, ledger: first }] });
  context.after(async () => {
    await elsewhere.close();
    await Promise.all(ledgers.map((ledger) => ledger.close()));
    await rm(folder, { recursive: true, force: true });
  });
  const nowMs = 10 * DAY_MS;
  assert.equal(elsewhere.sends(0, PHONE, nowMs - DAY_MS), 0);
  await sendMarketing(first, nowMs);
  await sendMarketing(second, nowMs - HOUR_MS);
  await sendMarketing(third, nowMs - 2 * DAY_MS);
  assert.ok(third.mark(marketingKey(PHONE)));
  assert.equal(elsewhere.sends(0, PHONE, nowMs - DAY_MS), 1);
  assert.equal(elsewhere.sends(1, PHONE, nowMs - DAY_MS), 1);
  assert.equal(elsewhere.sends(2, PHONE, nowMs - 3 * DAY_MS), 2);
});
