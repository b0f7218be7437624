// Ends messages that an event made needless while they waited: the reminder of a cart that was ordered.
//
//   key/<campaign>/<hash of waitKey>        the waiting messages of the key, newest first
//   cancelled/<campaign>/<hash of waitKey>  the newest cancels of the key: a message that comes late ends at once
//
// Both are marks of the ledger, written with the round that changed them, so that a crash leaves neither a message that
// nothing can cancel nor a cancel that was lost. A message is under its key from its arrival until it is dispatched or
// ends; one that was ever dispatched may have been sent, and no cancel touches it.

import { hash } from "node:crypto";

import { Packr } from "msgpackr";

import type { Cancel } from "../message/cancel.ts";
import { decodeMessageId, type MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { MessageJournal } from "./message-journal.ts";
import { type Finish, isUnsent } from "./record-transition.ts";

/** Waiting messages of one key that can be cancelled. Of more, the oldest are sent when their time comes. */
export const KEY_MESSAGES_MAX = 64;

/** How long after a cancel a message of the key still ends at its arrival. */
export const CANCEL_KEPT_MS: number = 72 * 3_600_000;

/** Every mark of a cancel begins with it. */
export const CANCELLED_MARKS = "cancelled/";

/** 16 bytes: two keys of one campaign never meet. */
const HASH_LENGTH = 22;

type Kept = readonly [atMs: number, by: MessageId, byCampaignId: string];

/** The newest cancel by the campaign's own events, which ends older messages only, and the newest by another's. */
type CancelledMark = readonly [own: Kept | null, other: Kept | null];

// useRecords off: msgpackr's shared structures have forked between writers; plain arrays cannot.
const packr = new Packr({ useRecords: false });

export interface CancelDeskDeps {
  readonly journal: MessageJournal;
  /** The message ends, wherever it waits. */
  end(record: MessageRecord, finish: Finish): void;
}

export class CancelDesk {
  readonly #deps: CancelDeskDeps;

  constructor(deps: CancelDeskDeps) {
    this.#deps = deps;
  }

  /** How a message that has just come ends, because a cancel of its key came before it; null: it waits. */
  finishOf({ messageId, waitKey }: MessageRecord, nowMs: number): Finish | null {
    if (waitKey === "") return null;
    const bytes = this.#deps.journal.mark(cancelledKey(campaignOf(messageId), waitKey));
    if (bytes === undefined) return null;
    const [own, other] = decodeCancelled(bytes);
    if (other !== null && isKept(other, nowMs)) return finishBy(other);
    return own !== null && isKept(own, nowMs) && messageId < own[1] ? finishBy(own) : null;
  }

  /** A message is new, or its record has moved on. */
  moved(before: MessageRecord | null, after: MessageRecord): void {
    if (after.waitKey === "") return;
    const did = before !== null && isUnsent(before);
    const does = isUnsent(after);
    if (did === does) return;
    const key = waitingKey(campaignOf(after.messageId), after.waitKey);
    const others = this.#waiting(key).filter((id) => id !== after.messageId);
    const ids = does ? [after.messageId, ...others].slice(0, KEY_MESSAGES_MAX) : others;
    this.#deps.journal.setMark(key, ids.length === 0 ? null : packr.pack(ids));
  }

  /** One that comes twice changes nothing the second time. */
  take(cancel: Cancel, nowMs: number): void {
    const { campaignNumber, key, by } = cancel;
    const isOwn = campaignOf(by) === campaignNumber;
    const kept: Kept = [cancel.atMs, by, cancel.byCampaignId];
    if (!isKept(kept, nowMs)) return;
    // Of two copies of an event that two nodes took at once one never became a message: it cancels nothing either.
    if (isOwn && this.#deps.journal.get(by) === undefined) return;
    this.#keep(cancelledKey(campaignNumber, key), kept, isOwn);
    for (const id of this.#waiting(waitingKey(campaignNumber, key))) {
      const record = isOwn && id >= by ? undefined : this.#deps.journal.get(id);
      if (record !== undefined && isUnsent(record)) this.#deps.end(record, finishBy(kept));
    }
  }

  /** Whether messages of the key wait. */
  hasWaiting({ campaignNumber, key }: Cancel): boolean {
    return this.#deps.journal.mark(waitingKey(campaignNumber, key)) !== undefined;
  }

  #keep(markKey: string, kept: Kept, isOwn: boolean): void {
    const { journal } = this.#deps;
    const bytes = journal.mark(markKey);
    const [own, other] = bytes === undefined ? [null, null] : decodeCancelled(bytes);
    // Of its own campaign the one that ends most, of others the one that lasts longest.
    if (isOwn && own !== null && own[1] >= kept[1]) return;
    if (!isOwn && other !== null && other[0] >= kept[0]) return;
    const mark: CancelledMark = isOwn ? [kept, other] : [own, kept];
    journal.setMark(markKey, packr.pack(mark));
  }

  #waiting(markKey: string): readonly MessageId[] {
    const bytes = this.#deps.journal.mark(markKey);
    if (bytes === undefined) return [];
    const ids: readonly MessageId[] = packr.unpack(bytes);
    return ids;
  }
}

/** Whether nothing that comes from now on meets the cancels of the mark. */
export function isCancelOver(bytes: Uint8Array, nowMs: number): boolean {
  return decodeCancelled(bytes).every((kept) => kept === null || !isKept(kept, nowMs));
}

function decodeCancelled(bytes: Uint8Array): CancelledMark {
  const mark: CancelledMark = packr.unpack(bytes);
  return mark;
}

function isKept([atMs]: Kept, nowMs: number): boolean {
  return nowMs < atMs + CANCEL_KEPT_MS;
}

function finishBy([, , byCampaignId]: Kept): Finish {
  const reason = `Cancelled: an event of campaign ${byCampaignId} came before it was sent.`;
  return { status: "suppressed", errorCode: null, reason };
}

function campaignOf(id: MessageId): number {
  return decodeMessageId(id)?.campaignNumber ?? 0;
}

function waitingKey(campaignNumber: number, waitKey: string): string {
  return `key/${campaignNumber}/${hashOf(waitKey)}`;
}

function cancelledKey(campaignNumber: number, waitKey: string): string {
  return `${CANCELLED_MARKS}${campaignNumber}/${hashOf(waitKey)}`;
}

function hashOf(waitKey: string): string {
  return hash("sha256", waitKey, "base64url").slice(0, HASH_LENGTH);
}
