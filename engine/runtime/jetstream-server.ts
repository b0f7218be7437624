// What kind of nats-server this is, told once at the start: whoever looks for lost messages after a power cut finds in
// the log whether the server wrote before it acknowledged. No nats-server tells that to its clients; its monitoring does.

import type { StreamConfig } from "./config.ts";
import { messageOf } from "./errors.ts";
import type { NatsLink } from "./jetstream-connection.ts";
import type { Log } from "./log.ts";
import { isRecord } from "./schema-check.ts";

const MONITORING_TIMEOUT_MS = 3000;

export interface ServerFacts {
  /** Such as `2.9.10`. */
  readonly version: string;
  /** Servers of the cluster; 1 for a single one, null when unknown. */
  readonly clusterSize: number | null;
  readonly replicas: number;
  readonly isMonitored: boolean;
  /** From monitoring; null when it does not tell. */
  readonly sync: { readonly isAlways: boolean; readonly intervalSeconds: number | null } | null;
}

/** Logs `nats.server`: version, cluster size, replicas, when the server writes through to its disk, and advice. Never fails. */
export async function describeServer(link: NatsLink, config: StreamConfig, log: Log): Promise<void> {
  const { monitoring } = config;
  let seen: unknown = null;
  if (monitoring !== undefined) {
    try {
      seen = await readMonitoring(monitoring);
    } catch (error) {
      log.warn("nats.unmonitored", { monitoring, why: messageOf(error) });
    }
  }
  const { version = "unknown", cluster } = link.connection.info ?? {};
  const facts: ServerFacts = {
    version,
    clusterSize: clusterSizeOf(seen) ?? (cluster === undefined ? 1 : null),
    replicas: link.replicas,
    isMonitored: seen !== null,
    sync: syncOf(seen),
  };
  const { clusterSize, replicas } = facts;
  const advice = adviceFor(facts);
  log.info("nats.server", {
    version,
    ...(cluster === undefined ? {} : { cluster }),
    ...(clusterSize === null ? {} : { clusterSize }),
    replicas,
    fsync: fsyncText(facts),
    ...(advice.length === 0 ? {} : { advice: advice.join(" ") }),
  });
}

/** Answers JetStream's page of the monitoring. */
async function readMonitoring(address: string): Promise<unknown> {
  const url = `${address.replace(/\/$/, "")}/jsz`;
  const response = await fetch(url, { signal: AbortSignal.timeout(MONITORING_TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response.json();
}

function clusterSizeOf(page: unknown): number | null {
  const cluster = isRecord(page) ? page["meta_cluster"] : undefined;
  const size = isRecord(cluster) ? cluster["cluster_size"] : undefined;
  return typeof size === "number" ? size : null;
}

function syncOf(page: unknown): ServerFacts["sync"] {
  const settings = isRecord(page) ? page["config"] : undefined;
  if (!isRecord(settings)) return null;
  const nanos = settings["sync_interval"];
  const isAlways = settings["sync_always"] === true;
  if (!isAlways && typeof nanos !== "number") return null;
  return { isAlways, intervalSeconds: typeof nanos === "number" ? nanos / 1e9 : null };
}

/** When what was acknowledged is on the disk, in words. */
export function fsyncText({ version, isMonitored, sync }: ServerFacts): string {
  if (isOlder(version, 2, 10)) return "never before the acknowledgement (nats-server before 2.10 cannot)";
  if (sync === null) return isMonitored ? "unknown: the monitoring does not tell" : "unknown: set stream.monitoring";
  if (sync.isAlways) return "before each acknowledgement";
  return `every ${sync.intervalSeconds} s`;
}

/** What would make it safer, most urgent first. Accepted events are safe in each node's own outbox in any case. */
export function adviceFor(facts: ServerFacts): string[] {
  const { version, clusterSize, replicas, sync } = facts;
  const advice: string[] = [];
  // nats-server #6888: 2.10.20 to 2.10.22 could lose a whole stream when they were killed.
  const losesStreams = isOlder(version, 2, 10, 23) && !isOlder(version, 2, 10, 20);
  if (losesStreams) advice.push("Update nats-server: 2.10.20 to 2.10.22 can lose a whole stream when they are killed.");
  if (isOlder(version, 2, 10)) {
    advice.push(
      "A power cut can take what this server acknowledged; each node sends it again from its own disk. Newer servers know sync_interval: always.",
    );
  } else if (sync !== null && !sync.isAlways) {
    advice.push("Set sync_interval: always in nats-server's jetstream block; a power cut takes what came since.");
  }
  if (clusterSize !== null && clusterSize >= 3 && replicas === 1) {
    advice.push("Set stream.replicas: 3; with 1 each partition stands still while its only server is down.");
  }
  return advice;
}

/** Versions that are not understood count as new. */
function isOlder(version: string, major: number, minor: number, patch = 0): boolean {
  const [, ...parts] = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  if (parts.length === 0) return false;
  const [itsMajor = 0, itsMinor = 0, itsPatch = 0] = parts.map(Number);
  if (itsMajor !== major) return itsMajor < major;
  return itsMinor === minor ? itsPatch < patch : itsMinor < minor;
}
