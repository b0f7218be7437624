// Composition root of the main thread: the path, wired from its far end to its beginning, so that nothing arrives
// before its receiver stands. It stops in path order, ingress first, so that nothing is lost on the way.

import { mkdirSync } from "node:fs";
import { dirname, join, resolve as resolvePath } from "node:path";

import { ActorThreads } from "./actor-threads.ts";
import type { ThreadCampaign } from "./actor/protocol.ts";
import { type Backbone, type BackboneOptions, openEmbeddedBackbone, optOutsPath } from "./backbone.ts";
import { type CampaignRegistry, createRegistry } from "./campaign/campaign-registry.ts";
import { compileCampaign } from "./campaign/compiled-campaign.ts";
import { consentRulesOf } from "./consent/consent-rules.ts";
import { claimDataFolder } from "./data-folder.ts";
import { createExportPool } from "./export-pool.ts";
import { Figures } from "./figures.ts";
import { startFront } from "./front.ts";
import type { UwsServer } from "./ingress/uws-server.ts";
import { followFiles, readTemplates } from "./live-files.ts";
import { type LimitsDesk, LiveLimits } from "./live-limits.ts";
import type { LedgerReader } from "./ledger/ledger-reader.ts";
import { openLedger } from "./ledger/lmdb-ledger.ts";
import { type Management, startManagement } from "./management.ts";
import { decodeMessageId } from "./message/ids.ts";
import { PARTITIONS } from "./message/partition.ts";
import type { WhatsAppTemplate } from "./message/template.ts";
import { loadConfig, type LoadedConfig } from "./runtime/config-file.ts";
import type { EngineConfig } from "./runtime/config.ts";
import type { EngineError } from "./runtime/errors.ts";
import { takeLockFile } from "./runtime/lock-file.ts";
import type { Log } from "./runtime/log.ts";
import { Shutdown } from "./runtime/shutdown.ts";
import { createStdoutLog, type StdoutLogOptions } from "./runtime/stdout-log.ts";
import { systemClock } from "./runtime/system-clock.ts";
import { simulateWhatsApp } from "./simulated-whatsapp.ts";
import type { ScenarioInput } from "./simulator/scenario.ts";
import type { SimulatorThread } from "./simulator/simulator-thread.ts";

export interface StartOptions {
  /** `campaigns/` and `templates/` are looked up beside it. */
  readonly configFile: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Default `info`. */
  readonly logLevel?: NonNullable<StdoutLogOptions["level"]>;
  /** Changes the configuration after it was checked (free ports, another data directory). */
  readonly overrides?: (config: EngineConfig) => EngineConfig;
  /** `auto` (default): without WhatsApp credentials the bundled simulator stands in. */
  readonly simulator?: "auto" | "always" | "never";
  /** Of the simulator, where it stands in. Default: the preset `realistic`. */
  readonly scenario?: ScenarioInput;
  /** In a cluster: a partition's table copies what it missed before the engine is ready. */
  onRebuilding?(partition: number, done: number, total: number): void;
  /** The engine can no longer keep its promises (a disk that fails): the process must end. */
  onFatal?(error: EngineError): void;
}

export interface Engine {
  readonly url: string;
  readonly config: EngineConfig;
  readonly adminKey: string;
  readonly adminKeyFile: string;
  readonly isSimulated: boolean;
  readonly simulator: SimulatorThread | null;
  /** Ids of the campaigns, as they are now. */
  campaigns(): readonly string[];
  /** Drains: intake ends, requests on their way get their verdict, everything is made durable. Safe twice. */
  stop(): Promise<void>;
}

/** How long an actor thread may wait for WhatsApp's last answers: the client's time-outs, less than the CLI's 30 s. */
const THREADS_GRACE_MS = 20_000;
/** Requests under way at a stop get this long for their answer. */
const INGRESS_GRACE_MS = 5_000;
const INGRESS_LOOK_MS = 10;
const EXPORT_THREADS = 1;
const STARTING = "the templates have not been read yet";

/** @throws EngineError when something cannot be opened; what was opened before is closed again. */
export async function startEngine(options: StartOptions): Promise<Engine> {
  const log = createStdoutLog({ level: options.logLevel ?? "info", thread: "main" });
  const shutdown = new Shutdown(log);
  try {
    return await wire(options, log, shutdown);
  } catch (error) {
    await shutdown.run();
    throw error;
  }
}

async function wire(options: StartOptions, log: Log, shutdown: Shutdown): Promise<Engine> {
  const folder = dirname(resolvePath(options.configFile));
  const fromFiles = readTemplates(join(folder, "templates"), log);
  const { config, simulator, secretFiles } = await readConfig(options, fromFiles, log);
  shutdown.add("simulator", () => simulator?.close());
  const stores = await openStores(config, log, shutdown);
  const { registry, backbone, ledgerPaths } = stores;
  const adminKeyFile = join(config.dataDir, "admin.key");
  const adminKey = await backbone.keys.ensureAdminKey(adminKeyFile);

  const isSimulated = simulator !== null;
  const limits = liveLimits({ options, config, isSimulated, desk: backbone.limits, log });
  await limits.apply();
  const management = startManagement({ config, limits, registry, backbone, fromFiles, log, shutdown });
  const { sync } = management;
  const onTemplates = (list: readonly WhatsAppTemplate[]): void => sync.setFiles(list);
  const { environment } = options;
  await followFiles({ folder, environment, secretFiles, registry, limits, onTemplates, log, shutdown });

  const figures = new Figures(() => systemClock.monotonicMs());
  backbone.onSettled((messageIds) => figures.arrived(messageIds));
  const readiness = new Readiness(options, log);
  const onFatal = (error: EngineError): void => readiness.broke(error);
  const exports = createExportPool({ ledgerPaths, threads: EXPORT_THREADS });
  shutdown.add("export threads", () => exports.close());
  const threads = startThreads({ options, config, limits, management, stores, figures, onFatal, log });
  backbone.attach(threads);
  management.attach(threads);
  shutdown.add("actor threads", () => threads.stop(THREADS_GRACE_MS));
  registry.onChange(() => threads.setCampaigns(threadCampaigns(registry)));
  limits.onChange(() => threads.setConsent(consentRulesOf(limits.consent)));
  await threads.ready();
  stores.ledgers.forEach((ledger, partition) => backbone.stream.trim(partition, ledger.cursor()));
  await backbone.join();

  const parts = { ...stores, config, limits, management, threads, exports, figures, isSimulated, log };
  const server = await startFront({ ...parts, unreadiness: () => readiness.reasons, onFatal });
  shutdown.add("server", () => drain(server));
  const url = `http://${config.server.host}:${server.port}`;
  await simulator?.setWebhookUrl(`${url}/webhooks/whatsapp`);
  await sync.firstRound;
  readiness.started();
  const { workers, stream } = config;
  log.info("engine.started", { url, server: server.description, workers, stream: stream.driver });

  const stop = async (): Promise<void> => {
    log.info("engine.stopping");
    readiness.stopping();
    await shutdown.run();
    log.info("engine.stopped");
  };
  const campaigns = (): string[] => registry.list().map(({ definition }) => definition.id);
  return { url, config, adminKey, adminKeyFile, isSimulated, simulator, campaigns, stop };
}

/** Why callers should go elsewhere for now. */
class Readiness {
  readonly #options: StartOptions;
  readonly #log: Log;
  readonly #reasons = new Set([STARTING]);

  constructor(options: StartOptions, log: Log) {
    this.#options = options;
    this.#log = log;
  }

  get reasons(): readonly string[] {
    return [...this.#reasons];
  }

  started(): void {
    this.#reasons.delete(STARTING);
  }

  stopping(): void {
    this.#reasons.add("the engine is stopping");
  }

  broke(error: EngineError): void {
    if (this.#reasons.has(error.message)) return;
    this.#reasons.add(error.message);
    this.#log.error("engine.broken", { code: error.code, reason: error.message });
    this.#options.onFatal?.(error);
  }
}

function liveLimits(parts: {
  readonly options: StartOptions;
  readonly config: EngineConfig;
  readonly isSimulated: boolean;
  readonly desk: LimitsDesk;
  readonly log: Log;
}): LiveLimits {
  const { options, isSimulated, ...rest } = parts;
  const { configFile } = options;
  return new LiveLimits({ ...rest, configFile, reload: () => loaded(options).config, hasOwnSecrets: !isSimulated });
}

interface Stores {
  readonly backbone: Backbone;
  readonly registry: CampaignRegistry;
  /** One a partition, in their order, like the next. */
  readonly ledgerPaths: readonly string[];
  readonly ledgers: readonly LedgerReader[];
}

async function openStores(config: EngineConfig, log: Log, shutdown: Shutdown): Promise<Stores> {
  const { dataDir, senders } = config;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  shutdown.add("lock", takeLockFile(join(dataDir, "engine.lock")));
  claimDataFolder(dataDir, config.stream.driver);
  const ledgerPaths = Array.from({ length: PARTITIONS }, (_, partition) => join(dataDir, "ledger", String(partition)));
  const ledgers = ledgerPaths.map((path) => openLedger({ path, readOnly: true }));
  shutdown.add("ledgers", async () => void (await Promise.all(ledgers.map((ledger) => ledger.close()))));
  const backbone = await openBackbone({
    config,
    hasRow: (id) => ledgers[decodeMessageId(id)?.partition ?? -1]?.get(id) !== undefined,
    log,
    shutdown,
  });
  const { store } = backbone;
  const { nowMs } = systemClock;
  const registry = createRegistry({ store, compile: compileCampaign, senders, nowMs, log });
  return { backbone, registry, ledgerPaths, ledgers };
}

/** Who runs alone never loads the client of NATS. */
async function openBackbone(options: BackboneOptions): Promise<Backbone> {
  if (options.config.stream.driver === "embedded") return openEmbeddedBackbone(options);
  const { openClusterBackbone } = await import("./cluster-backbone.ts");
  return openClusterBackbone(options);
}

async function readConfig(
  options: StartOptions,
  templates: readonly WhatsAppTemplate[],
  log: Log,
): Promise<{ config: EngineConfig; simulator: SimulatorThread | null; secretFiles: readonly string[] }> {
  const { config, hasCredentials, unsetVariables, secretFiles } = loaded(options);
  const { simulator = "auto", scenario = { preset: "realistic" } } = options;
  if (simulator === "never" || (simulator === "auto" && hasCredentials))
    return { config, simulator: null, secretFiles };
  const simulated = await simulateWhatsApp({ config, templates, scenario });
  log.warn("whatsapp.simulated", { url: simulated.simulator.url, unsetVariables });
  return { ...simulated, secretFiles };
}

function loaded({ configFile, environment, overrides }: StartOptions): LoadedConfig {
  const fromFile = loadConfig({ file: configFile, environment });
  return overrides === undefined ? fromFile : { ...fromFile, config: overrides(fromFile.config) };
}

interface ThreadParts {
  readonly options: StartOptions;
  readonly config: EngineConfig;
  readonly limits: LiveLimits;
  readonly management: Management;
  readonly stores: Stores;
  readonly figures: Figures;
  onFatal(error: EngineError): void;
  readonly log: Log;
}

function startThreads(parts: ThreadParts): ActorThreads {
  const { options, config, limits, management, stores, figures, onFatal, log } = parts;
  const { registry, backbone, ledgerPaths } = stores;
  return new ActorThreads({
    count: config.workers,
    start: {
      ledgerPaths,
      optOutsPath: optOutsPath(config.dataDir),
      whatsapp: config.whatsapp,
      logLevel: options.logLevel ?? "info",
    },
    stream: () => backbone.threadStream(),
    campaigns: () => threadCampaigns(registry),
    senders: () => management.portfolios.threadSenders(),
    consent: () => consentRulesOf(limits.consent),
    onStarted: (partitions) => {
      figures.threadStarted(partitions);
      management.threadStarted(partitions);
    },
    onProgress: (progress) => {
      figures.progressed(progress);
      backbone.stream.trim(progress.partition, progress.cursor);
    },
    onResponseTimes: (milliseconds) => figures.responded(milliseconds),
    onSender: (senderId, report) => management.board.reported(senderId, report),
    onUnknownCode: (errorCode) => management.board.unknownCode(errorCode),
    onStaleTemplate: () => management.sync.stale(),
    onRebuilding: (partition, done, total) => options.onRebuilding?.(partition, done, total),
    onRewound: (partition) => backbone.rewound(partition),
    onFatal,
    log,
    clock: systemClock,
  });
}

function threadCampaigns(registry: CampaignRegistry): readonly ThreadCampaign[] {
  const defined = registry.list().map(({ definition, number, template }) => {
    return { kind: "defined", number, definition, template } as const;
  });
  const removed = registry.removed().map(({ id, number }) => ({ kind: "removed", id, number }) as const);
  return [...defined, ...removed];
}

/** No new connections; those under way are answered, or cut once the grace is over. */
async function drain(server: UwsServer): Promise<void> {
  server.stopListening();
  const endMs = systemClock.monotonicMs() + INGRESS_GRACE_MS;
  while (server.inFlight() > 0 && systemClock.monotonicMs() < endMs) {
    await new Promise<void>((resolve) => void systemClock.after(INGRESS_LOOK_MS, resolve));
  }
  server.close();
}
