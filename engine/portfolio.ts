// The people that each portfolio may reach in 24 hours: what Meta grants, what its numbers used, who of them may use how
// much more, and when it will be used up. The counting itself is done by the numbers' threads
// (actor/recipient-budget.ts); here their reports come together.
//
// In a cluster a node knows of the numbers that it sends for. Those of other nodes keep an even part of the limit, so
// that all nodes together stay within it without asking each other.

import type { BudgetReport } from "./actor/partition-deps.ts";
import type { SenderAllowance } from "./actor/protocol.ts";
import { type Part, portfolioShares, type Sharer, steppedParts } from "./portfolio-shares.ts";
import type { Clock } from "./runtime/clock.ts";
import type { SenderConfig } from "./runtime/config.ts";
import type { Granted } from "./runtime/granted-limits.ts";

/** Reports come in swarms; one plan answers them all. */
const PLAN_REST_MS = 1_000;
/** A thread that has nothing to do reports nothing: by then it has read what it was told all the same. */
const TOLD_MS = 10_000;
/** The pace is that of the last hour, looked at in steps. */
const PACE_MS = 3_600_000;
const PACE_STEP_MS = 60_000;
const WINDOW_MS = 24 * 3_600_000;
/** Of the limit: what a number whose messages wait is taken to want, whatever it sent lately. */
const WAITING_DEMAND = 0.05;

export interface PortfolioOptions {
  senders(): readonly SenderConfig[];
  grantedTo(senderId: string): Granted | null;
  /** Another node of the cluster sends for it. */
  isElsewhere(senderId: string): boolean;
  tell(allowances: readonly SenderAllowance[]): void;
  readonly clock: Clock;
}

export interface RecipientsView {
  /** Of this sender, in the last 24 hours. */
  readonly used: number;
  /** Of its portfolio, or the file's own for the sender if that is lower; null: unlimited, or not known yet. */
  readonly limit: number | null;
  /** What the sender may use of it now; null: unlimited. */
  readonly allowance: number | null;
  /** Epoch milliseconds at which the next of its places falls free; null: none is taken. */
  readonly freesAtMs: number | null;
  /** Epoch milliseconds at which the portfolio is used up at the pace of the last hour; null: it will not be. */
  readonly runsOutAtMs: number | null;
}

interface Count {
  report: BudgetReport | null;
  /** Oldest first, of the last hour. */
  samples: { readonly atMs: number; readonly used: number }[];
  told: number | null;
  /** Monotonic. */
  toldAtMs: number;
}

export class Portfolios {
  readonly #options: PortfolioOptions;
  readonly #counts = new Map<string, Count>();
  #cancelPlan: (() => void) | null = null;
  #cancelLater = (): void => {};
  #isStopped = false;

  constructor(options: PortfolioOptions) {
    this.#options = options;
    this.plan();
  }

  /** A thread says what a sender used; null: it does not count. */
  reported(senderId: string, report: BudgetReport | null): void {
    const count = this.#countOf(senderId);
    count.report = report;
    const nowMs = this.#options.clock.nowMs();
    const last = count.samples.at(-1);
    if (report !== null && (last === undefined || nowMs - last.atMs >= PACE_STEP_MS)) {
      count.samples.push({ atMs: nowMs, used: report.used });
      count.samples = count.samples.filter(({ atMs }) => nowMs - atMs <= PACE_MS);
    }
    this.#planSoon();
  }

  /** The thread of these knows nothing yet. */
  tellAgain(senderIds: readonly string[]): void {
    const allowances = senderIds.map((senderId) => ({ senderId, allowance: this.#countOf(senderId).told }));
    if (allowances.length > 0) this.#options.tell(allowances);
  }

  /** Limits, senders or owners changed: parts are shared anew at once. */
  plan(): void {
    if (this.#isStopped) return;
    this.#cancelPlan?.();
    this.#cancelPlan = null;
    const news: SenderAllowance[] = [];
    for (const senders of this.#portfolios().values()) {
      for (const [senderId, allowance] of this.#parts(senders)) {
        const count = this.#countOf(senderId);
        if (count.told === allowance) continue;
        count.told = allowance;
        count.toldAtMs = this.#options.clock.monotonicMs();
        news.push({ senderId, allowance });
      }
    }
    if (news.length === 0) return;
    this.#options.tell(news);
    this.#cancelLater();
    this.#cancelLater = this.#options.clock.after(TOLD_MS, () => this.plan());
  }

  /** The senders as a thread is to know them: its part of the portfolio is what each may use. */
  threadSenders(): readonly SenderConfig[] {
    return this.#options.senders().map((sender) => {
      return { ...sender, dailyRecipients: this.#counts.get(sender.id)?.told ?? "unlimited" };
    });
  }

  viewOf(sender: SenderConfig): RecipientsView {
    const { report, told } = this.#countOf(sender.id);
    const portfolio = this.#portfolios().get(sender.portfolio) ?? [sender];
    const limit = this.#limitOf(portfolio);
    const cap = capOf(sender);
    return {
      used: report?.used ?? 0,
      limit: lowest([limit, cap]),
      allowance: told,
      freesAtMs: report?.freesAtMs ?? null,
      runsOutAtMs: this.#runsOutAtMs(portfolio, lowest([limit, portfolio.length === 1 ? cap : null])),
    };
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelPlan?.();
    this.#cancelLater();
  }

  #planSoon(): void {
    if (this.#isStopped || this.#cancelPlan !== null) return;
    this.#cancelPlan = this.#options.clock.after(PLAN_REST_MS, () => this.plan());
  }

  #parts(senders: readonly SenderConfig[]): ReadonlyMap<string, number | null> {
    const limit = this.#limitOf(senders);
    if (limit === null) return new Map(senders.map((sender) => [sender.id, capOf(sender)]));
    const sharers = senders.map((sender) => this.#sharer(sender, limit));
    const parts = new Map<string, Part>();
    for (const [senderId, target] of portfolioShares(limit, sharers)) {
      const { report, told, toldAtMs } = this.#countOf(senderId);
      const isRead = this.#options.clock.monotonicMs() - toldAtMs >= TOLD_MS;
      const works = isRead ? 0 : (report?.allowance ?? 0);
      parts.set(senderId, { target, held: Math.max(report?.used ?? 0, told ?? 0, works) });
    }
    return steppedParts(poolOf(limit, sharers), parts);
  }

  #sharer(sender: SenderConfig, limit: number): Sharer {
    const { report } = this.#countOf(sender.id);
    const isWaiting = report !== null && report.refusedSince !== null;
    return {
      senderId: sender.id,
      used: report?.used ?? 0,
      demand: Math.max(this.#perHour(sender.id), isWaiting ? limit * WAITING_DEMAND : 0),
      cap: capOf(sender),
      isElsewhere: this.#options.isElsewhere(sender.id),
    };
  }

  /** By how many people an hour it grows, at the pace of the last hour; 0: it does not. */
  #perHour(senderId: string): number {
    const { report, samples } = this.#countOf(senderId);
    const [first] = samples;
    if (report === null || first === undefined) return 0;
    // In steps: parts that changed with every second would be told with every second.
    const elapsedMs = Math.floor((this.#options.clock.nowMs() - first.atMs) / PACE_STEP_MS) * PACE_STEP_MS;
    if (elapsedMs < PACE_STEP_MS) return 0;
    return Math.max(0, ((report.used - first.used) / elapsedMs) * PACE_MS);
  }

  #runsOutAtMs(portfolio: readonly SenderConfig[], limit: number | null): number | null {
    if (limit === null) return null;
    const nowMs = this.#options.clock.nowMs();
    const used = portfolio.reduce((sum, { id }) => sum + (this.#countOf(id).report?.used ?? 0), 0);
    if (used >= limit) return nowMs;
    const perHour = portfolio.reduce((sum, { id }) => sum + this.#perHour(id), 0);
    const leftMs = ((limit - used) / perHour) * PACE_MS;
    // Later than that, places fall free as fast as they are taken.
    return perHour <= 0 || leftMs > WINDOW_MS ? null : Math.round(nowMs + leftMs);
  }

  /** What Meta grants the portfolio, by the lowest word of it; null: unlimited, or not known yet. */
  #limitOf(senders: readonly SenderConfig[]): number | null {
    return lowest(
      senders.map(({ id }) => {
        const granted = this.#options.grantedTo(id)?.dailyRecipients ?? null;
        return granted === "unlimited" ? null : granted;
      }),
    );
  }

  #portfolios(): ReadonlyMap<string, readonly SenderConfig[]> {
    const portfolios = new Map<string, SenderConfig[]>();
    for (const sender of this.#options.senders()) {
      const known = portfolios.get(sender.portfolio);
      if (known === undefined) portfolios.set(sender.portfolio, [sender]);
      else known.push(sender);
    }
    return portfolios;
  }

  #countOf(senderId: string): Count {
    const known = this.#counts.get(senderId);
    if (known !== undefined) return known;
    const count: Count = { report: null, samples: [], told: null, toldAtMs: 0 };
    this.#counts.set(senderId, count);
    return count;
  }
}

function capOf({ configured: { dailyRecipients } }: SenderConfig): number | null {
  return typeof dailyRecipients === "number" ? dailyRecipients : null;
}

function lowest(values: readonly (number | null)[]): number | null {
  return values.reduce((least, value) => (least === null || (value !== null && value < least) ? value : least), null);
}

/** What is left for this node's senders. */
function poolOf(limit: number, sharers: readonly Sharer[]): number {
  const elsewhere = sharers.filter(({ isElsewhere }) => isElsewhere).length;
  return limit - elsewhere * Math.floor(limit / Math.max(1, sharers.length));
}
