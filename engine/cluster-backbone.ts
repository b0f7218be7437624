// A node of a cluster: NATS JetStream carries what is accepted, what happened, campaigns, keys, limits and leases. This
// node keeps an outbox of what it accepted and a table of everything
// (docs/nats.md, docs/decisions/0010-jetstream-carries-lmdb-holds.md).

import { randomBytes } from "node:crypto";
import { join } from "node:path";

import type { ActorThreads } from "./actor-threads.ts";
import type { ThreadStream } from "./actor/protocol.ts";
import type { ClusterView } from "./api/operators-api-deps.ts";
import { type Backbone, type BackboneOptions, optOutsPath } from "./backbone.ts";
import { openJetStreamCampaignStore } from "./campaign/jetstream-campaign-store.ts";
import { openClusterLimits } from "./cluster/jetstream-limits.ts";
import { joinCluster, type Membership } from "./cluster/jetstream-membership.ts";
import { answerReplays, requestReplay } from "./cluster/jetstream-replay.ts";
import { openJetStreamOptOuts } from "./consent/jetstream-opt-outs.ts";
import { openJetStreamKeyStore } from "./ingress/jetstream-key-store.ts";
import type { MessageId } from "./message/ids.ts";
import { PARTITIONS } from "./message/partition.ts";
import { nodeIdentity } from "./node-identity.ts";
import { connectNats, type NatsLink } from "./runtime/jetstream-connection.ts";
import { describeServer } from "./runtime/jetstream-server.ts";
import { ensureStreams, recreateStreams } from "./runtime/jetstream-streams.ts";
import { systemClock } from "./runtime/system-clock.ts";
import { type FoldNews, type JetStreamStream, openJetStreamStream } from "./stream/jetstream-stream.ts";

interface Parts extends Pick<Backbone, "keys" | "store" | "optOuts" | "limits"> {
  readonly options: BackboneOptions;
  readonly link: NatsLink;
  readonly nodeId: string;
  readonly nodeName: string;
  readonly stream: JetStreamStream;
  /** LMDB: its outbox and the claims that were decided. */
  readonly claimsPath: string;
  readonly news: StreamNews;
}

/** What the stream tells, for those who come later than it. */
interface StreamNews {
  onFold(fold: FoldNews): void;
  onSettled(messageIds: readonly MessageId[]): void;
}

export async function openClusterBackbone(options: BackboneOptions): Promise<Backbone> {
  const { config, log, shutdown, hasRow } = options;
  const { dataDir, stream: settings } = config;
  const clock = systemClock;
  const { nodeId, nodeName } = nodeIdentity(dataDir);
  const link = await connectNats({ config: settings, name: `volley-${nodeName}`, log, clock });
  shutdown.add("connection to NATS", () => link.close());
  await describeServer(link, settings, log);
  await ensureStreams(link, settings, log);
  const shared = { link, nodeId, clock, log };
  const keys = await openJetStreamKeyStore({ ...shared, path: join(dataDir, "keys"), randomBytes });
  shutdown.add("keys", () => keys.close());
  const store = await openJetStreamCampaignStore({ ...shared, path: join(dataDir, "campaigns") });
  shutdown.add("campaigns", () => store.close());
  const optOuts = await openJetStreamOptOuts({ ...shared, path: optOutsPath(dataDir) });
  shutdown.add("opt-outs", () => optOuts.close());
  const limits = await openClusterLimits({ ...shared, path: join(dataDir, "limits") });
  shutdown.add("limits", () => limits.close());
  const news: StreamNews = { onFold: () => undefined, onSettled: () => undefined };
  const claimsPath = join(dataDir, "stream");
  const stream = await openJetStreamStream({
    link,
    path: claimsPath,
    recreate: () => recreateStreams(link, settings, log),
    hasRow,
    onFold: (fold) => news.onFold(fold),
    onSettled: (messageIds) => news.onSettled(messageIds),
    log,
    clock,
  });
  shutdown.add("stream", () => stream.close());
  return new ClusterBackbone({
    options,
    link,
    nodeId,
    nodeName,
    keys,
    store,
    optOuts,
    limits,
    stream,
    claimsPath,
    news,
  });
}

class ClusterBackbone implements Backbone {
  readonly stream: JetStreamStream;
  readonly keys: Backbone["keys"];
  readonly store: Backbone["store"];
  readonly optOuts: Backbone["optOuts"];
  readonly limits: Backbone["limits"];
  readonly #parts: Parts;
  readonly #leases = new SharedArrayBuffer(PARTITIONS * Float64Array.BYTES_PER_ELEMENT);
  #threads: ActorThreads | null = null;
  #membership: Membership | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.stream = parts.stream;
    this.keys = parts.keys;
    this.store = parts.store;
    this.optOuts = parts.optOuts;
    this.limits = parts.limits;
  }

  get nodeNumber(): number {
    return this.#membership?.nodeNumber ?? 0;
  }

  threadStream(): ThreadStream {
    return {
      driver: "jetstream",
      config: this.#parts.options.config.stream,
      nodeName: this.#parts.nodeName,
      leases: this.#leases,
      claimsPath: this.#parts.claimsPath,
      owned: this.#membership?.held() ?? [],
    };
  }

  attach(threads: ActorThreads): void {
    this.#threads = threads;
    this.#parts.news.onFold = ({ partition }) => threads.folded(partition);
  }

  async join(): Promise<void> {
    const { options, link, nodeId, nodeName } = this.#parts;
    const { log, shutdown } = options;
    const membership = await joinCluster({
      link,
      nodeId,
      nodeName,
      buffer: this.#leases,
      onTake: (partition) => this.#threads?.own(partition),
      onRelease: async (partition) => this.#threads?.release(partition),
      onLost: (partition) => this.#threads?.lost(partition),
      log,
      clock: systemClock,
    });
    this.#membership = membership;
    shutdown.add("membership", () => membership.leave());
    const stopAnswering = answerReplays(link, async (partition, ids, maxPerSecond) =>
      this.#owns(partition) ? this.replay(partition, ids, maxPerSecond) : null,
    );
    shutdown.add("replays", stopAnswering);
  }

  onSettled(call: (messageIds: readonly MessageId[]) => void): void {
    this.#parts.news.onSettled = call;
  }

  rewound(partition: number): void {
    this.stream.republish(partition);
  }

  async replay(partition: number, ids: readonly MessageId[], maxPerSecond: number): Promise<number> {
    if (this.#threads !== null && this.#owns(partition)) return this.#threads.replay(partition, ids, maxPerSecond);
    return requestReplay(this.#parts.link, { partition, ids, maxPerSecond });
  }

  cluster(): ClusterView {
    return {
      driver: "jetstream",
      node: this.#parts.nodeName,
      nodes: this.#membership?.nodes() ?? [],
      partitions: (this.#membership?.owners() ?? []).map((owner, partition) => ({ partition, owner })),
    };
  }

  #owns(partition: number): boolean {
    return this.#membership?.held().includes(partition) === true;
  }
}
