// Rounds as an owner would commit them, by a chance that a seed repeats; and all that a table shows, to compare two.

import type { CampaignState } from "../../engine/ledger/campaign-state.ts";
import { countTransition, emptyCounters } from "../../engine/ledger/counters.ts";
import type { EntryRow, LedgerEntry } from "../../engine/ledger/ledger-entry.ts";
import type { LedgerMark, LedgerReader } from "../../engine/ledger/ledger-reader.ts";
import type { LedgerBatch } from "../../engine/ledger/lmdb-ledger.ts";
import { encodeRecord } from "../../engine/ledger/record.ts";
import { encodeCampaignState } from "../../engine/ledger/state-record.ts";
import { campaignPrefix, type MessageId } from "../../engine/message/ids.ts";
import type { MessageRecord } from "../../engine/message/message-record.ts";
import { chance } from "../support/chance.ts";
import { idOf, NOON_MS, recordOf } from "./fixtures.ts";

export const PARTITION = 3;
const CAMPAIGNS = [1, 2, 3];
const PHONES = Array.from({ length: 40 }, (_, index) => `+1415555${1_000 + index}`);
const ALL = 10_000_000;

export interface RoundSize {
  readonly created?: number;
  readonly updated?: number;
  readonly marks?: number;
  /** Of each new row's message. */
  readonly textLength?: number;
}

/** Nothing of its own: each round follows on the table it is made for. */
export class RoundAuthor {
  readonly #seed: number;
  readonly #below: (below: number) => number;
  readonly #ids: MessageId[] = [];
  #cursor = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#below = chance(seed);
  }

  batch(ledger: LedgerReader, size: RoundSize = {}): LedgerBatch {
    const { created = this.#below(12), updated = this.#below(12), marks = this.#below(8), textLength = 20 } = size;
    const states = new Map<number, CampaignState>();
    const news = Array.from({ length: created }, () => this.#newRecord(textLength));
    const changes = new Map<MessageId, { record: MessageRecord; previousDueAtMs: number }>();
    for (let count = 0; count < updated; count++) {
      const before = ledger.get(this.#ids[this.#below(Math.max(1, this.#ids.length))] ?? "");
      if (before === undefined || changes.has(before.messageId)) continue;
      const record = this.#changed(before);
      changes.set(before.messageId, { record, previousDueAtMs: before.dueAtMs });
      countTransition(this.#stateOf(ledger, before.messageId, states).counters, before, record);
    }
    for (const record of news) {
      countTransition(this.#stateOf(ledger, record.messageId, states).counters, null, record);
    }
    this.#cursor += this.#below(3);
    return {
      created: news,
      updated: [...changes.values()],
      cursor: this.#cursor,
      cursorId: `event-${this.#cursor}`,
      campaigns: [...states.values()],
      lastDispatchAtMs: this.#below(2) === 0 ? null : NOON_MS + this.#below(9_999),
      marks: Array.from({ length: marks }, () => this.#mark()),
    };
  }

  /** Few keys, so that they are replaced, removed, and come again, also within one batch. */
  #mark(): LedgerMark {
    const key = `${this.#below(2) === 0 ? "trail" : "key"}/${this.#below(30)}`;
    return { key, value: this.#below(3) === 0 ? null : Buffer.from(`${this.#seed}.${this.#below(1_000_000)}`) };
  }

  #newRecord(textLength: number): MessageRecord {
    const campaignNumber = CAMPAIGNS[this.#below(CAMPAIGNS.length)] ?? 1;
    // Not in the order of their ids, as when a clock was set back. Two authors never make the same.
    const sequence = this.#seed * 10_000_000 + this.#below(2) * 1_000_000 + this.#ids.length;
    const messageId = idOf(sequence, { partition: PARTITION, campaignNumber });
    this.#ids.push(messageId);
    const phoneNumber = PHONES[this.#below(PHONES.length)] ?? "";
    return recordOf(messageId, { phoneNumber, dueAtMs: this.#due(), message: "x".repeat(textLength) });
  }

  #changed(before: MessageRecord): MessageRecord {
    const isFailure = this.#below(5) === 0;
    return {
      ...before,
      status: isFailure ? "failed" : "sent",
      errorCode: isFailure ? 131_026 : null,
      attempts: before.attempts + 1,
      dueAtMs: this.#due(),
    };
  }

  #due(): number {
    return this.#below(3) === 0 ? 0 : NOON_MS + this.#below(5_000);
  }

  #stateOf(ledger: LedgerReader, messageId: MessageId, states: Map<number, CampaignState>): CampaignState {
    const number = CAMPAIGNS.find((one) => messageId.startsWith(campaignPrefix(PARTITION, one))) ?? 0;
    const fresh = { campaignNumber: number, headId: "", diskFromId: "", tailId: "", counters: emptyCounters() };
    const state = states.get(number) ?? ledger.campaignState(number) ?? fresh;
    const changed = { ...state, tailId: messageId };
    states.set(number, changed);
    return changed;
  }
}

/** What anybody can see of a table, except where in the log it stands. */
export function contentsOf(ledger: LedgerReader): Readonly<Record<string, unknown>> {
  const window = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, limit: ALL };
  return {
    rows: CAMPAIGNS.flatMap((number) =>
      ledger.records({
        from: campaignPrefix(PARTITION, number),
        to: campaignPrefix(PARTITION, number + 1),
        limit: ALL,
      }),
    ),
    due: ledger.due({ after: null, throughMs: Number.MAX_SAFE_INTEGER, limit: ALL }),
    phones: PHONES.map((phone) => ledger.idsOfPhone(phone, window).toSorted()),
    campaigns: ledger.campaignStates(),
    marks: ledger.marks({ from: "a", to: "z", limit: ALL }),
    cursor: ledger.cursorPosition(),
    lastDispatchAtMs: ledger.lastDispatchAt(),
  };
}

export const termOf = (number: number): string => number.toString(16).padStart(16, "0");

export function entryOf(batch: LedgerBatch, place: Partial<LedgerEntry> & { readonly index: number }): LedgerEntry {
  const rows: EntryRow[] = [
    ...batch.created.map((row) => [row.messageId, encodeRecord(row), row.dueAtMs, null, row.phoneNumber] as const),
    ...batch.updated.map(
      ({ record, previousDueAtMs }) =>
        [record.messageId, encodeRecord(record), record.dueAtMs, previousDueAtMs, null] as const,
    ),
  ];
  return {
    term: termOf(1),
    baseIndex: place.index - 1,
    baseTerm: place.index === 1 ? "" : termOf(1),
    atMs: NOON_MS + place.index,
    rows,
    campaigns: batch.campaigns.map((state) => [state.campaignNumber, encodeCampaignState(state)] as const),
    marks: batch.marks.map(({ key, value }) => [key, value] as const),
    cursor: batch.cursor,
    cursorId: batch.cursorId ?? "",
    lastDispatchAtMs: batch.lastDispatchAtMs,
    terms: null,
    ...place,
  };
}
