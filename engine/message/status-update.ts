// What one entry of `statuses[]` in a WhatsApp webhook tells about one message.

import type { MessageId } from "./ids.ts";

export type DeliveryStatus = "sent" | "delivered" | "read" | "failed";

export interface StatusUpdate {
  readonly messageId: MessageId;
  /** Which attempt it speaks of: 1 for the first. */
  readonly attempt: number;
  readonly status: DeliveryStatus;
  readonly wamid: string;
  /** Epoch milliseconds, from Meta's whole seconds. */
  readonly atMs: number;
  readonly errorCode: number | null;
  readonly errorReason: string;
  readonly pricingCategory: string;
}
