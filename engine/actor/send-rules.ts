// What a sender asks before each departure, put together: is the message still wanted, may the person get marketing now,
// did he get too much of it, has the number recipients left.

import type { Refusal } from "../message/marketing.ts";
import { isSettled } from "../message/status.ts";
import type { CampaignMemory } from "./campaign-memory.ts";
import type { FrequencyCap } from "./frequency-cap.ts";
import type { PartitionDeps } from "./partition-deps.ts";
import type { CampaignSettings, Dispatch, Now, SendRules } from "./sender-messages.ts";

/** Never seen: the record says already how it ended. */
const ENDED: Refusal = { kind: "suppressed", reason: "" };

export interface SendRulesDeps extends Pick<PartitionDeps, "marketing" | "budgetOf"> {
  readonly memory: CampaignMemory;
  readonly frequency: FrequencyCap;
}

export function sendRulesOf(senderId: string, deps: SendRulesDeps): SendRules {
  const { memory, marketing, frequency } = deps;
  return {
    refusal(dispatch, campaign, { wallMs }) {
      const record = memory.record(dispatch.messageId);
      // Cancelled, or proved by a status, while it waited for its turn.
      if (record !== undefined && isSettled(record.status)) return ENDED;
      const { phoneNumber } = dispatch;
      return (
        (isMarketing(campaign) ? marketing.refusal(phoneNumber, campaign.quietHours, wallMs) : null) ??
        (isMarketing(campaign) ? frequency.refusal(dispatch, wallMs) : null) ??
        deps.budgetOf(senderId)?.refusal(phoneNumber, campaign.lane, wallMs) ??
        null
      );
    },
    left(dispatch: Dispatch, campaign: CampaignSettings, { wallMs }: Now) {
      if (isMarketing(campaign)) frequency.left(dispatch, wallMs);
      deps.budgetOf(senderId)?.remember(dispatch.phoneNumber, wallMs, campaign.lane);
    },
    returned(dispatch: Dispatch, campaign: CampaignSettings, { wallMs }: Now) {
      if (isMarketing(campaign)) frequency.returned(dispatch);
      deps.budgetOf(senderId)?.forget(dispatch.phoneNumber, wallMs);
    },
  };
}

/** What a shop declares to be marketing; a notice of an order is none, whatever Meta calls its template. */
function isMarketing({ lane }: CampaignSettings): boolean {
  return lane === "marketing";
}
