// The backlog beyond the mailboxes. A queued message that finds no room in memory stays a row in the ledger; its
// campaign then remembers from which id on such rows may lie, and reads them back in id order as room appears.
// So a million waiting events cost their rows on disk and one mark a campaign in memory.

import { campaignPrefix, type MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { CampaignState } from "./message-journal.ts";
import type { PartitionLedger } from "./partition-deps.ts";

/** Rows read back at once. */
export const REFILL_ROWS_MAX = 256;
/** Below this much room a refill is not worth its read. */
const REFILL_ROOM_MIN = 64;

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
}

export class DiskQueue {
  readonly #hungry = new Set<QueuedCampaign>();
  readonly #ledger: PartitionLedger;
  readonly #partition: number;

  constructor(deps: { ledger: PartitionLedger; partition: number }) {
    this.#ledger = deps.ledger;
    this.#partition = deps.partition;
  }

  /** The row stays where it is; the campaign's mark covers it. */
  leave(campaign: QueuedCampaign, id: MessageId): void {
    const { state } = campaign;
    if (state.diskFromId === "" || id < state.diskFromId) state.diskFromId = id;
    campaign.leftUncommitted += 1;
    this.#hungry.add(campaign);
  }

  /** After a restart: rows from the campaign's own mark on are still on disk. */
  resume(campaign: QueuedCampaign): void {
    if (campaign.state.diskFromId !== "") this.#hungry.add(campaign);
  }

  /** Reads rows back for every campaign with enough room; `load` takes each row that may still be queued. */
  refill(
    room: (campaign: QueuedCampaign) => number,
    load: (campaign: QueuedCampaign, row: MessageRecord) => void,
  ): void {
    for (const campaign of this.#hungry) {
      const rows = Math.min(room(campaign), REFILL_ROWS_MAX);
      if (rows >= REFILL_ROOM_MIN || (rows > 0 && campaign.liveIds.size === 0)) this.#read(campaign, rows, load);
    }
  }

  batchTaken(): void {
    for (const campaign of this.#hungry) campaign.leftInBatch = campaign.leftUncommitted;
  }

  batchCommitted(): void {
    for (const campaign of this.#hungry) {
      campaign.leftUncommitted -= campaign.leftInBatch;
      campaign.leftInBatch = 0;
    }
  }

  #read(campaign: QueuedCampaign, limit: number, load: (campaign: QueuedCampaign, row: MessageRecord) => void): void {
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
    }
  }
}
