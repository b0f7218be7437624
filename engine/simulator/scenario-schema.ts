// The JSON Schema of a complete scenario. Written by hand beside the type: every bound is a promise of docs/simulator.md.

const share = { type: "number", minimum: 0, maximum: 1 } as const;
const milliseconds = { type: "number", minimum: 0, maximum: 7 * 24 * 3_600_000 } as const;
const errorCode = { type: "integer", minimum: 0 } as const;
const where = { type: "string", enum: ["answer", "webhook"] } as const;

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
  }),
  answers: section({
    latency: delay,
    slow: section({ share, latency: delay }),
    cut: lost,
    silent: lost,
    garbled: lost,
  }),
  held: section({ share, releaseAfter: delay, droppedShare: share }),
  failures: { type: "array", maxItems: 100, items: section({ code: errorCode, share, where }) },
  recipients: {
    type: "array",
    maxItems: 1000,
    items: {
      type: "object",
      additionalProperties: false,
      required: ["suffix", "outcome"],
      properties: {
        suffix: { type: "string", pattern: "^[0-9]{1,15}$" },
        outcome: {
          type: "string",
          enum: ["sent", "delivered", "read", "failed", "held", "dropped", "slow", "cut", "silent", "garbled"],
        },
        code: errorCode,
        where,
        accepted: { type: "boolean" },
        times: { type: "integer", minimum: 1, maximum: 1_000_000 },
      },
    },
  },
  statuses: section({
    sentAfter: delay,
    deliveredAfter: delay,
    readAfter: delay,
    undeliveredShare: share,
    readShare: share,
    deliveredSkippedShare: share,
    duplicateShare: share,
    reorderShare: share,
    reorderBy: delay,
  }),
  webhooks: section({
    // Meta's own bound for one POST.
    updatesPerPostMax: { type: "integer", minimum: 1, maximum: 1000 },
    updatesPerChangeMax: { type: "integer", minimum: 1, maximum: 1000 },
    parallelPostsMax: { type: "integer", minimum: 1, maximum: 64 },
    retryAfterMs: { ...milliseconds, minimum: 1 },
    retryAfterMsMax: { ...milliseconds, minimum: 1 },
    giveUpAfterMs: milliseconds,
  }),
});

/** An object with exactly these fields. */
function section(properties: Readonly<Record<string, object>>): object {
  return {
    type: "object",
    additionalProperties: false,
    required: Object.keys(properties),
    properties,
  };
}
