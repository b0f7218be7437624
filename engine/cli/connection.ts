// Which engine a command talks to, and with which key: the command line first, then the environment, then what the
// configuration on this host says.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import type { EngineConfig } from "../runtime/config.ts";
import { EngineError } from "../runtime/errors.ts";
import { createApiClient, type ApiClient } from "./api-client.ts";
import type { CommandCall } from "./command.ts";

export const CONFIG_FILE = "config/volley.yaml";

export interface Connection {
  readonly url: string;
  /** Null when no key was given and none lies where the configuration says. */
  readonly key: string | null;
  /** Where the key was looked for, in words. */
  readonly keySource: string;
}

/** @throws EngineError ERR_CLI_USAGE without a key. */
export async function connect(call: CommandCall): Promise<ApiClient> {
  const connection = await findConnection(call);
  if (connection.key === null) {
    const advice = "give one with --key or VOLLEY_API_KEY";
    throw new EngineError("ERR_CLI_USAGE", `No API key: ${connection.keySource} cannot be read; ${advice}.`);
  }
  return createApiClient(connection);
}

/** The configuration is read only for what nobody named: an operator's laptop has none, and reading takes 0.2 s. */
export async function findConnection({ options, environment }: CommandCall): Promise<Connection> {
  const givenUrl = options.text("url") ?? setting(environment, "VOLLEY_URL");
  const givenKey = options.text("key") ?? setting(environment, "VOLLEY_API_KEY");
  if (givenUrl !== undefined && givenKey !== undefined) {
    return { url: checkedUrl(givenUrl), key: givenKey, keySource: "the key given" };
  }
  const { loadConfig } = await import("../runtime/config-file.ts");
  const { config } = loadConfig({ file: options.text("config") ?? CONFIG_FILE, environment });
  const keyFile = join(config.dataDir, "admin.key");
  return { url: checkedUrl(givenUrl ?? urlOf(config)), key: givenKey ?? readKey(keyFile), keySource: keyFile };
}

function urlOf({ server }: EngineConfig): string {
  const isAny = server.host === "0.0.0.0" || server.host === "::";
  const host = isAny ? "127.0.0.1" : server.host;
  return `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`;
}

function checkedUrl(url: string): string {
  if (/^https?:\/\//.test(url) && URL.canParse(url)) return url;
  throw new EngineError("ERR_CLI_USAGE", `${JSON.stringify(url)} is not an http(s) address.`);
}

function readKey(file: string): string | null {
  try {
    return readFileSync(file, "utf8").trim() || null;
  } catch {
    return null;
  }
}

function setting(environment: CommandCall["environment"], name: string): string | undefined {
  const value = environment[name]?.trim();
  return value === "" ? undefined : value;
}
