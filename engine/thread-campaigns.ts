// The campaigns as an actor thread knows them, and which of them it tells to which partition.

import type { Partition } from "./actor/partition.ts";
import type { PartitionCampaign } from "./actor/partition-deps.ts";
import type { ThreadCampaign } from "./actor/protocol.ts";
import { compileCampaign } from "./campaign/compiled-campaign.ts";
import { partitionOf } from "./message/partition.ts";

type Defined = Extract<ThreadCampaign, { kind: "defined" }>;

export class ThreadCampaigns {
  readonly #known = new Map<number, ThreadCampaign>();

  set(campaigns: readonly ThreadCampaign[]): void {
    for (const campaign of campaigns) this.#known.set(campaign.number, campaign);
  }

  all(): Iterable<ThreadCampaign> {
    return this.#known.values();
  }

  /** Tells a partition what concerns it. */
  teach(worker: Partition, partition: number, campaigns: Iterable<ThreadCampaign>): void {
    for (const campaign of campaigns) {
      if (campaign.kind === "removed") worker.setCampaign(removedCampaign(campaign));
      else if (partitionOf(campaign.definition.sender) === partition) worker.setCampaign(definedCampaign(campaign));
      else if (worker.hasHistoryOf(campaign.number)) tellMoved(worker, campaign);
    }
  }

  /** News of a campaign may be behind its events, and then comes by itself; a campaign that moved never does. */
  awaited(worker: Partition, partition: number, campaignNumber: number): void {
    const campaign = this.#known.get(campaignNumber);
    if (campaign?.kind === "defined" && partitionOf(campaign.definition.sender) !== partition) {
      tellMoved(worker, campaign);
    }
  }
}

/** Its sender is another's now: what still waits in this partition ends, statuses of what was sent still count. */
function tellMoved(worker: Partition, { number, definition }: Defined): void {
  worker.setCampaign(removedCampaign({ number, id: definition.id }));
}

function definedCampaign(campaign: Defined): PartitionCampaign {
  const { definition, number } = campaign;
  const compiled = compileCampaign(definition, campaign.template ?? undefined);
  return {
    id: definition.id,
    senderId: definition.sender,
    templateName: definition.template.name,
    templateLanguage: definition.template.language,
    isRemoved: false,
    settings: {
      campaignNumber: number,
      lane: definition.lane,
      weight: 1,
      messagesPerSecond: definition.messagesPerSecond ?? null,
      // A campaign that cannot work rests: what it accepted before waits until it can, or its time to live ends.
      isPaused: definition.status === "paused" || compiled.kind === "refused",
      timeToLiveMs: definition.timeToLiveSeconds * 1_000,
      uncertain: { waitMs: definition.uncertain.waitSeconds * 1_000, then: definition.uncertain.then },
    },
    render: (input) =>
      compiled.kind === "compiled"
        ? compiled.campaign.render(input)
        : { kind: "unrenderable", reason: "The campaign's template is not usable." },
  };
}

function removedCampaign(campaign: { readonly number: number; readonly id: string }): PartitionCampaign {
  return {
    id: campaign.id,
    senderId: "",
    templateName: "",
    templateLanguage: "",
    isRemoved: true,
    settings: {
      campaignNumber: campaign.number,
      lane: "transactional",
      weight: 1,
      messagesPerSecond: null,
      isPaused: true,
      timeToLiveMs: 0,
      uncertain: { waitMs: 0, then: "fail" },
    },
    render: () => ({ kind: "unrenderable", reason: "The campaign was deleted." }),
  };
}
