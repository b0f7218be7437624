// Composition root of everything that Meta's management side says: templates, what each number is granted, and what is
// shared of it among numbers and threads.

import { join } from "node:path";

import type { ActorThreads } from "./actor-threads.ts";
import type { Backbone } from "./backbone.ts";
import type { CampaignRegistry } from "./campaign/campaign-registry.ts";
import { GrantedFile } from "./granted-file.ts";
import type { LiveLimits } from "./live-limits.ts";
import { partitionOf } from "./message/partition.ts";
import type { WhatsAppTemplate } from "./message/template.ts";
import { NumberSync } from "./number-sync.ts";
import { Portfolios } from "./portfolio.ts";
import type { EngineConfig } from "./runtime/config.ts";
import type { Log } from "./runtime/log.ts";
import { repeat } from "./runtime/repeat.ts";
import type { Shutdown } from "./runtime/shutdown.ts";
import { systemClock } from "./runtime/system-clock.ts";
import { SenderBoard } from "./sender-board.ts";
import { TemplateSync } from "./template-sync.ts";
import { ManagementCalls } from "./whatsapp/cloud-api-management.ts";

export interface Management {
  /** By account, as last read. */
  readonly templates: ReadonlyMap<string, readonly WhatsAppTemplate[]>;
  readonly sync: TemplateSync;
  readonly numbers: NumberSync;
  readonly portfolios: Portfolios;
  readonly board: SenderBoard;
  /** A webhook that is not about a message. `accountId`: whom it is about. */
  notified(notification: { readonly field: string; readonly value: unknown; readonly accountId: string }): void;
  /** The threads stand. */
  attach(threads: ActorThreads): void;
  /** A thread of these partitions starts (again). */
  threadStarted(partitions: readonly number[]): void;
}

/** Owners of partitions change without a word to the portfolios; so does what people used in the last hour. */
const PLAN_EVERY_MS = 60_000;

interface ManagementParts {
  readonly config: Pick<EngineConfig, "whatsapp" | "dataDir">;
  readonly limits: LiveLimits;
  readonly registry: CampaignRegistry;
  readonly backbone: Backbone;
  readonly fromFiles: readonly WhatsAppTemplate[];
  readonly log: Log;
  readonly shutdown: Shutdown;
}

export function startManagement(parts: ManagementParts): Management {
  const { config, limits, log, shutdown } = parts;
  const { baseUrl, apiVersion } = config.whatsapp;
  const calls = new ManagementCalls({ baseUrl, apiVersion, clock: systemClock });
  shutdown.add("management calls", () => calls.close());
  const file = new GrantedFile(join(config.dataDir, "numbers.json"), log);
  for (const { id, phoneNumberId } of limits.senders) {
    const granted = file.of(phoneNumberId);
    if (granted !== null) limits.setGranted(id, granted);
  }
  let threads: ActorThreads | null = null;
  const { portfolios, board } = sharing(parts, () => threads);
  const templates = new Map<string, readonly WhatsAppTemplate[]>();
  const sync = templateSync(parts, calls, templates);
  const numbers = numberSync(parts, calls, file);
  limits.onChange(({ hasNewTokens }) => {
    portfolios.plan();
    threads?.setSenders(portfolios.threadSenders());
    if (!hasNewTokens) return;
    sync.refresh();
    numbers.refresh();
  });
  return {
    templates,
    sync,
    numbers,
    portfolios,
    board,
    notified: ({ field, value, accountId }) => {
      sync.notified(field, value);
      numbers.notified(field, value, accountId);
    },
    attach: (made) => {
      threads = made;
      portfolios.tellAgain(limits.senders.map(({ id }) => id));
    },
    threadStarted: (partitions) => {
      board.threadStarted(partitions);
      portfolios.tellAgain(limits.senders.map(({ id }) => id).filter((id) => partitions.includes(partitionOf(id))));
    },
  };
}

/** What one number's thread says and others have to know. */
function sharing(
  { limits, backbone, shutdown }: ManagementParts,
  threads: () => ActorThreads | null,
): { readonly portfolios: Portfolios; readonly board: SenderBoard } {
  const senders = (): LiveLimits["senders"] => limits.senders;
  const portfolios = new Portfolios({
    senders,
    grantedTo: (senderId) => limits.grantedTo(senderId),
    isElsewhere: (senderId) => isElsewhere(backbone, senderId),
    tell: (allowances) => threads()?.setAllowances(allowances),
    clock: systemClock,
  });
  shutdown.add("portfolios", () => portfolios.stop());
  shutdown.add(
    "plan of portfolios",
    repeat(systemClock, PLAN_EVERY_MS, () => portfolios.plan()),
  );
  const board = new SenderBoard({
    senders,
    onRecipients: (senderId, report) => portfolios.reported(senderId, report),
    onBlockedElsewhere: (news) => threads()?.blockedElsewhere(news),
  });
  return { portfolios, board };
}

function templateSync(
  { limits, registry, fromFiles, log, shutdown }: ManagementParts,
  calls: ManagementCalls,
  templates: Map<string, readonly WhatsAppTemplate[]>,
): TemplateSync {
  const sync = new TemplateSync({
    calls,
    senders: () => limits.senders,
    fromFiles,
    onTemplates: (wabaId, list) => {
      templates.set(wabaId, list);
      registry.setTemplates(templates);
    },
    clock: systemClock,
    log,
  });
  shutdown.add("template sync", () => sync.stop());
  return sync;
}

function numberSync({ limits, log, shutdown }: ManagementParts, calls: ManagementCalls, file: GrantedFile): NumberSync {
  const numbers = new NumberSync({
    calls,
    senders: () => limits.senders,
    onStanding: (senderId, standing) => {
      limits.setGranted(senderId, standing);
      file.set(limits.sender(senderId)?.phoneNumberId ?? "", standing);
    },
    clock: systemClock,
    log,
  });
  shutdown.add("number sync", () => numbers.stop());
  return numbers;
}

function isElsewhere(backbone: Backbone, senderId: string): boolean {
  const { node, partitions } = backbone.cluster();
  return partitions.length > 0 && partitions[partitionOf(senderId)]?.owner !== node;
}
