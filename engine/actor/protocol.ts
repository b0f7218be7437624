// What crosses the thread boundary, and nothing else. Plain data only: classes do not survive the crossing.

import type { CampaignDefinition } from "../message/campaign.ts";
import type { MessageId } from "../message/ids.ts";
import type { ConsentRules } from "../message/marketing.ts";
import type { WhatsAppTemplate } from "../message/template.ts";
import type { SenderConfig, StreamConfig } from "../runtime/config.ts";
import type { BlockScope } from "../message/verdict.ts";
import type { PartitionProgress, SenderReport } from "./partition-deps.ts";

/** Given to the thread when it starts. */
export interface ThreadStart {
  readonly threadIndex: number;
  readonly logLevel: "info" | "warn" | "error" | "silent";
  readonly partitions: readonly number[];
  readonly stream: ThreadStream;
  /** The ledgers' folders by partition. */
  readonly ledgerPaths: readonly string[];
  /** The folder in which the opt-outs are read (consent/lmdb-opt-outs-reader.ts). */
  readonly optOutsPath: string;
  readonly consent: ConsentRules;
  readonly whatsapp: { readonly baseUrl: string; readonly apiVersion: string };
  readonly senders: readonly SenderConfig[];
  readonly campaigns: readonly ThreadCampaign[];
}

/** Where the thread reads what was accepted. */
export type ThreadStream =
  | {
      readonly driver: "embedded";
      readonly path: string;
      /** By partition: the last sequence when the engine started. What lies after it was accepted by this run. */
      readonly heads: readonly number[];
    }
  | {
      readonly driver: "jetstream";
      readonly config: StreamConfig;
      readonly nodeName: string;
      /** Until when this node may send for a partition (cluster/lease-validity-system.ts). */
      readonly leases: SharedArrayBuffer;
      /** The environment in which the claims are decided (stream/lmdb-claims-reader.ts). */
      readonly claimsPath: string;
      /** Partitions that this node owns when the thread starts. */
      readonly owned: readonly number[];
    };

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

export interface SenderAllowance {
  readonly senderId: string;
  readonly allowance: number | null;
}

export type ToThread =
  /** The stream holds more for these partitions. */
  | { readonly kind: "appended"; readonly partitions: readonly number[] }
  | { readonly kind: "campaigns"; readonly campaigns: readonly ThreadCampaign[] }
  | { readonly kind: "senders"; readonly senders: readonly SenderConfig[] }
  /** Other rules for marketing are in force. */
  | { readonly kind: "consent"; readonly rules: ConsentRules }
  /** Each sender's part of what its portfolio may reach in 24 hours; null: unlimited. */
  | { readonly kind: "allowances"; readonly allowances: readonly SenderAllowance[] }
  /** Another number met a block that is these ones' as well. */
  | {
      readonly kind: "blockedElsewhere";
      readonly senderIds: readonly string[];
      readonly scope: BlockScope;
      readonly errorCode: number;
      readonly reason: string;
    }
  | {
      readonly kind: "replay";
      readonly call: number;
      readonly partition: number;
      readonly ids: readonly MessageId[];
      readonly maxPerSecond: number;
    }
  /** This node owns the partition from now on. */
  | { readonly kind: "own"; readonly partition: number }
  /** It gives the partition up, in good order; `released` answers. */
  | { readonly kind: "release"; readonly partition: number }
  /** Another node owns it: nothing of it may leave any more. */
  | { readonly kind: "lost"; readonly partition: number }
  /** More claims of the partition are decided. */
  | { readonly kind: "folded"; readonly partition: number }
  | { readonly kind: "stop" };

export type FromThread =
  | { readonly kind: "ready" }
  /** Copies what other nodes wrote before it can serve it. */
  | { readonly kind: "rebuilding"; readonly partition: number; readonly done: number; readonly total: number }
  /** The partition's figures begin anew: its owner changed. */
  | { readonly kind: "seated"; readonly partition: number }
  | { readonly kind: "released"; readonly partition: number }
  /** The stream lost its tail: what this node accepted must be given to it again. */
  | { readonly kind: "rewound"; readonly partition: number }
  | { readonly kind: "progress"; readonly progress: PartitionProgress }
  /** How a sender stands, whenever that changes. */
  | { readonly kind: "sender"; readonly senderId: string; readonly report: SenderReport }
  /** WhatsApp answered with a code that this release does not know. */
  | { readonly kind: "unknownCode"; readonly errorCode: number }
  /** A template differs from WhatsApp's: it is to be read again. */
  | { readonly kind: "staleTemplate" }
  | { readonly kind: "replayed"; readonly call: number; readonly count: number }
  /** Round trips of sends since the last report, in milliseconds. */
  | { readonly kind: "responseTimes"; readonly milliseconds: readonly number[] }
  | { readonly kind: "broken"; readonly code: string; readonly message: string };
