// volley simulator: WhatsApp as far as Volley sees it, on its own port, for work without Meta.

import { dirname, join } from "node:path";

import type { EngineConfig } from "../runtime/config.ts";
import type { SimulatorOptions } from "../simulator/simulator.ts";
import { usageError, type Command, type CommandCall } from "./command.ts";
import { CONFIG_FILE } from "./connection.ts";
import { firstSignal, stopOrExit } from "./signals.ts";

const PORT_DEFAULT = 4010;
const SEED_MAX = 2 ** 32 - 1;

/** Signs webhooks where the configuration has no app secret; an engine needs the same one. */
const APP_SECRET_DEFAULT = "simulator-app-secret";

export const simulatorCommand: Command = {
  name: "simulator",
  summary: "Run a simulated WhatsApp Cloud API with signed status webhooks",
  positionals: [],
  options: {
    port: {
      value: "port",
      description: `where to listen (default ${PORT_DEFAULT}, 0 for any free port)`,
    },
    host: { value: "host", description: "on which address (default 127.0.0.1)" },
    "webhook-url": {
      value: "url",
      description: "where statuses go (default the configured engine's /webhooks/whatsapp)",
    },
    scenario: {
      value: "file",
      description: "what happens to messages, docs/simulator.md (default the preset realistic)",
    },
    log: { value: "file", description: "append every send received as a JSON line" },
    seed: { value: "n", description: "repeat the same chance (default random)" },
    config: {
      value: "file",
      description: `senders and templates to simulate (default ${CONFIG_FILE})`,
    },
    json: { description: "print url, port and seed as JSON" },
  },
  examples: ["volley simulator --port 4010 --scenario config/scenarios/template-paused.yaml --log received.jsonl"],
  run: simulate,
};

async function simulate(call: CommandCall): Promise<number> {
  const signal = firstSignal();
  const settings = await simulatorOptions(call);
  const { startSimulatorThread } = await import("../simulator/simulator-thread.ts");
  const simulator = await startSimulatorThread(settings);
  const { url, port, seed } = simulator;
  if (call.options.has("json")) call.terminal.print(JSON.stringify({ url, port, seed }));
  else {
    call.terminal.print(`Simulated WhatsApp at ${url} (seed ${seed}).`);
    call.terminal.print(`  engine      whatsapp: { baseUrl: ${url}, appSecret: ${shownSecret(settings.appSecret)} }`);
    call.terminal.print(`  webhooks    ${settings.webhookUrl ?? "none"}`);
    call.terminal.print(`  scenario    curl -X PUT ${url}/simulator/scenario -d '{"preset":"rough"}'`);
    call.terminal.print(`  state       curl -X PUT ${url}/simulator/state -d '{"webhooks":"held"}'`);
    call.terminal.print(`  people      curl ${url}/simulator/inbound -d '{"from":"+14155550100","text":"STOP"}'`);
    call.terminal.print(`  figures     curl ${url}/simulator/stats`);
  }
  await signal;
  await stopOrExit(() => simulator.close(), call.terminal);
  return 0;
}

async function simulatorOptions({ options, environment }: CommandCall): Promise<SimulatorOptions> {
  const { loadConfig } = await import("../runtime/config-file.ts");
  const { loadTemplateFolder } = await import("../runtime/template-file.ts");
  const { loadScenarioFile } = await import("../simulator/scenario-file.ts");
  const file = options.text("config") ?? CONFIG_FILE;
  const { config } = loadConfig({ file, environment });
  const scenarioFile = options.text("scenario");
  const logFile = options.text("log");
  const seed = options.integer("seed", { min: 0, max: SEED_MAX });
  return {
    port: options.integer("port", { min: 0, max: 65_535 }) ?? PORT_DEFAULT,
    host: options.text("host") ?? "127.0.0.1",
    templates: loadTemplateFolder(join(dirname(file), "templates")).templates,
    senders: simulatedSenders(config),
    accessTokens: null,
    appSecret: config.whatsapp.appSecret || APP_SECRET_DEFAULT,
    webhookUrl: webhookUrl(options.text("webhook-url"), config),
    scenario: scenarioFile === undefined ? { preset: "realistic" } : loadScenarioFile(scenarioFile),
    ...(logFile === undefined ? {} : { logFile }),
    ...(seed === undefined ? {} : { seed }),
  };
}

function simulatedSenders({ senders }: EngineConfig): SimulatorOptions["senders"] {
  return Object.values(senders).map(({ phoneNumberId, wabaId, messagesPerSecond }) => ({
    phoneNumberId,
    wabaId,
    messagesPerSecond,
  }));
}

function webhookUrl(given: string | undefined, { server }: EngineConfig): string {
  const url = given ?? `http://127.0.0.1:${server.port}/webhooks/whatsapp`;
  if (URL.canParse(url)) return url;
  throw usageError(`--webhook-url must be an http(s) address, not ${JSON.stringify(url)}`);
}

/** The default is no secret; a configured one is not for the screen. */
function shownSecret(secret: string): string {
  return secret === APP_SECRET_DEFAULT ? secret : "as configured";
}
