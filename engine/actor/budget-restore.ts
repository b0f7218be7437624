// After a start a sender's budget of recipients knows nobody. Whom the number wrote to in the last 24 hours is read from
// the rows of its campaigns, page by page in turns of the event loop, and until that is done nothing of the sender leaves.

import { campaignPrefix, firstIdAt } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { Campaign, CampaignMemory } from "./campaign-memory.ts";
import type { DelayBook } from "./delay-book.ts";
import type { PartitionDeps } from "./partition-deps.ts";
import { departedAtMs } from "./record-transition.ts";
import type { RecipientBudget } from "./recipient-budget.ts";

/** What the budget looks back, and the minute it rounds by. */
const WINDOW_MS = 24 * 3_600_000 + 60_000;
/** Rows read in one turn: a few milliseconds. */
const PAGE_ROWS = 512;

const PREFIX_END = "~";

export interface BudgetRestoreDeps extends Pick<
  PartitionDeps,
  "partition" | "ledger" | "clock" | "defer" | "budgetOf"
> {
  readonly memory: CampaignMemory;
  readonly delays: DelayBook;
  /** The sender's budget is whole: it may send. */
  onRestored(senderId: string): void;
}

interface Reading {
  readonly senderId: string;
  readonly budget: RecipientBudget;
  readonly campaigns: Campaign[];
  /** Of the last of the campaigns; empty before its first page. */
  from: string;
}

export class BudgetRestore {
  readonly #deps: BudgetRestoreDeps;
  readonly #known = new WeakSet<RecipientBudget>();
  readonly #readings = new Map<string, Reading>();
  #isStopped = false;

  constructor(deps: BudgetRestoreDeps) {
    this.#deps = deps;
  }

  isRestoring(senderId: string): boolean {
    return this.#readings.has(senderId);
  }

  /** The sender has a budget now, if it has one; what this run counted itself needs no reading. */
  begin(senderId: string): void {
    const budget = this.#deps.budgetOf(senderId);
    if (budget === null || this.#known.has(budget)) return;
    this.#known.add(budget);
    const all = [...this.#deps.memory.all()];
    const campaigns = all.filter(({ definition }) => definition.senderId === senderId);
    this.#readings.set(senderId, { senderId, budget, campaigns, from: "" });
    this.#deps.defer(() => this.#turn(senderId));
  }

  stop(): void {
    this.#isStopped = true;
  }

  #turn(senderId: string): void {
    const reading = this.#readings.get(senderId);
    if (reading === undefined || this.#isStopped) return;
    const campaign = reading.campaigns.at(-1);
    if (campaign === undefined) {
      this.#readings.delete(senderId);
      this.#deps.onRestored(senderId);
      return;
    }
    this.#readPage(reading, campaign);
    this.#deps.defer(() => this.#turn(senderId));
  }

  #readPage(reading: Reading, campaign: Campaign): void {
    const { partition, ledger, clock } = this.#deps;
    const { campaignNumber } = campaign.state;
    const { lane } = campaign.definition.settings;
    const sinceMs = clock.nowMs() - WINDOW_MS;
    const from = reading.from === "" ? this.#firstIdOf(campaign, sinceMs) : reading.from;
    const to = campaignPrefix(partition, campaignNumber) + PREFIX_END;
    const rows = ledger.records({ from, to, limit: PAGE_ROWS });
    for (const row of rows) {
      const leftAtMs = departedAtMs(row);
      if (leftAtMs > sinceMs && mayHaveArrived(row)) reading.budget.remember(row.phoneNumber, leftAtMs, lane);
    }
    const last = rows.at(-1);
    if (last !== undefined && rows.length === PAGE_ROWS) {
      reading.from = `${last.messageId}0`;
    } else {
      reading.from = "";
      reading.campaigns.pop();
    }
  }

  /** What left in the window was accepted no longer before it than it may have waited. */
  #firstIdOf({ state: { campaignNumber }, definition }: Campaign, sinceMs: number): string {
    const waitMsMax = definition.settings.timeToLiveMs + this.#deps.delays.longestMsOf(campaignNumber);
    return firstIdAt(this.#deps.partition, campaignNumber, Math.max(0, sinceMs - waitMsMax));
  }
}

/** WhatsApp took it, or may have. */
function mayHaveArrived({ status, sentAtMs }: MessageRecord): boolean {
  return sentAtMs > 0 || status === "dispatched" || status === "uncertain" || status === "held";
}
