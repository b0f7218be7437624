// One delivery, one message. What was accepted under a key is durable in the stream's claims; what is being accepted
// this moment is remembered here, so that a twin which arrives meanwhile waits for the first one's commit and gets the
// first one's message id. Rejected events leave no trace: a corrected repeat is a new event.

import assert from "node:assert/strict";
import { hash } from "node:crypto";

import type { MessageId } from "../message/ids.ts";
import type { Claim } from "./group-commit.ts";

/** Where a key comes from. Each source has its own key space. */
export interface DedupeValue {
  /** `idempotency-key`, `header:x-shopify-webhook-id` or `path`. */
  readonly source: string;
  readonly value: string;
}

/** 128 bits: no collision within any retention time. */
const KEY_LENGTH = 32;

/** @param index place in an array whose items share one value; null otherwise. */
export function dedupeKey(campaignNumber: number, { source, value }: DedupeValue, index: number | null): string {
  // The value comes last: it is the only part that may hold a line feed.
  return hash("sha256", `${campaignNumber}\n${source}\n${index ?? ""}\n${value}`, "hex").slice(0, KEY_LENGTH);
}

export function bodyHash(body: Uint8Array): string {
  return hash("sha256", body, "hex").slice(0, KEY_LENGTH);
}

type Sighting =
  | { readonly kind: "new" }
  | { readonly kind: "committed"; readonly messageId: MessageId }
  | { readonly kind: "inFlight"; readonly first: InFlight }
  /** The key was used with another body. */
  | { readonly kind: "reused" };

/** What a commit made of an event, for itself and for its twins. */
export type Settlement =
  | {
      readonly kind: "stored";
      /** Who holds the first key: the event itself, or one that another node accepted at the same time. */
      readonly winner: MessageId;
    }
  | { readonly kind: "reused" }
  | { readonly kind: "unstored" };

/** An event between its acceptance and its commit. */
interface InFlight {
  readonly messageId: MessageId;
  readonly bodyHash: string;
  /** Called when the first one's commit settles. */
  readonly twins: ((settlement: Settlement) => void)[];
}

export interface DedupeDesk {
  /** @param body hash of the raw body, or empty where the key alone decides. */
  look(key: string, body: string): Sighting;
  /** From now on its keys are seen as in flight. */
  open(claims: readonly Claim[]): void;
  /** The commit of these claims, at least one, settled: tells the twins what it answers. */
  settle(claims: readonly Claim[], error: Error | null): Settlement;
}

const NEW: Sighting = { kind: "new" };
const REUSED = { kind: "reused" } as const;
const UNSTORED: Settlement = { kind: "unstored" };

/** @param findClaim looks up durable claims. What is in flight is bounded by the group commit. */
export function createDedupeDesk(findClaim: (key: string) => Claim | undefined): DedupeDesk {
  const inFlight = new Map<string, InFlight>();
  return {
    look(key, body) {
      const first = inFlight.get(key);
      if (first !== undefined) return first.bodyHash === body ? { kind: "inFlight", first } : REUSED;
      const claim = findClaim(key);
      if (claim === undefined) return NEW;
      return claim.bodyHash === body ? { kind: "committed", messageId: claim.messageId } : REUSED;
    },
    open(claims) {
      for (const { key, messageId, bodyHash: body } of claims)
        inFlight.set(key, { messageId, bodyHash: body, twins: [] });
    },
    settle(claims, error) {
      const settlement = error === null ? settlementOf(claims, findClaim) : UNSTORED;
      for (const { key } of claims) {
        const first = inFlight.get(key);
        inFlight.delete(key);
        for (const twin of first?.twins ?? []) twin(settlement);
      }
      return settlement;
    },
  };
}

/** Several nodes may take events of one key at once; which of them holds it shows when the commit is through. */
function settlementOf(claims: readonly Claim[], findClaim: (key: string) => Claim | undefined): Settlement {
  const [own] = claims;
  assert(own !== undefined, "an event without claims has nothing to settle here");
  const holder = findClaim(own.key) ?? own;
  return holder.bodyHash === own.bodyHash ? { kind: "stored", winner: holder.messageId } : REUSED;
}
