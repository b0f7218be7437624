// An envelope is what the stream carries: the events, the status updates, or the cancels that one group commit
// collected for one partition. One append, one fsync and one acknowledgement for all of them.

import { Packr } from "msgpackr";

import type { Cancel } from "./cancel.ts";
import type { AcceptedEvent } from "./event.ts";
import type { MessageId } from "./ids.ts";
import type { DeliveryStatus, StatusUpdate } from "./status-update.ts";

export type Envelope =
  | { readonly kind: "events"; readonly events: readonly AcceptedEvent[] }
  | { readonly kind: "statuses"; readonly updates: readonly StatusUpdate[] }
  | { readonly kind: "cancels"; readonly cancels: readonly Cancel[] };

/** The largest number of events, updates or cancels in one envelope. */
export const ENVELOPE_ITEMS_MAX = 256;

/** What later releases added stands at the end, and is left out where it and all that follows is absent. */
type EventRow = readonly [
  messageId: MessageId,
  phoneNumber: string,
  attributes: string,
  attempts?: number,
  sendAtMs?: number,
  waitKey?: string,
];
type UpdateRow = readonly [MessageId, number, DeliveryStatus, string, number, number | null, string, string];
type CancelRow = readonly [campaignNumber: number, key: string, by: MessageId, byCampaignId: string, atMs: number];
type Packed =
  | readonly ["e1", readonly EventRow[]]
  | readonly ["s1", readonly UpdateRow[]]
  | readonly ["c1", readonly CancelRow[]];

// useRecords off: msgpackr's shared structures have forked between writers; plain arrays cannot.
const packr = new Packr({ useRecords: false });

export function encodeEnvelope(envelope: Envelope): Uint8Array {
  return packr.pack(packedOf(envelope));
}

/** Trusts its input: only this module writes envelopes, and the stream keeps their bytes whole. */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by encodeEnvelope
  const packed = packr.unpack(bytes) as Packed;
  switch (packed[0]) {
    case "e1":
      return { kind: "events", events: packed[1].map(eventOf) };
    case "s1":
      return { kind: "statuses", updates: packed[1].map(updateOf) };
    case "c1":
      return { kind: "cancels", cancels: packed[1].map(cancelOf) };
  }
}

function packedOf(envelope: Envelope): Packed {
  switch (envelope.kind) {
    case "events":
      return ["e1", envelope.events.map(eventRow)];
    case "statuses":
      return ["s1", envelope.updates.map(updateRow)];
    case "cancels":
      return ["c1", envelope.cancels.map(cancelRow)];
  }
}

function eventRow({
  messageId,
  phoneNumber,
  attributes,
  attempts = 0,
  sendAtMs = 0,
  waitKey = "",
}: AcceptedEvent): EventRow {
  if (waitKey !== "") return [messageId, phoneNumber, attributes, attempts, sendAtMs, waitKey];
  if (sendAtMs !== 0) return [messageId, phoneNumber, attributes, attempts, sendAtMs];
  return attempts === 0 ? [messageId, phoneNumber, attributes] : [messageId, phoneNumber, attributes, attempts];
}

function eventOf([
  messageId,
  phoneNumber,
  attributes,
  attempts = 0,
  sendAtMs = 0,
  waitKey = "",
]: EventRow): AcceptedEvent {
  const event = { messageId, phoneNumber, attributes };
  if (attempts === 0 && sendAtMs === 0 && waitKey === "") return event;
  return {
    ...event,
    ...(attempts === 0 ? {} : { attempts }),
    ...(sendAtMs === 0 ? {} : { sendAtMs }),
    ...(waitKey === "" ? {} : { waitKey }),
  };
}

function cancelRow({ campaignNumber, key, by, byCampaignId, atMs }: Cancel): CancelRow {
  return [campaignNumber, key, by, byCampaignId, atMs];
}

function cancelOf([campaignNumber, key, by, byCampaignId, atMs]: CancelRow): Cancel {
  return { campaignNumber, key, by, byCampaignId, atMs };
}

function updateRow(update: StatusUpdate): UpdateRow {
  return [
    update.messageId,
    update.attempt,
    update.status,
    update.wamid,
    update.atMs,
    update.errorCode,
    update.errorReason,
    update.pricingCategory,
  ];
}

function updateOf(row: UpdateRow): StatusUpdate {
  const [messageId, attempt, status, wamid, atMs, errorCode, errorReason, pricingCategory] = row;
  return { messageId, attempt, status, wamid, atMs, errorCode, errorReason, pricingCategory };
}
