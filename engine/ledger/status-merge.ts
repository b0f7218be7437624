// What one status of a WhatsApp webhook changes in a message's record.
//
// Statuses come late, twice, in any order, sometimes before the send's own answer. So they are merged by rank and
// never by arrival: whatever their order, the same statuses leave the same record.
//
//   waiting (queued, dispatched, retrying, held, uncertain) < ended by Volley (expired, suppressed)
//     < sent < failed < delivered < read
//
// A failure of an attempt that was followed by another one decides nothing: the later attempt may still arrive.

import type { MessageRecord, TimelineEntry } from "../message/message-record.ts";
import type { MessageStatus } from "../message/status.ts";
import type { StatusUpdate } from "../message/status-update.ts";

/** Later entries of a longer history are left out; their effect on the status is not. */
export const TIMELINE_ENTRIES_MAX = 64;

const RANKS: Readonly<Record<MessageStatus, number>> = {
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

const MS_PER_SECOND = 1_000;
/** What Volley itself sees of a send, to the millisecond. */
const WAY_OUT: ReadonlySet<MessageStatus> = new Set(["dispatched", "held", "sent"]);

/** @returns the same object when the update tells nothing new. */
export function mergeStatus(record: MessageRecord, update: StatusUpdate): MessageRecord {
  const atMs = placeInTime(record, update);
  const wamid = record.wamid === "" ? update.wamid : record.wamid;
  const pricingCategory = update.pricingCategory === "" ? record.pricingCategory : update.pricingCategory;
  if (isAnswered(record, update, atMs) || record.timeline.some((entry) => isSameNews(entry, update, atMs))) {
    const isKnown = wamid === record.wamid && pricingCategory === record.pricingCategory;
    return isKnown ? record : { ...record, wamid, pricingCategory };
  }
  const timeline = withEntry(record.timeline, update, atMs);
  const news = { ...record, ...arrivalTimes(record, update, atMs), wamid, pricingCategory, timeline };
  return update.status === "failed" ? mergeFailure(news, update, atMs) : mergeArrival(news, update);
}

/**
 * Meta's times are whole seconds: one that falls into the second of the dispatch, or of the send's answer, is not
 * before it. Without this a message would be delivered before it was sent, and sent before it was dispatched.
 */
function placeInTime(record: MessageRecord, update: StatusUpdate): number {
  let atMs = update.atMs;
  const endMs = update.atMs + MS_PER_SECOND;
  if (record.dispatchedAtMs > atMs && record.dispatchedAtMs < endMs) atMs = record.dispatchedAtMs;
  for (const entry of record.timeline) {
    const isWithin = entry.atMs > atMs && entry.atMs < endMs && entry.attempt === update.attempt;
    if (isWithin && WAY_OUT.has(entry.status)) atMs = entry.atMs;
  }
  return atMs;
}

function isSameNews(entry: TimelineEntry, update: StatusUpdate, atMs: number): boolean {
  return (
    entry.status === update.status &&
    entry.attempt === update.attempt &&
    entry.atMs === atMs &&
    entry.errorCode === update.errorCode
  );
}

/**
 * The send's answer said `sent` before: no news. What tells an answer from a webhook is its time, which is neither a
 * whole second nor the one of the dispatch.
 */
function isAnswered({ dispatchedAtMs, timeline }: MessageRecord, update: StatusUpdate, atMs: number): boolean {
  if (update.status !== "sent") return false;
  const own = timeline.filter((entry) => entry.attempt === update.attempt && WAY_OUT.has(entry.status));
  return own.some((entry) => {
    if (entry.status !== "sent" || entry.atMs > atMs || entry.atMs % MS_PER_SECOND === 0) return false;
    return entry.atMs !== dispatchedAtMs && own.every((other) => other.status === "sent" || other.atMs !== entry.atMs);
  });
}

/** Read implies delivered implies sent: an update that never comes leaves no gap, and the earliest time stays. */
function arrivalTimes(
  record: MessageRecord,
  update: StatusUpdate,
  atMs: number,
): Pick<MessageRecord, "sentAtMs" | "deliveredAtMs" | "readAtMs"> {
  const reached = update.status === "failed" ? 0 : RANKS[update.status];
  return {
    sentAtMs: reached >= RANKS.sent ? earliest(record.sentAtMs, atMs) : record.sentAtMs,
    deliveredAtMs: reached >= RANKS.delivered ? earliest(record.deliveredAtMs, atMs) : record.deliveredAtMs,
    readAtMs: reached >= RANKS.read ? earliest(record.readAtMs, atMs) : record.readAtMs,
  };
}

function mergeArrival(record: MessageRecord, update: StatusUpdate): MessageRecord {
  if (RANKS[update.status] <= RANKS[record.status]) return record;
  // After a replay the record waits again: a late `sent` of the attempt that failed before proves nothing.
  const isOfLastAttempt = update.attempt >= record.attempts;
  if (update.status === "sent" && isOfLastAttempt && hasFailed(record, update.attempt)) return record;
  return { ...record, status: update.status, errorCode: null, errorReason: "", failedAtMs: 0, dueAtMs: 0 };
}

function mergeFailure(record: MessageRecord, update: StatusUpdate, atMs: number): MessageRecord {
  if (update.attempt < record.attempts || RANKS[record.status] > RANKS.failed) return record;
  if (record.status === "failed" && !isEarlierFailure(record, update, atMs)) return record;
  return {
    ...record,
    status: "failed",
    errorCode: update.errorCode,
    errorReason: update.errorReason,
    failedAtMs: atMs,
    dueAtMs: 0,
  };
}

/** Of several failures the first is the reason; ties are broken by code and text so that arrival never decides. */
function isEarlierFailure(record: MessageRecord, update: StatusUpdate, atMs: number): boolean {
  if (atMs !== record.failedAtMs) return atMs < record.failedAtMs;
  const before = record.errorCode ?? 0;
  const after = update.errorCode ?? 0;
  return after === before ? update.errorReason < record.errorReason : after < before;
}

function hasFailed(record: MessageRecord, attempt: number): boolean {
  return record.timeline.some((entry) => entry.status === "failed" && entry.attempt === attempt);
}

function earliest(knownAtMs: number, atMs: number): number {
  return knownAtMs === 0 ? atMs : Math.min(knownAtMs, atMs);
}

function withEntry(timeline: readonly TimelineEntry[], update: StatusUpdate, atMs: number): readonly TimelineEntry[] {
  if (timeline.length >= TIMELINE_ENTRIES_MAX) return timeline;
  const { status, attempt, errorCode, errorReason } = update;
  return [...timeline, { atMs, status, attempt, errorCode, detail: errorReason }].toSorted(inTime);
}

function inTime(a: TimelineEntry, b: TimelineEntry): number {
  return (
    a.atMs - b.atMs ||
    a.attempt - b.attempt ||
    RANKS[a.status] - RANKS[b.status] ||
    (a.errorCode ?? 0) - (b.errorCode ?? 0)
  );
}
