// What can be wrong with when a campaign sends (sendAt, quietHours) and with what it cancels, beyond what the schema
// of the file sees.

import { SEND_AHEAD_MS_MAX } from "../message/campaign.ts";
import type { CampaignDefinition, Lane } from "../message/campaign.ts";
import { durationMs } from "./duration-text.ts";
import type { SchemaFault } from "./schema-check.ts";
import { isTimeZone, nearestTimeZone } from "./time-zone.ts";

type TimedCampaign = Pick<CampaignDefinition, "id" | "sendAt" | "key" | "cancels" | "quietHours"> & {
  readonly lane?: Lane;
};

export function timingFaults(campaign: TimedCampaign): SchemaFault[] {
  return [...sendAtFaults(campaign), ...cancelFaults(campaign), ...quietHoursFaults(campaign)];
}

function sendAtFaults({ sendAt }: TimedCampaign): SchemaFault[] {
  if (sendAt === undefined) return [];
  const { path, offset, timeZone, required } = sendAt;
  if (path === undefined && offset === undefined) return [valueFault(["sendAt"], "expected a path, an offset or both")];
  const faults = offset === undefined ? [] : offsetFaults(offset, path !== undefined);
  if (timeZone !== undefined) faults.push(...timeZoneFaults(["sendAt", "timeZone"], timeZone));
  if (path !== undefined) return faults;
  if (timeZone !== undefined) faults.push(keyFault(["sendAt", "timeZone"], "only times from a path have a time zone"));
  if (required !== undefined) faults.push(keyFault(["sendAt", "required"], "only times from a path can be required"));
  return faults;
}

function offsetFaults(offset: number | string, isFromPath: boolean): SchemaFault[] {
  const place = ["sendAt", "offset"];
  const ms = durationMs(offset);
  const found = `found ${JSON.stringify(offset)}`;
  if (ms === undefined) return [valueFault(place, `expected seconds, or text such as 30m, -2h or 1d 12h, ${found}`)];
  if (Math.abs(ms) > SEND_AHEAD_MS_MAX) return [valueFault(place, `expected at most 60 days, ${found}`)];
  if (!isFromPath && ms <= 0) return [valueFault(place, `expected an offset above 0 where there is no path, ${found}`)];
  return [];
}

/** Who cancels its own older messages must be able to tell which: that needs a key they wait under. */
function cancelFaults({ id, key, cancels = [] }: TimedCampaign): SchemaFault[] {
  if (key !== undefined) return [];
  return cancels.flatMap(({ campaign }, index) =>
    campaign === id
      ? [valueFault(["cancels", index, "campaign"], "this campaign's own messages wait under no key: it has no `key`")]
      : [],
  );
}

function quietHoursFaults({ lane, quietHours }: TimedCampaign): SchemaFault[] {
  if (quietHours === undefined) return [];
  const { from, to, timeZone } = quietHours;
  const faults: SchemaFault[] = [];
  if (lane !== "marketing") {
    faults.push(keyFault(["quietHours"], "only campaigns of the lane marketing have quiet hours"));
  }
  if (from === to) faults.push(valueFault(["quietHours", "to"], `expected another time than from, found "${to}"`));
  if (timeZone !== undefined) faults.push(...timeZoneFaults(["quietHours", "timeZone"], timeZone));
  return faults;
}

function timeZoneFaults(path: readonly string[], timeZone: string): SchemaFault[] {
  if (isTimeZone(timeZone)) return [];
  const nearest = nearestTimeZone(timeZone);
  const hint = nearest === null ? "" : `; the nearest is "${nearest}"`;
  return [valueFault(path, `expected a time zone such as Europe/Berlin or UTC, found "${timeZone}"${hint}`)];
}

function keyFault(path: SchemaFault["path"], message: string): SchemaFault {
  return { path, concerns: "key", message };
}

function valueFault(path: SchemaFault["path"], message: string): SchemaFault {
  return { path, concerns: "value", message };
}
