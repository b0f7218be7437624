// Rows whose time has come and whose mailbox had no room. Like the backlog on disk they stay where they are, in the due
// index; their campaign remembers the first of them, and they are read back in order as room appears. So a hundred
// thousand messages that come due in one moment cost a mark in memory, not a hundred thousand rows written again.

import type { MessageId } from "../message/ids.ts";
import type { DueEntry, PartitionLedger } from "./partition-deps.ts";

/** Entries looked at in one turn, also those of other campaigns. */
const ENTRIES_MAX = 512;

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a place in the index, not a message
const BEGINNING: DueEntry = { dueAtMs: 0, messageId: "" as MessageId };

export class OverdueQueue<Queued extends object> {
  readonly #ledger: PartitionLedger;
  /** By campaign: what lies after this entry is to be read again. */
  readonly #after = new Map<Queued, DueEntry>();

  constructor(ledger: PartitionLedger) {
    this.#ledger = ledger;
  }

  /** When the first of the campaign's rows came due, epoch milliseconds; null when it has none. */
  oldestAtMs(campaign: Queued): number | null {
    return this.#after.get(campaign)?.dueAtMs ?? null;
  }

  /** The row finds no room. */
  leave(campaign: Queued, entry: DueEntry): void {
    const known = this.#after.get(campaign);
    const before = entryBefore(entry);
    if (known === undefined || isBefore(before, known)) this.#after.set(campaign, before);
  }

  /** All of its rows are to be read, from the first one. */
  leaveAll(campaign: Queued): void {
    this.#after.set(campaign, BEGINNING);
  }

  /**
   * Reads rows of campaigns for which there is room now.
   * @returns true when there may be more to read at once.
   */
  refill(options: {
    /** Rows of later times are none of it. */
    throughMs(campaign: Queued): number;
    hasRoom(campaign: Queued): boolean;
    campaignOf(entry: DueEntry): Queued | undefined;
    offer(entry: DueEntry): void;
  }): boolean {
    let hasMore = false;
    for (const [campaign, after] of this.#after) {
      if (!options.hasRoom(campaign)) continue;
      const entries = this.#ledger.due({ after, throughMs: options.throughMs(campaign), limit: ENTRIES_MAX });
      let last = after;
      let isFull = false;
      for (const entry of entries) {
        if (options.campaignOf(entry) === campaign) {
          isFull = !options.hasRoom(campaign);
          if (isFull) break;
          options.offer(entry);
        }
        last = entry;
      }
      if (isFull || entries.length === ENTRIES_MAX) this.#after.set(campaign, last);
      else this.#after.delete(campaign);
      if (!isFull && entries.length === ENTRIES_MAX) hasMore = true;
    }
    return hasMore;
  }
}

/** A place just before the entry: the index is read after a place. */
function entryBefore({ dueAtMs, messageId }: DueEntry): DueEntry {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a place in the index, not a message
  return { dueAtMs, messageId: messageId.slice(0, -1) as MessageId };
}

function isBefore(a: DueEntry, b: DueEntry): boolean {
  return a.dueAtMs < b.dueAtMs || (a.dueAtMs === b.dueAtMs && a.messageId < b.messageId);
}
