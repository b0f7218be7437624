// Exact counts of a campaign's messages, kept as rows change and never scanned: reading them costs nothing.

import type { MessageStatus } from "../message/status.ts";

/** Mutable: one object a campaign, owned by the thread that owns its partition. */
export interface CampaignCounters {
  /** Messages ever accepted. */
  accepted: number;
  /** Messages by their current status; only those that occur. */
  readonly byStatus: Record<string, number>;
  /** Messages by their current error code; only those that occur. */
  readonly byError: Record<string, number>;
  /** Messages of which WhatsApp took two attempts, as far as it told. */
  doubleSends: number;
}

export interface CountedState {
  readonly status: MessageStatus;
  readonly errorCode: number | null;
}

export function emptyCounters(): CampaignCounters {
  return { accepted: 0, byStatus: {}, byError: {}, doubleSends: 0 };
}

/** Moves one message from `before` (null: it is new) to `after`. Changes `counters` in place. */
export function countTransition(counters: CampaignCounters, before: CountedState | null, after: CountedState): void {
  if (before === null) {
    counters.accepted += 1;
  } else if (before.status === after.status && before.errorCode === after.errorCode) {
    return;
  } else {
    count(counters.byStatus, before.status, -1);
    if (before.errorCode !== null) count(counters.byError, String(before.errorCode), -1);
  }
  count(counters.byStatus, after.status, 1);
  if (after.errorCode !== null) count(counters.byError, String(after.errorCode), 1);
}

/** Once a message, when it turns out to have been sent twice (status-merge: isSentTwice). */
export function countDoubleSend(counters: CampaignCounters): void {
  counters.doubleSends += 1;
}

function count(counts: Record<string, number>, key: string, change: 1 | -1): void {
  const value = (counts[key] ?? 0) + change;
  if (value === 0) delete counts[key];
  else counts[key] = value;
}
