// A message record as bytes: one msgpack array, its first element the layout's version.
//
// The id is the row's key and not repeated. The timeline is packed apart, into one of the elements, so that the CSV
// export, which needs all but that, reads a row in half the time.
//
// What came with later releases stands behind it, most frequent first. It is left out where it and all that follows has
// its default, so a row of an older release reads as one that has none of it.

import assert from "node:assert/strict";

import { Packr } from "msgpackr";

import { isMessageId, type MessageId } from "../message/ids.ts";
import type { MessageRecord, TimelineEntry } from "../message/message-record.ts";
import type { MessageStatus } from "../message/status.ts";
import type { MessageSummary } from "./ledger-reader.ts";

const LAYOUT_VERSION = 1;

/** Never reorder: another order is another LAYOUT_VERSION. */
type Row = readonly [
  version: number,
  campaignId: string,
  phoneNumber: string,
  templateName: string,
  templateLanguage: string,
  message: string,
  status: MessageStatus,
  errorCode: number | null,
  errorReason: string,
  attempts: number,
  wamid: string,
  acceptedAtMs: number,
  dispatchedAtMs: number,
  sentAtMs: number,
  deliveredAtMs: number,
  readAtMs: number,
  failedAtMs: number,
  pricingCategory: string,
  dueAtMs: number,
  attributes: string,
  timeline: Uint8Array,
  ...later: Later,
];

type Later = readonly [pricingAtMs?: number, sendAtMs?: number, waitKey?: string, closedAttempts?: number];

type TimelineRow = readonly [
  atMs: number,
  status: MessageStatus,
  attempt: number,
  errorCode: number | null,
  detail: string,
];

// useRecords off: msgpackr's shared structures have forked between writers; plain arrays cannot.
const packr = new Packr({ useRecords: false });

export function encodeRecord(record: MessageRecord): Uint8Array {
  const row: Row = [
    LAYOUT_VERSION,
    record.campaignId,
    record.phoneNumber,
    record.templateName,
    record.templateLanguage,
    record.message,
    record.status,
    record.errorCode,
    record.errorReason,
    record.attempts,
    record.wamid,
    record.acceptedAtMs,
    record.dispatchedAtMs,
    record.sentAtMs,
    record.deliveredAtMs,
    record.readAtMs,
    record.failedAtMs,
    record.pricingCategory,
    record.dueAtMs,
    record.attributes,
    packr.pack(record.timeline.map(timelineRow)),
    ...laterOf(record),
  ];
  return packr.pack(row);
}

function laterOf({ pricingAtMs, sendAtMs, waitKey, closedAttempts }: MessageRecord): Later {
  if (closedAttempts !== 0) return [pricingAtMs, sendAtMs, waitKey, closedAttempts];
  if (waitKey !== "") return [pricingAtMs, sendAtMs, waitKey];
  if (sendAtMs !== 0) return [pricingAtMs, sendAtMs];
  return pricingAtMs === 0 ? [] : [pricingAtMs];
}

/**
 * Trusts its input: only this module writes records, and LMDB keeps their bytes whole.
 * Spells out what {@link decodeSummary} spells out too: spreading that into this is six times slower.
 */
export function decodeRecord(messageId: string, bytes: Uint8Array): MessageRecord {
  const row = unpackRow(bytes);
  const timeline: readonly TimelineRow[] = packr.unpack(row[20]);
  return {
    messageId: toMessageId(messageId),
    campaignId: row[1],
    phoneNumber: row[2],
    templateName: row[3],
    templateLanguage: row[4],
    message: row[5],
    status: row[6],
    errorCode: row[7],
    errorReason: row[8],
    attempts: row[9],
    wamid: row[10],
    acceptedAtMs: row[11],
    dispatchedAtMs: row[12],
    sentAtMs: row[13],
    deliveredAtMs: row[14],
    readAtMs: row[15],
    failedAtMs: row[16],
    pricingCategory: row[17],
    dueAtMs: row[18],
    attributes: row[19],
    pricingAtMs: row[21] ?? 0,
    sendAtMs: row[22] ?? 0,
    waitKey: row[23] ?? "",
    closedAttempts: row[24] ?? 0,
    timeline: timeline.map(timelineEntry),
  };
}

/** All that a CSV row shows. */
export function decodeSummary(messageId: string, bytes: Uint8Array): MessageSummary {
  return summaryOf(messageId, unpackRow(bytes));
}

/** A row whose bytes were read where they lie: {@link summaryOf} may be made of it, its timeline must not be read. */
export type VolatileRow = Row;

/** Decodes a row without copying its bytes first; lmdb-js calls it (`end`: how many of the bytes are the value's). */
export const volatileRows: { encode(): never; decode(bytes: Uint8Array, end: number): VolatileRow } = {
  encode: () => {
    throw new TypeError("rows are written by encodeRecord");
  },
  decode: (bytes, end) => checkLayout(packr.unpack(bytes, end)),
};

export function summaryOf(messageId: string, row: VolatileRow): MessageSummary {
  return {
    messageId: toMessageId(messageId),
    campaignId: row[1],
    phoneNumber: row[2],
    templateName: row[3],
    templateLanguage: row[4],
    message: row[5],
    status: row[6],
    errorCode: row[7],
    errorReason: row[8],
    attempts: row[9],
    wamid: row[10],
    acceptedAtMs: row[11],
    dispatchedAtMs: row[12],
    sentAtMs: row[13],
    deliveredAtMs: row[14],
    readAtMs: row[15],
    failedAtMs: row[16],
    pricingCategory: row[17],
  };
}

export function decodeDueAt(bytes: Uint8Array): number {
  return unpackRow(bytes)[18];
}

export function decodePhoneNumber(bytes: Uint8Array): string {
  return unpackRow(bytes)[2];
}

function unpackRow(bytes: Uint8Array): Row {
  return checkLayout(packr.unpack(bytes));
}

function checkLayout(row: Row): Row {
  assert(row[0] === LAYOUT_VERSION, `ledger row of layout ${row[0]}; this release reads layout ${LAYOUT_VERSION}`);
  return row;
}

function toMessageId(key: string): MessageId {
  assert(isMessageId(key), "ledger rows are keyed by message ids");
  return key;
}

function timelineRow(entry: TimelineEntry): TimelineRow {
  return [entry.atMs, entry.status, entry.attempt, entry.errorCode, entry.detail];
}

function timelineEntry(row: TimelineRow): TimelineEntry {
  const [atMs, status, attempt, errorCode, detail] = row;
  return { atMs, status, attempt, errorCode, detail };
}
