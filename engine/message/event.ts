// An accepted event: what ingress made of one trigger, and all that the actor needs to send it.

import type { MessageId } from "./ids.ts";

/** Integers beyond 2^53 travel as their decimal digits. */
export type AttributeValue = string | number | boolean;

export type Attributes = Readonly<Record<string, AttributeValue>>;

export interface AcceptedEvent {
  readonly messageId: MessageId;
  /** E.164 with its plus sign. */
  readonly phoneNumber: string;
  /** {@link Attributes} as JSON: parsed once, when the template is rendered. */
  readonly attributes: string;
  /**
   * Above 0: a history that the cluster lost had dispatched the message so many times, so it may have been sent
   * (salvage.ts). Absent for every event that a door accepted.
   */
  readonly attempts?: number;
  /** Epoch milliseconds: not to be sent before. Absent: at once. */
  readonly sendAtMs?: number;
  /** What it can be cancelled by while it waits; absent: by nothing. */
  readonly waitKey?: string;
}
