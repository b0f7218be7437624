// What runs before this one sent: the limits of the number, of its campaigns and of its pairs go on from there, so that
// an engine which crashes and starts again and again sends no faster than one that runs on.

import type { Campaign } from "./campaign-actor.ts";
import { recall } from "./rate-limit.ts";
import type { Now, SenderInput } from "./sender-messages.ts";
import type { Sender } from "./sender-state.ts";

type SentBefore = Extract<SenderInput, { kind: "sentBefore" }>;

/**
 * A campaign's window is a second at most, or one message: what is kept for a campaign whose limit is not known yet.
 * With some room for what a window adds to its second.
 */
const WINDOW_MS = 1100;

export function recallSent(sender: Sender, input: SentBefore, now: Now): void {
  const nowMs = now.monotonicMs;
  const sentAtMs = nowMs - Math.max(0, input.agoMs);
  recall(sender.pace, sentAtMs);
  sender.pairs.recall(input.phoneNumber, { sentAtMs, nowMs });
  const campaign = sender.campaigns.get(input.campaignNumber);
  if (campaign === undefined) keep(sender, input.campaignNumber, sentAtMs, nowMs);
  else if (campaign.pace !== null) recall(campaign.pace, sentAtMs);
}

/** A campaign has become known. */
export function recallCampaign(sender: Sender, campaign: Campaign): void {
  const { campaignNumber } = campaign.settings;
  const kept = sender.sentBefore.get(campaignNumber) ?? [];
  sender.sentBefore.delete(campaignNumber);
  if (campaign.pace !== null) for (const sentAtMs of kept) recall(campaign.pace, sentAtMs);
}

function keep(sender: Sender, campaignNumber: number, sentAtMs: number, nowMs: number): void {
  const kept = sender.sentBefore.get(campaignNumber);
  if (kept === undefined || sentAtMs < nowMs - WINDOW_MS) sender.sentBefore.set(campaignNumber, [sentAtMs]);
  else kept.push(sentAtMs);
}
