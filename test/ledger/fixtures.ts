// Records for tests: complete, and different only where a test says so.

import { encodeMessageId, type MessageId } from "../../engine/message/ids.ts";
import type { MessageRecord } from "../../engine/message/message-record.ts";
import type { MessageStatus } from "../../engine/message/status.ts";

export const NOON_MS: number = Date.UTC(2026, 7, 20, 12);

/** The id of the `sequence`th message of campaign 1 in partition 3, accepted as many milliseconds after noon. */
export function idOf(sequence: number, place: { partition?: number; campaignNumber?: number } = {}): MessageId {
  const { partition = 3, campaignNumber = 1 } = place;
  return encodeMessageId({ partition, campaignNumber, acceptedAtMs: NOON_MS + sequence, node: 0, sequence });
}

export function recordOf(messageId: MessageId, changes: Partial<MessageRecord> = {}): MessageRecord {
  return {
    messageId,
    campaignId: "order-confirmation",
    phoneNumber: "+14155550100",
    attributes: '{"firstName":"Ada"}',
    templateName: "order_confirmation",
    templateLanguage: "en_US",
    message: "",
    status: "queued",
    errorCode: null,
    errorReason: "",
    attempts: 0,
    wamid: "",
    acceptedAtMs: NOON_MS,
    dispatchedAtMs: 0,
    sentAtMs: 0,
    deliveredAtMs: 0,
    readAtMs: 0,
    failedAtMs: 0,
    pricingCategory: "",
    dueAtMs: 0,
    sendAtMs: 0,
    waitKey: "",
    pricingAtMs: 0,
    closedAttempts: 0,
    timeline: [],
    ...changes,
  };
}

/** How far a message has come, as the tests have it for themselves: no status may go to one of a lower place. */
export const PLACES: Readonly<Record<MessageStatus, number>> = {
  queued: 0,
  dispatched: 0,
  retrying: 0,
  held: 0,
  uncertain: 0,
  expired: 1,
  suppressed: 1,
  sent: 2,
  failed: 3,
  delivered: 4,
  read: 5,
};
