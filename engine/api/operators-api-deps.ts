// What the operators' API needs from the rest of the engine, as small interfaces of functions. The composition
// root satisfies them from the registry, the key store, the ledgers and the export pool, so that every handler
// stays pure and this page is all that a new front (console, gRPC, a test) has to provide.
//
// All times are epoch milliseconds; a function that returns a promise resolves once its change is durable.

import type { CampaignDefinition, CampaignFault, CampaignStatus } from "../message/campaign.ts";
import type { MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { MessageStatus } from "../message/status.ts";
import type { HttpRequest, HttpResponse } from "../runtime/http.ts";

export interface OperatorsApiDeps {
  authorise(request: HttpRequest, need: AccessNeed): Access;
  readonly campaigns: CampaignAdministration;
  readonly keys: KeyAdministration;
  readonly messages: MessageArchive;
  readonly optOuts: OptOutAdministration;
  stats(campaign: CampaignEntry): CampaignFigures;
  senders(): readonly SenderView[];
  /** Codes that WhatsApp answered with and no release knows, by how often since the start. */
  unknownErrorCodes(): Readonly<Record<string, number>>;
  readiness(): Readiness;
  cluster(): ClusterView;
  /** Epoch milliseconds. */
  nowMs(): number;
  /** Called when an answer that is already under way (a CSV stream) breaks off; the client sees a cut body. */
  onExportBroken(campaignId: string, error: unknown): void;
}

/** Who works on what. With the embedded stream this engine works on everything and both lists are empty. */
export interface ClusterView {
  readonly driver: "embedded" | "jetstream";
  /** This node. */
  readonly node: string | null;
  readonly nodes: readonly { readonly name: string; readonly number: number; readonly isAlive: boolean }[];
  /** The node that works on each partition; null while it has none. */
  readonly partitions: readonly { readonly partition: number; readonly owner: string | null }[];
}

// Access

export type AccessNeed =
  | { readonly scope: "admin" }
  /** Null: any key that may read something; the handler narrows by what {@link Access} answers. */
  | { readonly scope: "read"; readonly campaignId: string | null };

export type Access =
  | {
      readonly kind: "allowed";
      readonly isAdmin: boolean;
      /** The campaigns the key may see; null means all. */
      readonly campaigns: readonly string[] | null;
    }
  /** The 401 or 403 to answer with. */
  | { readonly kind: "refused"; readonly response: HttpResponse };

// Campaigns

export interface CampaignEntry {
  /** With the status in effect, which may differ from the file's after an activate or pause. */
  readonly definition: CampaignDefinition;
  /** The number in message ids; never reused. */
  readonly number: number;
  readonly partition: number;
  readonly source: "file" | "api";
  /** What keeps it from working; such a campaign takes no triggers, unless it is only parked. */
  readonly faults: readonly CampaignFault[];
  /** Meta keeps it from sending for now; null: it does not. */
  readonly parking: { readonly faults: readonly CampaignFault[]; readonly sinceMs: number } | null;
  readonly takesEvents: boolean;
  /** Of a campaign with `auth: urlToken`; shown to admins only. */
  readonly urlToken: string | null;
}

interface CampaignAdministration {
  get(id: string): CampaignEntry | undefined;
  list(): readonly CampaignEntry[];
  /** An API body → a definition with its defaults, or every fault of it. Looks at the shape only. */
  checkCampaign(body: unknown): CampaignCheck;
  put(definition: CampaignDefinition): Promise<CampaignPut>;
  remove(id: string): Promise<CampaignChange>;
  setStatus(id: string, status: CampaignStatus): Promise<CampaignChange>;
}

type CampaignCheck =
  | { readonly kind: "valid"; readonly definition: CampaignDefinition }
  | { readonly kind: "invalid"; readonly faults: readonly CampaignFault[] };

type CampaignPut =
  | { readonly kind: "stored"; readonly entry: CampaignEntry; readonly isNew: boolean }
  /** It can never work as it is (pre-flight); nothing was stored. */
  | { readonly kind: "refused"; readonly faults: readonly CampaignFault[] }
  | { readonly kind: "managed_by_file" };

export type CampaignChange =
  | { readonly kind: "changed"; readonly entry: CampaignEntry }
  | { readonly kind: "refused"; readonly faults: readonly CampaignFault[] }
  | { readonly kind: "managed_by_file" }
  | { readonly kind: "not_found" };

// Keys

export const KEY_SCOPES = ["trigger", "read", "admin"] as const;

export type KeyScope = (typeof KEY_SCOPES)[number];

export interface KeyView {
  readonly id: string;
  readonly name: string;
  readonly scope: KeyScope;
  /** Null: all campaigns. */
  readonly campaigns: readonly string[] | null;
  readonly createdAtMs: number;
  /** 0 or null: never. */
  readonly lastUsedAtMs: number | null;
  /** 0 or null: still valid. */
  readonly revokedAtMs: number | null;
}

interface KeyAdministration {
  /** `key` is the whole key, which is never to be seen again. */
  create(request: {
    readonly name: string;
    readonly scope: KeyScope;
    readonly campaigns: readonly string[] | null;
  }): Promise<KeyView & { readonly key: string }>;
  list(): readonly KeyView[];
  /** False when there is no such key. Revoking twice is fine. */
  revoke(id: string): Promise<boolean>;
}

// Messages

export interface MessageFilter {
  readonly status?: MessageStatus;
  /** E.164 with its plus sign. */
  readonly phone?: string;
  /** Acceptance at or after. */
  readonly fromMs?: number;
  /** Acceptance before. */
  readonly toMs?: number;
}

export interface MessageArchive {
  find(messageId: MessageId): Promise<MessageRecord | undefined>;
  /** Newest first. A page may be empty and still have a cursor: the search looks at a bounded number of rows a call. */
  search(
    query: MessageFilter & {
      readonly campaign: CampaignEntry;
      readonly limit: number;
      readonly cursor?: string;
    },
  ): Promise<MessagePage>;
  /** Writes the CSV with its header row. Stops early, and resolves, once `write` answers false. */
  exportCsv(query: MessageFilter & { readonly campaign: CampaignEntry }, sink: CsvSink): Promise<{ rows: number }>;
  /** Queues failed messages anew, never one that was delivered or read; resolves once that is durable. */
  replay(query: ReplayQuery): Promise<{ readonly requeued: number }>;
}

type MessagePage =
  | {
      readonly kind: "page";
      readonly records: readonly MessageRecord[];
      readonly cursor: string | null;
    }
  | { readonly kind: "invalid_cursor" };

export interface CsvSink {
  /** Resolves once there is room for more; false: the reader has gone. */
  write(chunk: Uint8Array): Promise<boolean>;
}

export interface ReplayQuery {
  readonly campaign: CampaignEntry;
  readonly status: "failed";
  /** Null: whatever they failed of. */
  readonly errorCode: number | null;
  /** Null: as fast as the sender allows. */
  readonly maxPerSecond: number | null;
  /** Acceptance at or after; null: since ever. */
  readonly fromMs: number | null;
  /** Acceptance before; null: until now. */
  readonly toMs: number | null;
}

// Opt-outs

export interface OptOutView {
  /** E.164; empty: only the user id is known. */
  readonly phone: string;
  readonly userId: string;
  readonly sinceMs: number;
  readonly source: string;
  readonly words: string;
}

export interface OptOutAdministration {
  /** Undefined: not opted out. Every form of the number finds it. */
  find(phone: string): OptOutView | undefined;
  /** `next` is null on the last page; a page may be empty and still have one. */
  page(query: { readonly after: string | null; readonly limit: number }): {
    readonly optOuts: readonly OptOutView[];
    readonly next: string | null;
  };
  /** @returns how many are new. A number that resumed since then stays as it is. */
  add(
    items: readonly { readonly phone: string; readonly sinceMs: number | null; readonly source: string }[],
  ): Promise<number>;
  /** False: it was not opted out. */
  remove(phone: string): Promise<boolean>;
}

// Figures

export interface CampaignFigures {
  /** Exact, over all time; keys are statuses and Meta's error codes (an error without a code: `unknown`). */
  readonly counters: {
    readonly accepted: number;
    readonly byStatus: Readonly<Record<string, number>>;
    readonly byError: Readonly<Record<string, number>>;
    /** Messages of which more than one attempt is known to have reached its recipient. */
    readonly doubleSends: number;
  };
  /** Trigger requests answered since the engine started, by what they came to. */
  readonly requests: { readonly accepted: number; readonly refused: number };
  /** Acceptance of the oldest message that still waits; null: none waits. */
  readonly oldestWaitingAtMs: number | null;
  /** Of those that wait: for a time of their own that has not come. */
  readonly delayed: number;
  /** Averages of the last few seconds. */
  readonly perSecond: {
    readonly accepted: number;
    readonly dispatched: number;
    readonly settled: number;
  };
  /** Highest dispatch rate that the campaign's and its sender's limits allow. */
  readonly dispatchPerSecondMax: number;
  /** From the trigger's arrival to its 202, in milliseconds; null: none measured yet. */
  readonly ackMs: Percentiles | null;
  /** From a send to WhatsApp's answer, in milliseconds; null: none measured yet. */
  readonly responseMs: Percentiles | null;
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

export interface SenderView {
  readonly id: string;
  readonly phoneNumberId: string;
  readonly wabaId: string;
  /** Senders of one share what Meta lets it reach in 24 hours. */
  readonly portfolio: string;
  /** In force. */
  readonly messagesPerSecond: number;
  readonly rate: {
    /** As the file says. */
    readonly configured: number | "auto";
    /** By the number's level; null: not known yet. */
    readonly granted: number | null;
    /** What it sends at most at the moment: less than in force while WhatsApp calls it too fast. */
    readonly now: number;
  };
  readonly pairLimit: { readonly periodSeconds: number; readonly burst: number };
  /** In force. */
  readonly dailyRecipients: number | "unlimited";
  readonly recipients: RecipientsView;
  /** Meta's words for its throughput, quality and status; null: not read yet. */
  readonly standing: {
    readonly level: string;
    readonly quality: string;
    readonly status: string;
    readonly nameStatus: string;
    readonly platform: string;
  } | null;
  /** Why something of it cannot be sent now (a revoked token, a locked account, a paused template). */
  readonly blocks: readonly SenderBlockView[];
  /** The one that stops most; null: there is none. */
  readonly blocked: SenderBlockView | null;
  /** Approved templates known of its account; null: not read yet. */
  readonly templates: number | null;
}

export interface SenderBlockView {
  /** token, app, account, number, template or country. */
  readonly scope: string;
  /** The template or the country; empty for what concerns all of it. */
  readonly subject: string;
  readonly errorCode: number;
  readonly reason: string;
  /** ISO 8601. */
  readonly since: string;
  /** ISO 8601: when it is tried again. */
  readonly until: string;
}

/** People in 24 hours. Times are ISO 8601. */
export interface RecipientsView {
  readonly used: number;
  /** Null: unlimited, or not known yet. */
  readonly limit: number | null;
  /** What this number may use of it now; null: unlimited. */
  readonly allowance: number | null;
  /** When the next of its places falls free; null: none is taken. */
  readonly freesAt: string | null;
  /** When the portfolio is used up at the pace of the last hour; null: it will not be. */
  readonly runsOutAt: string | null;
}

interface Readiness {
  readonly isReady: boolean;
  /** What is still missing, in words. */
  readonly reasons: readonly string[];
  /** True while the bundled simulator stands in for WhatsApp. */
  readonly isSimulated: boolean;
}
