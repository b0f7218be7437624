// The campaigns as an actor thread knows them, and which of them it tells to which partition.

import type { Partition } from "./actor/partition.ts";
import type { PartitionCampaign } from "./actor/partition-deps.ts";
import type { ThreadCampaign } from "./actor/protocol.ts";
import { compileCampaign } from "./campaign/compiled-campaign.ts";
import { compileQuietHours } from "./campaign/quiet-hours.ts";
import { partitionOf } from "./message/partition.ts";
import type { WhatsAppTemplate } from "./message/template.ts";

type Defined = Extract<ThreadCampaign, { kind: "defined" }>;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** What Meta keeps trying for when the template says nothing else. */
const AUTHENTICATION_TTL_MS = 10 * MINUTE_MS;
const TTL_MS_MAX = 30 * DAY_MS;
/** Failures may be told late: a tenth of the time is added, within these bounds. */
const BUFFER = { share: 0.1, minMs: 10 * MINUTE_MS, maxMs: DAY_MS };

export class ThreadCampaigns {
  readonly #known = new Map<number, ThreadCampaign>();
  readonly #accountOf: (senderId: string) => string;

  /** @param accountOf the WhatsApp Business Account of a sender; empty when it is not known. */
  constructor(accountOf: (senderId: string) => string) {
    this.#accountOf = accountOf;
  }

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
      else if (partitionOf(campaign.definition.sender) === partition) worker.setCampaign(this.#defined(campaign));
      else if (worker.hasHistoryOf(campaign.number)) tellMoved(worker, campaign);
    }
  }

  #defined(campaign: Defined): PartitionCampaign {
    return definedCampaign(campaign, this.#accountOf(campaign.definition.sender));
  }

  /** News of a campaign may be behind its events, and then comes by itself; a campaign that moved never does. */
  awaited(worker: Partition, partition: number, campaignNumber: number): void {
    const campaign = this.#known.get(campaignNumber);
    if (campaign?.kind === "defined" && partitionOf(campaign.definition.sender) !== partition) {
      tellMoved(worker, campaign);
    }
  }
}

/**
 * How long after WhatsApp took a message a delivery may still be told: the template's time to live and a buffer. A
 * message that was dropped is never told of.
 */
export function deliveryTimeoutMs(template: WhatsAppTemplate | null): number {
  const timeToLiveMs = templateTimeToLiveMs(template);
  const bufferMs = Math.min(BUFFER.maxMs, Math.max(BUFFER.minMs, timeToLiveMs * BUFFER.share));
  return timeToLiveMs + bufferMs;
}

function templateTimeToLiveMs(template: WhatsAppTemplate | null): number {
  const seconds = Number(template?.["message_send_ttl_seconds"] ?? 0);
  if (seconds > 0) return Math.min(TTL_MS_MAX, seconds * 1_000);
  // -1: as long as there is.
  if (seconds < 0) return TTL_MS_MAX;
  return categoryOf(template) === "AUTHENTICATION" ? AUTHENTICATION_TTL_MS : TTL_MS_MAX;
}

function categoryOf(template: WhatsAppTemplate | null): string {
  return template?.category.toUpperCase() ?? "";
}

/** Its sender is another's now: what still waits in this partition ends, statuses of what was sent still count. */
function tellMoved(worker: Partition, { number, definition }: Defined): void {
  worker.setCampaign(removedCampaign({ number, id: definition.id }));
}

function definedCampaign(campaign: Defined, account: string): PartitionCampaign {
  const { definition, number } = campaign;
  const compiled = compileCampaign(definition, campaign.template ?? undefined);
  return {
    id: definition.id,
    senderId: definition.sender,
    templateName: definition.template.name,
    templateLanguage: definition.template.language,
    isRemoved: false,
    deliveryTimeoutMs: deliveryTimeoutMs(campaign.template),
    settings: {
      campaignNumber: number,
      templateKey: `${account}/${definition.template.name}/${definition.template.language}`,
      category: categoryOf(campaign.template),
      quietHours: compileQuietHours(definition),
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
    deliveryTimeoutMs: deliveryTimeoutMs(null),
    settings: {
      campaignNumber: campaign.number,
      templateKey: "",
      category: "",
      quietHours: null,
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
