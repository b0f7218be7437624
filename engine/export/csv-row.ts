// One message as one line of CSV: RFC 4180, and nothing in it that a spreadsheet would run.

import type { MessageRecord } from "../message/message-record.ts";

/** What of a record the CSV shows. */
export type CsvRecord = Omit<
  MessageRecord,
  "attributes" | "dueAtMs" | "sendAtMs" | "waitKey" | "pricingAtMs" | "closedAttempts" | "timeline"
>;

export const CSV_HEADER: string =
  "message_id,campaign_id,phone_number,template_name,template_language,message,status,error_code,error_reason," +
  "attempts,wamid,accepted_at,dispatched_at,sent_at,delivered_at,read_at,failed_at,pricing_category\r\n";

/** A cell that begins like a formula (OWASP), or that RFC 4180 wants quoted: rare, so asked for in one go. */
const NEEDS_CARE = /^[=+\-@\t\r]|[",\r\n]/;
const FORMULA_START = /^[=+\-@\t\r]/;
const QUOTED = /[",\r\n]/;

/** One line with its CRLF. */
export function csvRow(record: CsvRecord): string {
  return (
    `${record.messageId},${textCell(record.campaignId)},${record.phoneNumber},` +
    `${textCell(record.templateName)},${textCell(record.templateLanguage)},${textCell(record.message)},` +
    `${record.status},${record.errorCode ?? ""},${textCell(record.errorReason)},` +
    `${record.attempts},${textCell(record.wamid)},` +
    `${timeCell(record.acceptedAtMs)},${timeCell(record.dispatchedAtMs)},${timeCell(record.sentAtMs)},` +
    `${timeCell(record.deliveredAtMs)},${timeCell(record.readAtMs)},${timeCell(record.failedAtMs)},` +
    `${textCell(record.pricingCategory)}\r\n`
  );
}

function textCell(text: string): string {
  if (text === "" || !NEEDS_CARE.test(text)) return text;
  const inert = FORMULA_START.test(text) ? `'${text}` : text;
  if (!QUOTED.test(inert)) return inert;
  return inert.includes('"') ? `"${inert.replaceAll('"', '""')}"` : `"${inert}"`;
}

/** `2026-08-20T12:00:00.000Z`; empty for 0. */
function timeCell(atMs: number): string {
  if (atMs === 0) return "";
  const second = Math.floor(atMs / 1_000);
  return textOfSecond(second) + FRACTIONS[atMs - second * 1_000];
}

/** `.000Z` to `.999Z` */
const FRACTIONS: readonly string[] = Array.from({ length: 1_000 }, (_, ms) => `.${String(ms).padStart(3, "0")}Z`);

// Neighbouring rows fall into the same few seconds: the text of each is worked out once (a power of two in size).
const SECONDS_KNOWN = 4_096;
const knownSeconds = new Float64Array(SECONDS_KNOWN).fill(-1);
const knownTexts: string[] = Array.from({ length: SECONDS_KNOWN }, () => "");

function textOfSecond(second: number): string {
  const slot = second % SECONDS_KNOWN;
  if (knownSeconds[slot] !== second) {
    knownSeconds[slot] = second;
    knownTexts[slot] = new Date(second * 1_000).toISOString().slice(0, 19);
  }
  return knownTexts[slot] ?? "";
}
