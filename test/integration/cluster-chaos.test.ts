// Three engines, three nats-servers, and everything that a machine can do to them: an engine is killed, a nats-server is
// killed, a nats-server freezes, an engine freezes and wakes up with what it believed before. What was promised with 202
// ends in one final status on every node's CSV, no number is ever above its limit, nothing is sent twice undeclared.
// VOLLEY_CHAOS=100000 for the long run.

import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import type { ClusterSource } from "../support/cluster-source.ts";
import { clusterTraffic, startTraffic } from "../support/cluster-traffic.ts";
import { type EngineCluster, startEngineCluster } from "../support/engine-cluster.ts";
import { auditMessages, certainlyMostPerSecond, mostPerSecond } from "../support/message-audit.ts";
import { untilReplicasCurrent } from "../support/nats-replicas.ts";
import { type NatsCluster, startNatsCluster, withoutNats } from "../support/nats-server.ts";

const EVENTS = Number(process.env["VOLLEY_CHAOS"] ?? 3_000);
const IS_LONG = EVENTS > 10_000;
/** Of each of the eight numbers, well below what the engines could send; events come a little faster than all limits. */
const PER_SECOND = Number(process.env["VOLLEY_CHAOS_LIMIT"] ?? (IS_LONG ? 80 : 10));
const POSTED_PER_SECOND = PER_SECOND * 8 * (IS_LONG ? 1.1 : 0.8);
const NATS_DOWN_MS = IS_LONG ? 5_000 : 1_000;
const NATS_FROZEN_MS = IS_LONG ? 20_000 : 8_000;
const ENGINE_FROZEN_MS = IS_LONG ? 30_000 : 14_000;
/** Between two faults, so that each finds all at work. */
const REST_MS = IS_LONG ? 5_000 : 500;
const TAKEOVER_MS_MAX = 15_000;
const UNCERTAIN_SECONDS = 8;
/** On a machine with time to spare also no stall may make messages arrive in a bunch above the limit. */
const IS_STRICT = process.env["VOLLEY_CHAOS_STRICT"] === "1";

const TRAFFIC = clusterTraffic(PER_SECOND, UNCERTAIN_SECONDS);

interface Scene {
  readonly cluster: EngineCluster;
  readonly nats: NatsCluster;
  readonly source: ClusterSource;
  readonly say: (line: string) => void;
  readonly takeovers: {
    readonly fault: string;
    readonly partitions: readonly number[];
    readonly times: readonly number[];
  }[];
}

const FAULTS: readonly { readonly name: string; readonly run: (scene: Scene) => Promise<void> }[] = [
  { name: "engine killed with -9 and started again", run: killEngine },
  { name: "nats-server killed with -9 and started again", run: killNats },
  { name: `nats-server frozen for ${NATS_FROZEN_MS / 1_000} s`, run: freezeNats },
  { name: `engine frozen for ${ENGINE_FROZEN_MS / 1_000} s`, run: freezeEngine },
];

test(
  `keeps its promises for ${EVENTS} events while engines and nats-servers die and freeze`,
  {
    skip: withoutNats,
    timeout: IS_LONG ? 1_800_000 : 240_000,
  },
  async (context) => {
    const nats = await startNatsCluster();
    context.after(() => nats.stop());
    const cluster = await startEngineCluster({
      nodes: 3,
      servers: nats.urls,
      replicas: 3,
      ...TRAFFIC,
      scenario: { answers: { latency: 10 }, webhooks: { retryAfterMs: 50, retryAfterMsMax: 1_000 } },
    });
    context.after(() => cluster.end());
    const source = startTraffic(cluster, TRAFFIC, { concurrency: 32, perSecond: POSTED_PER_SECOND });
    context.after(() => source.abandon());
    const scene: Scene = { cluster, nats, source, say: sayer(context), takeovers: [] };

    await source.untilAccepted(POSTED_PER_SECOND * 2, 60_000);
    for (const { name, run } of FAULTS) {
      // oxlint-disable-next-line no-await-in-loop -- in turn
      await suffer(scene, name, run);
    }
    await source.untilAccepted(EVENTS, (EVENTS / POSTED_PER_SECOND) * 3_000);
    await source.stop();
    scene.say(`${source.accepted.length} events accepted, ${JSON.stringify(source.counts)}`);

    const drainMs = 120_000 + (source.accepted.length / (PER_SECOND * 8)) * 3_000;
    await cluster.untilNothingWaits(TRAFFIC.campaignIds, drainMs);
    await check(scene);
  },
);

async function suffer(scene: Scene, name: string, run: (scene: Scene) => Promise<void>): Promise<void> {
  const { cluster, nats, source, say } = scene;
  source.longestRestMs();
  const before = { accepted: source.accepted.length, atMs: performance.now() };
  await run(scene);
  await untilReplicasCurrent(nats.urls, 3);
  await cluster.untilAllOwned();
  await cluster.untilSpread(1);
  const seconds = (performance.now() - before.atMs) / 1_000;
  const accepted = source.accepted.length - before.accepted;
  const restSeconds = (source.longestRestMs() / 1_000).toFixed(1);
  say(
    `${name}: over after ${seconds.toFixed(1)} s, ${accepted} events accepted meanwhile, ` +
      `longest time without a 202 ${restSeconds} s; owners ${cluster.owners().join("")}`,
  );
  await pause(REST_MS);
}

async function killEngine(scene: Scene): Promise<void> {
  const { cluster } = scene;
  await cluster.untilSpread(1);
  const atMs = Date.now();
  const held = await cluster.killNode(0);
  await takenOver(scene, "engine killed", held, 0, atMs);
  await cluster.startNode(0);
}

async function killNats({ nats, say }: Scene): Promise<void> {
  const server = await leadingServer(nats);
  say(`nats-server ${server + 1} is killed`);
  await nats.servers[server]?.kill();
  await pause(NATS_DOWN_MS);
  await nats.servers[server]?.start();
}

async function freezeNats({ nats, say }: Scene): Promise<void> {
  const server = await leadingServer(nats);
  say(`nats-server ${server + 1} is frozen`);
  nats.servers[server]?.pause();
  await pause(NATS_FROZEN_MS);
  nats.servers[server]?.resume();
}

async function freezeEngine(scene: Scene): Promise<void> {
  const { cluster, say } = scene;
  await cluster.untilSpread(1);
  const atMs = Date.now();
  const held = cluster.pauseNode(1);
  const wakesUp = pause(ENGINE_FROZEN_MS);
  await takenOver(scene, "engine frozen", held, 1, atMs);
  await wakesUp;
  cluster.resumeNode(1);
  const wokeAtMs = Date.now();
  await cluster.untilAllOwned();
  const lost = cluster.changes.filter(({ kind, node, atMs: at }) => node === 1 && at >= wokeAtMs && kind !== "taken");
  say(`the engine woke up and noticed the loss of ${lost.map(({ partition }) => partition).join(", ")}`);
}

async function takenOver(
  scene: Scene,
  fault: string,
  partitions: readonly number[],
  from: number,
  sinceMs: number,
): Promise<void> {
  const times = await scene.cluster.untilTakenOver(partitions, from, sinceMs);
  scene.takeovers.push({ fault, partitions, times });
  scene.say(`${fault}: partitions ${partitions.join(", ")} taken over after ${times.map(Math.round).join(", ")} ms`);
}

/** The server that leads most streams: the worst to lose. */
async function leadingServer(nats: NatsCluster): Promise<number> {
  const leaders = await untilReplicasCurrent(nats.urls, 3);
  const name = [...leaders].toSorted(([, one], [, other]) => other - one)[0]?.[0] ?? "";
  return nats.servers.findIndex(({ port }) => name.endsWith(`-${port}`));
}

async function check({ cluster, nats, source, takeovers, say }: Scene): Promise<void> {
  assert.deepEqual(cluster.deaths, []);
  assert.deepEqual(source.strange, []);
  const sends = await cluster.simulator.received();
  const { answers, webhooks } = await cluster.simulator.stats();
  const most = mostPerSecond(sends);
  say(`WhatsApp received ${sends.length}: ${JSON.stringify(answers)}`);
  say(`webhooks: ${JSON.stringify(webhooks)}, load balancer: ${JSON.stringify(cluster.webhookStats())}`);
  for (const { index, workspace, complaints } of cluster.nodes) {
    const counts: Record<string, number> = {};
    for (const { event } of complaints) counts[event] = (counts[event] ?? 0) + 1;
    say(`node ${index} (${workspace.folder}) complained: ${JSON.stringify(counts)}`);
  }
  if (process.env["VOLLEY_KEEP"] === "1") keepStores(nats);
  const rows = await cluster.rows(0, TRAFFIC.campaignIds);
  const certain = certainlyMostPerSecond(sends, rows);
  say(
    `most that arrived at a number within a second: ${Math.max(...most.values())} of ${PER_SECOND}, ` +
      `those that were surely sent within it: ${Math.max(...certain.values())}`,
  );
  const summary = await auditMessages({
    accepted: source.accepted,
    rows,
    sends,
    policies: TRAFFIC.policies,
    timeline: (id) => cluster.timeline(0, id),
  });
  say(`${summary.events} events: ${JSON.stringify(summary.byStatus)}, lost 0, undeclared duplicates 0`);
  say(
    `${summary.unresolved} failed as uncertain (${summary.unresolvedButSent} of them were sent), ${summary.resent} resent by policy`,
  );
  for (const [number, count] of IS_STRICT ? most : certain) {
    assert.ok(count <= PER_SECOND, `${count} messages in a second at ${number}, which may have ${PER_SECOND}`);
  }
  for (const { fault, times } of takeovers) {
    assert.ok(Math.max(...times) < TAKEOVER_MS_MAX, `${fault}: taken over after ${times.join(", ")} ms`);
  }
}

/** To compare what the replicas really have. */
function keepStores(nats: NatsCluster): void {
  nats.servers.forEach(({ storeDir }, index) => {
    cpSync(storeDir, join(tmpdir(), `nats-${index + 1}`), { recursive: true });
  });
}

/** Says it now, and again in the report. */
function sayer(context: TestContext): (line: string) => void {
  const startedAtMs = performance.now();
  return (line) => {
    const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1).padStart(6);
    context.diagnostic(`${seconds} s  ${line}`);
  };
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
