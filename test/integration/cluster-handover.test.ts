// Engines come and go under load: they stop in good order, are killed, are restarted one after the other, and a new one
// joins. Nothing is lost, and callers are refused nothing but a retryable 503.

import assert from "node:assert/strict";
import { after, before, describe, test, type TestContext } from "node:test";

import type { ClusterSource } from "../support/cluster-source.ts";
import { auditCluster, clusterTraffic, startTraffic, summaryText } from "../support/cluster-traffic.ts";
import { type EngineCluster, startEngineCluster } from "../support/engine-cluster.ts";
import type { AcceptedPost } from "../support/event-source.ts";
import { type NatsServer, startNatsServer, withoutNats } from "../support/nats-server.ts";

const TRAFFIC = clusterTraffic(200, 5);
const LOAD_PER_SECOND = 60;
const TAKEOVER_MS_MAX = 15_000;
const HANDOVER_MS_MAX = 2_000;

describe("three engines under load", { skip: withoutNats, timeout: 240_000 }, () => {
  const accepted: AcceptedPost[] = [];
  let server: NatsServer;
  let cluster: EngineCluster;
  let nextNumber = 0;

  before(async () => {
    server = await startNatsServer();
    cluster = await startEngineCluster({ nodes: 3, servers: [server.url], replicas: 1, workers: 2, ...TRAFFIC });
    await cluster.untilSpread(2);
  });
  after(async () => {
    await cluster?.end();
    await server?.stop();
  });

  test("take over at once from an engine that stops in good order", async (context) => {
    await underLoad(async () => {
      const victim = busiest();
      const atMs = Date.now();
      const held = await cluster.stopNode(victim);
      const stoppedMs = Date.now() - atMs;
      const times = await cluster.untilTakenOver(held, victim, atMs);
      const released = cluster.changes.filter(({ kind, node }) => kind === "released" && node === victim);
      const gaps = held.map((partition, index) => {
        const freed = released.findLast((change) => change.partition === partition);
        return atMs + (times[index] ?? Number.NaN) - (freed?.atMs ?? Number.NaN);
      });
      context.diagnostic(
        `taken ${rounded(times)} ms after SIGTERM, ${rounded(gaps)} ms after their release; stopped after ${stoppedMs} ms`,
      );
      assert.ok(Math.max(...gaps) < HANDOVER_MS_MAX, `taken ${rounded(gaps)} ms after their release`);
      await cluster.startNode(victim);
    });
  });

  test("take over within 15 s from an engine killed with -9", async (context) => {
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

  test("lose and reject nothing while all of them are restarted one after the other", async (context) => {
    const source = await underLoad(async () => {
      for (const { index } of cluster.nodes) {
        // oxlint-disable-next-line no-await-in-loop -- a rolling restart
        await rollNode(index, context);
      }
    });
    context.diagnostic(`${source.accepted.length} events, ${JSON.stringify(source.counts)}`);
    context.diagnostic(summaryText(await auditCluster(cluster, TRAFFIC, accepted)));
  });

  test("let a fresh fourth node tell everything that ever was", async (context) => {
    const startedAtMs = performance.now();
    const fresh = await cluster.addNode();
    const readyMs = performance.now() - startedAtMs;
    const rows = await cluster.rows(fresh, TRAFFIC.campaignIds);
    context.diagnostic(`ready after ${Math.round(readyMs)} ms with ${rows.length} rows`);
    assert.equal(rows.length, accepted.length, "a node that is ready has all rows");
    await cluster.untilSpread(1);
    context.diagnostic(summaryText(await auditCluster(cluster, TRAFFIC, accepted)));
  });

  /** Posts to all nodes while `work` goes on. */
  async function underLoad(work: () => Promise<void>): Promise<ClusterSource> {
    const source = startTraffic(cluster, TRAFFIC, {
      concurrency: 12,
      firstNumber: nextNumber,
      perSecond: LOAD_PER_SECOND,
    });
    try {
      await source.untilAccepted(LOAD_PER_SECOND, 30_000);
      await work();
      await source.stop();
    } finally {
      await source.abandon();
      for (const each of source.accepted) {
        accepted.push(each);
        nextNumber = Math.max(nextNumber, each.number + 1);
      }
    }
    assert.deepEqual(source.strange, []);
    return source;
  }

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
    context.diagnostic(
      `node ${index} gave up ${held.length} partitions, stopped in ${stoppedMs} ms, was back after ${Date.now() - atMs} ms`,
    );
  }
});

function rounded(times: readonly number[]): string {
  return times.map((each) => Math.round(each)).join(", ");
}
