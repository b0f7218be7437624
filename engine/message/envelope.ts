// An envelope is what the stream carries: the events, or the status updates, that one group commit
// collected for one partition. One append, one fsync and one acknowledgement for all of them.

import { Packr } from "msgpackr";

import type { AcceptedEvent } from "./event.ts";
import type { MessageId } from "./ids.ts";
import type { DeliveryStatus, StatusUpdate } from "./status-update.ts";

export type Envelope =
  | { readonly kind: "events"; readonly events: readonly AcceptedEvent[] }
  | { readonly kind: "statuses"; readonly updates: readonly StatusUpdate[] };

/** The largest number of events or updates in one envelope. */
export const ENVELOPE_ITEMS_MAX = 256;

type EventRow = readonly [MessageId, string, string] | readonly [MessageId, string, string, number];
type UpdateRow = readonly [MessageId, number, DeliveryStatus, string, number, number | null, string, string];
type Packed = readonly ["e1", readonly EventRow[]] | readonly ["s1", readonly UpdateRow[]];

// useRecords off: msgpackr's shared structures have forked between writers; plain arrays cannot.
const packr = new Packr({ useRecords: false });

export function encodeEnvelope(envelope: Envelope): Uint8Array {
  const packed: Packed =
    envelope.kind === "events" ? ["e1", envelope.events.map(eventRow)] : ["s1", envelope.updates.map(updateRow)];
  return packr.pack(packed);
}

/** Trusts its input: only this module writes envelopes, and the stream keeps their bytes whole. */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by encodeEnvelope
  const packed = packr.unpack(bytes) as Packed;
  if (packed[0] === "e1") {
    return { kind: "events", events: packed[1].map(eventOf) };
  }
  return { kind: "statuses", updates: packed[1].map(updateOf) };
}

function eventRow({ messageId, phoneNumber, attributes, attempts = 0 }: AcceptedEvent): EventRow {
  return attempts === 0 ? [messageId, phoneNumber, attributes] : [messageId, phoneNumber, attributes, attempts];
}

function eventOf([messageId, phoneNumber, attributes, attempts = 0]: EventRow): AcceptedEvent {
  return attempts === 0 ? { messageId, phoneNumber, attributes } : { messageId, phoneNumber, attributes, attempts };
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
