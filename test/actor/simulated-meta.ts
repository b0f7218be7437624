// What Meta makes of a simulated sender's messages: faults of all kinds until it heals, two doors of which an account may
// close one, and failures that a webhook tells of long after the message was taken.

import type { CampaignSettings } from "../../engine/actor/sender-actor.ts";
import type { BlockScope, Verdict } from "../../engine/message/verdict.ts";
import { pick } from "./seeded-random.ts";
import type { Answer, SimulatedMessage, SimulatedSender } from "./simulated-sender.ts";

export interface SimulatedMeta {
  readonly random: () => number;
  readonly simulation: SimulatedSender;
  /** Of what arrives before {@link HEALED_AT_MS}. */
  readonly faultRate: number;
  /** Of the way there. */
  readonly spreadMs: number;
  /** From then on the account may send marketing by the other door only; Infinity: never. */
  readonly marketingMovesAtMs: number;
  /** Template keys of marketing that the other door does not know: nothing of it can be sent then. */
  readonly homeless: ReadonlySet<string>;
}

const HEALED_AT_MS = 150_000;

const MARKETING_DISABLED = 131_063;
const NO_MARKETING = 134_100;

/** @param atMs in simulated time: when the request reached Meta. */
export function answerOf(meta: SimulatedMeta, message: SimulatedMessage, atMs: number): Answer {
  const { random } = meta;
  const wayThereMs = 20 + random() * meta.spreadMs;
  const thinkingMs = random() < 0.05 ? random() * 2000 : 10 + random() * 30;
  const isIll = atMs < HEALED_AT_MS && random() < meta.faultRate;
  const verdict = doorOf(meta, message, atMs) ?? (isIll ? faultOf(random) : ACCEPTED);
  const isTaken = verdict.kind === "accepted" || (verdict.kind === "unknown" && random() < 0.5);
  if (verdict.kind === "accepted" && atMs < HEALED_AT_MS && random() < meta.faultRate * 0.1) failLater(meta, message);
  // Only what was taken is ever proved; a lost answer's webhook may come after a resend, or never.
  const isProved = isTaken && random() < (verdict.kind === "unknown" ? 0.7 : 0.2);
  return { verdict, isTaken, provedAfterMs: isProved ? random() * 5000 : null, wayThereMs, thinkingMs };
}

/** The wrong door's answer. */
function doorOf(meta: SimulatedMeta, message: SimulatedMessage, atMs: number): Verdict | null {
  const { category, templateKey } = meta.simulation.settingsOf(message.dispatch.campaignNumber);
  const isMarketing = category === "MARKETING";
  if (message.route === "messages") {
    if (!isMarketing || atMs < meta.marketingMovesAtMs) return null;
    return { kind: "misrouted", route: "marketing_messages", errorCode: MARKETING_DISABLED, reason: "Simulated." };
  }
  if (isMarketing && !meta.homeless.has(templateKey)) return null;
  return { kind: "misrouted", route: "messages", errorCode: NO_MARKETING, reason: "Simulated." };
}

export function isMisrouting(errorCode: number | null): boolean {
  return errorCode === MARKETING_DISABLED || errorCode === NO_MARKETING;
}

/** Taken, and failed by a webhook that says something of more than the message. */
function failLater(meta: SimulatedMeta, message: SimulatedMessage): void {
  const { random, simulation } = meta;
  const { campaignNumber, phoneNumber } = message.dispatch;
  const scope: BlockScope = pick(random, ["account", "number", "template", "country"]);
  const verdict = random() < 0.5 ? faultOf(random) : blockedBy(scope, 131_042);
  simulation.at(simulation.nowMs + 50 + random() * 15_000, () =>
    simulation.give({ kind: "failedLater", campaignNumber, phoneNumber, verdict }),
  );
}

function blockedBy(scope: BlockScope, errorCode: number): Verdict {
  const reason = "Simulated.";
  if (scope === "country") return { kind: "blocked", scope, errorCode, reason, isFinal: true };
  return { kind: "blocked", scope, errorCode, reason };
}

const ACCEPTED: Verdict = { kind: "accepted", wamid: "wamid.1", isHeld: false };

function faultOf(random: () => number): Verdict {
  const reason = "Simulated.";
  const chance = random();
  if (chance < 0.1) return { kind: "rejected", errorCode: random() < 0.5 ? 131_026 : null, reason };
  if (chance < 0.2) {
    const retryAfterMs = pick(random, [null, 700]);
    return { kind: "throttled", scope: "number", errorCode: 130_429, reason, retryAfterMs, isRate: true };
  }
  if (chance < 0.25) return { kind: "throttled", scope: "number", errorCode: 131_057, reason, retryAfterMs: null };
  if (chance < 0.4) return { kind: "throttled", scope: "pair", errorCode: 131_056, reason, retryAfterMs: null };
  if (chance < 0.6) return { kind: "transient", errorCode: 131_016, reason };
  if (chance < 0.7) return { kind: "transient", errorCode: 131_000, reason, attemptsMax: 3, waitMs: 5000 };
  if (chance < 0.72) return blockedBy("token", 190);
  if (chance < 0.76) return blockedBy("template", 132_015);
  if (chance < 0.79) return blockedBy("country", 130_497);
  return { kind: "unknown", reason };
}

/** Neither door takes its messages. */
export function isHomeless(meta: SimulatedMeta, campaign: CampaignSettings): boolean {
  return (
    meta.marketingMovesAtMs < Infinity && campaign.category === "MARKETING" && meta.homeless.has(campaign.templateKey)
  );
}
