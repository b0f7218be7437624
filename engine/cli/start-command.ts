// volley start: the engine in this process, until a signal ends it.

import { EventEmitter } from "node:events";

import type { CampaignView } from "../api/campaign-view.ts";
import type { Engine } from "../main.ts";
import { EngineError } from "../runtime/errors.ts";
import { createApiClient } from "./api-client.ts";
import { usageError, type Command, type CommandCall } from "./command.ts";
import { CONFIG_FILE } from "./connection.ts";
import { startProgressBar, type ProgressBar } from "./progress-bar.ts";
import { samplePayload } from "./sample-payload.ts";
import { shownPath } from "./shown-path.ts";
import { firstSignal, stopOrExit } from "./signals.ts";

const LOG_LEVELS = ["info", "warn", "error", "silent"] as const;

type LogLevel = (typeof LOG_LEVELS)[number];

export const startCommand: Command = {
  name: "start",
  summary: "Run the engine; without WhatsApp credentials it runs against the simulator",
  positionals: [],
  options: {
    config: { value: "file", description: `the configuration (default ${CONFIG_FILE})` },
    "log-level": { value: "level", description: `one of ${LOG_LEVELS.join(", ")} (default info)` },
  },
  examples: ["volley start --config config/volley.yaml"],
  run: start,
};

async function start(call: CommandCall): Promise<number> {
  const { options, terminal, environment } = call;
  const logLevel = logLevelOf(options.text("log-level"));
  const signal = firstSignal();
  const fatal = new EventEmitter<{ error: [EngineError] }>();
  const broken = new Promise<EngineError>((resolve) => fatal.once("error", resolve));
  const { startEngine } = await import("../main.ts");
  const rebuilding = new RebuildingBar(terminal);
  const engine = await startEngine({
    configFile: options.text("config") ?? CONFIG_FILE,
    environment,
    logLevel,
    onRebuilding: (partition, done, total) => rebuilding.update(partition, done, total),
    onFatal: (error) => void fatal.emit("error", error),
  }).finally(() => rebuilding.stop());
  for (const line of await welcome(engine)) terminal.print(line);
  const end = await Promise.race([signal, broken]);
  await stopOrExit(() => engine.stop(), terminal);
  // What cannot be trusted any more must not go on: whoever supervises the process starts it anew.
  if (end instanceof EngineError) throw end;
  return 0;
}

/** A node that was away copies what the others wrote: one bar for all partitions. */
class RebuildingBar {
  readonly #terminal: CommandCall["terminal"];
  readonly #partitions = new Map<number, { readonly done: number; readonly total: number }>();
  #bar: ProgressBar | null = null;

  constructor(terminal: CommandCall["terminal"]) {
    this.#terminal = terminal;
  }

  update(partition: number, done: number, total: number): void {
    this.#partitions.set(partition, { done, total });
    const all = [...this.#partitions.values()];
    const sum = all.reduce((so, { total: own }) => so + own, 0);
    this.#bar ??= startProgressBar(this.#terminal, "rebuilding", sum);
    this.#bar.setTotal(sum);
    this.#bar.update(all.reduce((so, { done: own }) => so + own, 0));
  }

  stop(): void {
    this.#bar?.stop();
  }
}

/** What a newcomer needs next; every line of it works as printed. */
async function welcome(engine: Engine): Promise<string[]> {
  const keyFile = shownPath(engine.adminKeyFile);
  const mode = engine.isSimulated ? "against the bundled simulator: no WhatsApp credentials are set" : "live";
  return [
    "",
    `  Volley runs ${mode}.`,
    "",
    `  console    ${engine.url}/`,
    `  admin key  ${keyFile}`,
    ...(await curlLines(engine, keyFile)),
    "",
  ];
}

async function curlLines(engine: Engine, keyFile: string): Promise<string[]> {
  const client = createApiClient({ url: engine.url, key: engine.adminKey });
  const { items } = await client.get<{ readonly items: readonly CampaignView[] }>("/api/campaigns");
  const campaign = items.find(({ status, faults }) => status === "active" && faults.length === 0);
  if (campaign === undefined) return ["  No campaign is active yet: volley campaign list says why."];
  const event = JSON.stringify(samplePayload(campaign)).replaceAll("'", String.raw`'\''`);
  return [
    "",
    "  Try it:",
    `  curl -X POST ${engine.url}${campaign.triggerPath} -H "x-api-key: $(cat '${keyFile}')" -H 'content-type: application/json' -d '${event}'`,
  ];
}

function logLevelOf(text: string | undefined): LogLevel {
  if (text === undefined) return "info";
  const level = LOG_LEVELS.find((known) => known === text);
  if (level === undefined) throw usageError(`--log-level must be one of ${LOG_LEVELS.join(", ")}`);
  return level;
}
