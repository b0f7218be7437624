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
  readonly timeline: readonly TimelineEntry[];
}
