// What a sender actor remembers, and the small moves that its inputs, verdicts and ticks share.
//
// A campaign with messages is in one of these states; the moves below change them:
//   standing   in its lane's line (fair-share.ts), to be served by a tick
//   sleeping   out of the line until a known time: its own limit, its template's block, or the retry budget
//   still      paused, or waiting for its probe: only an input brings it back
// Whatever its state, the timetable of expiries knows when its first message becomes too old.

import type { MessageId } from "../message/ids.ts";
import { blockedUntilMs, createBlock } from "./block.ts";
import type { Block } from "./block.ts";
import { headExpiryAtMs, mailboxSize } from "./campaign-actor.ts";
import type { Campaign } from "./campaign-actor.ts";
import { createFairShare, front, join } from "./fair-share.ts";
import type { FairShare } from "./fair-share.ts";
import { createHold } from "./hold.ts";
import type { Hold } from "./hold.ts";
import { createLearnedRate } from "./learned-rate.ts";
import type { LearnedRate } from "./learned-rate.ts";
import { PairLimit } from "./pair-limit.ts";
import { createPace, nextAtMs } from "./rate-limit.ts";
import type { Pace } from "./rate-limit.ts";
import { createRetryBudget } from "./retry-policy.ts";
import type { RetryBudget } from "./retry-policy.ts";
import { Ring } from "./ring.ts";
import { createSendRoutes } from "./send-routes.ts";
import type { SendRoutes } from "./send-routes.ts";
import type { Dispatch, Now, SenderEffect, SenderSettings, SendRules } from "./sender-messages.ts";
import { Timetable } from "./timetable.ts";

/** Messages in all mailboxes of one sender beyond which each campaign keeps only its small share. */
const SENDER_MAILBOX_MAX = 65_536;

/** Mailboxes that were never fuller than this announce no room: they have not been refused any. */
const ANNOUNCED_MIN = 8;

const EXPIRED_REASON = "Its time to live ended before it could be sent.";
const EXPIRED_AGAIN_REASON = "Its time to live ended before another attempt.";

const THROTTLE_BASE_MS = 1000;
const THROTTLE_MAX_MS = 60_000;

/** A dispatch between its departure and its verdict. */
export interface Flight {
  readonly dispatch: Dispatch;
  readonly campaign: Campaign;
  readonly attempt: number;
  /** Its place in the sender's pace. */
  readonly ticket: number;
  /** Its place in the campaign's pace; -1 without one. */
  readonly campaignTicket: number;
  /** What it was sent with: the campaign may have another template by now. */
  readonly templateKey: string;
  /** The blocks that it probes. */
  readonly probes: readonly Block[];
}

/** What a sender actor asks of others; each answers at once and from memory. */
export interface SenderQuestions {
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly rules: SendRules;
  /** ISO 3166 alpha-2, or empty. Costs more than all else that a dispatch does. */
  readonly regionOf: (phoneNumber: string) => string;
}

/** All that one sender actor knows. Opaque to others: only a step changes it. */
export interface Sender extends SenderQuestions {
  settings: SenderSettings;
  rate: LearnedRate;
  /** At the learned rate. */
  pace: Pace;
  readonly pairs: PairLimit;
  readonly throttle: Hold;
  /** Of the token, the app, the account or the number: of all that leaves. */
  readonly block: Block;
  /** By template key; open ones are not in it, nor in the next. */
  readonly templateBlocks: Map<string, Block>;
  /** By the recipients' region. */
  readonly countryBlocks: Map<string, Block>;
  readonly routes: SendRoutes;
  /** Monotonic: what left before had another token. */
  tokenSinceMs: number;
  readonly retryBudget: RetryBudget;
  /** Monotonic: nothing leaves before. */
  holdUntilMs: number;
  readonly campaigns: Map<number, Campaign>;
  /** Monotonic, by campaign number: what a run before this one sent of campaigns that are not known yet. */
  readonly sentBefore: Map<number, number[]>;
  readonly removedCampaigns: Set<number>;
  readonly share: FairShare<Campaign>;
  /** Monotonic times. */
  readonly sleeping: Timetable<Campaign>;
  /** Epoch times. */
  readonly expiries: Timetable<Campaign>;
  readonly flights: Map<MessageId, Flight>;
  /** The dispatches that have not departed yet, in their order. */
  readonly leaving: Ring<Flight>;
  /** The messages in the `again` and `retries` queues. */
  readonly waitingAgain: Map<MessageId, Dispatch>;
  /** Messages in all mailboxes. */
  waiting: number;
  /** Monotonic: the wake that was announced; Infinity for none. */
  wakeAtMs: number;
  /** The effects of the step that runs. */
  effects: SenderEffect[];
}

export function createSenderState(settings: SenderSettings, now: Now, asked: SenderQuestions): Sender {
  return {
    settings,
    ...asked,
    rate: createLearnedRate(settings.messagesPerSecond),
    pace: createPace({ perSecond: settings.messagesPerSecond }),
    pairs: new PairLimit(settings.pair),
    throttle: createHold({ baseMs: THROTTLE_BASE_MS, maxMs: THROTTLE_MAX_MS }),
    block: createBlock("number", ""),
    templateBlocks: new Map(),
    countryBlocks: new Map(),
    routes: createSendRoutes(),
    tokenSinceMs: -Infinity,
    retryBudget: createRetryBudget(now.monotonicMs),
    holdUntilMs: -Infinity,
    campaigns: new Map(),
    sentBefore: new Map(),
    removedCampaigns: new Set(),
    share: createFairShare(),
    sleeping: new Timetable(),
    expiries: new Timetable(),
    flights: new Map(),
    leaving: new Ring(),
    waitingAgain: new Map(),
    waiting: 0,
    wakeAtMs: Infinity,
    effects: [],
  };
}

/** Monotonic: the earliest time at which the number itself lets a message go; Infinity while its probe is under way. */
export function senderOpenAtMs(sender: Sender): number {
  return Math.max(sender.holdUntilMs, sender.throttle.untilMs, blockedUntilMs(sender.block), nextAtMs(sender.pace));
}

/** Places left in all mailboxes together. */
export function senderRoom(sender: Sender): number {
  return SENDER_MAILBOX_MAX - sender.waiting;
}

export function requestWake(sender: Sender, atMonotonicMs: number): void {
  if (atMonotonicMs < sender.wakeAtMs) sender.wakeAtMs = atMonotonicMs;
}

/** Asks for the tick that could dispatch next, or has a faster rate to tell, not before `earliestMs`. */
export function planWake(sender: Sender, earliestMs: number): void {
  requestWake(sender, Math.max(earliestMs, sender.rate.growsAtMs));
  if (!hasFreeFlight(sender)) return;
  const openMs = Math.max(earliestMs, senderOpenAtMs(sender));
  if (front(sender.share) !== undefined) requestWake(sender, openMs);
  else requestWake(sender, Math.max(openMs, sender.sleeping.earliest));
}

export function hasFreeFlight(sender: Sender): boolean {
  return sender.flights.size < sender.settings.inFlightMax;
}

/** Attempts that count: an operator's replay begins anew. */
export function attemptsOf(dispatch: Dispatch): number {
  return dispatch.attempts - (dispatch.attemptsBefore ?? 0);
}

/** Puts a message at the end of one of its campaign's queues. */
export function enqueue(sender: Sender, campaign: Campaign, queue: Ring<Dispatch>, dispatch: Dispatch, now: Now): void {
  queue.push(dispatch);
  sender.waiting++;
  if (queue !== campaign.fresh) sender.waitingAgain.set(dispatch.messageId, dispatch);
  const size = mailboxSize(campaign);
  if (size > campaign.fullest) campaign.fullest = size;
  const expiryAtMs = dispatch.acceptedAtMs + campaign.settings.timeToLiveMs;
  if (expiryAtMs < campaign.expiryAtMs) watchExpiry(sender, campaign, expiryAtMs, now);
  // The head of a queue may change what the campaign waits for; a message behind it does not.
  if (queue.length === 1) rouse(sender, campaign);
  else stand(sender, campaign, now);
}

/** Takes the head of one of the campaign's queues out of the mailbox. */
export function dequeue(sender: Sender, campaign: Campaign, queue: Ring<Dispatch>): void {
  const dispatch = queue.shift();
  if (dispatch === undefined) return;
  if (queue !== campaign.fresh) sender.waitingAgain.delete(dispatch.messageId);
  leftMailbox(sender, campaign);
}

/** One message less; says so when that makes room worth offering. */
export function leftMailbox(sender: Sender, campaign: Campaign): void {
  sender.waiting--;
  if (campaign.fullest < ANNOUNCED_MIN || mailboxSize(campaign) * 2 > campaign.fullest) return;
  campaign.fullest = 0;
  if (!campaign.isRemoved) {
    sender.effects.push({ kind: "room", campaignNumber: campaign.settings.campaignNumber });
  }
}

/** Into its lane's line, if it has messages and does not sleep. */
function stand(sender: Sender, campaign: Campaign, now: Now): void {
  if (campaign.sleepsUntilMs > now.monotonicMs) return;
  rouse(sender, campaign);
}

/** Into its lane's line, if it has messages, whatever it slept for: that may have changed. */
export function rouse(sender: Sender, campaign: Campaign): void {
  if (campaign.settings.isPaused || campaign.isRemoved || mailboxSize(campaign) === 0) return;
  campaign.sleepsUntilMs = -Infinity;
  join(sender.share, campaign);
}

/** Out of the line (the caller took it out) until a time; for Infinity nobody looks before an input rouses it. */
export function sleep(sender: Sender, campaign: Campaign, untilMonotonicMs: number): void {
  campaign.sleepsUntilMs = untilMonotonicMs;
  if (untilMonotonicMs < Infinity) sender.sleeping.add(untilMonotonicMs, campaign);
}

/** Keeps the promise that the campaign's entry is not after the first expiry of a head. */
function watchExpiry(sender: Sender, campaign: Campaign, expiryAtMs: number, now: Now): void {
  campaign.expiryAtMs = expiryAtMs;
  if (expiryAtMs === Infinity) return;
  sender.expiries.add(expiryAtMs, campaign);
  requestWake(sender, now.monotonicMs + Math.max(0, expiryAtMs - now.wallMs));
}

/** After heads were taken by time: looks for the next expiry. */
export function rewatchExpiry(sender: Sender, campaign: Campaign, now: Now): void {
  watchExpiry(sender, campaign, headExpiryAtMs(campaign), now);
}

/** @param reason default: a sentence that says whether it was ever tried. */
export function finishExpired(sender: Sender, dispatch: Dispatch, reason: string | null = null): void {
  const { messageId, attempts } = dispatch;
  const sentence = reason ?? (attempts === 0 ? EXPIRED_REASON : EXPIRED_AGAIN_REASON);
  sender.effects.push({ kind: "finish", messageId, status: "expired", errorCode: null, reason: sentence });
}

/** Epoch time of a monotonic one. */
export function wallTime(atMonotonicMs: number, now: Now): number {
  return Math.ceil(now.wallMs + (atMonotonicMs - now.monotonicMs));
}
