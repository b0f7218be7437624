// The registry's campaigns as the trigger doors see them.

import type { CampaignEntry } from "./campaign/campaign-registry.ts";
import type { Timing } from "./campaign/timing.ts";
import type { CancelTarget, TriggerCampaign, TriggerTiming } from "./ingress/trigger-campaign.ts";
import { encodeMessageId } from "./message/ids.ts";
import type { Log } from "./runtime/log.ts";

/** A rehearsal has no message: its id is that of nobody. */
const REHEARSAL = { campaignNumber: 0, acceptedAtMs: 0, node: 0, sequence: 0 };

type GetEntry = (id: string) => CampaignEntry | undefined;

interface Surroundings {
  readonly get: GetEntry;
  readonly log: Log;
}

/** One view an entry, made when first asked for: the registry replaces an entry whenever its campaign changes. */
export function createTriggers(get: GetEntry, log: Log): (id: string) => TriggerCampaign | undefined {
  const views = new WeakMap<CampaignEntry, TriggerCampaign>();
  return (id) => {
    const entry = get(id);
    if (entry === undefined) return undefined;
    const known = views.get(entry);
    if (known !== undefined) return known;
    const view = triggerCampaign(entry, { get, log });
    views.set(entry, view);
    return view;
  };
}

function triggerCampaign(entry: CampaignEntry, surroundings: Surroundings): TriggerCampaign {
  const { definition, number, partition, compiled, urlToken } = entry;
  const base = {
    id: definition.id,
    number,
    partition,
    auth: definition.trigger.auth,
    urlToken,
    dedupe: definition.trigger.dedupe,
  };
  if (compiled === null) return { ...base, isActive: false, ...REFUSED };
  const messageId = encodeMessageId({ ...REHEARSAL, partition });
  return {
    ...base,
    isActive: entry.takesEvents,
    matches: (payload) => compiled.matches(payload),
    dedupeValue: (payload) => compiled.dedupeValue(payload),
    extract: (payload) => compiled.extract(payload),
    timing: compiled.timing === null ? null : triggerTiming(compiled.timing, entry, surroundings),
    preview: (contact) => compiled.render({ ...contact, messageId, attempt: 1 }),
  };
}

/**
 * Which campaigns there are is looked up for every event, not when the view is made: they come and go. One that does
 * not exist has nothing waiting; that is logged once, because it may be a slip of the pen.
 */
function triggerTiming(timing: Timing, { definition }: CampaignEntry, { get, log }: Surroundings): TriggerTiming {
  const missed = new Set<string>();
  const targetsOf = (campaignId: string, key: string): CancelTarget[] => {
    const target = get(campaignId);
    if (target !== undefined) {
      return [{ campaignId, campaignNumber: target.number, partition: target.partition, key }];
    }
    if (!missed.has(campaignId))
      log.warn("cancel.campaign_unknown", { campaignId: definition.id, cancels: campaignId });
    missed.add(campaignId);
    return [];
  };
  return {
    uses: timing.uses,
    schedule(payload, nowMs) {
      const schedule = timing.schedule(payload, nowMs);
      if (schedule.kind === "invalid") return schedule;
      return { ...schedule, cancels: schedule.cancels.flatMap(({ campaignId, key }) => targetsOf(campaignId, key)) };
    },
  };
}

/** Of a campaign that cannot work: nothing of it is ever asked but a rehearsal. */
const REFUSED: Pick<TriggerCampaign, "matches" | "dedupeValue" | "extract" | "timing" | "preview"> = {
  matches: () => true,
  dedupeValue: () => undefined,
  extract: () => ({
    kind: "invalid",
    faults: [
      {
        pointer: "",
        attribute: "",
        code: "invalid_format",
        message: "The campaign has faults; see the campaign's own page.",
      },
    ],
  }),
  timing: null,
  preview: () => ({ kind: "unrenderable", reason: "The campaign has faults; see the campaign's own page." }),
};
