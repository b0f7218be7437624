// Several engines on one NATS JetStream are one engine: any node takes events, all tell the same CSV, and what is
// changed on one node is changed on all.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { auditCluster, clusterTraffic, startTraffic, summaryText } from "../support/cluster-traffic.ts";
import { type EngineCluster, startEngineCluster } from "../support/engine-cluster.ts";
import type { AcceptedPost } from "../support/event-source.ts";
import { type NatsServer, startNatsServer, withoutNats } from "../support/nats-server.ts";
import { until } from "../support/until.ts";
import { greetingCampaign } from "../support/workspace.ts";

const TRAFFIC = clusterTraffic(200, 5);
const EVENTS = 400;
const KEYS = 40;
/** A change on one node is one on all of them. */
const NEWS_MS_MAX = 1_000;

test(
  "one engine on JetStream: its CSV is what WhatsApp's log says",
  { skip: withoutNats, timeout: 90_000 },
  async (context) => {
    const server = await startNatsServer();
    context.after(() => server.stop());
    const cluster = await startEngineCluster({ nodes: 1, servers: [server.url], replicas: 1, ...TRAFFIC });
    context.after(() => cluster.end());

    const source = startTraffic(cluster, TRAFFIC, { concurrency: 12 });
    context.after(() => source.abandon());
    await source.untilAccepted(EVENTS, 30_000);
    await source.stop();
    assert.deepEqual(source.strange, []);
    context.diagnostic(summaryText(await auditCluster(cluster, TRAFFIC, source.accepted)));
  },
);

describe("three engines on one NATS", { skip: withoutNats, timeout: 120_000 }, () => {
  const accepted: AcceptedPost[] = [];
  let server: NatsServer;
  let cluster: EngineCluster;

  before(async () => {
    server = await startNatsServer();
    cluster = await startEngineCluster({ nodes: 3, servers: [server.url], replicas: 1, workers: 2, ...TRAFFIC });
  });
  after(async () => {
    await cluster?.end();
    await server?.stop();
  });

  test("share the partitions, take events everywhere and tell the same CSV", async (context) => {
    await cluster.untilSpread(2);
    const source = startTraffic(cluster, TRAFFIC, { concurrency: 12 });
    context.after(() => source.abandon());
    await source.untilAccepted(EVENTS, 30_000);
    await source.stop();
    accepted.push(...source.accepted);
    assert.deepEqual(source.strange, []);
    context.diagnostic(summaryText(await auditCluster(cluster, TRAFFIC, accepted)));
  });

  test("make one message of a key that all nodes get at the same time", async () => {
    const [campaignId = ""] = TRAFFIC.campaignIds;
    const post = async (index: number, number: number): Promise<{ messageId: string; duplicate: boolean }> => {
      const answer = await fetch(`${cluster.nodes[index]?.url}/api/campaigns/${campaignId}/trigger`, {
        method: "POST",
        headers: { "x-api-key": cluster.key, "content-type": "application/json", "idempotency-key": `same-${number}` },
        body: JSON.stringify({ phone: "+14155552671", order: `#same-${number}` }),
      });
      assert.equal(answer.status, 202);
      return (await answer.json()) as { messageId: string; duplicate: boolean };
    };
    for (let number = 0; number < KEYS; number++) {
      // oxlint-disable-next-line no-await-in-loop -- the copies of one key race, not the keys
      const copies = await Promise.all([0, 1, 2, 0, 1, 2].map((index) => post(index, number)));
      assert.equal(new Set(copies.map(({ messageId }) => messageId)).size, 1, JSON.stringify(copies));
      assert.equal(copies.filter(({ duplicate }) => !duplicate).length, 1, JSON.stringify(copies));
      accepted.push({ number: EVENTS * 10 + number, campaignId, messageId: copies[0]?.messageId ?? "" });
    }
    await auditCluster(cluster, TRAFFIC, accepted);
  });

  test("know a campaign made, paused, activated and deleted on another node within a second", async (context) => {
    const path = "/api/campaigns/made-here";
    const [sender] = Object.keys(TRAFFIC.senders);
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
    assert.ok(await isKnown(at), `${what} is not known on the node that answered`);
    const isKnownEverywhere = async (): Promise<boolean> =>
      (await Promise.all(cluster.nodes.map(({ index }) => isKnown(index)))).every(Boolean);
    await until(`${what} on node ${at} is known everywhere`, isKnownEverywhere);
    const tookMs = performance.now() - startedAtMs;
    assert.ok(tookMs < NEWS_MS_MAX, `${what} on node ${at} took ${tookMs} ms to be known everywhere`);
    return tookMs;
  }
});
