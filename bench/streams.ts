// Embedded stream against JetStream on one node: the same load, the same engine, alternated in one run.
//
//   npm run bench:streams -- --help
//
// Engine, simulated WhatsApp, nats-server and the load share this machine, so only the ratio says something.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { Pool } from "undici";
import { stringify } from "yaml";

import { startDemoNatsServer } from "../engine/cli/demo-nats-server.ts";
import type { ScenarioInput } from "../engine/simulator/scenario.ts";
import { startSimulatorThread } from "../engine/simulator/simulator-thread.ts";

const CLI = fileURLToPath(new URL("../engine/cli/main.js", import.meta.url));
const DRIVERS = ["embedded", "jetstream"] as const;
const TIERS = {
  embedded: "202 after fsync (LMDB)",
  jetstream: "202 after fsync (LMDB) and PubAck (nats-server, page cache)",
} as const;
const SENDERS = ["north", "south"];
const CAMPAIGN = "bench";
const RATE = 100_000;
/** Every message is delivered and none is read: two status updates each. */
const SCENARIO: ScenarioInput = {
  preset: "perfect",
  answers: { latency: 5 },
  statuses: { sentAfter: 5, deliveredAfter: 5 },
};
const READY_MS_MAX = 60_000;
const DRAIN_MS_MAX = 600_000;

type Driver = (typeof DRIVERS)[number];

interface Load {
  readonly name: string;
  readonly connections: number;
  /** Events a request. */
  readonly batch: number;
}

const LOADS: readonly [Load, Load] = [
  { name: "one event a request", connections: 128, batch: 1 },
  { name: "arrays of 100", connections: 16, batch: 100 },
];

interface Sample {
  readonly acceptedPerSecond: number;
  /** From the first request until the ledger shows the last message as delivered. */
  readonly pathPerSecond: number;
  readonly ackMs: { readonly p50: number; readonly p99: number };
}

const HELP = `Embedded stream against JetStream on one node, alternated.

  --events n   events a round and load (default 40000)
  --rounds n   rounds (default 5)
  --short      one round of 3000 events, for CI
  --json       the samples as JSON
  --help`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      events: { type: "string", default: "40000" },
      rounds: { type: "string", default: "5" },
      short: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    return;
  }
  const events = values.short ? 3_000 : positive("--events", values.events);
  const rounds = values.short ? 1 : positive("--rounds", values.rounds);
  const samples = new Map<string, Sample[]>();
  for (let round = 0; round < rounds; round++) {
    for (const driver of round % 2 === 0 ? DRIVERS : DRIVERS.toReversed()) {
      process.stderr.write(`round ${round + 1} of ${rounds}: ${driver}\n`);
      // oxlint-disable-next-line no-await-in-loop -- never two at once
      for (const [load, sample] of await measure(driver, events)) {
        const key = `${driver} ${load}`;
        samples.set(key, [...(samples.get(key) ?? []), sample]);
      }
    }
  }
  if (values.json) process.stdout.write(`${JSON.stringify({ events, rounds, ...machine(), samples: [...samples] })}\n`);
  else for (const line of report(samples, { events, rounds })) process.stdout.write(`${line}\n`);
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  process.stderr.write(`${name} must be a positive whole number\n`);
  process.exit(1);
}

async function measure(driver: Driver, events: number): Promise<[string, Sample][]> {
  const folder = mkdtempSync(join(tmpdir(), "volley-bench-"));
  const nats = driver === "jetstream" ? await startDemoNatsServer(join(folder, "nats"), process.env) : null;
  const template = bodyTemplate();
  const simulator = await startSimulatorThread({
    templates: [template],
    senders: SENDERS.map((id, index) => ({ id, phoneNumberId: `10${index}`, wabaId: "1", messagesPerSecond: RATE })),
    accessTokens: ["bench-token"],
    appSecret: "bench-secret",
    scenario: SCENARIO,
  });
  const port = await freePort();
  writeConfig(folder, { driver, port, natsUrl: nats?.url ?? null, whatsappUrl: simulator.url, template });
  const engine = spawn(
    process.execPath,
    [CLI, "start", "--log-level", "error", "--config", join(folder, "volley.yaml")],
    {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, NODE_ENV: "production" },
    },
  );
  const url = `http://127.0.0.1:${port}`;
  try {
    await until(async () => (await fetch(`${url}/readyz`).catch(() => null))?.status === 200, READY_MS_MAX);
    const key = readFileSync(join(folder, "data", "admin.key"), "utf8").trim();
    await simulator.setWebhookUrl(`${url}/webhooks/whatsapp`);
    const found: [string, Sample][] = [];
    // The first one opens connections and compiles; nobody looks at it.
    await fire({ url, key, load: LOADS[0], events: Math.ceil(events / 10) });
    // oxlint-disable-next-line no-await-in-loop -- one load after the other
    for (const load of LOADS) found.push([load.name, await fire({ url, key, load, events })]);
    return found;
  } finally {
    engine.kill("SIGTERM");
    if (engine.exitCode === null) await once(engine, "exit");
    await simulator.close();
    await nats?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function fire(given: {
  readonly url: string;
  readonly key: string;
  readonly load: Load;
  readonly events: number;
}): Promise<Sample> {
  const { url, key, load, events } = given;
  const pool = new Pool(url, { connections: load.connections, pipelining: 1 });
  const headers = { "x-api-key": key, "content-type": "application/json" };
  const ackTimesMs: number[] = [];
  let next = 0;
  const before = await delivered(url, key);
  const startedMs = performance.now();
  const caller = async (index: number): Promise<void> => {
    const path = `/api/campaigns/${CAMPAIGN}-${SENDERS[index % SENDERS.length]}/trigger`;
    while (next < events) {
      const count = Math.min(load.batch, events - next);
      const payloads = Array.from({ length: count }, (_, offset) => payload(next + offset));
      next += count;
      const body = JSON.stringify(load.batch === 1 ? payloads[0] : payloads);
      const sentMs = performance.now();
      // oxlint-disable-next-line no-await-in-loop -- a closed loop: each caller waits for its answer
      const answer = await pool.request({ method: "POST", path, headers, body });
      // oxlint-disable-next-line no-await-in-loop
      const text = await answer.body.text();
      if (answer.statusCode !== 202) throw new Error(`${answer.statusCode}: ${text}`);
      ackTimesMs.push(performance.now() - sentMs);
    }
  };
  await Promise.all(Array.from({ length: load.connections }, (_, index) => caller(index)));
  const acceptedMs = performance.now() - startedMs;
  await until(async () => (await delivered(url, key)) - before === events, DRAIN_MS_MAX);
  const pathMs = performance.now() - startedMs;
  await pool.close();
  ackTimesMs.sort((one, other) => one - other);
  return {
    acceptedPerSecond: (events / acceptedMs) * 1_000,
    pathPerSecond: (events / pathMs) * 1_000,
    ackMs: { p50: quantile(ackTimesMs, 0.5), p99: quantile(ackTimesMs, 0.99) },
  };
}

async function delivered(url: string, key: string): Promise<number> {
  let sum = 0;
  for (const sender of SENDERS) {
    const path = `${url}/api/campaigns/${CAMPAIGN}-${sender}/stats`;
    // oxlint-disable-next-line no-await-in-loop -- two calls
    const answer = await fetch(path, { headers: { "x-api-key": key } });
    // oxlint-disable-next-line no-await-in-loop typescript/no-unsafe-type-assertion -- the engine's own answer
    const { byStatus } = (await answer.json()) as { readonly byStatus: Readonly<Record<string, number>> };
    sum += (byStatus["delivered"] ?? 0) + (byStatus["read"] ?? 0);
  }
  return sum;
}

function payload(index: number): object {
  return { phone: `+49151${String(10_000_000 + (index % 89_999_999))}`, first_name: "Ana", order: `#${index}` };
}

function report(samples: ReadonlyMap<string, readonly Sample[]>, run: { events: number; rounds: number }): string[] {
  const { cpu, cores, node } = machine();
  const lines = [
    `${run.rounds} rounds, alternated, of ${run.events} events each · ${cpu}, ${cores} cores · Node ${node} · closed loop`,
    ...DRIVERS.map((driver) => `${driver}: ${TIERS[driver]}`),
    "",
    `${"".padEnd(32)}${"accepted/s".padStart(24)}${"trigger → delivered/s".padStart(26)}${"ack p50 / p99 ms".padStart(20)}`,
  ];
  for (const load of LOADS) {
    for (const driver of DRIVERS) {
      const own = samples.get(`${driver} ${load.name}`) ?? [];
      const accepted = spread(own.map((sample) => sample.acceptedPerSecond));
      const path = spread(own.map((sample) => sample.pathPerSecond));
      const p50 = median(own.map((sample) => sample.ackMs.p50)).toFixed(1);
      const p99 = median(own.map((sample) => sample.ackMs.p99)).toFixed(1);
      const name = `${load.name}, ${driver}`;
      lines.push(`${name.padEnd(32)}${accepted.padStart(24)}${path.padStart(26)}${`${p50} / ${p99}`.padStart(20)}`);
    }
    const ratio = (of: (sample: Sample) => number): string => {
      const [own = [], other = []] = DRIVERS.toReversed().map((driver) => samples.get(`${driver} ${load.name}`) ?? []);
      const ratios = own.map((sample, round) => of(sample) / of(other[round] ?? sample));
      return `${(median(ratios) * 100).toFixed(0)} %`;
    };
    const [accepted, path] = [ratio((sample) => sample.acceptedPerSecond), ratio((sample) => sample.pathPerSecond)];
    lines.push(`${"  jetstream / embedded, by round".padEnd(32)}${accepted.padStart(24)}${path.padStart(26)}`, "");
  }
  return lines;
}

function machine(): { readonly cpu: string; readonly cores: number; readonly node: string } {
  return { cpu: cpus()[0]?.model ?? "unknown", cores: availableParallelism(), node: process.versions.node };
}

function spread(values: readonly number[]): string {
  const [low, high] = [Math.min(...values), Math.max(...values)].map((value) => Math.round(value).toLocaleString("en"));
  return `${Math.round(median(values)).toLocaleString("en")} (${low}…${high})`;
}

function median(values: readonly number[]): number {
  return quantile(
    values.toSorted((one, other) => one - other),
    0.5,
  );
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

async function until(condition: () => Promise<boolean>, withinMs: number): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`waited ${withinMs} ms in vain`);
    await sleep(20);
  }
}

function bodyTemplate(): Parameters<typeof startSimulatorThread>[0]["templates"][number] {
  return {
    id: "1",
    name: "greeting",
    language: "en_US",
    status: "APPROVED",
    category: "UTILITY",
    parameter_format: "POSITIONAL",
    components: [
      { type: "BODY", text: "Hello {{1}}, your order {{2}} is on its way.", example: { body_text: [["Ana", "#7"]] } },
    ],
  };
}

async function freePort(): Promise<number> {
  const { createServer } = await import("node:net");
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

function writeConfig(
  folder: string,
  given: {
    readonly driver: Driver;
    readonly port: number;
    readonly natsUrl: string | null;
    readonly whatsappUrl: string;
    readonly template: object;
  },
): void {
  const { driver, port, natsUrl, whatsappUrl, template } = given;
  for (const name of ["campaigns", "templates"]) mkdirSync(join(folder, name));
  const senders = SENDERS.map((id, index) => {
    const sender = { phoneNumberId: `10${index}`, wabaId: "1", accessToken: "bench-token", messagesPerSecond: RATE };
    return [id, sender] as const;
  });
  const config = {
    server: { host: "127.0.0.1", port },
    dataDir: join(folder, "data"),
    stream: natsUrl === null ? { driver } : { driver, servers: [natsUrl] },
    whatsapp: { baseUrl: whatsappUrl, appSecret: "bench-secret", verifyToken: "bench-word" },
    senders: Object.fromEntries(senders),
    limits: { triggersPerSecondPerKey: 1_000_000 },
  };
  writeFileSync(join(folder, "volley.yaml"), stringify(config));
  writeFileSync(join(folder, "templates", "greeting.json"), JSON.stringify(template));
  for (const sender of SENDERS) {
    const campaign = {
      id: `${CAMPAIGN}-${sender}`,
      name: "Benchmark",
      status: "active",
      sender,
      trigger: {
        attributes: {
          phoneNumber: { path: "phone", type: "phone", required: true },
          firstName: { path: "first_name", type: "string", default: "there" },
          order: { path: "order", type: "string", required: true },
        },
      },
      template: { name: "greeting", language: "en_US", body: ["{{ firstName }}", "{{ order }}"] },
    };
    writeFileSync(join(folder, "campaigns", `${campaign.id}.yaml`), stringify(campaign));
  }
}

await main();
