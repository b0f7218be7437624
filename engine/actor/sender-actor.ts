// The owner of one WhatsApp number: all of its limits are plain numbers here, in one thread, and all campaigns on the
// number get their share from it. A pure function of its inputs, so a whole day of it runs in a test in no time.
//
// What it promises:
// - In no second more messages than the number's limit, at least 99 % of it while there is enough to send.
// - Transactional messages before marketing, campaigns of a lane by weight, messages of a campaign in order.
// - Each message that was taken ends in `accepted` or `finish`, or leaves as `park` and comes back as `due`.
// - A message in flight is never dispatched again; after an unknown outcome only if its campaign says `resend`.
//
// Beware: only `tick` dispatches. See sender-messages.ts for the round.

import assert from "node:assert/strict";

import { changeCampaign, createCampaign, expiresAtMs, mailboxSize, roomOf } from "./campaign-actor.ts";
import type { Campaign } from "./campaign-actor.ts";
import { leave } from "./fair-share.ts";
import { departed } from "./rate-limit.ts";
import { ATTEMPTS_MAX } from "./retry-policy.ts";
import { changeToken, dropTemplate, meetBlockElsewhere } from "./sender-blocks.ts";
import { takeFailure } from "./sender-late.ts";
import type {
  CampaignSettings,
  Dispatch,
  Now,
  SenderEffect,
  SenderInput,
  SenderSettings,
  SendRules,
} from "./sender-messages.ts";
import { recallCampaign, recallSent } from "./sender-past.ts";
import { changeLimit } from "./sender-rate.ts";
import {
  attemptsOf,
  createSenderState,
  dequeue,
  enqueue,
  finishExpired,
  leftMailbox,
  planWake,
  rewatchExpiry,
  rouse,
  senderRoom,
} from "./sender-state.ts";
import type { Sender } from "./sender-state.ts";
import { tick } from "./sender-tick.ts";
import { takeProof, takeVerdict } from "./sender-verdict.ts";

export type {
  CampaignSettings,
  Dispatch,
  Now,
  SenderEffect,
  SenderInput,
  SenderSettings,
  SendRules,
} from "./sender-messages.ts";
export type { Sender } from "./sender-state.ts";

type DueInput = Extract<SenderInput, { kind: "due" }>;

/** A due message without room in its mailbox is looked at again after this; a paused campaign's after the longer. */
const NO_ROOM_MS = 5000;
const NO_ROOM_PAUSED_MS = 60_000;

const REMOVED_REASON = "The campaign was deleted, or moved to another sender, before the message was sent.";
const UNCERTAIN_REASON = "It is unknown whether WhatsApp got it: no answer and no status came.";

const NO_EFFECTS: readonly SenderEffect[] = [];

/**
 * @param random uniform in [0, 1): the jitter of retries.
 * @param rules asked before each departure.
 * @param regionOf ISO 3166 alpha-2 of a number, or empty; asked only while a country is blocked.
 */
export function createSender(
  settings: SenderSettings,
  now: Now,
  random: () => number,
  rules: SendRules,
  regionOf: (phoneNumber: string) => string,
): Sender {
  return createSenderState(settings, now, { random, rules, regionOf });
}

/**
 * Takes one input; its effects are to be performed in order. Changes `sender` in place, reads and writes nothing else.
 * @throws AssertionError when the caller broke a rule of sender-messages.ts: the actor's state is not to be trusted then.
 */
export function step(sender: Sender, input: SenderInput, now: Now): readonly SenderEffect[] {
  const announcedMs = sender.wakeAtMs;
  if (input.kind === "tick") {
    tick(sender, now);
    announce(sender, Infinity);
  } else {
    take(sender, input, now);
    planWake(sender, now.monotonicMs);
    announce(sender, announcedMs);
  }
  if (sender.effects.length === 0) return NO_EFFECTS;
  const { effects } = sender;
  sender.effects = [];
  return effects;
}

/** How many more messages of the campaign may be offered now; 0 for an unknown campaign. */
export function mailboxRoom(sender: Sender, campaignNumber: number): number {
  const campaign = sender.campaigns.get(campaignNumber);
  return campaign === undefined ? 0 : roomOf(campaign, senderRoom(sender));
}

function announce(sender: Sender, announcedMs: number): void {
  if (sender.wakeAtMs < announcedMs) sender.effects.push({ kind: "wake", atMonotonicMs: sender.wakeAtMs });
}

function take(sender: Sender, input: Exclude<SenderInput, { kind: "tick" }>, now: Now): void {
  switch (input.kind) {
    case "offered":
      return offer(sender, input.dispatch, now);
    case "verdict":
      return takeVerdict(sender, input, now);
    case "departed":
      return depart(sender, input.monotonicMs, input.count ?? Infinity);
    case "due":
      return takeDue(sender, input, now);
    case "proved":
      return forget(sender, input.messageId, now);
    case "campaign":
      return setCampaign(sender, input.settings, now);
    case "campaignRemoved":
      return removeCampaign(sender, input.campaignNumber);
    case "settings":
      return setSettings(sender, input.settings);
    case "holdUntil":
      sender.holdUntilMs = Math.max(sender.holdUntilMs, input.monotonicMs);
      return;
    case "failedLater":
      return takeFailure(sender, input, now);
    case "blockedElsewhere":
      return meetBlockElsewhere(sender, input, now);
    case "tokenChanged":
      return changeToken(sender, now);
    case "sentBefore":
      return recallSent(sender, input, now);
  }
}

function depart(sender: Sender, monotonicMs: number, count: number): void {
  departed(sender.pace, monotonicMs, count);
  const counts = new Map<Campaign, number>();
  for (let left = 0; left < count; left++) {
    const flight = sender.leaving.shift();
    if (flight === undefined) break;
    const { campaign, dispatch } = flight;
    sender.pairs.departed(dispatch.phoneNumber, monotonicMs);
    if (campaign.pace !== null) counts.set(campaign, (counts.get(campaign) ?? 0) + 1);
  }
  for (const [campaign, own] of counts) {
    if (campaign.pace !== null) departed(campaign.pace, monotonicMs, own);
    rouse(sender, campaign);
  }
}

function offer(sender: Sender, dispatch: Dispatch, now: Now): void {
  const campaign = campaignOf(sender, dispatch);
  if (campaign === null) return fail(sender, dispatch, REMOVED_REASON);
  assert.ok(
    roomOf(campaign, senderRoom(sender)) > 0,
    `campaign ${dispatch.campaignNumber} was offered more than its room`,
  );
  enqueue(sender, campaign, campaign.fresh, dispatch, now);
}

function takeDue(sender: Sender, input: DueInput, now: Now): void {
  const { dispatch } = input;
  // The due index may be read again before the ledger knows what became of what it gave: nothing is sent twice for it.
  if (sender.flights.has(dispatch.messageId) || sender.waitingAgain.has(dispatch.messageId)) return;
  const campaign = campaignOf(sender, dispatch);
  if (input.status === "uncertain") {
    if (campaign === null || campaign.settings.uncertain.then === "fail")
      return fail(sender, dispatch, UNCERTAIN_REASON);
    if (attemptsOf(dispatch) >= ATTEMPTS_MAX)
      return fail(sender, dispatch, `${UNCERTAIN_REASON} No attempts are left.`);
  }
  if (campaign === null) return fail(sender, dispatch, REMOVED_REASON);
  // Parked again until an end that is past, it would be due again at once, for ever.
  if (expiresAtMs(campaign, dispatch) <= now.wallMs) return endDue(sender, input);
  if (roomOf(campaign, senderRoom(sender)) === 0) return parkAgain(sender, campaign, input, now);
  enqueue(sender, campaign, attemptsOf(dispatch) > 0 ? campaign.retries : campaign.again, dispatch, now);
}

function endDue(sender: Sender, input: DueInput): void {
  if (input.status !== "uncertain") finishExpired(sender, input.dispatch);
  else finishExpired(sender, input.dispatch, `${UNCERTAIN_REASON} Its time to live has ended.`);
}

function parkAgain(sender: Sender, campaign: Campaign, input: DueInput, now: Now): void {
  const waitMs = campaign.settings.isPaused ? NO_ROOM_PAUSED_MS : NO_ROOM_MS;
  const expiryAtMs = expiresAtMs(campaign, input.dispatch);
  sender.effects.push({
    kind: "park",
    messageId: input.dispatch.messageId,
    status: input.status,
    dueAtMs: Math.min(expiryAtMs, now.wallMs + waitMs),
    attempts: input.dispatch.attempts,
    errorCode: null,
    reason: "",
    isPostponed: true,
  });
}

function forget(sender: Sender, messageId: Dispatch["messageId"], now: Now): void {
  const flight = sender.flights.get(messageId);
  if (flight !== undefined) return takeProof(sender, flight, now);
  const dispatch = sender.waitingAgain.get(messageId);
  const campaign = dispatch && sender.campaigns.get(dispatch.campaignNumber);
  if (dispatch === undefined || campaign === undefined) return;
  const isFound = campaign.again.remove(dispatch) || campaign.retries.remove(dispatch);
  assert.ok(isFound, `${messageId} should wait in its campaign's mailbox`);
  sender.waitingAgain.delete(messageId);
  leftMailbox(sender, campaign);
}

/** @returns null for a removed campaign. */
function campaignOf(sender: Sender, dispatch: Dispatch): Campaign | null {
  const campaign = sender.campaigns.get(dispatch.campaignNumber);
  if (campaign !== undefined) return campaign;
  const isRemoved = sender.removedCampaigns.has(dispatch.campaignNumber);
  assert.ok(isRemoved, `campaign ${dispatch.campaignNumber} has a message but was never announced`);
  return null;
}

function setCampaign(sender: Sender, settings: CampaignSettings, now: Now): void {
  const known = sender.campaigns.get(settings.campaignNumber);
  if (known === undefined) {
    sender.removedCampaigns.delete(settings.campaignNumber);
    const campaign = createCampaign(settings);
    sender.campaigns.set(settings.campaignNumber, campaign);
    return recallCampaign(sender, campaign);
  }
  const { templateKey } = known.settings;
  if (known.settings.lane !== settings.lane) leave(sender.share, known);
  changeCampaign(known, settings);
  if (templateKey !== settings.templateKey) dropTemplate(sender, templateKey);
  rewatchExpiry(sender, known, now);
  rouse(sender, known);
}

function removeCampaign(sender: Sender, campaignNumber: number): void {
  sender.removedCampaigns.add(campaignNumber);
  sender.sentBefore.delete(campaignNumber);
  const campaign = sender.campaigns.get(campaignNumber);
  if (campaign === undefined) return;
  campaign.isRemoved = true;
  sender.campaigns.delete(campaignNumber);
  leave(sender.share, campaign);
  for (const queue of [campaign.again, campaign.retries, campaign.fresh]) {
    for (let dispatch = queue.peek(); dispatch !== undefined; dispatch = queue.peek()) {
      dequeue(sender, campaign, queue);
      fail(sender, dispatch, REMOVED_REASON);
    }
  }
  assert.equal(mailboxSize(campaign), 0);
  dropTemplate(sender, campaign.settings.templateKey);
}

function setSettings(sender: Sender, settings: SenderSettings): void {
  const { messagesPerSecond } = settings;
  if (messagesPerSecond !== sender.settings.messagesPerSecond) changeLimit(sender, messagesPerSecond);
  sender.pairs.change(settings.pair);
  sender.settings = settings;
}

function fail(sender: Sender, dispatch: Dispatch, reason: string): void {
  sender.effects.push({
    kind: "finish",
    messageId: dispatch.messageId,
    status: "failed",
    errorCode: null,
    reason,
  });
}
