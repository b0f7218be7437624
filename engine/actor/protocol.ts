// What crosses the thread boundary, and nothing else. Plain data only: classes do not survive the crossing.

import type { CampaignDefinition } from "../message/campaign.ts";
import type { MessageId } from "../message/ids.ts";
import type { WhatsAppTemplate } from "../message/template.ts";
import type { SenderConfig } from "../runtime/config.ts";
import type { PartitionProgress, SenderBlock } from "./partition-deps.ts";

/** Given to the thread when it starts. */
export interface ThreadStart {
  readonly threadIndex: number;
  readonly logLevel: "info" | "warn" | "error" | "silent";
  readonly partitions: readonly number[];
  readonly streamPath: string;
  /** The ledgers' folders by partition. */
  readonly ledgerPaths: readonly string[];
  /** By partition: the stream's last sequence when the engine started. What lies after it was accepted by this run. */
  readonly streamHeads: readonly number[];
  readonly whatsapp: { readonly baseUrl: string; readonly apiVersion: string };
  readonly senders: readonly SenderConfig[];
  readonly campaigns: readonly ThreadCampaign[];
}

/** A campaign, or the memory of one: numbers stay known after a deletion, so that waiting messages can be ended. */
export type ThreadCampaign =
  | {
      readonly kind: "defined";
      readonly number: number;
      readonly definition: CampaignDefinition;
      /** Null: its template is not known (yet); the campaign then rests like a paused one. */
      readonly template: WhatsAppTemplate | null;
    }
  | { readonly kind: "removed"; readonly number: number; readonly id: string };

export type ToThread =
  /** The stream holds more for these partitions. */
  | { readonly kind: "appended"; readonly partitions: readonly number[] }
  | { readonly kind: "campaigns"; readonly campaigns: readonly ThreadCampaign[] }
  | { readonly kind: "senders"; readonly senders: readonly SenderConfig[] }
  | {
      readonly kind: "replay";
      readonly call: number;
      readonly partition: number;
      readonly ids: readonly MessageId[];
      readonly maxPerSecond: number;
    }
  | { readonly kind: "stop" };

export type FromThread =
  | { readonly kind: "ready" }
  | { readonly kind: "progress"; readonly progress: PartitionProgress }
  | { readonly kind: "block"; readonly senderId: string; readonly block: SenderBlock | null }
  | { readonly kind: "replayed"; readonly call: number; readonly count: number }
  /** Round trips of sends since the last report, in milliseconds. */
  | { readonly kind: "responseTimes"; readonly milliseconds: readonly number[] }
  | { readonly kind: "broken"; readonly code: string; readonly message: string };
