// The backlog beyond the mailboxes. A queued message that finds no room in memory stays a row in the ledger; its
// campaign then remembers from which id on such rows may lie, and reads them back in id order as room appears.
// So a million waiting events cost their rows on disk and one mark a campaign in memory.

import { campaignPrefix, type MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { CampaignState } from "./message-journal.ts";
import type { PartitionLedger } from "./partition-deps.ts";

/** Below this part of a full refill's room a refill is not worth its read. */
const REFILL_ROOM_PART = 4;

/** Sorts after every id that begins with the prefix. */
const PREFIX_END = "~";

/** A campaign's part in the queue. */
export interface QueuedCampaign {
  readonly state: CampaignState;
  /** Ids in memory (mailbox or in flight) in the order they came. */
  readonly liveIds: Set<MessageId>;
  /** Rows left on disk that the ledger does not show yet, because their commit is still to come. */
  leftUncommitted: number;
  /** How many of those the commit under way holds. */
  leftInBatch: number;
  /** The first of those rows that are not in the commit under way; {@link NO_ID} without any. */
  leftFromId: string;
  /** The first of those that are. */
  leftInBatchFromId: string;
}

/** Sorts after every id. */
export const NO_ID = "~";

export class DiskQueue<Queued extends QueuedCampaign> {
  readonly #hungry = new Set<Queued>();
  readonly #ledger: PartitionLedger;
  readonly #partition: number;
  readonly #rowsMax: number;

  /** @param deps `rowsMax`: rows read back at once. */
  constructor(deps: { ledger: PartitionLedger; partition: number; rowsMax: number }) {
    this.#rowsMax = deps.rowsMax;
    this.#ledger = deps.ledger;
    this.#partition = deps.partition;
  }

  /** The row stays where it is; the campaign's mark covers it. */
  leave(campaign: Queued, id: MessageId): void {
    const { state } = campaign;
    if (state.diskFromId === "" || id < state.diskFromId) state.diskFromId = id;
    if (id < campaign.leftFromId) campaign.leftFromId = id;
    campaign.leftUncommitted += 1;
    this.#hungry.add(campaign);
  }

  /** After a restart: rows from the campaign's own mark on are still on disk. */
  resume(campaign: Queued): void {
    if (campaign.state.diskFromId !== "") this.#hungry.add(campaign);
  }

  /**
   * Reads rows back for every campaign with enough room; `load` takes each row that may still be queued.
   * @returns true when there is room for more: rows that had moved on filled nothing.
   */
  refill(room: (campaign: Queued) => number, load: (campaign: Queued, row: MessageRecord) => void): boolean {
    let hasMore = false;
    for (const campaign of this.#hungry) {
      if (!this.#isWorthwhile(campaign, room(campaign))) continue;
      const { diskFromId } = campaign.state;
      const isAtEnd = this.#read(campaign, Math.min(room(campaign), this.#rowsMax), load);
      const isFurther = campaign.state.diskFromId > diskFromId;
      if (!isAtEnd && isFurther && this.#isWorthwhile(campaign, room(campaign))) hasMore = true;
    }
    return hasMore;
  }

  batchTaken(): void {
    for (const campaign of this.#hungry) {
      campaign.leftInBatch = campaign.leftUncommitted;
      campaign.leftInBatchFromId = campaign.leftFromId;
      campaign.leftFromId = NO_ID;
    }
  }

  batchCommitted(): void {
    for (const campaign of this.#hungry) {
      campaign.leftUncommitted -= campaign.leftInBatch;
      campaign.leftInBatch = 0;
      campaign.leftInBatchFromId = NO_ID;
    }
  }

  #isWorthwhile(campaign: Queued, room: number): boolean {
    return room >= this.#rowsMax / REFILL_ROOM_PART || (room > 0 && campaign.liveIds.size === 0);
  }

  /** @returns true when the ledger shows no more rows. */
  #read(campaign: Queued, limit: number, load: (campaign: Queued, row: MessageRecord) => void): boolean {
    const { state } = campaign;
    const to = campaignPrefix(this.#partition, state.campaignNumber) + PREFIX_END;
    const rows = this.#ledger.records({ from: state.diskFromId, to, limit });
    for (const row of rows) load(campaign, row);
    const last = rows.at(-1);
    if (rows.length < limit && campaign.leftUncommitted === 0) {
      state.diskFromId = "";
      this.#hungry.delete(campaign);
    } else if (last !== undefined) {
      state.diskFromId = `${last.messageId}0`;
      // Ids go back when the clock was set back: what the ledger does not show yet may lie before what it shows.
      if (campaign.leftFromId < state.diskFromId) state.diskFromId = campaign.leftFromId;
      if (campaign.leftInBatchFromId < state.diskFromId) state.diskFromId = campaign.leftInBatchFromId;
    }
    return rows.length < limit;
  }
}
