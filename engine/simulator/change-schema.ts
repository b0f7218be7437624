// JSON Schemas of changes, one for each kind of subject.

import { countOrUnlimited, errorCode, httpStatus, share, where } from "./schema-parts.ts";

const TEMPLATE_STATUSES = [
  "APPROVED",
  "ARCHIVED",
  "DELETED",
  "DISABLED",
  "IN_APPEAL",
  "LIMIT_EXCEEDED",
  "PAUSED",
  "PENDING",
  "PENDING_DELETION",
  "REJECTED",
] as const;
const CATEGORIES = ["AUTHENTICATION", "MARKETING", "UTILITY", "FREE_SERVICE"] as const;
const QUALITIES = ["GREEN", "YELLOW", "RED", "UNKNOWN"] as const;
const RATE_MAX = 1_000_000;

const name = { type: "string", minLength: 1, maxLength: 512 } as const;
const quality = { type: "string", enum: QUALITIES } as const;
const category = { type: "string", enum: CATEGORIES } as const;
const rate = { type: "number", exclusiveMinimum: 0, maximum: RATE_MAX } as const;

const mood = {
  description: "must be { code, share?, where?, httpStatus? } or null",
  anyOf: [
    { type: "null" },
    {
      type: "object",
      additionalProperties: false,
      required: ["code"],
      properties: { code: errorCode, share, where, httpStatus },
    },
  ],
} as const;

/** By the field that names the subject. */
export const CHANGE_SCHEMAS: Readonly<Record<string, object>> = {
  template: change("template", {
    template: name,
    language: name,
    status: { type: "string", enum: TEMPLATE_STATUSES },
    category,
    correctCategory: category,
    quality,
    pacing: { type: "string", enum: ["hold", "off"] },
    text: { type: "string", minLength: 1, maxLength: 1024 },
    fails: mood,
  }),
  number: change("number", {
    number: name,
    messagesPerSecond: rate,
    trueMessagesPerSecond: { description: "must be a number above 0, or null", anyOf: [{ type: "null" }, rate] },
    throttles: where,
    quality,
    status: name,
    fails: mood,
  }),
  account: change("account", {
    account: name,
    marketingOnMessages: { type: "boolean" },
    marketingMessages: { type: "string", enum: ["on", "off"] },
    fails: mood,
  }),
  callingCode: change("callingCode", { callingCode: { type: "string", pattern: "^[1-9][0-9]{0,6}$" }, fails: mood }, [
    "fails",
  ]),
  dailyRecipients: change("dailyRecipients", { dailyRecipients: countOrUnlimited }),
  token: change("token", { token: name, valid: { type: "boolean" } }, ["valid"]),
  person: change(
    "person",
    {
      person: { type: "string", pattern: String.raw`^\+?[0-9]{7,15}$` },
      marketing: { type: "string", enum: ["stopped", "allowed"] },
    },
    ["marketing"],
  ),
  webhooks: change("webhooks", { webhooks: { type: "string", enum: ["held", "released", "shuffled"] } }),
};

function change(
  subject: string,
  properties: Readonly<Record<string, object>>,
  alsoRequired: readonly string[] = [],
): object {
  return {
    type: "object",
    additionalProperties: false,
    required: [subject, ...alsoRequired],
    properties: { ...properties, quiet: { type: "boolean" } },
  };
}
