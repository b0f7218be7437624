// What becomes of a message when its answer comes, and what the answer says about the number, the recipient and
// whatever was blocked.
//
//   accepted             WhatsApp has it
//   rejected             failed
//   throttled, number    the number waits; the message goes back to the mailbox, no attempt counted
//   throttled, pair      the recipient waits 4^X s: the message is parked, no attempt counted
//   transient            parked for another attempt; failed after the last, expired if it would come too late
//   blocked              the scope waits for its probe; the message goes back to the mailbox, no attempt counted
//   unknown              parked as uncertain: a status webhook or the campaign's policy decides

import assert from "node:assert/strict";

import type { Verdict } from "../message/verdict.ts";
import { blockedAgain, probeLater, reopen } from "./block.ts";
import type { Block } from "./block.ts";
import { blockOf, expiresAtMs } from "./campaign-actor.ts";
import { passed, refused } from "./hold.ts";
import { arrived } from "./rate-limit.ts";
import { ATTEMPTS_MAX, nextAttemptAtMs } from "./retry-policy.ts";
import type { Now, SenderInput } from "./sender-messages.ts";
import { enqueue, rouse, wallTime } from "./sender-state.ts";
import type { Flight, Sender } from "./sender-state.ts";

type VerdictInput = Extract<SenderInput, { kind: "verdict" }>;
type VerdictOf<Kind extends Verdict["kind"]> = Extract<Verdict, { kind: Kind }>;

/** What a server asks for is obeyed, within reason. */
const RETRY_AFTER_MS_MAX = 600_000;

export function takeVerdict(sender: Sender, input: VerdictInput, now: Now): void {
  const flight = sender.flights.get(input.messageId);
  // A status webhook was quicker than the answer: the message is settled.
  if (flight === undefined) return;
  assert.equal(input.attempt, flight.attempt, `${input.messageId}: a verdict for another attempt than is in flight`);
  sender.flights.delete(input.messageId);
  if (isFromMeta(input.verdict)) noteArrival(sender, flight, input);
  settleProbes(sender, flight, input.verdict, now);
  settleMessage(sender, flight, input, now);
}

/** A message in flight was proved sent by a status webhook: the same as an accepted answer, without the answer. */
export function takeProof(sender: Sender, flight: Flight, now: Now): void {
  sender.flights.delete(flight.dispatch.messageId);
  sender.pairs.accepted(flight.dispatch.phoneNumber);
  settleProbe(sender, flight, { block: sender.block, news: "lifted", now });
  const { block } = flight.campaign;
  if (block !== null) settleProbe(sender, flight, { block, news: "lifted", now });
}

function settleMessage(sender: Sender, flight: Flight, input: VerdictInput, now: Now): void {
  const { messageId, phoneNumber } = flight.dispatch;
  const { verdict, sentMonotonicMs: sentAtMs } = input;
  switch (verdict.kind) {
    case "accepted":
      passed(sender.throttle, sentAtMs);
      sender.pairs.accepted(phoneNumber);
      sender.effects.push({
        kind: "accepted",
        messageId,
        wamid: verdict.wamid,
        isHeld: verdict.isHeld,
      });
      return;
    case "rejected":
      return fail(sender, flight, verdict.errorCode, verdict.reason);
    case "throttled":
      if (verdict.scope === "pair") return parkForPair(sender, flight, verdict, now);
      refused(sender.throttle, {
        sentAtMs,
        nowMs: now.monotonicMs,
        atLeastMs: retryAfterMs(verdict),
      });
      return giveBack(sender, flight, verdict, now);
    case "transient":
      return parkForRetry(sender, flight, verdict, now);
    case "blocked":
      hold(sender, flight, verdict, { sentAtMs, now });
      return giveBack(sender, flight, verdict, now);
    case "unknown":
      sender.effects.push({
        kind: "park",
        messageId,
        status: "uncertain",
        dueAtMs: now.wallMs + flight.campaign.settings.uncertain.waitMs,
        attempts: flight.attempt,
        errorCode: null,
        reason: verdict.reason,
        isPostponed: false,
      });
  }
}

/**
 * Whether Meta itself answered: then the round trip says something about the way there, and the answer about blocks.
 * A rejection without a code is our own: the template could not be filled.
 */
function isFromMeta(verdict: Verdict): boolean {
  if (verdict.kind === "rejected") return verdict.errorCode !== null;
  return verdict.kind !== "transient" && verdict.kind !== "unknown";
}

function noteArrival(sender: Sender, flight: Flight, input: VerdictInput): void {
  const roundTripMs = Math.max(0, input.answeredMonotonicMs - input.sentMonotonicMs);
  arrived(sender.pace, flight.ticket, input.sentMonotonicMs, roundTripMs);
  const { pace } = flight.campaign;
  if (pace !== null && flight.campaignTicket >= 0) {
    arrived(pace, flight.campaignTicket, input.sentMonotonicMs, roundTripMs);
  }
}

// ---- blocks and their probes

/** What a verdict says of a block: it is lifted, it stands, or nothing. */
type News = "lifted" | "stands" | "none";

function settleProbes(sender: Sender, flight: Flight, verdict: Verdict, now: Now): void {
  settleProbe(sender, flight, { block: sender.block, news: newsOfSender(verdict), now });
  const { block } = flight.campaign;
  if (block !== null) settleProbe(sender, flight, { block, news: newsOfTemplate(verdict), now });
}

/** Meta looks at the token, the account and the number before it judges the message or its template. */
function newsOfSender(verdict: Verdict): News {
  if (verdict.kind === "blocked") return verdict.scope === "template" ? "lifted" : "stands";
  return isFromMeta(verdict) ? "lifted" : "none";
}

function newsOfTemplate(verdict: Verdict): News {
  if (verdict.kind === "blocked") return verdict.scope === "template" ? "stands" : "none";
  return verdict.kind !== "throttled" && isFromMeta(verdict) ? "lifted" : "none";
}

function settleProbe(sender: Sender, flight: Flight, probe: { block: Block; news: News; now: Now }): void {
  const { block, news, now } = probe;
  if (block.probe !== flight.dispatch.messageId) return;
  if (news === "none") probeLater(block, now.monotonicMs);
  // One that was blocked again holds for longer: see hold().
  if (news === "stands") block.probe = null;
  if (news === "lifted") {
    reopen(block);
    const campaignNumber = block === sender.block ? null : flight.campaign.settings.campaignNumber;
    sender.effects.push({ kind: "unblocked", scope: block.scope, campaignNumber });
  }
  rouse(sender, flight.campaign);
}

function hold(sender: Sender, flight: Flight, verdict: VerdictOf<"blocked">, at: { sentAtMs: number; now: Now }): void {
  const isOfCampaign = verdict.scope === "template";
  const block = isOfCampaign ? blockOf(flight.campaign) : sender.block;
  const nowMs = at.now.monotonicMs;
  if (!blockedAgain(block, { scope: verdict.scope, sentAtMs: at.sentAtMs, nowMs })) return;
  sender.effects.push({
    kind: "blocked",
    scope: verdict.scope,
    campaignNumber: isOfCampaign ? flight.campaign.settings.campaignNumber : null,
    errorCode: verdict.errorCode,
    reason: verdict.reason,
    untilMs: wallTime(block.hold.untilMs, at.now),
  });
}

// ---- the message itself

function giveBack(
  sender: Sender,
  flight: Flight,
  verdict: VerdictOf<"throttled"> | VerdictOf<"blocked">,
  now: Now,
): void {
  const { dispatch, campaign } = flight;
  sender.pairs.giveBack(dispatch.phoneNumber);
  if (campaign.isRemoved) return fail(sender, flight, verdict.errorCode, verdict.reason);
  const { errorCode, reason } = verdict;
  sender.effects.push({
    kind: "returned",
    messageId: dispatch.messageId,
    attempts: dispatch.attempts,
    errorCode,
    reason,
  });
  enqueue(sender, campaign, campaign.again, dispatch, now);
}

function parkForPair(sender: Sender, flight: Flight, verdict: VerdictOf<"throttled">, now: Now): void {
  const { dispatch, campaign } = flight;
  const waitMs = sender.pairs.throttled(dispatch.phoneNumber, now.monotonicMs, dispatch.throttles ?? 0);
  const dueAtMs = now.wallMs + Math.max(waitMs, retryAfterMs(verdict));
  sender.effects.push({
    kind: "park",
    messageId: dispatch.messageId,
    status: "retrying",
    dueAtMs: Math.min(dueAtMs, Math.max(now.wallMs, expiresAtMs(campaign, dispatch))),
    attempts: dispatch.attempts,
    errorCode: verdict.errorCode,
    reason: verdict.reason,
    isPostponed: false,
  });
}

function parkForRetry(sender: Sender, flight: Flight, verdict: VerdictOf<"transient">, now: Now): void {
  const { dispatch, campaign, attempt } = flight;
  const { errorCode, reason } = verdict;
  if (attempt >= ATTEMPTS_MAX) return fail(sender, flight, errorCode, `${reason} Given up after ${attempt} attempts.`);
  const { messageId } = dispatch;
  const dueAtMs = nextAttemptAtMs({ attempt, nowMs: now.wallMs, random: sender.random });
  if (dueAtMs >= expiresAtMs(campaign, dispatch)) {
    const sentence = `${reason} Its time to live ends before another attempt.`;
    sender.effects.push({
      kind: "finish",
      messageId,
      status: "expired",
      errorCode,
      reason: sentence,
    });
    return;
  }
  sender.effects.push({
    kind: "park",
    messageId,
    status: "retrying",
    dueAtMs,
    attempts: attempt,
    errorCode,
    reason,
    isPostponed: false,
  });
}

function fail(sender: Sender, flight: Flight, errorCode: number | null, reason: string): void {
  const { messageId } = flight.dispatch;
  sender.effects.push({ kind: "finish", messageId, status: "failed", errorCode, reason });
}

function retryAfterMs(verdict: VerdictOf<"throttled">): number {
  return Math.min(RETRY_AFTER_MS_MAX, verdict.retryAfterMs ?? 0);
}
