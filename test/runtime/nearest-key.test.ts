import assert from "node:assert/strict";
import { test } from "node:test";

import { nearestKey } from "../../engine/runtime/nearest-key.ts";

const KEYS = ["messagesPerSecond", "pairLimit", "dailyRecipients", "wabaId"];

test("a slip of the finger finds its key", () => {
  assert.equal(nearestKey("mesagesPerSecond", KEYS), "messagesPerSecond");
  assert.equal(nearestKey("dailyRecipient", KEYS), "dailyRecipients");
});

test("another way of writing a key is nearest to that key", () => {
  assert.equal(nearestKey("waba_id", KEYS), "wabaId");
  assert.equal(nearestKey("MESSAGES-PER-SECOND", KEYS), "messagesPerSecond");
});

test("nothing is nearest to anything where nothing is known", () => {
  assert.equal(nearestKey("x", []), null);
});

test("a key of a megabyte costs no more than a short one", () => {
  assert.equal(nearestKey("pairLimit".repeat(100_000), KEYS), "pairLimit");
});
