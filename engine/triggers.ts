// The registry's campaigns as the trigger doors see them.

import type { CampaignEntry } from "./campaign/campaign-registry.ts";
import type { TriggerCampaign } from "./ingress/trigger-campaign.ts";
import { encodeMessageId } from "./message/ids.ts";

/** A rehearsal has no message: its id is that of nobody. */
const REHEARSAL = { campaignNumber: 0, acceptedAtMs: 0, node: 0, sequence: 0 };

/** One view an entry, made when first asked for: the registry replaces an entry whenever its campaign changes. */
export function createTriggers(
  get: (id: string) => CampaignEntry | undefined,
): (id: string) => TriggerCampaign | undefined {
  const views = new WeakMap<CampaignEntry, TriggerCampaign>();
  return (id) => {
    const entry = get(id);
    if (entry === undefined) return undefined;
    const known = views.get(entry);
    if (known !== undefined) return known;
    const view = triggerCampaign(entry);
    views.set(entry, view);
    return view;
  };
}

function triggerCampaign(entry: CampaignEntry): TriggerCampaign {
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
    isActive: definition.status === "active",
    matches: (payload) => compiled.matches(payload),
    dedupeValue: (payload) => compiled.dedupeValue(payload),
    extract: (payload) => compiled.extract(payload),
    preview: (contact) => compiled.render({ ...contact, messageId, attempt: 1 }),
  };
}

/** Of a campaign that cannot work: nothing of it is ever asked but a rehearsal. */
const REFUSED: Pick<TriggerCampaign, "matches" | "dedupeValue" | "extract" | "preview"> = {
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
  preview: () => ({ kind: "unrenderable", reason: "The campaign has faults; see the campaign's own page." }),
};
