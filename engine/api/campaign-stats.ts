// The figures of one campaign in the shape operators see: what waits, how well it went, when the backlog is gone.

import { isSettled, MESSAGE_STATUSES, type MessageStatus } from "../message/status.ts";
import type { CampaignEntry, CampaignFigures } from "./operators-api-deps.ts";

export interface CampaignStatsView {
  readonly campaignId: string;
  readonly status: string;
  readonly accepted: number;
  /** Every status, also those at 0. */
  readonly byStatus: Readonly<Record<MessageStatus, number>>;
  readonly byError: Readonly<Record<string, number>>;
  /** Messages of which more than one attempt is known to have reached its recipient. */
  readonly doubleSends: number;
  /** Share of the ended messages that WhatsApp took, 0..1; null before the first end. */
  readonly successRate: number | null;
  readonly requests: { readonly accepted: number; readonly refused: number };
  /** Messages for which Volley still has something to do. */
  readonly waiting: number;
  readonly oldestWaitingSeconds: number;
  /** Forecast at the present rate; null when nothing moves (paused, blocked). */
  readonly drainSeconds: number | null;
  readonly perSecond: CampaignFigures["perSecond"];
  readonly ackMs: PercentilesView;
  readonly responseMs: PercentilesView;
}

interface PercentilesView {
  readonly p50: number | null;
  readonly p99: number | null;
}

const UNMEASURED: PercentilesView = { p50: null, p99: null };

export function campaignStats(entry: CampaignEntry, figures: CampaignFigures, nowMs: number): CampaignStatsView {
  const byStatus = completeCounts(figures.counters.byStatus);
  const waiting = sumOf(byStatus, (status) => !isSettled(status));
  const { oldestWaitingAtMs } = figures;
  return {
    campaignId: entry.definition.id,
    status: entry.definition.status,
    accepted: figures.counters.accepted,
    byStatus,
    byError: figures.counters.byError,
    doubleSends: figures.counters.doubleSends,
    successRate: successRate(byStatus),
    requests: figures.requests,
    waiting,
    oldestWaitingSeconds: oldestWaitingAtMs === null ? 0 : Math.max(0, Math.round((nowMs - oldestWaitingAtMs) / 1000)),
    // What is to be sent at a later time is no backlog yet.
    drainSeconds: drainSeconds(waiting - figures.delayed, entry, figures),
    perSecond: figures.perSecond,
    ackMs: figures.ackMs ?? UNMEASURED,
    responseMs: figures.responseMs ?? UNMEASURED,
  };
}

function completeCounts(counts: Readonly<Record<string, number>>): Record<MessageStatus, number> {
  return {
    queued: counts["queued"] ?? 0,
    dispatched: counts["dispatched"] ?? 0,
    retrying: counts["retrying"] ?? 0,
    held: counts["held"] ?? 0,
    uncertain: counts["uncertain"] ?? 0,
    sent: counts["sent"] ?? 0,
    delivered: counts["delivered"] ?? 0,
    read: counts["read"] ?? 0,
    failed: counts["failed"] ?? 0,
    expired: counts["expired"] ?? 0,
    suppressed: counts["suppressed"] ?? 0,
  };
}

function successRate(byStatus: Readonly<Record<MessageStatus, number>>): number | null {
  const ended = sumOf(byStatus, isSettled);
  const succeeded = byStatus.sent + byStatus.delivered + byStatus.read;
  return ended === 0 ? null : Math.round((succeeded / ended) * 10_000) / 10_000;
}

function drainSeconds(waiting: number, entry: CampaignEntry, figures: CampaignFigures): number | null {
  if (waiting <= 0) return 0;
  if (entry.definition.status === "paused") return null;
  const { dispatched } = figures.perSecond;
  const perSecond = dispatched > 0 ? dispatched : figures.dispatchPerSecondMax;
  return perSecond > 0 ? Math.ceil(waiting / perSecond) : null;
}

function sumOf(byStatus: Readonly<Record<MessageStatus, number>>, has: (status: MessageStatus) => boolean): number {
  return MESSAGE_STATUSES.reduce((sum, status) => (has(status) ? sum + byStatus[status] : sum), 0);
}
