// DRAFT: the signatures are final, the implementation is being written.

import type { Now, SenderEffect, SenderInput, SenderSettings } from "./sender-messages.ts";

export type {
  CampaignSettings,
  Dispatch,
  Now,
  SenderEffect,
  SenderInput,
  SenderSettings,
} from "./sender-messages.ts";

/** All that one sender actor knows. Opaque: only {@link step} changes it. */
export interface Sender {
  readonly settings: SenderSettings;
}

/** @param random uniform in [0, 1): jitter of retries. */
export declare function createSender(settings: SenderSettings, now: Now, random: () => number): Sender;

/** Takes one input; the effects are in order. The state changes in place; nothing else is read or written. */
export declare function step(sender: Sender, input: SenderInput, now: Now): readonly SenderEffect[];

/** How many more fresh messages of the campaign may be offered now: 0 for one that is unknown. */
export declare function mailboxRoom(sender: Sender, campaignNumber: number): number;
