// Which engine a command talks to, and with which key: the command line first, then the environment, then what the
// configuration on this host says.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { loadConfig } from "../runtime/config-file.ts";
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
export function connect(call: CommandCall): ApiClient {
  const connection = findConnection(call);
  if (connection.key === null) {
    const advice = "give one with --key or VOLLEY_API_KEY";
    throw new EngineError("ERR_CLI_USAGE", `No API key: ${connection.keySource} cannot be read; ${advice}.`);
  }
  return createApiClient(connection);
}

export function findConnection({ options, environment }: CommandCall): Connection {
  let loaded: EngineConfig | undefined;
  // The configuration is needed for what nobody named: an operator's laptop has none.
  const config = (): EngineConfig =>
    (loaded ??= loadConfig({ file: options.text("config") ?? CONFIG_FILE, environment }).config);
  const url = options.text("url") ?? setting(environment, "VOLLEY_URL") ?? urlOf(config());
  const given = options.text("key") ?? setting(environment, "VOLLEY_API_KEY");
  if (given !== undefined) return { url: checkedUrl(url), key: given, keySource: "the key given" };
  const file = join(config().dataDir, "admin.key");
  return { url: checkedUrl(url), key: readKey(file), keySource: file };
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
