// How a message's record moves on: each function is one transition, and each leaves a line in the timeline.
// (What a status webhook does to a record is the ledger's status-merge.)

import type { AcceptedEvent } from "../message/event.ts";
import { decodeMessageId } from "../message/ids.ts";
import type { MessageRecord, TimelineEntry } from "../message/message-record.ts";
import type { MessageStatus } from "../message/status.ts";
import type { Dispatch } from "./sender-messages.ts";

/** Marks a replay in the timeline. */
const REPLAYED = "Replayed by an operator.";

/** Never sent again: the person takes part in an experiment of Meta's without marketing, or stopped marketing. */
const NEVER_REPLAYED: ReadonlySet<number> = new Set([130_472, 131_050]);
/** The person got enough marketing for a day. */
const TOMORROW_CODE = 131_049;
const TOMORROW_MS = 24 * 3_600_000;

const SENT_TWICE = "It reached the recipient twice: a late status proves that an attempt given up as lost had arrived.";

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
  const { sendAtMs = 0, waitKey = "" } = event;
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
    sendAtMs,
    waitKey,
    pricingAtMs: 0,
    closedAttempts: 0,
    timeline: [{ atMs: acceptedAtMs, status: "queued", attempt: 0, errorCode: null, detail: "" }],
  };
}

/** Its time has not come: it waits for nothing else. */
export function delayedRecord(record: MessageRecord): MessageRecord {
  return { ...record, dueAtMs: record.sendAtMs };
}

/** It waits for the first time: nobody can have got it. */
export function isUnsent({ status, dispatchedAtMs }: MessageRecord): boolean {
  return status === "queued" && dispatchedAtMs === 0;
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

/**
 * A status told that the attempt failed for a reason that is not the message's own: nobody got it, and it waits until
 * the reason is gone. The entry of the failure stays in the timeline, so that it counts once.
 */
export function revivedRecord(failed: MessageRecord, dueAtMs: number, atMs: number): MessageRecord {
  const { attempts, errorCode } = failed;
  const reason = `${failed.errorReason} WhatsApp told so later, in a status; it will be sent again.`.trimStart();
  const waiting = { status: "retrying", dueAtMs, attempts, errorCode, reason } as const;
  const parked = parkedRecord(failed, waiting, atMs);
  return { ...parked, wamid: "", sentAtMs: 0, failedAtMs: 0, closedAttempts: attempts };
}

/** More than one attempt arrived. */
export function sentTwiceRecord(record: MessageRecord, atMs: number): MessageRecord {
  const { status, errorCode } = record;
  // Attempt 0: no status is ever about it, so the line is never taken for one.
  return { ...record, timeline: timelineWith(record, { atMs, status, attempt: 0, errorCode, detail: SENT_TWICE }) };
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
  const { messageId, phoneNumber, attempts } = record;
  const acceptedAtMs = liveSinceMs(record);
  const dispatch = { messageId, campaignNumber, phoneNumber, acceptedAtMs, attempts };
  const attemptsBefore = Math.max(record.closedAttempts, lastReplay(record)?.attempt ?? 0);
  return attemptsBefore === 0 ? dispatch : { ...dispatch, attemptsBefore };
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
    closedAttempts: record.attempts,
    timeline: timelineWith(record, entry),
  };
}

/**
 * A replay never touches a message that reached its recipient, nor one that is still under way, nor one that WhatsApp
 * keeps from its recipient for longer.
 */
export function isReplayable(record: MessageRecord, nowMs: number): boolean {
  const { status, errorCode, failedAtMs, deliveredAtMs, readAtMs } = record;
  if (status !== "failed" || deliveredAtMs > 0 || readAtMs > 0) return false;
  if (errorCode === TOMORROW_CODE) return nowMs >= failedAtMs + TOMORROW_MS;
  return errorCode === null || !NEVER_REPLAYED.has(errorCode);
}

/** When the time to live began: at acceptance, at the time it was to be sent at, or at the last replay. */
export function liveSinceMs(record: MessageRecord): number {
  return lastReplay(record)?.atMs ?? Math.max(record.acceptedAtMs, record.sendAtMs);
}

/** Attempts since the message was queued, or queued anew by an operator. */
export function attemptsInARow(record: MessageRecord): number {
  return record.attempts - (lastReplay(record)?.attempt ?? 0);
}

/** When WhatsApp took it, as far as the record tells. */
export function takenAtMs(record: MessageRecord): number {
  if (record.sentAtMs > 0) return record.sentAtMs;
  return record.timeline.findLast(({ status }) => status === "held")?.atMs ?? record.dispatchedAtMs;
}

/** When it last left; 0 when it never did. */
export function departedAtMs(record: MessageRecord): number {
  return record.timeline.findLast(({ status }) => status === "dispatched")?.atMs ?? record.dispatchedAtMs;
}

function lastReplay(record: MessageRecord): TimelineEntry | undefined {
  return record.timeline.findLast((entry) => entry.detail === REPLAYED);
}

function timelineWith(record: MessageRecord, entry: TimelineEntry): readonly TimelineEntry[] {
  const kept = record.timeline;
  if (kept.length < TIMELINE_ENTRIES_MAX) return [...kept, entry];
  // The time to live and the attempts are counted from the last replay: its line stays like the first one.
  const replayIndex = kept.findLastIndex(({ detail }) => detail === REPLAYED);
  const dropped = replayIndex === 1 ? 2 : 1;
  return [...kept.slice(0, dropped), ...kept.slice(dropped + 1), entry];
}
