import assert from "node:assert/strict";
import { test } from "node:test";

import { effectiveLimits } from "../../engine/runtime/granted-limits.ts";

test("auto is Meta's figure for every number until it says more, and then its word", () => {
  const auto = { messagesPerSecond: "auto", dailyRecipients: "auto" } as const;
  assert.deepEqual(effectiveLimits(auto, null), { messagesPerSecond: 80, dailyRecipients: "unlimited" });
  const granted = { messagesPerSecond: 1000, dailyRecipients: 10_000 };
  assert.deepEqual(effectiveLimits(auto, granted), granted);
  const unsaid = { messagesPerSecond: null, dailyRecipients: null };
  assert.deepEqual(effectiveLimits(auto, unsaid), { messagesPerSecond: 80, dailyRecipients: "unlimited" });
});

test("a rate in the file stays, recipients are never more than Meta grants", () => {
  const granted = { messagesPerSecond: 80, dailyRecipients: 2000 };
  const limits = (dailyRecipients: number | "unlimited"): object =>
    effectiveLimits({ messagesPerSecond: 500, dailyRecipients }, granted);
  assert.deepEqual(limits(300), { messagesPerSecond: 500, dailyRecipients: 300 });
  assert.deepEqual(limits(9000), { messagesPerSecond: 500, dailyRecipients: 2000 });
  assert.deepEqual(limits("unlimited"), { messagesPerSecond: 500, dailyRecipients: 2000 });
});
