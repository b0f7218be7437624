import assert from "node:assert/strict";
import { test } from "node:test";

import { consentRulesOf } from "../../engine/consent/consent-rules.ts";
import { createMarketingRules } from "../../engine/consent/marketing-rules.ts";
import type { OptOut } from "../../engine/consent/opt-out.ts";
import { zonesOfRegion } from "../../engine/consent/time-zones.ts";
import type { ConsentRules, MarketingRules } from "../../engine/message/marketing.ts";

const DAY_MS = Date.parse("2026-11-23T12:00:00Z");
const NIGHT_MS = Date.parse("2026-11-23T04:00:00Z");
const NIGHT = { fromMinute: 21 * 60, toMinute: 8 * 60, timeZone: null };
const OPTED_OUT: OptOut = {
  phone: "+14155552671",
  userId: "",
  isOptedOut: true,
  sinceMs: Date.parse("2026-11-20T10:00:00Z"),
  source: "text",
  words: "STOP",
};

function rulesOf(known: OptOut | undefined, rules: Partial<ConsentRules> = {}): MarketingRules {
  return createMarketingRules({
    optOutOf: (phoneNumber) => (phoneNumber === OPTED_OUT.phone ? known : undefined),
    regionOf: (phoneNumber) => (phoneNumber.startsWith("+1") ? "US" : "DE"),
    zonesOf: zonesOfRegion,
    rules: () => ({ cap: null, isUnitedStatesSuppressed: false, ...rules }),
  });
}

test("who asked for no more gets none, and the log says when and how", () => {
  const refusal = rulesOf(OPTED_OUT).refusal(OPTED_OUT.phone, null, DAY_MS);
  assert.deepEqual(refusal, {
    kind: "suppressed",
    reason: "The recipient asked for no more marketing messages on 2026-11-20 (STOP).",
  });
});

test("every source is named in words", () => {
  const reasonOf = (source: string): string | undefined =>
    rulesOf({ ...OPTED_OUT, words: "", source }).refusal(OPTED_OUT.phone, null, DAY_MS)?.reason;
  assert.match(reasonOf("preference") ?? "", /\(in WhatsApp's own settings\)\.$/);
  assert.match(reasonOf("131050") ?? "", /\(in WhatsApp's own settings\)\.$/);
  assert.match(reasonOf("api") ?? "", /\(noted by an operator\)\.$/);
  assert.match(reasonOf("mailchimp.csv") ?? "", /\(mailchimp\.csv\)\.$/);
});

test("who took it back, and who never said anything, may be written to", () => {
  assert.equal(rulesOf({ ...OPTED_OUT, isOptedOut: false }).refusal(OPTED_OUT.phone, null, DAY_MS), null);
  assert.equal(rulesOf(OPTED_OUT).refusal("+4915112345678", null, DAY_MS), null);
});

test("numbers of the United States are left out only where the configuration says so", () => {
  assert.equal(rulesOf(undefined).refusal("+14155552671", null, DAY_MS), null);
  const careful = rulesOf(undefined, { isUnitedStatesSuppressed: true });
  assert.equal(careful.refusal("+14155552671", null, DAY_MS)?.kind, "suppressed");
  assert.match(careful.refusal("+14155552671", null, DAY_MS)?.reason ?? "", /consent\.unitedStates/);
  assert.equal(careful.refusal("+4915112345678", null, DAY_MS), null);
});

test("in quiet hours it waits, but an opt-out ends it at once", () => {
  const refusal = rulesOf(undefined).refusal("+4915112345678", NIGHT, NIGHT_MS);
  assert.deepEqual([refusal?.kind, refusal?.kind === "wait" && refusal.untilMs], ["wait", Date.UTC(2026, 10, 23, 7)]);
  assert.equal(rulesOf(OPTED_OUT).refusal(OPTED_OUT.phone, NIGHT, NIGHT_MS)?.kind, "suppressed");
});

test("the cap is the configuration's, in milliseconds", () => {
  assert.deepEqual(consentRulesOf({ frequencyCap: { messages: 3, hours: 24 }, unitedStates: "suppress" }), {
    cap: { messages: 3, periodMs: 86_400_000 },
    isUnitedStatesSuppressed: true,
  });
  assert.deepEqual(consentRulesOf({ frequencyCap: null, unitedStates: "send" }), {
    cap: null,
    isUnitedStatesSuppressed: false,
  });
  assert.equal(rulesOf(undefined).cap(), null);
  assert.deepEqual(rulesOf(undefined, { cap: { messages: 1, periodMs: 5 } }).cap(), { messages: 1, periodMs: 5 });
});
