// The limits of volley.yaml that are the same on all nodes of a cluster, whatever else their files say. Pure.

import type { EngineConfig, SenderConfig } from "./config.ts";
import { contentHash } from "./content-hash.ts";
import { effectiveLimits } from "./granted-limits.ts";
import { newestSaved } from "./newest-saved.ts";

export interface SharedLimits {
  /** As configured: what Meta granted is read by each node. */
  readonly senders: Readonly<Record<string, SenderConfig["configured"] & Pick<SenderConfig, "pairLimit">>>;
  readonly limits: EngineConfig["limits"];
  readonly consent: EngineConfig["consent"];
}

/** As it is published to all nodes. */
export interface PublishedLimits {
  readonly limits: SharedLimits;
  /** When the file was written that says so, in epoch milliseconds. */
  readonly savedAtMs: number;
}

export interface LimitsInForce {
  readonly limits: SharedLimits;
  /** To publish before anything is applied; null: nothing new was saved here. */
  readonly publish: PublishedLimits | null;
  /** To remember on this node alone, for the next `dealtWith`. */
  readonly dealtWith: string;
  /** Another node's file is newer and says something else than this node's. */
  readonly isOverridden: boolean;
}

export function limitsOf({
  senders,
  limits,
  consent,
}: Pick<EngineConfig, "senders" | "limits" | "consent">): SharedLimits {
  const shared = Object.entries(senders).map(([id, { configured, pairLimit }]) => {
    return [id, { ...configured, pairLimit }] as const;
  });
  return { senders: Object.fromEntries(shared), limits, consent };
}

/** A sender of which the limits say nothing keeps its own; one that this node does not have is left out. */
export function withLimits(config: EngineConfig, { senders, limits, consent }: SharedLimits): EngineConfig {
  const limited = Object.entries(config.senders).map(([id, sender]) => {
    const shared = Object.hasOwn(senders, id) ? senders[id] : undefined;
    if (shared === undefined) return [id, sender] as const;
    const { pairLimit, messagesPerSecond, dailyRecipients } = shared;
    const configured = { messagesPerSecond, dailyRecipients };
    return [id, { ...sender, pairLimit, ...effectiveLimits(configured, null), configured }] as const;
  });
  return {
    ...config,
    senders: Object.fromEntries(limited),
    limits: { ...config.limits, ...limits },
    consent: { ...config.consent, ...consent },
  };
}

/**
 * The newest saved file counts on every node (newest-saved.ts).
 *
 * @param own.savedAtMs When this node's volley.yaml was written.
 * @param dealtWith What the last call answered on this node; null: there was none.
 */
export function limitsInForce(given: {
  readonly own: PublishedLimits;
  readonly dealtWith: string | null;
  readonly published: PublishedLimits | null;
}): LimitsInForce {
  const { own, dealtWith, published } = given;
  const hash = contentHash(own.limits);
  const newest = newestSaved({
    own: { hash, savedAtMs: own.savedAtMs },
    dealtWith,
    published: published === null ? null : { hash: contentHash(published.limits), savedAtMs: published.savedAtMs },
  });
  if (newest === "publish" || published === null) {
    return { limits: own.limits, publish: own, dealtWith: hash, isOverridden: false };
  }
  return { limits: published.limits, publish: null, dealtWith: hash, isOverridden: newest === "follow" };
}
