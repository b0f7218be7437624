// How many marketing messages one person gets in a time, over all campaigns and numbers of this engine.
//
//   marketing/<phone>   the last departures to the person: when, and of which message
//
// The marks are written with the round that stores the intent. Other partitions count theirs, and are asked; two that
// send to a person in the same moment may not see each other's, so the cap can be exceeded by one then. Nothing is
// remembered while no cap is set.

import { Packr } from "msgpackr";

import type { MarketingRules, Refusal } from "../message/marketing.ts";
import type { MessageId } from "../message/ids.ts";
import type { MessageJournal } from "./message-journal.ts";
import type { PartitionDeps } from "./partition-deps.ts";

/** Every mark of a person begins with it. */
export const MARKETING_MARKS = "marketing/";

/** Departures remembered beyond those that make up a cap: some of the last ones may come back. */
const SPARE_DEPARTURES = 8;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

type Departure = readonly [atMs: number, messageId: MessageId];

export interface FrequencyCapDeps extends Pick<PartitionDeps, "marketingSendsElsewhere"> {
  readonly journal: MessageJournal;
  readonly rules: MarketingRules;
}

interface Sent {
  readonly messageId: MessageId;
  readonly phoneNumber: string;
}

// useRecords off: msgpackr's shared structures have forked between writers; plain arrays cannot.
const packr = new Packr({ useRecords: false });

export class FrequencyCap {
  readonly #deps: FrequencyCapDeps;

  constructor(deps: FrequencyCapDeps) {
    this.#deps = deps;
  }

  /** Null: it may leave. A message that left before and may be sent again does not count against itself. */
  refusal({ messageId, phoneNumber }: Sent, nowMs: number): Refusal | null {
    const cap = this.#deps.rules.cap();
    if (cap === null) return null;
    const sinceMs = nowMs - cap.periodMs;
    let count = this.#departures(phoneNumber).filter(([atMs, id]) => atMs > sinceMs && id !== messageId).length;
    if (count < cap.messages) count += this.#deps.marketingSendsElsewhere(phoneNumber, sinceMs);
    if (count < cap.messages) return null;
    const most = cap.messages === 1 ? "1 marketing message" : `${cap.messages} marketing messages`;
    const reason = `The recipient got the most that is allowed: ${most} within ${periodText(cap.periodMs)}.`;
    return { kind: "suppressed", reason };
  }

  left({ messageId, phoneNumber }: Sent, nowMs: number): void {
    const cap = this.#deps.rules.cap();
    if (cap === null) return;
    const others = this.#departures(phoneNumber).filter(([, id]) => id !== messageId);
    this.#store(phoneNumber, [...others, [nowMs, messageId] as const].slice(-(cap.messages + SPARE_DEPARTURES)));
  }

  /** WhatsApp did not take it. */
  returned({ messageId, phoneNumber }: Sent): void {
    const departures = this.#departures(phoneNumber);
    const others = departures.filter(([, id]) => id !== messageId);
    if (others.length < departures.length) this.#store(phoneNumber, others);
  }

  #departures(phoneNumber: string): readonly Departure[] {
    const bytes = this.#deps.journal.mark(marketingKey(phoneNumber));
    return bytes === undefined ? [] : decodeDepartures(bytes);
  }

  #store(phoneNumber: string, departures: readonly Departure[]): void {
    const value = departures.length === 0 ? null : packr.pack(departures);
    this.#deps.journal.setMark(marketingKey(phoneNumber), value);
  }
}

export function marketingKey(phoneNumber: string): string {
  return `${MARKETING_MARKS}${phoneNumber}`;
}

/** How many departures of a mark are later than `sinceMs`, epoch milliseconds. */
export function departuresSince(bytes: Uint8Array, sinceMs: number): number {
  return decodeDepartures(bytes).filter(([atMs]) => atMs > sinceMs).length;
}

/** Whether none of them counts any more. */
export function areDeparturesOver(bytes: Uint8Array, sinceMs: number): boolean {
  return departuresSince(bytes, sinceMs) === 0;
}

function decodeDepartures(bytes: Uint8Array): readonly Departure[] {
  const departures: readonly Departure[] = packr.unpack(bytes);
  return departures;
}

function periodText(periodMs: number): string {
  if (periodMs % DAY_MS === 0) return periodMs === DAY_MS ? "a day" : `${periodMs / DAY_MS} days`;
  if (periodMs % HOUR_MS === 0) return periodMs === HOUR_MS ? "an hour" : `${periodMs / HOUR_MS} hours`;
  return `${Math.round(periodMs / 60_000)} minutes`;
}
