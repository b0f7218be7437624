// Several engines on one NATS JetStream: what one node takes any node tells, and nodes come and go without anyone's
// losing anything.

import assert from "node:assert/strict";
import { after, before, describe, test, type TestContext } from "node:test";

import { type ClusterSource, startClusterSource } from "../support/cluster-source.ts";
import { EngineCluster, sendersInAllPartitions, startEngineCluster } from "../support/engine-cluster.ts";
import type { AcceptedPost } from "../support/event-source.ts";
import { auditMessages, type AuditSummary, mostPerSecond } from "../support/message-audit.ts";
import { type NatsServer, startNatsServer, withoutNats } from "../support/nats-server.ts";
import { until } from "../support/until.ts";
import { greetingCampaign } from "../support/workspace.ts";

const PER_SECOND = 200;
const SENDERS = sendersInAllPartitions(PER_SECOND);
const UNCERTAIN_SECONDS = 5;
const POLICIES = Object.fromEntries(
  Object.keys(SENDERS).map((sender, index) => [`to-${sender}`, index % 2 === 0 ? "fail" : "resend"] as const),
);
const CAMPAIGNS = Object.keys(POLICIES);
const DEMO_EVENTS = 400;
const LOAD_PER_SECOND = 60;
const TAKEOVER_MS_MAX = 15_000;
const HANDOVER_MS_MAX = 2_000;
/** A change on one node is one on all of them. */
const NEWS_MS_MAX = 1_000;

const campaigns = Object.keys(SENDERS).map((sender) =>
  greetingCampaign(`to-${sender}`, {
    sender,
    uncertain: { waitSeconds: UNCERTAIN_SECONDS, then: POLICIES[`to-${sender}`] },
  }),
);

/** As shops post: single events and arrays. */
function sourceOf(cluster: EngineCluster, firstNumber: number, perSecond?: number): ClusterSource {
  return startClusterSource({
    nodes: () => cluster.urls(),
    campaigns: CAMPAIGNS,
    key: cluster.key,
    concurrency: 12,
    lengths: [1, 1, 1, 7],
    firstNumber,
    ...(perSecond === undefined ? {} : { perSecond }),
  });
}

/** The CSV of every node against the simulator's log. */
async function auditAll(cluster: EngineCluster, accepted: readonly AcceptedPost[]): Promise<AuditSummary> {
  await cluster.untilNothingWaits(CAMPAIGNS);
  const sends = await cluster.simulator.received();
  const last = cluster.nodes.findLast(({ isRunning }) => isRunning)?.index ?? 0;
  const summary = await auditMessages({
    accepted,
    rows: await cluster.rows(last, CAMPAIGNS),
    sends,
    policies: POLICIES,
    timeline: (id) => cluster.timeline(last, id),
  });
  for (const [number, most] of mostPerSecond(sends)) assert.ok(most <= PER_SECOND, `${number}: ${most} in a second`);
  assert.deepEqual(cluster.deaths, []);
  return summary;
}

test("one engine on JetStream: its CSV is what WhatsApp's log says", { skip: withoutNats, timeout: 90_000 }, async (context) => {
  const server = await startNatsServer();
  context.after(() => server.stop());
  const cluster = await startEngineCluster({ nodes: 1, servers: [server.url], replicas: 1, senders: SENDERS, campaigns });
  context.after(() => cluster.end());

  const source = sourceOf(cluster, 0);
  await source.untilAccepted(DEMO_EVENTS, 30_000);
  await source.stop();
  assert.deepEqual(source.strange, []);
  context.diagnostic(told(await auditAll(cluster, source.accepted)));
});

describe("three engines on one NATS", { skip: withoutNats, timeout: 240_000 }, () => {
  const accepted: AcceptedPost[] = [];
  let server: NatsServer;
  let cluster: EngineCluster;
  let nextNumber = 0;

  before(async () => {
    server = await startNatsServer();
    cluster = await startEngineCluster({ nodes: 3, servers: [server.url], replicas: 1, workers: 2, senders: SENDERS, campaigns });
  });
  after(async () => {
    await cluster?.end();
    await server?.stop();
  });

  /** Posts to all nodes while `work` goes on. Nothing but 503 may ever be refused. */
  async function underLoad(work: () => Promise<void>): Promise<ClusterSource> {
    const source = sourceOf(cluster, nextNumber, LOAD_PER_SECOND);
    try {
      await source.untilAccepted(LOAD_PER_SECOND, 30_000);
      await work();
    } finally {
      await source.stop();
      accepted.push(...source.accepted);
      nextNumber = Math.max(nextNumber, ...source.accepted.map(({ number }) => number)) + 1;
    }
    assert.deepEqual(source.strange, []);
    return source;
  }

  test("share the partitions, take events everywhere and tell the same CSV", async (context) => {
    await cluster.untilSpread(2);
    const source = sourceOf(cluster, nextNumber);
    await source.untilAccepted(DEMO_EVENTS, 30_000);
    await source.stop();
    accepted.push(...source.accepted);
    nextNumber += source.accepted.length;
    assert.deepEqual(source.strange, []);
    context.diagnostic(told(await auditAll(cluster, accepted)));
  });

  test("make one message of a key that all nodes get at the same time", async () => {
    const campaign = CAMPAIGNS[0] ?? "";
    const post = async (index: number, number: number): Promise<{ messageId: string; duplicate: boolean }> => {
      const answer = await fetch(`${cluster.nodes[index]?.url}/api/campaigns/${campaign}/trigger`, {
        method: "POST",
        headers: { "x-api-key": cluster.key, "content-type": "application/json", "idempotency-key": `same-${number}` },
        body: JSON.stringify({ phone: "+14155552671", order: `#${number}` }),
      });
      assert.equal(answer.status, 202);
      return (await answer.json()) as { messageId: string; duplicate: boolean };
    };
    const keys = Array.from({ length: 40 }, (_, index) => nextNumber + index);
    nextNumber += keys.length;
    for (const number of keys) {
      // oxlint-disable-next-line no-await-in-loop -- the copies of one key race, not the keys
      const copies = await Promise.all([0, 1, 2, 0, 1, 2].map((index) => post(index, number)));
      assert.equal(new Set(copies.map(({ messageId }) => messageId)).size, 1, JSON.stringify(copies));
      assert.equal(copies.filter(({ duplicate }) => !duplicate).length, 1, JSON.stringify(copies));
      accepted.push({ number, campaignId: campaign, messageId: copies[0]?.messageId ?? "" });
    }
  });

  test("know a campaign made, paused, activated and deleted on another node within a second", async (context) => {
    const path = "/api/campaigns/made-here";
    const sender = Object.keys(SENDERS)[0];
    const { id: _, ...definition } = greetingCampaign("made-here", { sender, status: "active" });
    const trigger = async (index: number): Promise<number> => {
      // Without a phone number: looked at by an active campaign, and then refused.
      const answer = await cluster.request(index, "POST", `${path}/trigger`, { order: "#1" });
      await answer.arrayBuffer();
      return answer.status;
    };
    const steps: readonly [string, number, () => Promise<Response>, number][] = [
      ["made", 0, () => cluster.request(0, "PUT", path, definition), 422],
      ["paused", 1, () => cluster.request(1, "POST", `${path}/pause`), 409],
      ["activated", 2, () => cluster.request(2, "POST", `${path}/activate`), 422],
      ["deleted", 1, () => cluster.request(1, "DELETE", path), 404],
    ];
    for (const [what, at, change, expected] of steps) {
      // oxlint-disable-next-line no-await-in-loop -- one change after the other
      const tookMs = await newsTime(what, at, change, async (index) => (await trigger(index)) === expected);
      context.diagnostic(`${what}: known everywhere after ${Math.round(tookMs)} ms`);
    }
  });

  test("know a key made on another node within a second, and refuse one that was revoked", async (context) => {
    const made = { id: "", key: "" };
    const create = async (): Promise<Response> => {
      const answer = await cluster.request(0, "POST", "/api/keys", { name: "shop", scope: "read" });
      Object.assign(made, await answer.clone().json());
      return answer;
    };
    const isTaken = async (index: number): Promise<boolean> => {
      const answer = await cluster.request(index, "GET", "/api/campaigns", undefined, made.key);
      await answer.arrayBuffer();
      return answer.status === 200;
    };
    const madeMs = await newsTime("made", 0, create, isTaken);
    const revoke = (): Promise<Response> => cluster.request(1, "DELETE", `/api/keys/${made.id}`);
    const revokedMs = await newsTime("revoked", 1, revoke, async (index) => !(await isTaken(index)));
    context.diagnostic(`made: ${Math.round(madeMs)} ms, revoked: ${Math.round(revokedMs)} ms`);
  });

  /** From the answer to the change until every node knows of it. */
  async function newsTime(
    what: string,
    at: number,
    change: () => Promise<Response>,
    isKnown: (index: number) => Promise<boolean>,
  ): Promise<number> {
    const answer = await change();
    assert.ok(answer.ok, `${what} on node ${at}: ${answer.status} ${await answer.text()}`);
    const startedAtMs = performance.now();
    const isKnownEverywhere = async (): Promise<boolean> =>
      (await Promise.all(cluster.nodes.map(({ index }) => isKnown(index)))).every(Boolean);
    assert.ok(await isKnown(at), `${what} is not known on the node that answered`);
    await until(`${what} on node ${at} is known everywhere`, isKnownEverywhere);
    const tookMs = performance.now() - startedAtMs;
    assert.ok(tookMs < NEWS_MS_MAX, `${what} on node ${at} took ${tookMs} ms to be known everywhere`);
    return tookMs;
  }

  test("take over at once from an engine that stops in good order, under load", async (context) => {
    await underLoad(async () => {
      const victim = busiest();
      const atMs = Date.now();
      const held = await cluster.stopNode(victim);
      const stoppedMs = Date.now() - atMs;
      const times = await cluster.untilTakenOver(held, victim, atMs);
      const released = cluster.changes.filter((change) => change.kind === "released" && change.node === victim);
      const gaps = held.map((partition, index) => {
        const freed = released.findLast((change) => change.partition === partition);
        return atMs + (times[index] ?? Number.NaN) - (freed?.atMs ?? Number.NaN);
      });
      context.diagnostic(`taken ${rounded(times)} ms after SIGTERM, ${rounded(gaps)} ms after their release; stopped after ${stoppedMs} ms`);
      assert.ok(Math.max(...gaps) < HANDOVER_MS_MAX, `taken ${rounded(gaps)} ms after their release`);
      await cluster.startNode(victim);
    });
  });

  test(`take over within 15 s from an engine killed with -9 under load`, async (context) => {
    await underLoad(async () => {
      const victim = busiest();
      const atMs = Date.now();
      const held = await cluster.killNode(victim);
      const times = await cluster.untilTakenOver(held, victim, atMs);
      context.diagnostic(`partitions ${held.join(", ")} taken after ${rounded(times)} ms`);
      assert.ok(Math.max(...times) < TAKEOVER_MS_MAX, `taken over after ${rounded(times)} ms`);
      await cluster.startNode(victim);
    });
  });

  test("lose and reject nothing while all of them are restarted one after the other under load", async (context) => {
    const source = await underLoad(async () => {
      for (const { index } of cluster.nodes) {
        // oxlint-disable-next-line no-await-in-loop -- a rolling restart
        await rollNode(index, context);
      }
    });
    context.diagnostic(`${source.accepted.length} events, ${JSON.stringify(source.counts)}`);
    context.diagnostic(told(await auditAll(cluster, accepted)));
  });

  /** The node with most partitions: the worst to lose. */
  function busiest(): number {
    const held = cluster.nodes.map(({ index }) => cluster.held(index).length);
    return held.indexOf(Math.max(...held));
  }

  async function rollNode(index: number, context: TestContext): Promise<void> {
    const atMs = Date.now();
    const held = await cluster.stopNode(index);
    const stoppedMs = Date.now() - atMs;
    await cluster.startNode(index);
    await cluster.untilAllOwned();
    context.diagnostic(`node ${index} gave up ${held.length} partitions, stopped in ${stoppedMs} ms, was back after ${Date.now() - atMs} ms`);
  }

  test("let a fresh fourth node tell everything that ever was", async (context) => {
    const startedAtMs = performance.now();
    const fresh = await cluster.addNode();
    const readyMs = performance.now() - startedAtMs;
    const rows = await cluster.rows(fresh, CAMPAIGNS);
    context.diagnostic(`ready after ${Math.round(readyMs)} ms with ${rows.length} rows`);
    assert.equal(rows.length, accepted.length, "a node that is ready has all rows");
    await cluster.untilSpread(1);
    context.diagnostic(told(await auditAll(cluster, accepted)));
  });
});

function told({ events, byStatus, unresolved, resent }: AuditSummary): string {
  return `${events} events ${JSON.stringify(byStatus)}, ${unresolved} unresolved, ${resent} resent by policy`;
}

function rounded(times: readonly number[]): string {
  return times.map((each) => Math.round(each)).join(", ");
}
