// What the actor thread keeps of a campaign beside its rows: where its waiting rows begin, and its counts.

import type { CampaignCounters } from "./counters.ts";

export interface CampaignState {
  readonly campaignNumber: number;
  /** No queued or dispatched row lies before this id; empty when there is none at all. */
  readonly headId: string;
  /** Rows from here on are queued only on disk; empty when every waiting row is in memory. */
  readonly diskFromId: string;
  /** The newest row. */
  readonly tailId: string;
  readonly counters: CampaignCounters;
}
