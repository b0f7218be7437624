// A message as the API shows it: the CSV's columns in camelCase, times in ISO 8601, null for "not reached".

import type { MessageRecord, TimelineEntry } from "../message/message-record.ts";
import type { MessageStatus } from "../message/status.ts";

export interface MessageView {
  readonly messageId: string;
  readonly campaignId: string;
  readonly phoneNumber: string;
  readonly templateName: string;
  readonly templateLanguage: string;
  readonly message: string;
  readonly status: MessageStatus;
  readonly errorCode: number | null;
  readonly errorReason: string;
  readonly attempts: number;
  readonly wamid: string;
  readonly acceptedAt: string | null;
  readonly dispatchedAt: string | null;
  readonly sentAt: string | null;
  readonly deliveredAt: string | null;
  readonly readAt: string | null;
  readonly failedAt: string | null;
  readonly pricingCategory: string;
}

export interface TimelineView {
  readonly at: string | null;
  readonly status: MessageStatus;
  readonly attempt: number;
  readonly errorCode: number | null;
  readonly detail: string;
}

export function messageView(record: MessageRecord): MessageView {
  return {
    messageId: record.messageId,
    campaignId: record.campaignId,
    phoneNumber: record.phoneNumber,
    templateName: record.templateName,
    templateLanguage: record.templateLanguage,
    message: record.message,
    status: record.status,
    errorCode: record.errorCode,
    errorReason: record.errorReason,
    attempts: record.attempts,
    wamid: record.wamid,
    acceptedAt: isoTime(record.acceptedAtMs),
    dispatchedAt: isoTime(record.dispatchedAtMs),
    sentAt: isoTime(record.sentAtMs),
    deliveredAt: isoTime(record.deliveredAtMs),
    readAt: isoTime(record.readAtMs),
    failedAt: isoTime(record.failedAtMs),
    pricingCategory: record.pricingCategory,
  };
}

export function messageViewWithTimeline(record: MessageRecord): MessageView & { timeline: readonly TimelineView[] } {
  return { ...messageView(record), timeline: record.timeline.map(timelineView) };
}

/** Null for 0, which stands for "not reached". */
export function isoTime(atMs: number | null): string | null {
  return atMs === null || atMs === 0 ? null : new Date(atMs).toISOString();
}

function timelineView(entry: TimelineEntry): TimelineView {
  return {
    at: isoTime(entry.atMs),
    status: entry.status,
    attempt: entry.attempt,
    errorCode: entry.errorCode,
    detail: entry.detail,
  };
}
