// What runs through a cluster in tests: one campaign to each partition's number, which either fails or resends what is
// uncertain, and the audit of it on every node.

import assert from "node:assert/strict";

import { type ClusterSource, startClusterSource } from "./cluster-source.ts";
import { type EngineCluster, type Senders, sendersInAllPartitions } from "./engine-cluster.ts";
import type { AcceptedPost } from "./event-source.ts";
import { type AuditSummary, auditMessages, certainlyMostPerSecond } from "./message-audit.ts";
import { greetingCampaign } from "./workspace.ts";

export interface ClusterTraffic {
  readonly senders: Senders;
  readonly perSecond: number;
  readonly campaigns: readonly { readonly id: string }[];
  readonly campaignIds: readonly string[];
  /** By campaign. */
  readonly policies: Readonly<Record<string, "fail" | "resend">>;
}

/** Events of a post: shops post single ones, and now and then an array. */
const LENGTHS = [1, 1, 1, 7];

/** @param perSecond of each number. */
export function clusterTraffic(perSecond: number, uncertainSeconds: number): ClusterTraffic {
  const senders = sendersInAllPartitions(perSecond);
  const policyOf = (index: number): "fail" | "resend" => (index % 2 === 0 ? "fail" : "resend");
  const campaigns = Object.keys(senders).map((sender, index) =>
    greetingCampaign(`to-${sender}`, {
      sender,
      uncertain: { waitSeconds: uncertainSeconds, then: policyOf(index) },
    }),
  );
  return {
    senders,
    perSecond,
    campaigns,
    campaignIds: campaigns.map(({ id }) => id),
    policies: Object.fromEntries(campaigns.map(({ id }, index) => [id, policyOf(index)])),
  };
}

export function startTraffic(
  cluster: EngineCluster,
  traffic: ClusterTraffic,
  options: { readonly concurrency: number; readonly firstNumber?: number; readonly perSecond?: number },
): ClusterSource {
  return startClusterSource({
    nodes: () => cluster.urls(),
    campaigns: traffic.campaignIds,
    key: cluster.key,
    lengths: LENGTHS,
    ...options,
  });
}

/** Once all is final: every node's CSV against what was promised and what WhatsApp received. */
export async function auditCluster(
  cluster: EngineCluster,
  traffic: ClusterTraffic,
  accepted: readonly AcceptedPost[],
): Promise<AuditSummary> {
  const { campaignIds, policies, perSecond } = traffic;
  await cluster.untilNothingWaits(campaignIds);
  const sends = await cluster.simulator.received();
  const last = cluster.nodes.findLast(({ isRunning }) => isRunning)?.index ?? 0;
  const rows = await cluster.rows(last, campaignIds);
  const timeline = (id: string): Promise<readonly string[]> => cluster.timeline(last, id);
  const summary = await auditMessages({ accepted, rows, sends, policies, timeline });
  for (const [number, count] of certainlyMostPerSecond(sends, rows)) {
    assert.ok(count <= perSecond, `${count} messages in a second at ${number}, which may have ${perSecond}`);
  }
  assert.deepEqual(cluster.deaths, []);
  return summary;
}

export function summaryText({ events, byStatus, unresolved, resent }: AuditSummary): string {
  return `${events} events ${JSON.stringify(byStatus)}, ${unresolved} failed as uncertain, ${resent} resent by policy`;
}
