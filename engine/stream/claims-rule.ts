// Which of several events with one key is sent. Every node reads the same claims in the same order and decides by this
// rule alone, so all nodes agree without talking to each other: the first claim of a key within 72 hours wins.
// Why so: docs/decisions/0011-claims-are-a-fold-of-the-stream.md.

import type { MessageId } from "../message/ids.ts";
import type { Claim } from "./claim.ts";

/** How long a claim holds its key, by the times of acceptance of both events. */
const CLAIM_MS = 72 * 3_600_000;

export interface ClaimsBook {
  /** The newest claim of a key, also one that was taken a moment ago. */
  find(key: string): Claim | undefined;
  take(claim: Claim): void;
  /** Another event holds the first key of this one: it must never be sent. */
  supersede(messageId: MessageId): void;
}

/**
 * Decides the claims of one envelope. An event's first claim decides about the event; its further ones only go where
 * there is room. The same envelope may come twice: who holds a key already does not lose it to itself.
 *
 * @param claims those of one event side by side.
 */
export function decideClaims(claims: readonly Claim[], book: ClaimsBook): void {
  let current: MessageId | null = null;
  let isSuperseded = false;
  for (const claim of claims) {
    const held = book.find(claim.key);
    const isHeld = held !== undefined && Math.abs(claim.atMs - held.atMs) <= CLAIM_MS;
    if (claim.messageId !== current) {
      current = claim.messageId;
      isSuperseded = isHeld && held.messageId !== claim.messageId;
      if (isSuperseded) book.supersede(claim.messageId);
    }
    if (!isSuperseded && !isHeld) book.take(claim);
  }
}
