// Composition root of what listens: trigger doors, Meta's webhook and the operators' API on one server.

import { createOperatorsApi } from "./api/operators-api.ts";
import type { Backbone } from "./backbone.ts";
import type { CampaignRegistry } from "./campaign/campaign-registry.ts";
import { createCaughtUpArchive } from "./caught-up-archive.ts";
import type { ExportPool } from "./export-pool.ts";
import type { Figures } from "./figures.ts";
import type { ActorThreads } from "./actor-threads.ts";
import { createConsentWords } from "./consent/stop-words.ts";
import type { OptOutBook } from "./consent/opt-out-book.ts";
import { createAdmission } from "./ingress/admission.ts";
import { authorise } from "./ingress/authentication.ts";
import { createGroupCommit, type GroupCommit } from "./ingress/group-commit.ts";
import { createWhatsAppWebhookRoutes } from "./ingress/status-webhook.ts";
import { createTriggerRoutes } from "./ingress/trigger.ts";
import { startUwsServer, type UwsServer } from "./ingress/uws-server.ts";
import type { LiveLimits } from "./live-limits.ts";
import type { LedgerReader } from "./ledger/ledger-reader.ts";
import type { Management } from "./management.ts";
import { createMessageArchive } from "./message-archive.ts";
import { MessageIds } from "./message-ids.ts";
import { operatorsDeps } from "./operators.ts";
import { createOptOuts } from "./opt-outs.ts";
import type { EngineConfig } from "./runtime/config.ts";
import { EngineError, messageOf } from "./runtime/errors.ts";
import type { Route } from "./runtime/http.ts";
import type { Log } from "./runtime/log.ts";
import { systemClock } from "./runtime/system-clock.ts";
import { createTriggers } from "./triggers.ts";
import { parseNotification } from "./whatsapp/notification.ts";

export interface FrontParts {
  readonly config: EngineConfig;
  readonly limits: LiveLimits;
  readonly registry: CampaignRegistry;
  readonly backbone: Backbone;
  readonly ledgers: readonly LedgerReader[];
  readonly threads: ActorThreads;
  readonly exports: ExportPool;
  readonly figures: Figures;
  readonly management: Management;
  unreadiness(): readonly string[];
  /** The engine can no longer keep its promises. */
  onFatal(error: EngineError): void;
  readonly isSimulated: boolean;
  readonly log: Log;
}

export async function startFront(parts: FrontParts): Promise<UwsServer> {
  const { stream } = parts.backbone;
  const commit = createGroupCommit({
    append: async (batch) => {
      const positions = await stream.append(batch.envelopes).catch((error: unknown) => {
        // A full disk may be freed, and until then callers get 503. After a failed fsync nothing can be trusted.
        const failure = stream.failure();
        if (failure?.kind === "broken") parts.onFatal(new EngineError("ERR_STREAM_WRITE", failure.message));
        throw error;
      });
      parts.threads.appended(new Set(positions.map(({ partition }) => partition)));
    },
    isAvailable: () => stream.unavailability() === null,
    defer: (call) => void setImmediate(call),
    onFault: (error) => parts.log.error("answer.failed", { reason: messageOf(error) }),
  });
  const optOuts = createOptOuts({ ...parts, store: parts.backbone.optOuts });
  const routes = [
    ...triggerRoutes(parts, commit),
    ...webhookRoutes(parts, optOuts, commit),
    ...operatorRoutes(parts, optOuts),
  ];
  const { host, port } = parts.config.server;
  return startUwsServer({ host, port, routes, log: parts.log, clock: systemClock });
}

function triggerRoutes(parts: FrontParts, commit: GroupCommit): Route[] {
  const { limits, registry, backbone, figures, log } = parts;
  const { keys, stream } = backbone;
  const ids = new MessageIds({
    node: backbone.nodeNumber,
    firstSequence: Math.floor(Math.random() * 2 ** 31),
    nowMs: () => systemClock.nowMs(),
  });
  return createTriggerRoutes({
    campaign: createTriggers((id) => registry.get(id), log),
    authorise: (request, need) => authorise((text) => keys.find(text), request, need),
    admit: createAdmission({ perSecond: () => limits.limits.triggersPerSecondPerKey }),
    nextMessageId: (campaign) => ids.next(campaign.partition, campaign.number),
    findClaim: (key) => stream.findClaim(key),
    commit,
    backlog: () => ({ waiting: figures.waiting + commit.waiting(), max: limits.limits.backlogMax }),
    onAccepted: (campaign, isDuplicate, ackMs) => figures.accepted(campaign.number, { isDuplicate, ackMs }),
    onRefused: (campaignId, code) => {
      const campaign = campaignId === null ? undefined : registry.get(campaignId);
      if (campaign !== undefined) figures.refused(campaign.number, code);
    },
    clock: systemClock,
    random: () => Math.random(),
    log,
  });
}

function webhookRoutes(parts: FrontParts, optOuts: OptOutBook, commit: GroupCommit): Route[] {
  const { limits, log } = parts;
  let wordOf = createConsentWords(limits.consent);
  limits.onChange(() => (wordOf = createConsentWords(limits.consent)));
  return createWhatsAppWebhookRoutes({
    appSecrets: () =>
      [limits.whatsapp.appSecret, limits.whatsapp.appSecretBefore ?? ""].filter((secret) => secret !== ""),
    verifyToken: () => limits.whatsapp.verifyToken,
    parse: (text) => parseNotification(text, (words) => wordOf(words)),
    commit,
    hearConsents: async (consents, people) => {
      try {
        await optOuts.hear(consents, people);
      } catch (error) {
        log.error("consent.unstored", { reason: messageOf(error) });
        throw error;
      }
    },
    onNotification: ({ unmatched, notifications }) => {
      if (unmatched > 0) log.info("status.unmatched", { count: unmatched });
      for (const notification of notifications) {
        log.info("notification.received", { field: notification.field });
        parts.management.notified(notification);
      }
    },
    onRefused: (code) => log.warn("webhook.refused", { code }),
    random: () => Math.random(),
  });
}

function operatorRoutes(parts: FrontParts, optOuts: OptOutBook): Route[] {
  const { ledgers, exports, backbone } = parts;
  const { keys, stream } = backbone;
  const replay = backbone.replay.bind(backbone);
  const archive = createMessageArchive({ ledgers, exports, replay });
  const messages = createCaughtUpArchive(archive, { stream, ledgers, clock: systemClock });
  return createOperatorsApi(
    operatorsDeps({
      ...parts,
      keys,
      stream,
      messages,
      optOuts,
      cluster: () => backbone.cluster(),
      nowMs: () => systemClock.nowMs(),
    }),
  );
}
