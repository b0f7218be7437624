// The power fails: engine and nats-server lose everything that they did not fsync, at a random moment under load. What
// was answered with 202 before ends in exactly one final status, and WhatsApp hears of no event twice unless the
// campaign's policy says so. VOLLEY_POWER_CUTS=20 for the long run; VOLLEY_POWER_CUT_DRIVER=jetstream for one driver.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

import { startSimulatorThread } from "../../engine/simulator/simulator-thread.ts";
import { type ClusterSource, startClusterSource } from "../support/cluster-source.ts";
import { parseCsv } from "../support/csv.ts";
import { EngineProcess } from "../support/engine-process.ts";
import { LoopDisk, withoutLoopDisks } from "../support/loop-disk.ts";
import { auditMessages } from "../support/message-audit.ts";
import { type NatsServer, startNatsServer, withoutNats } from "../support/nats-server.ts";
import { until } from "../support/until.ts";
import {
  ACCESS_TOKEN,
  APP_SECRET,
  createWorkspace,
  GREETING,
  greetingCampaign,
  OFFER,
  PHONE_NUMBER_ID,
  WABA_ID,
  type Workspace,
} from "../support/workspace.ts";

const CUTS = Number(process.env["VOLLEY_POWER_CUTS"] ?? 1);
const ONLY = process.env["VOLLEY_POWER_CUT_DRIVER"];
const LIFE_MS = { least: 500, spread: 4_000 };
/** What comes waits for its turn: a cut finds messages in every state. */
const POSTED_PER_SECOND = 180;
const SENT_PER_SECOND = 150;
const UNCERTAIN_SECONDS = 4;
/** With this cut, and each of its multiples, nats-server loses its whole store. */
const STORE_LOST_EVERY = 7;
const POLICIES = { careful: "fail", eager: "resend" } as const;
const CAMPAIGNS = Object.keys(POLICIES);
const TEST_MS_MAX = 120_000 + CUTS * 60_000;

for (const driver of ["embedded", "jetstream"] as const) {
  const skip = withoutLoopDisks || (driver === "jetstream" && withoutNats) || (ONLY !== undefined && ONLY !== driver);
  test(
    `keeps what it promised over ${CUTS} power cuts with the ${driver} stream`,
    { skip: skip === true ? "not asked for" : skip, timeout: TEST_MS_MAX },
    (context) => cutPower(context, driver),
  );
}

interface Machine {
  readonly disk: LoopDisk;
  readonly engine: EngineProcess;
  readonly nats: NatsServer | null;
}

async function cutPower(context: TestContext, driver: "embedded" | "jetstream"): Promise<void> {
  // Last begun, first ended: a disk in use cannot be taken away.
  const endings: (() => unknown)[] = [];
  context.after(async () => {
    // oxlint-disable-next-line no-await-in-loop -- in turn
    for (const end of endings.toReversed()) await end();
  });
  const simulator = await startSimulatorThread({
    templates: [GREETING, OFFER],
    senders: [{ phoneNumberId: PHONE_NUMBER_ID, wabaId: WABA_ID, messagesPerSecond: SENT_PER_SECOND }],
    accessTokens: [ACCESS_TOKEN],
    appSecret: APP_SECRET,
    receivedMax: 1_000_000,
    scenario: { answers: { latency: { minMs: 5, maxMs: 60 } }, webhooks: { retryAfterMs: 50, retryAfterMsMax: 500 } },
  });
  endings.push(() => simulator.close());
  const disk = LoopDisk.create();
  endings.push(() => disk.remove());
  const nats = driver === "jetstream" ? await startNatsServer({ storeDir: join(disk.mountPoint, "nats") }) : null;
  endings.push(() => nats?.stop());
  const workspace = await createWorkspace({
    whatsappUrl: simulator.url,
    messagesPerSecond: SENT_PER_SECOND,
    dataDir: join(disk.mountPoint, "engine"),
    ...(nats === null ? {} : { stream: { driver, servers: [nats.url] } }),
    campaigns: Object.entries(POLICIES).map(([id, then]) =>
      greetingCampaign(id, { uncertain: { waitSeconds: UNCERTAIN_SECONDS, then } }),
    ),
  });
  endings.push(() => workspace.remove());
  await simulator.setWebhookUrl(`${workspace.url}/webhooks/whatsapp`);
  const boot = join(workspace.folder, "boot-id");
  const deaths: string[] = [];
  const engine = new EngineProcess(workspace, {
    launcher: launcherOf(boot),
    onDeath: (how) => deaths.push(`the engine ended by itself with ${how}:\n${engine.output.slice(-4_000)}`),
  });
  endings.push(() => engine.end("SIGKILL"));

  writeFileSync(boot, `${randomUUID()}\n`);
  await engine.start();
  const key = engine.adminKey;
  const source = startClusterSource({
    nodes: () => [workspace.url],
    campaigns: CAMPAIGNS,
    key,
    concurrency: 8,
    lengths: [1, 1, 5],
    perSecond: POSTED_PER_SECOND,
  });
  endings.push(() => source.abandon());
  const machine: Machine = { disk, engine, nats };
  let lost = 0;
  for (let cut = 1; cut <= CUTS; cut++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    lost += await cutOnce({ context, machine, source, boot, cut });
    assert.deepEqual(deaths, []);
  }
  await source.stop();
  assert.deepEqual(source.strange, []);
  if (nats !== null) assert.ok(lost > 0, "nats-server alone lost nothing, so that this test proves nothing");

  await untilNothingWaits(workspace, key, 60_000 + (source.accepted.length / SENT_PER_SECOND) * 2_000);
  await simulator.idle();
  const summary = await auditMessages({
    accepted: source.accepted,
    rows: (await Promise.all(CAMPAIGNS.map((id) => csv(workspace, key, id)))).flatMap(parseCsv),
    sends: await simulator.received(),
    policies: POLICIES,
    timeline: (id) => timeline(workspace, key, id),
  });
  context.diagnostic(
    `${CUTS} power cuts, ${summary.events} events accepted, 0 lost, 0 undeclared duplicates: ${JSON.stringify(summary.byStatus)}, ` +
      `${summary.unresolved} failed as uncertain (${summary.unresolvedButSent} of them were sent), ${summary.resent} resent by policy; ` +
      (nats === null ? "" : `nats-server lost ${lost} messages that it had acknowledged; `) +
      JSON.stringify(source.counts),
  );
}

/** @returns how many stored messages nats-server lost. */
async function cutOnce(parts: {
  readonly context: TestContext;
  readonly machine: Machine;
  readonly source: ClusterSource;
  readonly boot: string;
  readonly cut: number;
}): Promise<number> {
  const { machine, source, boot, cut } = parts;
  const { disk, engine, nats } = machine;
  await source.untilAccepted(source.accepted.length + 1, 60_000);
  const lifeMs = LIFE_MS.least + Math.random() * LIFE_MS.spread;
  // In the first half of the cuts the kernel flushes on the way: nats-server loses only what came after.
  const flushAtMs = cut <= Math.ceil(CUTS / 2) ? Math.random() * lifeMs : null;
  if (flushAtMs !== null) {
    await pause(flushAtMs);
    await disk.sync();
  }
  await pause(lifeMs - (flushAtMs ?? 0));
  const stored = nats === null ? 0 : await storedMessages(nats.url);
  const promised = source.accepted.length;
  const marker = join(disk.mountPoint, `not-synced-${cut}`);
  writeFileSync(marker, "written, but nobody waited for the disk");

  engine.pause();
  nats?.pause();
  disk.powerOff();
  await engine.end("SIGKILL");
  await nats?.kill();
  disk.powerOn();
  const found = existsSync(marker) ? readFileSync(marker, "utf8") : "";
  assert.equal(found, "", "the disk kept what was not synced: this is no power cut");

  // A server that is new, or whose streams' definitions were lost, has nothing at all.
  if (nats !== null && cut % STORE_LOST_EVERY === 0) rmSync(nats.storeDir, { recursive: true });

  const startedAtMs = performance.now();
  await nats?.start();
  const left = nats === null ? 0 : await storedMessages(nats.url);
  // Another boot of the machine: LMDB trusts a data file of the same boot more than it may here.
  writeFileSync(boot, `${randomUUID()}\n`);
  await engine.start();
  const readyMs = Math.round(performance.now() - startedAtMs);
  parts.context.diagnostic(
    `cut ${cut} after ${Math.round(lifeMs)} ms: ${promised} events promised so far` +
      (nats === null ? "" : `, nats-server had ${stored} messages and kept ${left}`) +
      `; ready again after ${readyMs} ms`,
  );
  return Math.max(0, stored - left);
}

/** In all streams of the engine, those that were lost again not counted. */
async function storedMessages(url: string): Promise<number> {
  const connection = await connect({ servers: url });
  try {
    const manager = await jetstreamManager(connection);
    const streams = await manager.streams.list().next();
    return streams
      .filter(({ config }) => config.name.startsWith("VOLLEY_"))
      .reduce((sum, { state }) => sum + state.last_seq, 0);
  } finally {
    await connection.close();
  }
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}

/** Gives the process another boot id than this machine's, where that can be done. */
function launcherOf(boot: string): readonly string[] {
  try {
    execFileSync("unshare", ["-m", "true"], { stdio: "ignore" });
  } catch {
    return [];
  }
  return ["unshare", "-m", "sh", "-c", `mount --bind '${boot}' /proc/sys/kernel/random/boot_id && exec "$@"`, "sh"];
}

async function ask(workspace: Workspace, key: string, path: string): Promise<string> {
  const answer = await fetch(`${workspace.url}${path}`, { headers: { "x-api-key": key } });
  const text = await answer.text();
  assert.equal(answer.status, 200, `${path}: ${answer.status} ${text.slice(0, 500)}`);
  return text;
}

function csv(workspace: Workspace, key: string, campaignId: string): Promise<string> {
  return ask(workspace, key, `/api/campaigns/${campaignId}/messages.csv`);
}

async function timeline(workspace: Workspace, key: string, messageId: string): Promise<readonly string[]> {
  const text = await ask(workspace, key, `/api/messages/${messageId}`);
  return (JSON.parse(text) as { timeline: { status: string }[] }).timeline.map(({ status }) => status);
}

async function untilNothingWaits(workspace: Workspace, key: string, deadlineMs: number): Promise<void> {
  let stats: readonly string[] = [];
  const nothingWaits = async (): Promise<boolean> => {
    stats = await Promise.all(CAMPAIGNS.map((id) => ask(workspace, key, `/api/campaigns/${id}/stats`)));
    return stats.every((text) => (JSON.parse(text) as { waiting: number }).waiting === 0);
  };
  await until("nothing waits", nothingWaits, deadlineMs).catch((error: unknown) => {
    throw new Error(`messages wait on: ${stats.join("\n")}`, { cause: error });
  });
}
