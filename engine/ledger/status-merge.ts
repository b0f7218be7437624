// What one status of a WhatsApp webhook changes in a message's record.
//
// Statuses come late, twice, in any order, sometimes before the send's own answer. So they are merged by rank and
// never by arrival: whatever their order, the same statuses leave the same record.
//
//   waiting (queued, dispatched, retrying, held, uncertain) < ended by Volley (expired, suppressed)
//     < sent < failed < delivered < read
//
// Less than its rank says counts what is told of an attempt that is over or was followed by another one:
//
//   attempt        sent                 failed    delivered, read
//   the last       counts *             counts    count
//   one before     counts *             nothing   count            the later attempt may still arrive
//   a closed one   nothing              nothing   count            it is being sent again, for it had failed
//
//   * but not for a message that Volley gave up, expired, after WhatsApp had taken it: that it took it is no news.
//
// Every decision here rests on what no status changes (attempts, closed attempts, the send's own answer), on what
// only grows or only becomes earlier, or on the rank itself: hence the promise about the order.

import type { MessageRecord, TimelineEntry } from "../message/message-record.ts";
import type { MessageStatus } from "../message/status.ts";
import type { StatusUpdate } from "../message/status-update.ts";

/** Of a longer history the latest of what WhatsApp told is left out; its effect on the status is not. */
export const TIMELINE_ENTRIES_MAX = 64;

/** Sets a `sent` that a webhook told apart from the send's own answer. */
export const TOLD_BY_WEBHOOK = "Told by webhook.";

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
/** Whoever told it, of these there can be any number; a `sent` of Volley's own is needed. */
const ABUNDANT: ReadonlySet<MessageStatus> = new Set(["failed", "delivered", "read"]);
/** WhatsApp has, or had, the attempt. */
const TAKEN: ReadonlySet<MessageStatus> = new Set(["held", "sent", "delivered", "read"]);

/** @returns the same object when the update tells nothing new. */
export function mergeStatus(record: MessageRecord, update: StatusUpdate): MessageRecord {
  const atMs = placeInTime(record, update);
  const outcome = outcomeAfter(record, update, atMs);
  const times = timesAfter(record, update, atMs);
  const pricing = pricingAfter(record, update);
  const wamid = wamidAfter(record, update);
  const timeline = timelineAfter(record.timeline, update, atMs);
  const isKnown = outcome === record && times === record && pricing === record;
  if (isKnown && wamid === record.wamid && timeline === record.timeline) return record;
  // One spread, and first: with one for each part a merge takes several times as long.
  return {
    ...record,
    status: outcome.status,
    errorCode: outcome.errorCode,
    errorReason: outcome.errorReason,
    failedAtMs: outcome.failedAtMs,
    dueAtMs: outcome.dueAtMs,
    sentAtMs: times.sentAtMs,
    deliveredAtMs: times.deliveredAtMs,
    readAtMs: times.readAtMs,
    pricingCategory: pricing.pricingCategory,
    pricingAtMs: pricing.pricingAtMs,
    wamid,
    timeline,
  };
}

/**
 * Whether two attempts are known to have been taken by WhatsApp, or to have arrived: the person got the message twice,
 * or may have. Attempts that were over before the next one count only if they arrived.
 */
export function isSentTwice(record: MessageRecord): boolean {
  let first = 0;
  for (const entry of record.timeline) {
    if (entry.attempt === 0 || entry.attempt === first || entry.status === "held" || !isTaken(record, entry)) continue;
    if (first !== 0) return true;
    first = entry.attempt;
  }
  return false;
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
    if (isWithin && WAY_OUT.has(entry.status) && entry.detail !== TOLD_BY_WEBHOOK) atMs = entry.atMs;
  }
  return atMs;
}

type Times = Pick<MessageRecord, "sentAtMs" | "deliveredAtMs" | "readAtMs">;

/** Read implies delivered implies sent: an update that never comes leaves no gap, and the earliest time stays. */
function timesAfter(record: MessageRecord, update: StatusUpdate, atMs: number): Times {
  if (update.status === "failed" || isOver(record, update)) return record;
  const reached = RANKS[update.status];
  const sentAtMs = earliest(record.sentAtMs, atMs);
  const deliveredAtMs = reached >= RANKS.delivered ? earliest(record.deliveredAtMs, atMs) : record.deliveredAtMs;
  const readAtMs = reached >= RANKS.read ? earliest(record.readAtMs, atMs) : record.readAtMs;
  const isKnown =
    sentAtMs === record.sentAtMs && deliveredAtMs === record.deliveredAtMs && readAtMs === record.readAtMs;
  return isKnown ? record : { sentAtMs, deliveredAtMs, readAtMs };
}

type Pricing = Pick<MessageRecord, "pricingCategory" | "pricingAtMs">;

/** Of those told the newest counts; of those of the same second that of the greatest rank. */
function pricingAfter(record: MessageRecord, { pricingCategory, atMs, status }: StatusUpdate): Pricing {
  if (pricingCategory === "") return record;
  const pricingAtMs = atMs + RANKS[status];
  const isTie = pricingAtMs === record.pricingAtMs;
  const isNewer = isTie ? pricingCategory > record.pricingCategory : pricingAtMs > record.pricingAtMs;
  return isNewer ? { pricingCategory, pricingAtMs } : record;
}

type Outcome = Pick<MessageRecord, "status" | "errorCode" | "errorReason" | "failedAtMs" | "dueAtMs">;

function outcomeAfter(record: MessageRecord, update: StatusUpdate, atMs: number): Outcome {
  const { status, errorCode, errorReason } = update;
  if (!decides(record, update, atMs)) return record;
  if (status === "failed") return { status, errorCode, errorReason, failedAtMs: atMs, dueAtMs: 0 };
  return { status, errorCode: null, errorReason: "", failedAtMs: 0, dueAtMs: 0 };
}

function decides(record: MessageRecord, update: StatusUpdate, atMs: number): boolean {
  const { status } = update;
  if (isOver(record, update) || RANKS[record.status] > RANKS[status]) return false;
  if (status === "failed" && update.attempt < record.attempts) return false;
  if (record.status === status) return status === "failed" && isEarlierFailure(record, update, atMs);
  const wasGivenUp = record.status === "expired" && record.sentAtMs > 0;
  return status !== "sent" || !wasGivenUp;
}

/** Of several failures the first is the reason; ties are broken by code and text so that arrival never decides. */
function isEarlierFailure(record: MessageRecord, update: StatusUpdate, atMs: number): boolean {
  if (atMs !== record.failedAtMs) return atMs < record.failedAtMs;
  const before = record.errorCode ?? 0;
  const after = update.errorCode ?? 0;
  return after === before ? update.errorReason < record.errorReason : after < before;
}

/** That of the last attempt which WhatsApp took; while there is none, of one that failed. */
function wamidAfter(record: MessageRecord, update: StatusUpdate): string {
  const { wamid, attempt, status } = update;
  if (wamid === "" || isOver(record, update)) return record.wamid;
  let taken = 0;
  for (const entry of record.timeline) if (isTaken(record, entry)) taken = Math.max(taken, entry.attempt);
  if (status !== "failed") return attempt >= taken ? wamid : record.wamid;
  return taken === 0 && (record.wamid === "" || wamid < record.wamid) ? wamid : record.wamid;
}

type Told = Pick<TimelineEntry, "attempt" | "status">;

function isTaken(record: MessageRecord, told: Told): boolean {
  return TAKEN.has(told.status) && !isOver(record, told);
}

/** The attempt is closed, and this does not say that somebody got it. */
function isOver({ closedAttempts }: MessageRecord, { attempt, status }: Told): boolean {
  return attempt <= closedAttempts && RANKS[status] < RANKS.delivered;
}

function earliest(knownAtMs: number, atMs: number): number {
  return knownAtMs === 0 ? atMs : Math.min(knownAtMs, atMs);
}

function timelineAfter(
  timeline: readonly TimelineEntry[],
  { status, attempt, errorCode, errorReason }: StatusUpdate,
  atMs: number,
): readonly TimelineEntry[] {
  if (status === "sent") return timelineAfterSent(timeline, attempt, atMs);
  const entry = { atMs, status, attempt, errorCode, detail: errorReason };
  const isKnown = timeline.some(
    (other) => other.atMs === atMs && other.attempt === attempt && isSameNews(other, entry),
  );
  return isKnown ? timeline : withEntry(timeline, entry);
}

/** The send's answer knew it first, to the millisecond. Without that, the first webhook that told it counts. */
function timelineAfterSent(
  timeline: readonly TimelineEntry[],
  attempt: number,
  atMs: number,
): readonly TimelineEntry[] {
  const isSent = (entry: TimelineEntry): boolean => entry.status === "sent" && entry.attempt === attempt;
  const known = timeline.filter(isSent);
  if (known.some((entry) => entry.detail !== TOLD_BY_WEBHOOK || entry.atMs <= atMs)) return timeline;
  const others = known.length === 0 ? timeline : timeline.filter((entry) => !isSent(entry));
  return withEntry(others, { atMs, status: "sent", attempt, errorCode: null, detail: TOLD_BY_WEBHOOK });
}

function isSameNews(a: TimelineEntry, b: TimelineEntry): boolean {
  return a.status === b.status && a.errorCode === b.errorCode && a.detail === b.detail;
}

/** In order of time, and bounded: what Volley wrote of its own doings stays, the time to live is counted from that. */
function withEntry(timeline: readonly TimelineEntry[], entry: TimelineEntry): readonly TimelineEntry[] {
  const sorted = [...timeline, entry].toSorted(inTime);
  if (sorted.length <= TIMELINE_ENTRIES_MAX) return sorted;
  const dropped = sorted.findLastIndex(
    ({ status, attempt, detail }) => detail === TOLD_BY_WEBHOOK || (ABUNDANT.has(status) && attempt > 0),
  );
  return sorted[dropped] === entry ? timeline : sorted.toSpliced(dropped, 1);
}

function inTime(a: TimelineEntry, b: TimelineEntry): number {
  return (
    a.atMs - b.atMs ||
    a.attempt - b.attempt ||
    RANKS[a.status] - RANKS[b.status] ||
    (a.errorCode ?? 0) - (b.errorCode ?? 0) ||
    Number(a.detail > b.detail) - Number(a.detail < b.detail)
  );
}
