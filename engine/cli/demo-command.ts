// volley demo: the whole path in one command. Orders of an invented shop go in, a simulated WhatsApp takes the
// messages and sends its signed statuses back, a CSV comes out, and the books of all three are compared.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { CampaignStatsView } from "../api/campaign-stats.ts";
import type { Engine } from "../main.ts";
import { EngineError } from "../runtime/errors.ts";
import type { ScenarioInput } from "../simulator/scenario.ts";
import type { SimulatorThread } from "../simulator/simulator-thread.ts";
import { createApiClient, type ApiClient } from "./api-client.ts";
import { usageError, type Command, type CommandCall } from "./command.ts";
import { csvRows } from "./csv-rows.ts";
import { auditDemo, expectedEnds } from "./demo-audit.ts";
import { startDemoNatsServer } from "./demo-nats-server.ts";
import { summaryJson, summaryLines, type DemoSummary } from "./demo-summary.ts";
import { runTraffic } from "./demo-traffic.ts";
import type { TrafficResult } from "./demo-traffic-thread.ts";
import type { DemoWorkspace } from "./demo-workspace.ts";
import { exportToFile } from "./export-command.ts";
import { startProgressBar } from "./progress-bar.ts";
import { shownPath } from "./shown-path.ts";
import { firstSignal } from "./signals.ts";
import type { Terminal } from "./stdout-terminal.ts";
import { countText } from "./table.ts";

const CAMPAIGN = "order-confirmation";
const CAMPAIGN_PATH = `/api/campaigns/${CAMPAIGN}`;
const EVENTS_DEFAULT = 1_000;
/** The comparison holds every id and row in memory; the simulator remembers this many sends. */
const EVENTS_MAX = 200_000;
const SEED_MAX = 2 ** 32 - 2;
const LOOK_EVERY_MS = 50;
/** Nothing moved for so long: something is lost. */
const STALLED_MS = 30_000;
const LAST_STATUSES_MS = 10_000;
const EXIT_INTERRUPTED = 130;

/** WhatsApp on a good day, only faster: some numbers are not reachable, webhooks come twice and out of order. */
const SCENARIO: ScenarioInput = {
  preset: "realistic",
  answers: { latency: { medianMs: 10, p99Ms: 60 } },
  failures: [
    { code: 131026, share: 0.02, where: "webhook" },
    { code: 131049, share: 0.01, where: "webhook" },
    { code: 131000, share: 0.002, where: "answer" },
  ],
  statuses: {
    sentAfter: { medianMs: 15, p99Ms: 80 },
    deliveredAfter: { medianMs: 30, p99Ms: 150 },
    readAfter: { medianMs: 60, p99Ms: 300 },
    readShare: 0.7,
    deliveredSkippedShare: 0.02,
    duplicateShare: 0.05,
    reorderShare: 0.05,
    reorderBy: { minMs: 20, maxMs: 200 },
  },
};

export const demoCommand: Command = {
  name: "demo",
  summary: "Show the whole path on this machine: events in, messages out, statuses back, a CSV",
  positionals: [],
  options: {
    events: {
      value: "n",
      description: `how many order events (default ${EVENTS_DEFAULT}, at most ${EVENTS_MAX})`,
    },
    seed: { value: "n", description: "the same shop and orders again (default random)" },
    stream: {
      value: "driver",
      description: "embedded (default), or jetstream: with a nats-server of the demo's own",
    },
    "data-dir": { value: "folder", description: "wiped at the start (default data/demo)" },
    json: { description: "print the summary as JSON" },
  },
  examples: ["volley demo", "npm run demo -- --events 5000", "npm run demo -- --stream jetstream"],
  run: demo,
};

async function demo(call: CommandCall): Promise<number> {
  const { options, terminal } = call;
  const events = options.integer("events", { min: 1, max: EVENTS_MAX }) ?? EVENTS_DEFAULT;
  const seed = options.integer("seed", { min: 0, max: SEED_MAX }) ?? Math.floor(Math.random() * SEED_MAX);
  const environment = withoutCredentials(call.environment);
  const { createDemoWorkspace } = await import("./demo-workspace.ts");
  const workspace = createDemoWorkspace({
    folder: options.text("data-dir") ?? join("data", "demo"),
    environment,
  });
  const interrupted = firstSignal();
  const driver = streamDriver(options.text("stream"));
  const nats = driver === "jetstream" ? await startDemoNatsServer(join(workspace.folder, "nats"), environment) : null;
  const { startEngine } = await import("../main.ts");
  const engine = await startEngine({
    configFile: workspace.configFile,
    environment,
    logLevel: "error",
    simulator: "always",
    scenario: SCENARIO,
    overrides: (config) =>
      nats === null ? config : { ...config, stream: { ...config.stream, driver: "jetstream", servers: [nats.url] } },
  }).catch(async (error: unknown) => {
    await nats?.stop();
    throw error;
  });
  try {
    if (nats !== null) terminal.say(`nats-server ${nats.url}: events, statuses and the ledger go through JetStream`);
    const summary = await Promise.race([interrupted, runDemo({ engine, workspace, events, seed, terminal })]);
    if (typeof summary === "string") return EXIT_INTERRUPTED;
    if (options.has("json")) terminal.print(JSON.stringify(summaryJson(summary)));
    else for (const line of summaryLines(summary)) terminal.print(line);
    return summary.audit.disagreements.length === 0 && summary.traffic.refusals.length === 0 ? 0 : 1;
  } finally {
    await engine.stop();
    await nats?.stop();
  }
}

function streamDriver(text: string | undefined): "embedded" | "jetstream" {
  if (text === undefined || text === "embedded" || text === "jetstream") return text ?? "embedded";
  throw usageError("--stream must be embedded or jetstream");
}

interface DemoRun {
  readonly engine: Engine;
  readonly workspace: DemoWorkspace;
  readonly events: number;
  readonly seed: number;
  readonly terminal: Terminal;
}

async function runDemo({ engine, workspace, events, seed, terminal }: DemoRun): Promise<DemoSummary> {
  const { simulator } = engine;
  if (simulator === null) throw new EngineError("ERR_CLI_API", "The demo's engine runs without its simulator.");
  const client = createApiClient({ url: engine.url, key: engine.adminKey });
  terminal.say(`Volley demo: engine ${engine.url}, simulated WhatsApp ${simulator.url}, seed ${seed}`);
  await applyCampaigns(client, workspace, terminal);
  const startedMs = performance.now();
  const traffic = await postEvents(client, { events, seed, terminal });
  await untilFinal(client, traffic.acceptedIds.length, terminal);
  const totalMs = performance.now() - startedMs;
  await untilLastStatuses(client, simulator);
  const csvFile = join(workspace.folder, `${CAMPAIGN}.csv`);
  await exportToFile(client, `${CAMPAIGN_PATH}/messages.csv`, csvFile);
  const rows = [...csvRows(readFileSync(csvFile, "utf8"))];
  const audit = auditDemo({
    events,
    acceptedIds: traffic.acceptedIds,
    rows,
    sends: await simulator.received(),
  });
  return { audit, traffic, totalMs, csvFile: shownPath(csvFile) };
}

async function applyCampaigns(client: ApiClient, { campaigns }: DemoWorkspace, terminal: Terminal): Promise<void> {
  for (const definition of campaigns) await client.put(`/api/campaigns/${definition.id}`, definition);
  terminal.say(`applied campaigns: ${campaigns.map(({ id }) => id).join(", ")}`);
}

async function postEvents(
  client: ApiClient,
  { events, seed, terminal }: Pick<DemoRun, "events" | "seed" | "terminal">,
): Promise<TrafficResult> {
  const shop = { name: "demo shop", scope: "trigger", campaigns: [CAMPAIGN] };
  const { key } = await client.post<{ readonly key: string }>("/api/keys", shop);
  const bar = startProgressBar(terminal, "accepted", events);
  const start = {
    url: client.url,
    path: `${CAMPAIGN_PATH}/trigger`,
    key,
    events,
    seed,
    nowMs: Date.now(),
  };
  try {
    const traffic = await runTraffic(start, (accepted) => bar.update(accepted));
    bar.update(traffic.acceptedIds.length);
    bar.stop();
    terminal.say(`accepted ${countText(traffic.acceptedIds.length)} events in ${seconds(traffic.durationMs)}`);
    return traffic;
  } finally {
    bar.stop();
  }
}

/** Resolves once every accepted message is delivered, read, failed or expired. */
async function untilFinal(client: ApiClient, accepted: number, terminal: Terminal): Promise<void> {
  const bar = startProgressBar(terminal, "final   ", accepted);
  const startedMs = performance.now();
  let last = "";
  let movedMs = startedMs;
  try {
    for (;;) {
      const { byStatus } = await client.get<CampaignStatsView>(`${CAMPAIGN_PATH}/stats`);
      const final = byStatus.delivered + byStatus.read + byStatus.failed + byStatus.expired + byStatus.suppressed;
      bar.update(final);
      if (final >= accepted) break;
      const state = JSON.stringify(byStatus);
      const nowMs = performance.now();
      if (state !== last) movedMs = nowMs;
      last = state;
      if (nowMs - movedMs > STALLED_MS) throw stalled(final, accepted, state);
      await sleep(LOOK_EVERY_MS);
    }
  } finally {
    bar.stop();
  }
  terminal.say(`every message is final after another ${seconds(performance.now() - startedMs)}`);
}

/** A delivered message may still become a read one: waits for the statuses that are under way. */
async function untilLastStatuses(client: ApiClient, simulator: SimulatorThread): Promise<void> {
  await Promise.race([simulator.idle(), sleep(LAST_STATUSES_MS, undefined, { ref: false })]);
  const expectedRead = expectedEnds(await simulator.received()).get("read") ?? 0;
  const deadlineMs = performance.now() + LAST_STATUSES_MS;
  // What does not arrive in time is the audit's to tell.
  while (performance.now() < deadlineMs) {
    const { byStatus } = await client.get<CampaignStatsView>(`${CAMPAIGN_PATH}/stats`);
    if (byStatus.read >= expectedRead) return;
    await sleep(LOOK_EVERY_MS);
  }
}

function stalled(final: number, accepted: number, state: string): EngineError {
  const message = `Only ${final} of ${accepted} messages became final; nothing moved for ${STALLED_MS / 1000} s: ${state}`;
  return new EngineError("ERR_CLI_API", message);
}

/** The demo must not send to anyone, whatever is set where it runs. */
function withoutCredentials(environment: CommandCall["environment"]): CommandCall["environment"] {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith("WHATSAPP_")));
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}
