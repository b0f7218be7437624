// One record a message: everything that is known of it, from acceptance to its end.
// The ledger stores it, the CSV and the operators' API show it, the actor thread moves it on.

import type { MessageId } from "./ids.ts";
import type { MessageStatus } from "./status.ts";

export interface TimelineEntry {
  readonly atMs: number;
  readonly status: MessageStatus;
  /** 0 before the first dispatch. */
  readonly attempt: number;
  readonly errorCode: number | null;
  /** A plain sentence, or empty. */
  readonly detail: string;
}

/** All times are epoch milliseconds; 0 means "not reached". Strings are empty when unknown. */
export interface MessageRecord {
  readonly messageId: MessageId;
  readonly campaignId: string;
  /** E.164 with its plus sign. */
  readonly phoneNumber: string;
  /** The contact's attributes as a JSON object, as accepted: what the template is rendered from. */
  readonly attributes: string;
  readonly templateName: string;
  readonly templateLanguage: string;
  /** The rendered text; empty until the first dispatch. */
  readonly message: string;
  readonly status: MessageStatus;
  /** Meta's error code, or null. */
  readonly errorCode: number | null;
  readonly errorReason: string;
  /** Dispatches so far. */
  readonly attempts: number;
  /** Meta's message id. */
  readonly wamid: string;
  readonly acceptedAtMs: number;
  readonly dispatchedAtMs: number;
  readonly sentAtMs: number;
  readonly deliveredAtMs: number;
  readonly readAtMs: number;
  readonly failedAtMs: number;
  readonly pricingCategory: string;
  /** When a waiting message (retrying, held, uncertain) is looked at again; 0 when it waits for no time. */
  readonly dueAtMs: number;
  /** Not to be sent before; its time to live counts from here. 0: it could leave at once. */
  readonly sendAtMs: number;
  /** What it can be cancelled by while it waits; empty: by nothing. */
  readonly waitKey: string;
  /** When the status that told `pricingCategory` happened, its rank as milliseconds of that second (status-merge). */
  readonly pricingAtMs: number;
  /**
   * Attempts up to this one are over: an operator replayed the message, or all of them certainly came to nothing. What
   * is told of them later counts only if somebody got the message after all. 0: none is.
   */
  readonly closedAttempts: number;
  readonly timeline: readonly TimelineEntry[];
}
