// The demo's own folder: a configuration with invented credentials, the sample templates, and room for the engine's
// data. It is wiped at every start, but only if the demo made it.

import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { stringify } from "yaml";

import type { CampaignDefinition } from "../message/campaign.ts";
import { loadCampaignFolder } from "../runtime/campaign-file.ts";
import { EngineError } from "../runtime/errors.ts";

export interface DemoWorkspace {
  readonly folder: string;
  readonly configFile: string;
  /** The samples, ready to be applied. */
  readonly campaigns: readonly CampaignDefinition[];
}

const MARKER = ".volley-demo";

/** A number that Meta upgraded, so that nobody waits for the demo. */
const MESSAGES_PER_SECOND = 1000;

/** @throws EngineError ERR_CLI_USAGE when the folder holds something else, or there are no samples. */
export function createDemoWorkspace(options: {
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}): DemoWorkspace {
  const folder = resolve(options.folder);
  const samples = sampleFolder();
  const campaigns = loadCampaignFolder(join(samples, "campaigns"), options.environment).campaigns.flatMap((file) =>
    file.kind === "loaded" && file.faults.length === 0 ? [asDemo(file.definition)] : [],
  );
  wipe(folder);
  const configFile = join(folder, "config", "volley.yaml");
  mkdirSync(join(folder, "config"), { recursive: true });
  writeFileSync(join(folder, MARKER), "Made by `volley demo`, and wiped by the next one.\n");
  cpSync(join(samples, "templates"), join(folder, "config", "templates"), { recursive: true });
  writeFileSync(configFile, stringify(demoConfig(folder, campaigns)));
  return { folder, configFile, campaigns };
}

/** `config/` of the working directory, else the one that came with this program. */
function sampleFolder(): string {
  const candidates = [resolve("config"), fileURLToPath(new URL("../../../config", import.meta.url))];
  const found = candidates.find((folder) => existsSync(join(folder, "campaigns")));
  if (found === undefined) throw new EngineError("ERR_CLI_USAGE", "The sample campaigns of config/ are missing.");
  return found;
}

/** The samples keep below an ordinary number's rate; the demo shows what the engine can do. */
function asDemo(definition: CampaignDefinition): CampaignDefinition {
  return { ...definition, status: "active", messagesPerSecond: MESSAGES_PER_SECOND };
}

function wipe(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length > 0 && !existsSync(join(folder, MARKER))) {
    throw new EngineError(
      "ERR_CLI_USAGE",
      `${folder} holds something that is not the demo's: name another --data-dir.`,
    );
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
}

function demoConfig(folder: string, campaigns: readonly CampaignDefinition[]): object {
  const senderIds = [...new Set(campaigns.map(({ sender }) => sender))];
  return {
    server: { host: "127.0.0.1", port: 0 },
    dataDir: join(folder, "engine"),
    whatsapp: { appSecret: "demo-app-secret", verifyToken: "demo-verify-token" },
    senders: Object.fromEntries(
      senderIds.map((id, index) => [
        id,
        {
          phoneNumberId: String(106540352242922 + index),
          wabaId: "102290129340398",
          accessToken: "demo-access-token",
          messagesPerSecond: MESSAGES_PER_SECOND,
          dailyRecipients: "unlimited",
        },
      ]),
    ),
    limits: { triggersPerSecondPerKey: 1_000_000 },
  };
}
