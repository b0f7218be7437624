// A campaign that Meta keeps from sending is parked: its template is paused, disabled, rejected, or was moved to another
// category. Nothing is wrong with the campaign itself, so it takes up its work by itself when Meta lets it. What waits
// keeps waiting, for as long as it may live; events of the transactional lane are still taken, because an order's
// confirmation that comes three hours late is better than none, and one that comes too late is never sent.

import type { CampaignDefinition, CampaignFault } from "../message/campaign.ts";
import type { WhatsAppTemplate } from "../message/template.ts";

export interface Parking {
  readonly faults: readonly CampaignFault[];
  /** When this engine noticed, in epoch milliseconds. */
  readonly sinceMs: number;
}

/** The template as it would be if Meta let it be sent as before. Null: Meta does, or it never did. */
export function inGoodStanding(
  { lane }: Pick<CampaignDefinition, "lane">,
  template: WhatsAppTemplate,
): WhatsAppTemplate | null {
  const isApproved = template.status.toUpperCase() === "APPROVED";
  const before = template["previous_category"];
  // Nobody moved a template that was MARKETING from the beginning: there the campaign is wrong.
  const isMoved = lane === "transactional" && isMarketing(template.category) && isOther(before);
  if (isApproved && !isMoved) return null;
  return { ...template, status: "APPROVED", category: isMoved ? before : template.category };
}

function isMarketing(category: string): boolean {
  return category.toUpperCase() === "MARKETING";
}

function isOther(category: unknown): category is string {
  return typeof category === "string" && category !== "" && !isMarketing(category);
}
