// What the main thread stands on: the stream, and the stores of campaigns and keys. Two kinds: one machine alone
// (here), or a node of a cluster (cluster-backbone.ts).

import { randomBytes } from "node:crypto";
import { join } from "node:path";

import type { ActorThreads } from "./actor-threads.ts";
import type { ClusterView } from "./api/operators-api-deps.ts";
import type { ThreadStream } from "./actor/protocol.ts";
import type { CampaignStore } from "./campaign/campaign-store.ts";
import { openCampaignStore } from "./campaign/lmdb-campaign-store.ts";
import { openOptOuts } from "./consent/lmdb-opt-outs.ts";
import type { OptOutStore } from "./consent/opt-out-store.ts";
import { type KeyStore, openKeyStore } from "./ingress/lmdb-key-store.ts";
import { type LimitsDesk, OWN_LIMITS } from "./live-limits.ts";
import type { MessageId } from "./message/ids.ts";
import { PARTITIONS } from "./message/partition.ts";
import type { EngineConfig } from "./runtime/config.ts";
import type { Log } from "./runtime/log.ts";
import type { Shutdown } from "./runtime/shutdown.ts";
import { systemClock } from "./runtime/system-clock.ts";
import { openLmdbStream } from "./stream/lmdb-stream.ts";
import type { Stream } from "./stream/stream.ts";

export interface Backbone {
  readonly stream: Stream;
  readonly keys: KeyStore;
  readonly store: CampaignStore;
  readonly optOuts: OptOutStore;
  readonly limits: LimitsDesk;
  /** For a thread that starts now. */
  threadStream(): ThreadStream;
  /** The threads were made: they are told the stream's news from now on. */
  attach(threads: ActorThreads): void;
  /** The threads stand: what they are to work on is given to them from here on. */
  join(): Promise<void>;
  /** In every message id, from `join` on: no two nodes have the same. */
  readonly nodeNumber: number;
  /** The events of these ids have their rows. Only in a cluster: with the embedded stream the threads count them. */
  onSettled(call: (messageIds: readonly MessageId[]) => void): void;
  /** In a cluster: a thread found that a partition's stream lost its tail. */
  rewound(partition: number): void;
  /** Queues messages anew where their partition works, and counts them. */
  replay(partition: number, ids: readonly MessageId[], maxPerSecond: number): Promise<number>;
  cluster(): ClusterView;
}

export interface BackboneOptions {
  readonly config: EngineConfig;
  /** Whether this node's table has a row for the message. */
  hasRow(messageId: MessageId): boolean;
  readonly log: Log;
  readonly shutdown: Shutdown;
}

/** Where the actor threads read the opt-outs, whatever keeps them. */
export function optOutsPath(dataDir: string): string {
  return join(dataDir, "opt-outs");
}

/** One machine alone: everything is in its own LMDB environments. */
export async function openEmbeddedBackbone({ config, log, shutdown }: BackboneOptions): Promise<Backbone> {
  const { dataDir } = config;
  const path = join(dataDir, "stream");
  const stream = openLmdbStream({ path, log });
  shutdown.add("stream", () => stream.close());
  const keys = openKeyStore({ path: join(dataDir, "keys"), clock: systemClock, randomBytes });
  shutdown.add("keys", () => keys.close());
  const store = await openCampaignStore({ path: join(dataDir, "campaigns") });
  shutdown.add("campaigns", () => store.close());
  const optOuts = openOptOuts({ path: optOutsPath(dataDir) });
  shutdown.add("opt-outs", () => optOuts.close());
  let threads: ActorThreads | null = null;
  const heads = Array.from({ length: PARTITIONS }, (_, partition) => stream.lastSequence(partition));
  return {
    stream,
    keys,
    store,
    optOuts,
    limits: OWN_LIMITS,
    threadStream: () => ({ driver: "embedded", path, heads }),
    attach: (made) => {
      threads = made;
    },
    join: async () => undefined,
    nodeNumber: 0,
    onSettled: () => undefined,
    rewound: () => undefined,
    replay: async (partition, ids, maxPerSecond) => (await threads?.replay(partition, ids, maxPerSecond)) ?? 0,
    cluster: () => ({ driver: "embedded", node: null, nodes: [], partitions: [] }),
  };
}
