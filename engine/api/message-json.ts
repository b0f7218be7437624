// Messages as JSON text. A page of the log is up to a thousand objects of one fixed shape: fast-json-stringify writes
// such an object in 0.9 µs where JSON.stringify takes 1.3 µs (Node 20, 200,000 rounds, four alternations). It loses on
// arrays, so the list around them is put together here.

import fastJson from "fast-json-stringify";

import type { MessageRecord } from "../message/message-record.ts";
import { messageView } from "./message-view.ts";

const TEXT = { type: "string" } as const;
const TIME = { type: "string", nullable: true } as const;

const stringifyMessage = fastJson({
  type: "object",
  additionalProperties: false,
  properties: {
    messageId: TEXT,
    campaignId: TEXT,
    phoneNumber: TEXT,
    templateName: TEXT,
    templateLanguage: TEXT,
    message: TEXT,
    status: TEXT,
    errorCode: { type: "integer", nullable: true },
    errorReason: TEXT,
    attempts: { type: "integer" },
    wamid: TEXT,
    acceptedAt: TIME,
    dispatchedAt: TIME,
    sentAt: TIME,
    deliveredAt: TIME,
    readAt: TIME,
    failedAt: TIME,
    pricingCategory: TEXT,
  },
});

export function messageListJson(records: readonly MessageRecord[], cursor: string | null): string {
  const items = records.map((record) => stringifyMessage(messageView(record))).join(",");
  return `{"items":[${items}],"cursor":${JSON.stringify(cursor)}}`;
}
