// A message that WhatsApp took has failed later, by a status webhook: its own end is not the actor's any more, but what
// it says of the number, the account, the template, the country or the recipient holds for those that come after it.

import type { Now, SenderInput } from "./sender-messages.ts";
import { learnRoute } from "./send-routes.ts";
import { meetBlockLate } from "./sender-blocks.ts";
import { slowDown } from "./sender-rate.ts";
import type { Sender } from "./sender-state.ts";

type FailedLater = Extract<SenderInput, { kind: "failedLater" }>;

/** How long before its webhook the message left, for want of knowing: what came before belongs to the same episode. */
const LATE_MS = 5000;

export function takeFailure(sender: Sender, input: FailedLater, now: Now): void {
  const { phoneNumber, verdict } = input;
  const settings = sender.campaigns.get(input.campaignNumber)?.settings;
  switch (verdict.kind) {
    case "blocked":
      // A template is known by its campaign, and without that nobody sends it.
      if (verdict.scope === "template" && settings === undefined) return;
      meetBlockLate(sender, { templateKey: settings?.templateKey ?? "", phoneNumber }, verdict, now);
      return;
    case "throttled":
      if (verdict.scope === "pair") sender.pairs.throttled(phoneNumber, now.monotonicMs, 0);
      else slowDown(sender, verdict, now.monotonicMs - LATE_MS, now);
      return;
    case "misrouted":
      if (settings !== undefined) learnRoute(sender.routes, settings, verdict.route);
      return;
    case "accepted":
    case "rejected":
    case "transient":
    case "unknown":
  }
}
