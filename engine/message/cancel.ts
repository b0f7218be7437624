// An event of one campaign that ends what waits in another: the order that makes a reminder of its cart needless.

import type { MessageId } from "./ids.ts";

export interface Cancel {
  /** Whose waiting messages. */
  readonly campaignNumber: number;
  /** Their `waitKey`. */
  readonly key: string;
  /** The event that cancels: of its own campaign only older messages end. */
  readonly by: MessageId;
  /** The campaign of that event, for the reason that people read. */
  readonly byCampaignId: string;
  /** Epoch milliseconds: messages of the key that come late, soon after, end as well. */
  readonly atMs: number;
}
