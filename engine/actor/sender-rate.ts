// The number was called too fast: it rests for a moment, and goes on at a lower rate that grows again.

import type { Verdict } from "../message/verdict.ts";
import { refused } from "./hold.ts";
import { createLearnedRate, isNoticeable, lowerRate, raiseRate, usedPerSecond } from "./learned-rate.ts";
import { changedPace } from "./rate-limit.ts";
import type { Now } from "./sender-messages.ts";
import type { Sender } from "./sender-state.ts";

type Throttled = Extract<Verdict, { kind: "throttled" }>;

/** What a server asks for is obeyed, within reason. */
const RETRY_AFTER_MS_MAX = 600_000;

/** @param sentAtMs monotonic. */
export function slowDown(sender: Sender, verdict: Throttled, sentAtMs: number, now: Now): void {
  const { throttle, rate } = sender;
  refused(throttle, { sentAtMs, nowMs: now.monotonicMs, atLeastMs: retryAfterMs(verdict) });
  if (verdict.isRate !== true) return;
  const resumesAtMs = Math.max(now.monotonicMs, throttle.untilMs);
  if (lowerRate(rate, { sentAtMs, resumesAtMs })) applyRate(sender);
}

/** For each tick: costs a comparison while nothing is to be given back. */
export function speedUp(sender: Sender, now: Now): void {
  if (raiseRate(sender.rate, now.monotonicMs)) applyRate(sender);
}

/** Another limit says nothing about what was learned under the one before. */
export function changeLimit(sender: Sender, messagesPerSecond: number): void {
  const { told } = sender.rate;
  sender.rate = { ...createLearnedRate(messagesPerSecond), told };
  applyRate(sender);
}

export function retryAfterMs(verdict: Throttled): number {
  return Math.min(RETRY_AFTER_MS_MAX, verdict.retryAfterMs ?? 0);
}

function applyRate(sender: Sender): void {
  const perSecond = usedPerSecond(sender.rate);
  if (perSecond !== sender.pace.perSecond) sender.pace = changedPace(sender.pace, { perSecond });
  if (isNoticeable(sender.rate)) sender.effects.push({ kind: "rate", messagesPerSecond: perSecond });
}
