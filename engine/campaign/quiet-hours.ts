// The hours in which a campaign's marketing stays away from people, from the words of its author.

import type { CampaignDefinition } from "../message/campaign.ts";
import type { QuietHours } from "../message/marketing.ts";

/** Null: the campaign has none. Times as the campaign schema passed them. */
export function compileQuietHours(definition: CampaignDefinition): QuietHours | null {
  const { quietHours } = definition;
  if (quietHours === undefined) return null;
  const { from, to, timeZone = null } = quietHours;
  return { fromMinute: minuteOf(from), toMinute: minuteOf(to), timeZone };
}

/** `HH:MM` → of the day. */
function minuteOf(time: string): number {
  const [hour = 0, minute = 0] = time.split(":").map(Number);
  return hour * 60 + minute;
}
