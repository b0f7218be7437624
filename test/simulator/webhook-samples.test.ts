// The simulator's webhooks against collected ones of Meta's own shape: every field that a sample has, ours have too.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import type { Change } from "../../engine/simulator/change.ts";
import { FineClock } from "../../engine/simulator/fine-clock.ts";
import { inboundUpdate, type Inbound } from "../../engine/simulator/inbound.ts";
import { readScenario } from "../../engine/simulator/scenario-reading.ts";
import { World } from "../../engine/simulator/world.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { NUMBER_ID, templates, WABA_ID, valueAt } from "./fixtures.ts";
import type { ReceivedChange } from "./http-subscriber.ts";

const SAMPLES = "../shared/samples/whatsapp";
const clock = new FineClock(systemClock);
const wrote = (json: string): ReceivedChange => JSON.parse(json) as ReceivedChange;

function world(): World {
  const reading = readScenario({});
  assert.ok(reading.kind === "valid");
  const { scenario } = reading;
  const senders = [{ phoneNumberId: NUMBER_ID, wabaId: WABA_ID, messagesPerSecond: 80 }];
  return new World({ senders, accessTokens: null, templates, scenario });
}

/** What the last of these changes is told by. */
function newsOf(...changes: readonly Change[]): ReceivedChange {
  const { updates } = world().apply(changes, clock.now());
  return wrote(updates.at(-1)?.changeJson ?? "null");
}

function inbound(message: Inbound): ReceivedChange {
  const [number] = world().numbers.values();
  assert.ok(number !== undefined);
  return wrote(inboundUpdate(message, number, { wamid: "wamid.x", atMs: 1e12 }).changeJson);
}

/** Paths of all fields, with the JSON type at each; arrays count by their first element. */
function shape(value: unknown, path = ""): string[] {
  if (Array.isArray(value)) return shape(value[0], `${path}[]`);
  if (typeof value !== "object" || value === null) return [`${path}: ${typeof value}`];
  return Object.entries(value).flatMap(([name, field]) => shape(field, `${path}.${name}`));
}

const from = "+16505551234";
const cases: readonly (readonly [string, ReceivedChange])[] = [
  ["webhook-template-status-approved.json", newsOf({ template: "pending", status: "APPROVED" })],
  ["webhook-template-category-update-done.json", newsOf({ template: "greeting", category: "MARKETING" })],
  ["webhook-template-category-update-upcoming.json", newsOf({ template: "greeting", correctCategory: "MARKETING" })],
  ["pywa-webhook-template-quality-update-yellow.json", newsOf({ template: "greeting", quality: "YELLOW" })],
  ["webhook-phone-number-quality-update.json", newsOf({ number: NUMBER_ID, messagesPerSecond: 1000 })],
  ["webhook-business-capability-update.json", newsOf({ dailyRecipients: 2000 })],
  ["pywa-webhook-account-update-account-restriction.json", newsOf({ account: "*", fails: { code: 131_031 } })],
  [
    "webhook-account-update-disabled.json",
    newsOf({ account: "*", fails: { code: 368 } }, { account: "*", fails: null }),
  ],
  ["real-webhook-inbound-text.json", inbound({ from, text: "Hi" })],
  ["webhook-inbound-template-button-unsubscribe.json", inbound({ from, button: "Stop", contextId: "wamid.y" })],
  ["webhook-user-preferences-stop.json", inbound({ from, preference: "stop" })],
];

for (const [file, ours] of cases) {
  const path = join(SAMPLES, file);
  test(`has every field of ${file}`, { skip: !existsSync(path) }, () => {
    const sample = valueAt(JSON.parse(readFileSync(path, "utf8")), "entry", 0, "changes", 0);
    const present = new Set(shape(ours));
    assert.deepEqual(
      shape(sample).filter((field) => !present.has(field)),
      [],
    );
    assert.equal(ours.field, valueAt(sample, "field"));
  });
}
