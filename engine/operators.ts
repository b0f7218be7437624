// What the operators' API sees of the running engine.

import type { CampaignEntry, CampaignFigures, ClusterView, OperatorsApiDeps } from "./api/operators-api-deps.ts";
import type { CampaignRegistry } from "./campaign/campaign-registry.ts";
import type { Figures } from "./figures.ts";
import { authorise } from "./ingress/authentication.ts";
import type { KeyStore } from "./ingress/lmdb-key-store.ts";
import type { LiveLimits } from "./live-limits.ts";
import type { Management } from "./management.ts";
import type { LedgerReader } from "./ledger/ledger-reader.ts";
import { checkCampaign } from "./runtime/campaign-definition.ts";
import { messageOf } from "./runtime/errors.ts";
import type { Log } from "./runtime/log.ts";
import { senderView } from "./sender-view.ts";
import type { Stream } from "./stream/stream.ts";

export interface OperatorsParts {
  readonly limits: LiveLimits;
  readonly registry: CampaignRegistry;
  readonly keys: KeyStore;
  readonly stream: Pick<Stream, "unavailability">;
  cluster(): ClusterView;
  readonly ledgers: readonly LedgerReader[];
  readonly figures: Figures;
  readonly messages: OperatorsApiDeps["messages"];
  readonly optOuts: OperatorsApiDeps["optOuts"];
  readonly management: Management;
  /** What is missing for readiness, in words. */
  unreadiness(): readonly string[];
  readonly isSimulated: boolean;
  nowMs(): number;
  readonly log: Log;
}

export function operatorsDeps(parts: OperatorsParts): OperatorsApiDeps {
  const { registry, keys, log } = parts;
  return {
    authorise: (request, need) => {
      const access = authorise((text) => keys.find(text), request, need);
      if (access.kind === "refused") return { kind: "refused", response: access.response };
      return { kind: "allowed", isAdmin: access.key.scope === "admin", campaigns: access.key.campaigns };
    },
    campaigns: {
      get: (id) => registry.get(id),
      list: () => registry.list(),
      checkCampaign,
      put: (definition) => registry.put(definition),
      remove: (id) => registry.remove(id),
      setStatus: (id, status) => registry.setStatus(id, status),
    },
    keys,
    messages: parts.messages,
    optOuts: parts.optOuts,
    stats: (campaign) => campaignFigures(parts, campaign),
    senders: () => parts.limits.senders.map((sender) => senderView(parts, sender)),
    unknownErrorCodes: () => parts.management.board.unknownCodes,
    readiness: () => {
      const unavailability = parts.stream.unavailability();
      const reasons = [...parts.unreadiness(), ...(unavailability === null ? [] : [unavailability])];
      return { isReady: reasons.length === 0, reasons, isSimulated: parts.isSimulated };
    },
    cluster: () => parts.cluster(),
    nowMs: () => parts.nowMs(),
    onExportBroken: (campaignId, error) => log.error("export.broken", { campaignId, reason: messageOf(error) }),
  };
}

function campaignFigures(parts: OperatorsParts, campaign: CampaignEntry): CampaignFigures {
  const { figures, ledgers, limits } = parts;
  const { definition, number } = campaign;
  const counters = {
    accepted: 0,
    byStatus: {} as Record<string, number>,
    byError: {} as Record<string, number>,
    doubleSends: 0,
  };
  for (const ledger of ledgers) {
    const state = ledger.campaignState(number);
    if (state === undefined) continue;
    counters.accepted += state.counters.accepted;
    counters.doubleSends += state.counters.doubleSends;
    addCounts(counters.byStatus, state.counters.byStatus);
    addCounts(counters.byError, state.counters.byError);
  }
  const { requestsAccepted, refusals, ...flow } = figures.flowOf(number);
  const underWay = Math.max(0, flow.underWay);
  counters.accepted += underWay;
  addCounts(counters.byStatus, { queued: underWay });
  const refused = [...refusals.values()].reduce((sum, count) => sum + count, 0);
  const senderPerSecond = limits.sender(definition.sender)?.messagesPerSecond ?? 0;
  return {
    counters,
    requests: { accepted: requestsAccepted, refused },
    oldestWaitingAtMs: figures.oldestWaitingAtMs(number),
    delayed: figures.delayed(number),
    perSecond: figures.perSecond(number),
    dispatchPerSecondMax: Math.min(definition.messagesPerSecond ?? senderPerSecond, senderPerSecond),
    ackMs: figures.ackMs,
    responseMs: figures.responseMs,
  };
}

function addCounts(sum: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [key, count] of Object.entries(counts)) sum[key] = (sum[key] ?? 0) + count;
}
