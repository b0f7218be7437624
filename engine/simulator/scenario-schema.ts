// The JSON Schema of a complete scenario. Written by hand beside the type: every bound is a promise of docs/simulator.md.

import type { Outcome } from "./recipient-rule.ts";
import { countOrUnlimited, errorCode, httpStatus, share, where } from "./schema-parts.ts";

const milliseconds = { type: "number", minimum: 0, maximum: 7 * 24 * 3_600_000 } as const;
const EVENTS_MAX = 1000;
const SENDS_MAX = 1_000_000_000;
/** A week: nobody runs a scenario longer. */
const SECONDS_MAX = 604_800;

const delay = {
  description: "must be milliseconds, { minMs, maxMs } or { medianMs, p99Ms }",
  anyOf: [
    milliseconds,
    section({ minMs: milliseconds, maxMs: milliseconds }),
    section({
      medianMs: { ...milliseconds, minimum: 0.001 },
      p99Ms: { ...milliseconds, minimum: 0.001 },
    }),
  ],
} as const;

const lost = section({ share, acceptedShare: share });

const OUTCOMES: readonly Outcome[] = [
  "sent",
  "delivered",
  "read",
  "failed",
  "held",
  "dropped",
  "slow",
  "early",
  "silentDrop",
  "deliveredAndFailed",
  "cut",
  "silent",
  "garbled",
  "empty",
  "unreadable",
];

const text = { type: "string", minLength: 1, maxLength: 1024 } as const;

const reply = {
  description: "must hold one of text, button (with payload), preference (stop, resume); and afterMs if you like",
  anyOf: [
    sectionWith({ text }, { afterMs: milliseconds }),
    sectionWith({ button: text }, { payload: text, afterMs: milliseconds }),
    sectionWith({ preference: { type: "string", enum: ["stop", "resume"] } }, { afterMs: milliseconds }),
  ],
} as const;

const recipientRule = sectionWith(
  {
    suffix: { type: "string", pattern: "^[0-9]{1,15}$" },
    outcome: { type: "string", enum: OUTCOMES },
  },
  {
    code: errorCode,
    where,
    httpStatus,
    transient: { type: "boolean" },
    details: text,
    accepted: { type: "boolean" },
    times: { type: "integer", minimum: 1, maximum: 1_000_000 },
    withoutPhone: { type: "boolean" },
    pricingChanges: { type: "boolean" },
    replies: reply,
  },
);

const seconds = { type: "number", minimum: 0, maximum: SECONDS_MAX } as const;

const moment = {
  description: "must be { atSeconds } or { afterSends, plusSeconds?, template?, number? }",
  anyOf: [
    section({ atSeconds: seconds }),
    sectionWith(
      { afterSends: { type: "integer", minimum: 1, maximum: SENDS_MAX } },
      { plusSeconds: seconds, template: text, number: text },
    ),
  ],
} as const;

export const scenarioSchema: object = section({
  limits: section({
    number: { type: "string", enum: ["enforced", "ignored"] },
    pair: {
      description: 'must be "ignored" or { periodSeconds, burst }',
      anyOf: [
        { type: "string", const: "ignored" },
        section({
          periodSeconds: { type: "number", exclusiveMinimum: 0, maximum: 86_400 },
          burst: { type: "integer", minimum: 1, maximum: 10_000 },
        }),
      ],
    },
    dailyRecipients: countOrUnlimited,
    beyondDailyRecipients: section({ code: errorCode, where }),
    managementCallsPerHour: countOrUnlimited,
  }),
  answers: section({
    latency: delay,
    slow: section({ share, latency: delay }),
    cut: lost,
    silent: lost,
    garbled: lost,
    empty: lost,
    unreadable: lost,
  }),
  held: section({ share, releaseAfter: delay, droppedShare: share }),
  failures: {
    type: "array",
    maxItems: 100,
    items: sectionWith({ code: errorCode, share, where }, { httpStatus, transient: { type: "boolean" } }),
  },
  recipients: { type: "array", maxItems: 1000, items: recipientRule },
  events: {
    type: "array",
    maxItems: EVENTS_MAX,
    // Changes are checked one by one, each by the schema of its kind: better sentences than of eight alternatives.
    items: section({ when: moment, do: {} }),
  },
  statuses: section({
    sentAfter: delay,
    deliveredAfter: delay,
    readAfter: delay,
    undeliveredShare: share,
    readShare: share,
    deliveredSkippedShare: share,
    alsoFailedShare: share,
    duplicateShare: share,
    duplicateOtherSecondShare: share,
    reorderShare: share,
    reorderBy: delay,
    oldShare: share,
    oldBy: delay,
    withoutPhoneShare: share,
    pricingChangesShare: share,
  }),
  webhooks: section({
    // Meta's own bound for one POST.
    updatesPerPostMax: { type: "integer", minimum: 1, maximum: 1000 },
    updatesPerChangeMax: { type: "integer", minimum: 1, maximum: 1000 },
    parallelPostsMax: { type: "integer", minimum: 1, maximum: 64 },
    retryAfterMs: { ...milliseconds, minimum: 1 },
    retryAfterMsMax: { ...milliseconds, minimum: 1 },
    giveUpAfterMs: milliseconds,
    language: { type: "string", enum: ["hyphen", "underscore"] },
    qualityField: { type: "string", enum: ["message_template_quality_update", "message_template_status_update"] },
    dailyLimit: { type: "string", enum: ["number", "tier"] },
  }),
});

/** An object with exactly these fields. */
function section(properties: Readonly<Record<string, object>>): object {
  return sectionWith(properties, {});
}

/** An object with these fields, of which some may be missing. */
function sectionWith(required: Readonly<Record<string, object>>, optional: Readonly<Record<string, object>>): object {
  return {
    type: "object",
    additionalProperties: false,
    required: Object.keys(required),
    properties: { ...required, ...optional },
  };
}
