// How a message's record moves on: each function is one transition, and each leaves a line in the timeline.
// (What a status webhook does to a record is the ledger's status-merge.)

import type { AcceptedEvent } from "../message/event.ts";
import { decodeMessageId } from "../message/ids.ts";
import type { MessageRecord, TimelineEntry } from "../message/message-record.ts";
import type { MessageStatus } from "../message/status.ts";
import type { Dispatch } from "./sender-messages.ts";

/** Marks a replay in the timeline. */
const REPLAYED = "Replayed by an operator.";

const INTERRUPTED = "The engine stopped while the message was on its way; it may or may not have been sent.";
const REMOVED = "The campaign was deleted, or moved to another sender, before the message was sent.";
const REMOVED_UNCERTAIN =
  "The campaign was deleted, or moved to another sender, before it was known whether WhatsApp got the message.";

/** The oldest entries but the first give way beyond this many: a message cannot grow without bound. */
const TIMELINE_ENTRIES_MAX = 40;

export interface AcceptingCampaign {
  readonly id: string;
  /** What the message would be sent with now; its dispatch decides. */
  readonly templateName: string;
  readonly templateLanguage: string;
}

export function acceptedRecord(event: AcceptedEvent, campaign: AcceptingCampaign): MessageRecord {
  const acceptedAtMs = decodeMessageId(event.messageId)?.acceptedAtMs ?? 0;
  return {
    messageId: event.messageId,
    campaignId: campaign.id,
    phoneNumber: event.phoneNumber,
    attributes: event.attributes,
    templateName: campaign.templateName,
    templateLanguage: campaign.templateLanguage,
    message: "",
    status: "queued",
    errorCode: null,
    errorReason: "",
    attempts: 0,
    wamid: "",
    acceptedAtMs,
    dispatchedAtMs: 0,
    sentAtMs: 0,
    deliveredAtMs: 0,
    readAtMs: 0,
    failedAtMs: 0,
    pricingCategory: "",
    dueAtMs: 0,
    timeline: [{ atMs: acceptedAtMs, status: "queued", attempt: 0, errorCode: null, detail: "" }],
  };
}

/** Of a history that was lost it is known that the message was dispatched, and not what became of it. */
export function salvagedRecord(record: MessageRecord, attempts: number): MessageRecord {
  return { ...record, status: "dispatched", attempts, dispatchedAtMs: record.acceptedAtMs };
}

export interface Dispatched {
  readonly attempt: number;
  readonly templateName: string;
  readonly templateLanguage: string;
  readonly message: string;
  /** What the sanitiser changed, in words; empty when nothing. */
  readonly detail: string;
  /** When a crash during this attempt would be noticed; 0 when the restart finds the row by itself. */
  readonly dueAtMs: number;
}

/** The intent: written before the request leaves. */
export function dispatchedRecord(record: MessageRecord, to: Dispatched, atMs: number): MessageRecord {
  return {
    ...record,
    status: "dispatched",
    templateName: to.templateName,
    templateLanguage: to.templateLanguage,
    message: to.message,
    errorCode: null,
    errorReason: "",
    attempts: to.attempt,
    dispatchedAtMs: record.dispatchedAtMs === 0 ? atMs : record.dispatchedAtMs,
    dueAtMs: to.dueAtMs,
    timeline: timelineWith(record, {
      atMs,
      status: "dispatched",
      attempt: to.attempt,
      errorCode: null,
      detail: to.detail,
    }),
  };
}

/** WhatsApp took the message. */
export function takenRecord(
  record: MessageRecord,
  taken: { wamid: string; isHeld: boolean },
  atMs: number,
): MessageRecord {
  const status = taken.isHeld ? "held" : "sent";
  const detail = taken.isHeld ? "WhatsApp holds the message back while it assesses the template's quality." : "";
  return {
    ...record,
    status,
    wamid: taken.wamid,
    sentAtMs: taken.isHeld || record.sentAtMs > 0 ? record.sentAtMs : atMs,
    dueAtMs: 0,
    timeline: timelineWith(record, { atMs, status, attempt: record.attempts, errorCode: null, detail }),
  };
}

export interface Waiting {
  readonly status: "queued" | "retrying" | "uncertain";
  /** 0: in memory or in the queue, not for a time. */
  readonly dueAtMs: number;
  /** Dispatches that count: one that WhatsApp throttled does not. */
  readonly attempts: number;
  readonly errorCode: number | null;
  readonly reason: string;
}

export function parkedRecord(record: MessageRecord, waiting: Waiting, atMs: number): MessageRecord {
  const { status, dueAtMs, attempts, errorCode, reason } = waiting;
  return {
    ...record,
    status,
    attempts,
    errorCode,
    errorReason: reason,
    dueAtMs,
    timeline: timelineWith(record, { atMs, status, attempt: record.attempts, errorCode, detail: reason }),
  };
}

export interface Finish {
  readonly status: "failed" | "expired" | "suppressed";
  readonly errorCode: number | null;
  readonly reason: string;
}

export function finishedRecord(record: MessageRecord, finish: Finish, atMs: number): MessageRecord {
  const { status, errorCode, reason } = finish;
  return {
    ...record,
    status,
    errorCode,
    errorReason: reason,
    failedAtMs: atMs,
    dueAtMs: 0,
    timeline: timelineWith(record, { atMs, status, attempt: record.attempts, errorCode, detail: reason }),
  };
}

/** A crash swallowed its verdict. */
export function interruptedRecord(record: MessageRecord, dueAtMs: number, atMs: number): MessageRecord {
  const { attempts } = record;
  const waiting = { status: "uncertain", dueAtMs, attempts, errorCode: null, reason: INTERRUPTED } as const;
  return parkedRecord(record, waiting, atMs);
}

/** How a waiting message of a removed campaign ends. */
export function removedFinish(status: MessageStatus): Finish {
  return { status: "failed", errorCode: null, reason: status === "uncertain" ? REMOVED_UNCERTAIN : REMOVED };
}

/** What an actor needs to know of it. */
export function dispatchOf(record: MessageRecord, campaignNumber: number): Dispatch {
  return {
    messageId: record.messageId,
    campaignNumber,
    phoneNumber: record.phoneNumber,
    acceptedAtMs: queuedSinceMs(record),
    attempts: record.attempts,
  };
}

/** An operator's replay: back into the queue, with a fresh time to live. */
export function replayedRecord(record: MessageRecord, dueAtMs: number, atMs: number): MessageRecord {
  const entry = { atMs, status: "queued", attempt: record.attempts, errorCode: null, detail: REPLAYED } as const;
  return {
    ...record,
    status: "queued",
    errorCode: null,
    errorReason: "",
    wamid: "",
    sentAtMs: 0,
    failedAtMs: 0,
    dueAtMs,
    timeline: timelineWith(record, entry),
  };
}

/** A replay never touches a message that reached its recipient, nor one that is still under way. */
export function isReplayable(record: MessageRecord): boolean {
  return record.status === "failed" && record.deliveredAtMs === 0 && record.readAtMs === 0;
}

/** When the time to live began: at acceptance, or at the last replay. */
function queuedSinceMs(record: MessageRecord): number {
  return record.timeline.findLast((entry) => entry.detail === REPLAYED)?.atMs ?? record.acceptedAtMs;
}

function timelineWith(record: MessageRecord, entry: TimelineEntry): readonly TimelineEntry[] {
  const kept = record.timeline;
  if (kept.length < TIMELINE_ENTRIES_MAX) return [...kept, entry];
  // The time to live is counted from the last replay: its line stays like the first one.
  const lastReplay = kept.findLastIndex(({ detail }) => detail === REPLAYED);
  const dropped = lastReplay === 1 ? 2 : 1;
  return [...kept.slice(0, dropped), ...kept.slice(dropped + 1), entry];
}
