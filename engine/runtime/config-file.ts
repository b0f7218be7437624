// config/volley.yaml → EngineConfig: checked whole, completed with defaults, frozen. Either all of it is good
// or none of it is taken, so that a running engine can keep what it has when somebody saves a slip.

import { availableParallelism } from "node:os";
import { resolve } from "node:path";

import schema from "../../schemas/config.schema.json" with { type: "json" };
import type { ConsentConfig, EngineConfig, SenderConfig, StreamConfig } from "./config.ts";
import type { Environment } from "./environment-reference.ts";
import { EngineError } from "./errors.ts";
import { faultText, tidyFaults } from "./file-fault.ts";
import type { FileFault } from "./file-fault.ts";
import { effectiveLimits } from "./granted-limits.ts";
import { compileSchema } from "./schema-check.ts";
import type { SchemaFault } from "./schema-check.ts";
import { checkSettings, readSettings, readText } from "./settings-file.ts";
import type { Settings } from "./settings-file.ts";

export interface LoadedConfig {
  readonly config: EngineConfig;
  /** True when there is a sender, and every sender's token, the app secret and the verify token are set. */
  readonly hasCredentials: boolean;
  /** Environment variables that the file names for secrets and that are not set. */
  readonly unsetVariables: readonly string[];
  /** Files that hold secrets of it: to be watched. */
  readonly secretFiles: readonly string[];
}

/** One actor thread a partition is the most that can have work. */
const WORKERS_MAX = 8;

// Meta's documented figures: one message in 6 s to a person, with bursts of 45.
const PAIR_LIMIT = { periodSeconds: 6, burst: 45 } as const;

// A partition of 16 streams: 6 GiB in all, which nats-server reserves when the streams are made. Its own default is to
// offer three quarters of the free disk, so that a machine with 8 GiB of it can start.
const STREAM_DEFAULTS = {
  driver: "embedded",
  servers: ["nats://127.0.0.1:4222"],
  replicas: 1,
  name: "volley",
  eventsMaxBytes: 256 * 1024 * 1024,
  ledgerMaxBytes: 512 * 1024 * 1024,
  ledgerMaxAgeDays: 30,
} as const;

const CONSENT_DEFAULTS: ConsentConfig = {
  extraStopWords: [],
  extraResumeWords: [],
  ignoredWords: [],
  frequencyCap: null,
  unitedStates: "send",
};

/** Not those of `stream`: without its password a cluster is of no use, and there is no simulator to fall back on. */
const SECRETS = /^(whatsapp\.(appSecret|appSecretBefore|verifyToken)|senders\.[^.[]+\.accessToken)$/;

/** The file after its schema: the same keys as EngineConfig, most of them optional. */
interface ConfigDocument {
  readonly server?: Partial<EngineConfig["server"]>;
  readonly dataDir?: string;
  readonly stream?: Partial<StreamConfig>;
  readonly workers?: "auto" | number;
  readonly whatsapp?: Partial<EngineConfig["whatsapp"]>;
  readonly senders?: Readonly<Record<string, SenderDocument>>;
  readonly limits?: Partial<EngineConfig["limits"]>;
  readonly consent?: Partial<ConsentConfig>;
}

type SenderDocument = Pick<SenderConfig, "phoneNumberId" | "wabaId" | "accessToken"> &
  Partial<Pick<SenderConfig, "portfolio"> & SenderConfig["configured"]> & {
    readonly pairLimit?: Partial<SenderConfig["pairLimit"]>;
  };

const checkShape = compileSchema<ConfigDocument>(schema);

/**
 * Reads the engine's configuration. Relative paths in it count from the working directory.
 *
 * @throws EngineError ERR_CONFIG_UNREADABLE, or ERR_CONFIG_INVALID with a line for every fault: file, line,
 *   column, path, what is expected and the nearest known key.
 */
export function loadConfig(options: { readonly file: string; readonly environment: Environment }): LoadedConfig {
  const { file, environment } = options;
  const read = readText(file);
  if (read.kind === "unreadable") throw new EngineError("ERR_CONFIG_UNREADABLE", faultText(read.fault));
  const result = readSettings({
    file,
    text: read.text,
    environment,
    secrets: SECRETS,
    unsetSecret: "empty",
  });
  if (result.kind === "malformed") throw invalid(result.faults);
  const { settings } = result;
  const checked = checkSettings(checkShape, settings);
  const shapeFaults = checked.kind === "fits" ? contradictions(checked.value) : checked.faults;
  // A sentence about an unset variable is better than one about the empty text that it left behind.
  const faults = tidyFaults([...result.faults, ...shapeFaults.map(settings.locate)]);
  if (checked.kind === "misfits" || faults.length > 0) throw invalid(faults);
  return loadedFrom(checked.value, settings);
}

function invalid(faults: readonly FileFault[]): EngineError {
  return new EngineError("ERR_CONFIG_INVALID", faults.map(faultText).join("\n"));
}

/** What each key allows and all of them together do not. */
function contradictions({ senders = {}, stream = {} }: ConfigDocument): SchemaFault[] {
  return [...sharedNumbers(senders), ...halfCredentials(stream), ...halfCertificate(stream.tls ?? {})];
}

/** Two ways to log in are one too many: nats-server would take either, and a leftover would go unnoticed. */
function halfCredentials(stream: Partial<StreamConfig>): SchemaFault[] {
  const faults: SchemaFault[] = [];
  const ways = (["user", "token", "nkeySeed", "credentialsFile"] as const).filter((key) => stream[key] !== undefined);
  const [first, second] = ways;
  if (first !== undefined && second !== undefined) {
    const message = `expected one way to log in, but "${first}" is another`;
    faults.push({ path: ["stream", second], concerns: "key", message });
  }
  return [
    ...faults,
    ...missingPartner("user", "password", stream, []),
    ...missingPartner("password", "user", stream, []),
  ];
}

function halfCertificate(tls: NonNullable<StreamConfig["tls"]>): SchemaFault[] {
  return [
    ...missingPartner("certFile", "keyFile", tls, ["tls"]),
    ...missingPartner("keyFile", "certFile", tls, ["tls"]),
  ];
}

function missingPartner<Key extends string>(
  key: Key,
  partner: Key,
  given: Readonly<Partial<Record<Key, unknown>>>,
  below: readonly string[],
): SchemaFault[] {
  if (given[key] === undefined || given[partner] !== undefined) return [];
  return [{ path: ["stream", ...below, key], concerns: "key", message: `expected "${partner}" beside it` }];
}

/** Two senders with one number would each send at the full rate that Meta granted once. */
function sharedNumbers(senders: Readonly<Record<string, SenderDocument>>): SchemaFault[] {
  const owners = new Map<string, string>();
  const faults: SchemaFault[] = [];
  for (const [id, { phoneNumberId }] of Object.entries(senders)) {
    const owner = owners.get(phoneNumberId);
    if (owner === undefined) owners.set(phoneNumberId, id);
    else {
      const message = `expected a number of its own, but sender "${owner}" has this one already`;
      faults.push({ path: ["senders", id, "phoneNumberId"], concerns: "value", message });
    }
  }
  return faults;
}

function loadedFrom(document: ConfigDocument, settings: Settings): LoadedConfig {
  const config = completed(document);
  const { appSecret, verifyToken } = config.whatsapp;
  const senders = Object.values(config.senders);
  const secrets = [appSecret, verifyToken, ...senders.map(({ accessToken }) => accessToken)];
  return {
    config: deepFrozen(config),
    hasCredentials: senders.length > 0 && secrets.every((secret) => secret !== ""),
    unsetVariables: [...new Set(settings.unsetSecrets.map(({ variable }) => variable))],
    secretFiles: settings.secretFiles,
  };
}

function completed(document: ConfigDocument): EngineConfig {
  const { workers = "auto" } = document;
  const whatsapp = {
    baseUrl: "https://graph.facebook.com",
    apiVersion: "v26.0",
    appSecret: "",
    verifyToken: "",
    ...document.whatsapp,
  };
  return {
    server: { host: "127.0.0.1", port: 8080, ...document.server },
    dataDir: resolve(document.dataDir ?? "./data"),
    stream: completedStream(document.stream ?? {}),
    workers: workers === "auto" ? Math.max(1, Math.min(availableParallelism() - 1, WORKERS_MAX)) : workers,
    whatsapp: { ...whatsapp, baseUrl: whatsapp.baseUrl.replace(/\/+$/, "") },
    senders: Object.fromEntries(
      Object.entries(document.senders ?? {}).map(([id, sender]) => [id, completedSender(id, sender)]),
    ),
    limits: { triggersPerSecondPerKey: 1000, backlogMax: 1_000_000, ...document.limits },
    consent: { ...CONSENT_DEFAULTS, ...document.consent },
  };
}

function completedStream(stream: Partial<StreamConfig>): StreamConfig {
  const { credentialsFile, tls } = stream;
  return {
    ...STREAM_DEFAULTS,
    ...stream,
    ...(credentialsFile === undefined ? {} : { credentialsFile: resolve(credentialsFile) }),
    ...(tls === undefined ? {} : { tls: resolvedFiles(tls) }),
  };
}

function resolvedFiles(tls: NonNullable<StreamConfig["tls"]>): NonNullable<StreamConfig["tls"]> {
  return Object.fromEntries(Object.entries(tls).map(([key, file]) => [key, resolve(file)]));
}

function completedSender(id: string, sender: SenderDocument): SenderConfig {
  const { phoneNumberId, wabaId, accessToken, portfolio = wabaId } = sender;
  const { messagesPerSecond = "auto", dailyRecipients = "auto" } = sender;
  const pairLimit = { ...PAIR_LIMIT, ...sender.pairLimit };
  const configured = { messagesPerSecond, dailyRecipients };
  return {
    id,
    phoneNumberId,
    wabaId,
    accessToken,
    portfolio,
    pairLimit,
    ...effectiveLimits(configured, null),
    configured,
  };
}

function deepFrozen<Value>(value: Value): Value {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(deepFrozen);
    Object.freeze(value);
  }
  return value;
}
