// How many messages of each campaign wait for a time of their own (`sendAt`) that has not come. They are in no queue
// yet, so neither the oldest waiting message nor the forecast of a drained backlog should count them.
//
//   delayed/<campaign>   the count, the longest delay so far, and up to where in the due index they have come
//
// Written with the round that changes it, because nobody counts rows at a start.

import { Packr } from "msgpackr";

import type { MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { MessageJournal } from "./message-journal.ts";
import type { DueEntry } from "./partition-deps.ts";
import { isUnsent } from "./record-transition.ts";

interface Delays {
  /** Those whose entry lies beyond `cameDue`. */
  count: number;
  longestMs: number;
  cameDue: DueEntry | null;
}

type Packed = readonly [count: number, longestMs: number, dueAtMs: number, messageId: MessageId | ""];

// useRecords off: msgpackr's shared structures have forked between writers; plain arrays cannot.
const packr = new Packr({ useRecords: false });

export class DelayBook {
  readonly #journal: MessageJournal;
  readonly #campaigns = new Map<number, Delays>();

  constructor(journal: MessageJournal) {
    this.#journal = journal;
  }

  /** Messages of the campaign whose time has not come. */
  countOf(campaignNumber: number): number {
    return this.#delaysOf(campaignNumber).count;
  }

  /** The longest time between acceptance and `sendAt` that a message of the campaign had. */
  longestMsOf(campaignNumber: number): number {
    return this.#delaysOf(campaignNumber).longestMs;
  }

  /** A message is new, or its record has moved on. */
  moved(campaignNumber: number, before: MessageRecord | null, after: MessageRecord): void {
    if (after.sendAtMs === 0) return;
    const delays = this.#delaysOf(campaignNumber);
    const change = Number(isAhead(delays, after)) - Number(before !== null && isAhead(delays, before));
    const delayMs = before === null ? after.sendAtMs - after.acceptedAtMs : 0;
    if (change === 0 && delayMs <= delays.longestMs) return;
    delays.count += change;
    delays.longestMs = Math.max(delays.longestMs, delayMs);
    this.#store(campaignNumber, delays);
  }

  /** Its time has come. Entries come in their order; one that comes again is known. */
  cameDue(campaignNumber: number, entry: DueEntry, record: MessageRecord): void {
    if (record.sendAtMs === 0) return;
    const delays = this.#delaysOf(campaignNumber);
    if (!isAhead(delays, record)) return;
    delays.count -= 1;
    delays.cameDue = entry;
    this.#store(campaignNumber, delays);
  }

  #delaysOf(campaignNumber: number): Delays {
    const known = this.#campaigns.get(campaignNumber);
    if (known !== undefined) return known;
    const bytes = this.#journal.mark(keyOf(campaignNumber));
    const delays = bytes === undefined ? { count: 0, longestMs: 0, cameDue: null } : decode(bytes);
    this.#campaigns.set(campaignNumber, delays);
    return delays;
  }

  #store(campaignNumber: number, { count, longestMs, cameDue }: Delays): void {
    const packed: Packed = [count, longestMs, cameDue?.dueAtMs ?? 0, cameDue?.messageId ?? ""];
    this.#journal.setMark(keyOf(campaignNumber), packr.pack(packed));
  }
}

/** What the ledger of a partition that another node works on tells. */
export function delayedIn(ledger: { mark(key: string): Uint8Array | undefined }, campaignNumber: number): number {
  const bytes = ledger.mark(keyOf(campaignNumber));
  return bytes === undefined ? 0 : decode(bytes).count;
}

/** Whether the message waits for its own time, beyond what has come due. */
function isAhead({ cameDue }: Delays, record: MessageRecord): boolean {
  if (record.sendAtMs === 0 || record.dueAtMs !== record.sendAtMs || !isUnsent(record)) return false;
  if (cameDue === null || record.dueAtMs > cameDue.dueAtMs) return true;
  return record.dueAtMs === cameDue.dueAtMs && record.messageId > cameDue.messageId;
}

function keyOf(campaignNumber: number): string {
  return `delayed/${campaignNumber}`;
}

function decode(bytes: Uint8Array): Delays {
  const [count, longestMs, dueAtMs, messageId]: Packed = packr.unpack(bytes);
  return { count, longestMs, cameDue: messageId === "" ? null : { dueAtMs, messageId } };
}
