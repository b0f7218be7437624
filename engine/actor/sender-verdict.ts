// What becomes of a message when its answer comes, and what the answer says about the number, the recipient and
// whatever was blocked.
//
//   accepted             WhatsApp has it
//   rejected             failed
//   throttled, number    the number waits, and slows down; the message goes back to the mailbox, no attempt counted
//   throttled, pair      the recipient waits 4^X s: the message is parked, no attempt counted
//   transient            parked for another attempt; failed after the last, expired if it would come too late
//   blocked              the scope waits for its probe; the message goes back to the mailbox, no attempt counted; one
//                        that can never be sent fails
//   misrouted            its kind takes the other door; the message goes back, no attempt counted; fails when
//                        that door turns it away as well
//   unknown              parked as uncertain: a status webhook or the campaign's policy decides

import assert from "node:assert/strict";

import type { Verdict } from "../message/verdict.ts";
import { expiresAtMs } from "./campaign-actor.ts";
import { passed } from "./hold.ts";
import { arrived } from "./rate-limit.ts";
import { ATTEMPTS_MAX, nextAttemptAtMs } from "./retry-policy.ts";
import { learnRoute, routeTook } from "./send-routes.ts";
import { isFromMeta, meetBlock, settleProbes } from "./sender-blocks.ts";
import type { Dispatch, Now, SenderInput } from "./sender-messages.ts";
import { retryAfterMs, slowDown } from "./sender-rate.ts";
import { attemptsOf, enqueue } from "./sender-state.ts";
import type { Flight, Sender } from "./sender-state.ts";

type VerdictInput = Extract<SenderInput, { kind: "verdict" }>;
type VerdictOf<Kind extends Verdict["kind"]> = Extract<Verdict, { kind: Kind }>;

export function takeVerdict(sender: Sender, input: VerdictInput, now: Now): void {
  const flight = sender.flights.get(input.messageId);
  // A status webhook was quicker than the answer: the message is settled.
  if (flight === undefined) return;
  assert.equal(input.attempt, flight.attempt, `${input.messageId}: a verdict for another attempt than is in flight`);
  sender.flights.delete(input.messageId);
  if (isFromMeta(input.verdict)) noteArrival(sender, flight, input);
  settleProbes(sender, flight, input.verdict, now);
  if (isNotTaken(input.verdict)) sender.rules.returned(flight.dispatch, flight.campaign.settings, now);
  settleMessage(sender, flight, input, now);
}

/** A message in flight was proved sent by a status webhook: the same as an accepted answer, without the answer. */
export function takeProof(sender: Sender, flight: Flight, now: Now): void {
  sender.flights.delete(flight.dispatch.messageId);
  sender.pairs.accepted(flight.dispatch.phoneNumber);
  settleProbes(sender, flight, "proved", now);
}

function settleMessage(sender: Sender, flight: Flight, input: VerdictInput, now: Now): void {
  const { messageId, phoneNumber } = flight.dispatch;
  const { verdict, sentMonotonicMs: sentAtMs } = input;
  switch (verdict.kind) {
    case "accepted":
      passed(sender.throttle, sentAtMs);
      sender.pairs.accepted(phoneNumber);
      routeTook(sender.routes, flight.templateKey);
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
      slowDown(sender, verdict, sentAtMs, now);
      return giveBack(sender, flight, verdict, now);
    case "transient":
      return parkForRetry(sender, flight, verdict, now);
    case "blocked":
      meetBlock(sender, { templateKey: flight.templateKey, phoneNumber }, verdict, { sentAtMs, now });
      if (verdict.isFinal === true) return fail(sender, flight, verdict.errorCode, verdict.reason);
      return giveBack(sender, flight, verdict, now);
    case "misrouted":
      return sendElsewhere(sender, flight, verdict, now);
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

function isNotTaken(verdict: Verdict): boolean {
  return verdict.kind !== "accepted" && verdict.kind !== "unknown";
}

function noteArrival(sender: Sender, flight: Flight, input: VerdictInput): void {
  const roundTripMs = Math.max(0, input.answeredMonotonicMs - input.sentMonotonicMs);
  arrived(sender.pace, flight.ticket, input.sentMonotonicMs, roundTripMs);
  const { pace } = flight.campaign;
  if (pace !== null && flight.campaignTicket >= 0) {
    arrived(pace, flight.campaignTicket, input.sentMonotonicMs, roundTripMs);
  }
}

function sendElsewhere(sender: Sender, flight: Flight, verdict: VerdictOf<"misrouted">, now: Now): void {
  const campaign = { ...flight.campaign.settings, templateKey: flight.templateKey };
  const hasWay = learnRoute(sender.routes, campaign, verdict.route);
  // Each door would send it to the other, to and fro for ever.
  if (!hasWay || flight.dispatch.isMisrouted === true) return fail(sender, flight, verdict.errorCode, verdict.reason);
  giveBack(sender, flight, verdict, now, { ...flight.dispatch, isMisrouted: true });
}

function giveBack(
  sender: Sender,
  flight: Flight,
  verdict: VerdictOf<"throttled"> | VerdictOf<"blocked"> | VerdictOf<"misrouted">,
  now: Now,
  dispatch: Dispatch = flight.dispatch,
): void {
  const { campaign } = flight;
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
  const attempts = attemptsOf(dispatch) + 1;
  if (attempts >= (verdict.attemptsMax ?? ATTEMPTS_MAX))
    return fail(sender, flight, errorCode, `${reason} Given up after ${attempts} attempts.`);
  const { messageId } = dispatch;
  const nowMs = now.wallMs + (verdict.waitMs ?? 0);
  const dueAtMs = nextAttemptAtMs({ attempt: attempts, nowMs, random: sender.random });
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
