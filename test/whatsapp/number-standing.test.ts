import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { assert as check, anything, property } from "fast-check";

import { recipientLimitIn, recipientLimitOf, standingOf } from "../../engine/whatsapp/number-standing.ts";

const SAMPLES = "../shared/samples/whatsapp";

function sample(name: string): Record<string, unknown> {
  return JSON.parse(readFileSync(`${SAMPLES}/${name}.json`, "utf8"));
}

function webhookValue(name: string): unknown {
  const { entry } = sample(name) as { entry: { changes: { value: unknown }[] }[] };
  return entry[0]?.changes[0]?.value;
}

test("levels are rates, whatever else a number's page says", () => {
  assert.equal(standingOf({ throughput: { level: "STANDARD" } }).messagesPerSecond, 80);
  assert.equal(standingOf({ throughput: { level: "HIGH" }, quality_rating: "GREEN" }).messagesPerSecond, 1000);
  assert.equal(standingOf({ throughput: { level: "HIGH" }, is_on_biz_app: true }).messagesPerSecond, 20);
  for (const page of [{}, { throughput: { level: "NOT_APPLICABLE" } }, { throughput: 7 }, null]) {
    assert.equal(standingOf(page).messagesPerSecond, null);
  }
});

test("limits are read as tiers, numbers and digits, and what is none is unknown", () => {
  const known: [unknown, number | "unlimited"][] = [
    ["TIER_250", 250],
    ["TIER_2K", 2_000],
    ["TIER_10K", 10_000],
    ["TIER_100K", 100_000],
    ["TIER_UNLIMITED", "unlimited"],
    [2000, 2000],
    ["2000", 2000],
  ];
  for (const [value, limit] of known) assert.equal(recipientLimitOf(value), limit);
  for (const value of ["TIER_NOT_SET", "", null, undefined, 0, -1, {}, "TIER_"])
    assert.equal(recipientLimitOf(value), null);
});

test("no answer, however odd, is a fault", () => {
  check(property(anything(), (value) => void [standingOf(value), recipientLimitIn(value)]));
});

test("Meta's samples give their limits", { skip: !existsSync(SAMPLES) }, () => {
  assert.equal(standingOf(sample("phone-messaging-limit")).dailyRecipients, 250);
  assert.equal(recipientLimitIn(webhookValue("webhook-business-capability-update")), 2000);
  assert.equal(recipientLimitIn(webhookValue("webhook-phone-number-quality-update")), "unlimited");
  assert.equal(recipientLimitIn(webhookValue("webhook-account-update-disabled")), null);
});
