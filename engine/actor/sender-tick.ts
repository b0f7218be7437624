// A tick: first the messages that became too old end, then campaigns whose time has come stand in line again, then
// messages leave, one by one, for as long as the number, its campaigns and the recipients allow.
//
// Costs what it does: campaigns that are idle, asleep or paused are never looked at.

import assert from "node:assert/strict";

import type { Refusal } from "../message/marketing.ts";
import { blockedUntilMs } from "./block.ts";
import type { Block } from "./block.ts";
import { expiredQueue, expiresAtMs, mailboxSize, nextQueue, pacedUntilMs } from "./campaign-actor.ts";
import type { Campaign } from "./campaign-actor.ts";
import { front, leave, served } from "./fair-share.ts";
import { take } from "./rate-limit.ts";
import { earnRetry, retryFreeAtMs, spendRetry } from "./retry-policy.ts";
import type { Ring } from "./ring.ts";
import { routeOf } from "./send-routes.ts";
import { countryBlockOf, passBlocks, templateBlockOf } from "./sender-blocks.ts";
import type { Dispatch, Now } from "./sender-messages.ts";
import { speedUp } from "./sender-rate.ts";
import {
  attemptsOf,
  dequeue,
  finishExpired,
  hasFreeFlight,
  planWake,
  requestWake,
  rewatchExpiry,
  rouse,
  senderOpenAtMs,
  sleep,
  wallTime,
} from "./sender-state.ts";
import type { Sender } from "./sender-state.ts";

/** Effects of one tick, about: what is left is done by the next, at once, so that verdicts come in between. */
const TICK_EFFECTS_MAX = 2048;

/** A wake for the limit's sake is not sooner than this: at high rates a tick sends several. */
const PACED_TICK_MS_MIN = 1;

/** A rule that says "wait" asks for this at least: one that is due at once, for ever, would stop the number. */
const RULE_WAIT_MS_MIN = 1000;

/** To a blocked country one message probes; the others come back behind it, and not all at once. */
const COUNTRY_SPREAD_MS = 10_000;
/** The probe is under way: how long its answer takes, about. */
const COUNTRY_PROBE_MS = 5000;

const PAIR_REASON = "Waits for WhatsApp's limit of messages to one recipient.";
const COUNTRY_REASON = "WhatsApp does not let this account send to the recipient's country for now.";

export function tick(sender: Sender, now: Now): void {
  sender.wakeAtMs = Infinity;
  speedUp(sender, now);
  expire(sender, now);
  wakeSleepers(sender, now);
  dispatchAll(sender, now);
  if (sender.effects.length >= TICK_EFFECTS_MAX) requestWake(sender, now.monotonicMs);
  planWake(sender, now.monotonicMs + PACED_TICK_MS_MIN);
  requestWake(sender, now.monotonicMs + Math.max(0, sender.expiries.earliest - now.wallMs));
}

function expire(sender: Sender, now: Now): void {
  while (sender.effects.length < TICK_EFFECTS_MAX) {
    const earliest = sender.expiries.earliest;
    const campaign = sender.expiries.takeThrough(now.wallMs);
    if (campaign === undefined) return;
    if (campaign.expiryAtMs !== earliest || campaign.isRemoved) continue;
    endExpired(sender, campaign, now);
    rewatchExpiry(sender, campaign, now);
  }
}

function endExpired(sender: Sender, campaign: Campaign, now: Now): void {
  while (sender.effects.length < TICK_EFFECTS_MAX) {
    const queue = expiredQueue(campaign, now.wallMs);
    const dispatch = queue?.peek();
    if (queue === null || dispatch === undefined) return;
    dequeue(sender, campaign, queue);
    finishExpired(sender, dispatch);
  }
}

function wakeSleepers(sender: Sender, now: Now): void {
  for (;;) {
    const earliest = sender.sleeping.earliest;
    const campaign = sender.sleeping.takeThrough(now.monotonicMs);
    if (campaign === undefined) return;
    if (campaign.sleepsUntilMs === earliest) rouse(sender, campaign);
  }
}

function dispatchAll(sender: Sender, now: Now): void {
  while (sender.effects.length < TICK_EFFECTS_MAX) {
    const campaign = front(sender.share);
    if (campaign === undefined || !hasFreeFlight(sender)) return;
    if (senderOpenAtMs(sender) > now.monotonicMs) return;
    if (!isReady(sender, campaign, now)) continue;
    const queue = nextQueue(campaign, canRetry(sender, now));
    const dispatch = queue?.peek();
    if (queue === null || dispatch === undefined) waitForBudget(sender, campaign, now);
    else settleHead(sender, campaign, queue, dispatch, now);
  }
}

/** False when the campaign left the line, to stand still or to sleep. */
function isReady(sender: Sender, campaign: Campaign, now: Now): boolean {
  const isStill = campaign.settings.isPaused || mailboxSize(campaign) === 0;
  const openMs = isStill ? Infinity : openAtMs(sender, campaign);
  if (openMs <= now.monotonicMs) return true;
  leave(sender.share, campaign);
  sleep(sender, campaign, openMs);
  return false;
}

/** Monotonic: the earliest time at which the campaign's own limit and its template let a message go. */
function openAtMs(sender: Sender, campaign: Campaign): number {
  const block = templateBlockOf(sender, campaign);
  const pacedMs = pacedUntilMs(campaign);
  return block === undefined ? pacedMs : Math.max(pacedMs, blockedUntilMs(block));
}

function canRetry(sender: Sender, now: Now): boolean {
  return retryFreeAtMs(sender.retryBudget, now.monotonicMs) <= now.monotonicMs;
}

function waitForBudget(sender: Sender, campaign: Campaign, now: Now): void {
  leave(sender.share, campaign);
  sleep(sender, campaign, retryFreeAtMs(sender.retryBudget, now.monotonicMs));
}

/** The head is too old, or a rule, its country or its recipient's limit keeps it here, or it leaves. */
function settleHead(sender: Sender, campaign: Campaign, queue: Ring<Dispatch>, dispatch: Dispatch, now: Now): void {
  if (expiresAtMs(campaign, dispatch) <= now.wallMs) {
    dequeue(sender, campaign, queue);
    return finishExpired(sender, dispatch);
  }
  const refusal = sender.rules.refusal(dispatch, campaign.settings, now);
  if (refusal !== null) {
    dequeue(sender, campaign, queue);
    return refuse(sender, campaign, dispatch, refusal, now);
  }
  const country = countryBlockOf(sender, dispatch.phoneNumber);
  if (country !== undefined && blockedUntilMs(country) > now.monotonicMs) {
    dequeue(sender, campaign, queue);
    parkForCountry(sender, campaign, dispatch, country, now);
  } else if (sender.pairs.freeAtMs(dispatch.phoneNumber, queue !== campaign.fresh) > now.monotonicMs) {
    dequeue(sender, campaign, queue);
    parkForPair(sender, campaign, dispatch, now);
  } else {
    send(sender, campaign, queue, dispatch, country, now);
  }
}

function refuse(sender: Sender, campaign: Campaign, dispatch: Dispatch, refusal: Refusal, now: Now): void {
  const { reason } = refusal;
  if (refusal.kind === "suppressed") {
    const { messageId } = dispatch;
    sender.effects.push({ kind: "finish", messageId, status: "suppressed", errorCode: null, reason });
  } else {
    park(sender, campaign, dispatch, Math.max(refusal.untilMs, now.wallMs + RULE_WAIT_MS_MIN), reason);
  }
}

function parkForCountry(sender: Sender, campaign: Campaign, dispatch: Dispatch, block: Block, now: Now): void {
  const untilMs = block.probe === null ? block.hold.untilMs : now.monotonicMs + COUNTRY_PROBE_MS;
  const spreadMs = sender.random() * COUNTRY_SPREAD_MS;
  park(sender, campaign, dispatch, wallTime(untilMs + spreadMs, now), COUNTRY_REASON);
}

function parkForPair(sender: Sender, campaign: Campaign, dispatch: Dispatch, now: Now): void {
  const latestMs = now.monotonicMs + (expiresAtMs(campaign, dispatch) - now.wallMs);
  const freeMs = sender.pairs.reserve(dispatch.phoneNumber, { nowMs: now.monotonicMs, latestMs });
  park(sender, campaign, dispatch, wallTime(freeMs, now), PAIR_REASON);
}

/** @param untilMs epoch; no later than the message's expiry counts. */
function park(sender: Sender, campaign: Campaign, dispatch: Dispatch, untilMs: number, reason: string): void {
  sender.effects.push({
    kind: "park",
    messageId: dispatch.messageId,
    status: attemptsOf(dispatch) === 0 ? "queued" : "retrying",
    dueAtMs: Math.min(untilMs, expiresAtMs(campaign, dispatch)),
    attempts: dispatch.attempts,
    errorCode: null,
    reason,
    isPostponed: false,
  });
}

function send(
  sender: Sender,
  campaign: Campaign,
  queue: Ring<Dispatch>,
  dispatch: Dispatch,
  country: Block | undefined,
  now: Now,
): void {
  const { messageId, phoneNumber } = dispatch;
  assert.ok(!sender.flights.has(messageId), `${messageId} is in flight and would be dispatched again`);
  assert.ok(take(sender.pace, now.monotonicMs), "the sender's pace was open and is not");
  const { pace } = campaign;
  assert.ok(pace === null || take(pace, now.monotonicMs), "the campaign's pace was open and is not");
  sender.pairs.take(phoneNumber, now.monotonicMs);
  if (queue === campaign.retries) spendRetry(sender.retryBudget);
  else if (queue === campaign.fresh) earnRetry(sender.retryBudget);
  dequeue(sender, campaign, queue);
  sender.rules.left(dispatch, campaign.settings, now);
  const attempt = dispatch.attempts + 1;
  const ticket = sender.pace.taken - 1;
  const flight = {
    dispatch,
    campaign,
    attempt,
    ticket,
    campaignTicket: pace === null ? -1 : pace.taken - 1,
    templateKey: campaign.settings.templateKey,
    probes: passBlocks(sender, campaign, country, messageId),
  };
  sender.flights.set(messageId, flight);
  sender.leaving.push(flight);
  sender.effects.push({ kind: "dispatch", messageId, attempt, route: routeOf(sender.routes, campaign.settings) });
  served(sender.share, campaign);
}
