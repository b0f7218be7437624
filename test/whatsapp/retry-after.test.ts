import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { RETRY_AFTER_MS_MAX, retryAfterMs } from "../../engine/whatsapp/retry-after.ts";

const NOW_MS = Date.UTC(2026, 10, 23, 12, 0, 0);

test("seconds, fractions, dates and repeated headers are read", () => {
  assert.equal(retryAfterMs("7", NOW_MS), 7000);
  assert.equal(retryAfterMs(" 0 ", NOW_MS), 0);
  assert.equal(retryAfterMs("1.5", NOW_MS), 1500);
  assert.equal(retryAfterMs(["3", "9"], NOW_MS), 3000);
  assert.equal(retryAfterMs("Mon, 23 Nov 2026 12:00:30 GMT", NOW_MS), 30_000);
});

test("a date that has passed asks for no wait, and no wish exceeds the bound", () => {
  assert.equal(retryAfterMs("Mon, 23 Nov 2026 11:00:00 GMT", NOW_MS), 0);
  assert.equal(retryAfterMs("9999999999", NOW_MS), RETRY_AFTER_MS_MAX);
  assert.equal(retryAfterMs("Fri, 31 Dec 9999 23:59:59 GMT", NOW_MS), RETRY_AFTER_MS_MAX);
});

test("what is absent or unreadable is null, and any text gives a bounded answer", () => {
  for (const header of [undefined, "", [], "soon", "NaN"]) assert.equal(retryAfterMs(header, NOW_MS), null);
  fc.assert(
    fc.property(fc.string(), (header) => {
      const delayMs = retryAfterMs(header, NOW_MS);
      assert.ok(delayMs === null || (Number.isInteger(delayMs) && delayMs >= 0 && delayMs <= RETRY_AFTER_MS_MAX));
    }),
  );
});
