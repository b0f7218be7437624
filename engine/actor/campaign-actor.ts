// A campaign inside its sender: the mailbox of messages that wait in memory, its own limit and its pause.
//
// The mailbox has three queues, each first in, first out:
//   again    were on their way and cost nothing so far (throttled, blocked, parked for their recipient's limit), or an
//            operator replays them
//   retries  cost an attempt already; go when the sender's retry budget allows
//   fresh    never tried
// Earlier ones go first. A retry without budget lets fresh ones pass: they are what refills the budget.

import type { Lane } from "../message/campaign.ts";
import type { Sharer } from "./fair-share.ts";
import { changedPace, createPace, nextAtMs } from "./rate-limit.ts";
import type { Pace } from "./rate-limit.ts";
import { Ring } from "./ring.ts";
import type { CampaignSettings, Dispatch } from "./sender-messages.ts";

/** Messages of one campaign that wait in memory, beside those that come back; the others wait on disk. */
const MAILBOX_MAX = 512;
/** What each campaign may hold even when all mailboxes of the sender together are full. */
const MAILBOX_SHARE_MIN = 8;

export interface Campaign extends Sharer {
  settings: CampaignSettings;
  lane: Lane;
  weight: number;
  isRemoved: boolean;
  /** Its own limit; null: only the sender's. */
  pace: Pace | null;
  readonly again: Ring<Dispatch>;
  readonly retries: Ring<Dispatch>;
  readonly fresh: Ring<Dispatch>;
  /** The largest size since room was last announced. */
  fullest: number;
  /** Monotonic: its valid entry among the sleeping campaigns; -Infinity when it has none. */
  sleepsUntilMs: number;
  /** Epoch: its valid entry among the expiries, not after the first expiry of a queue's head; Infinity: none. */
  expiryAtMs: number;
}

export function createCampaign(settings: CampaignSettings): Campaign {
  return {
    settings,
    lane: settings.lane,
    weight: settings.weight,
    credit: 0,
    standsIn: null,
    isRemoved: false,
    pace: settings.messagesPerSecond === null ? null : createPace({ perSecond: settings.messagesPerSecond }),
    again: new Ring(),
    retries: new Ring(),
    fresh: new Ring(),
    fullest: 0,
    sleepsUntilMs: -Infinity,
    expiryAtMs: Infinity,
  };
}

/** The caller takes it out of its line first: the lane may change. */
export function changeCampaign(campaign: Campaign, settings: CampaignSettings): void {
  const perSecond = settings.messagesPerSecond;
  if (perSecond !== campaign.settings.messagesPerSecond) {
    if (perSecond === null) campaign.pace = null;
    else campaign.pace = campaign.pace === null ? createPace({ perSecond }) : changedPace(campaign.pace, { perSecond });
  }
  campaign.settings = settings;
  campaign.lane = settings.lane;
  campaign.weight = settings.weight;
}

/** Messages in all queues. */
export function mailboxSize(campaign: Campaign): number {
  return campaign.again.length + campaign.retries.length + campaign.fresh.length;
}

/** How many more messages fit. `senderRoom`: places left in all mailboxes of the sender together. */
export function roomOf(campaign: Campaign, senderRoom: number): number {
  const size = mailboxSize(campaign);
  return Math.max(0, Math.min(MAILBOX_MAX - size, Math.max(MAILBOX_SHARE_MIN - size, senderRoom)));
}

/** The queue whose head goes next; null when there is none, or only retries without budget. */
export function nextQueue(campaign: Campaign, canRetry: boolean): Ring<Dispatch> | null {
  if (campaign.again.length > 0) return campaign.again;
  if (canRetry && campaign.retries.length > 0) return campaign.retries;
  return campaign.fresh.length > 0 ? campaign.fresh : null;
}

/** Monotonic: the earliest time at which its own limit lets a message go. */
export function pacedUntilMs(campaign: Campaign): number {
  return campaign.pace === null ? -Infinity : nextAtMs(campaign.pace);
}

/** Epoch milliseconds at which the message is too old to be sent. */
export function expiresAtMs(campaign: Campaign, dispatch: Dispatch): number {
  return dispatch.acceptedAtMs + campaign.settings.timeToLiveMs;
}

/** The first expiry among the heads of the queues; Infinity when all are empty. */
export function headExpiryAtMs(campaign: Campaign): number {
  return Math.min(
    expiryOfHead(campaign, campaign.again),
    expiryOfHead(campaign, campaign.retries),
    expiryOfHead(campaign, campaign.fresh),
  );
}

/** A queue whose head has expired, or null. */
export function expiredQueue(campaign: Campaign, wallMs: number): Ring<Dispatch> | null {
  if (expiryOfHead(campaign, campaign.again) <= wallMs) return campaign.again;
  if (expiryOfHead(campaign, campaign.retries) <= wallMs) return campaign.retries;
  return expiryOfHead(campaign, campaign.fresh) <= wallMs ? campaign.fresh : null;
}

function expiryOfHead(campaign: Campaign, queue: Ring<Dispatch>): number {
  const head = queue.peek();
  return head === undefined ? Infinity : expiresAtMs(campaign, head);
}
