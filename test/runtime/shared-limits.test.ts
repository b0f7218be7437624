import assert from "node:assert/strict";
import { test } from "node:test";

import { assert as check, jsonValue, property } from "fast-check";

import { loadConfig } from "../../engine/runtime/config-file.ts";
import { contentHash } from "../../engine/runtime/content-hash.ts";
import { newestSaved } from "../../engine/runtime/newest-saved.ts";
import { limitsInForce, limitsOf, type PublishedLimits, withLimits } from "../../engine/runtime/shared-limits.ts";

const { config } = loadConfig({ file: "config/volley.yaml", environment: {} });

function saved(triggersPerSecondPerKey: number, savedAtMs: number): PublishedLimits {
  const limits = { ...config.limits, triggersPerSecondPerKey };
  return { limits: { ...limitsOf(config), limits }, savedAtMs };
}

test("limits taken from a configuration and put back change nothing", () => {
  assert.deepEqual(withLimits(config, limitsOf(config)), config);
});

test("limits hold no secrets and nothing but limits", () => {
  const [sender] = Object.values(limitsOf(config).senders);
  assert.deepEqual(Object.keys(sender ?? {}).toSorted(), ["dailyRecipients", "messagesPerSecond", "pairLimit"]);
});

test("other limits replace a sender's, leave the rest, and bring no sender that is not there", () => {
  const pairLimit = { periodSeconds: 1, burst: 2 };
  const other = { messagesPerSecond: 3, pairLimit, dailyRecipients: "unlimited" } as const;
  const limits = { triggersPerSecondPerKey: 7, backlogMax: 8 };
  const { consent } = config;
  const changed = withLimits(config, { senders: { main: other, nobody: other }, limits, consent });
  assert.deepEqual(changed.senders["main"], {
    ...config.senders["main"],
    ...other,
    configured: { messagesPerSecond: 3, dailyRecipients: "unlimited" },
  });
  assert.equal(changed.senders["nobody"], undefined);
  assert.deepEqual(changed.limits, limits);
  assert.deepEqual(changed.whatsapp, config.whatsapp);
});

test("the first node publishes its limits, an equal one only notes them, an edit is published", () => {
  const first = limitsInForce({ own: saved(1, 100), dealtWith: null, published: null });
  assert.deepEqual(first.publish, saved(1, 100));
  const equal = limitsInForce({ own: saved(1, 300), dealtWith: null, published: first.publish });
  assert.deepEqual([equal.publish, equal.isOverridden], [null, false]);
  const edited = limitsInForce({ own: saved(2, 50), dealtWith: equal.dealtWith, published: first.publish });
  assert.deepEqual([edited.publish, edited.limits.limits.triggersPerSecondPerKey], [saved(2, 50), 2]);
});

test("a stale file follows at a restart, and an older one of a node that joins", () => {
  const before = limitsInForce({ own: saved(1, 100), dealtWith: null, published: null });
  const stale = limitsInForce({ own: saved(1, 100), dealtWith: before.dealtWith, published: saved(2, 200) });
  assert.deepEqual([stale.publish, stale.isOverridden, stale.limits], [null, true, saved(2, 0).limits]);
  const older = limitsInForce({ own: saved(3, 100), dealtWith: null, published: saved(2, 200) });
  assert.deepEqual([older.publish, older.limits], [null, saved(2, 0).limits]);
  const newer = limitsInForce({ own: saved(3, 300), dealtWith: null, published: saved(2, 200) });
  assert.deepEqual(newer.publish, saved(3, 300));
});

test("a deleted file stays deleted for one that was dealt with, and comes back when it is saved", () => {
  const own = { hash: "a", savedAtMs: 100 };
  const published = { hash: null, savedAtMs: 200 };
  assert.equal(newestSaved({ own, dealtWith: "a", published }), "follow");
  assert.equal(newestSaved({ own, dealtWith: null, published }), "follow");
  assert.equal(newestSaved({ own, dealtWith: "b", published }), "publish");
  assert.equal(newestSaved({ own: { ...own, savedAtMs: 300 }, dealtWith: null, published }), "publish");
});

test("a hash depends on the content, not on the order of keys", () => {
  assert.equal(contentHash({ a: [1, { b: 2, c: 3 }], d: null }), contentHash({ d: null, a: [1, { c: 3, b: 2 }] }));
  assert.notEqual(contentHash([1, 2]), contentHash([2, 1]));
  check(
    property(jsonValue(), jsonValue(), (left, right) => {
      const copy: unknown = JSON.parse(JSON.stringify(left));
      assert.equal(contentHash(copy), contentHash(left));
      const isSame = contentHash(left) === contentHash(right);
      if (isSame) assert.deepEqual(JSON.parse(JSON.stringify(right)), copy);
    }),
  );
});
