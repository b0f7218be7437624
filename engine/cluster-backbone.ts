// A node of a cluster: NATS JetStream carries what is accepted, what happened, campaigns, keys and leases. This node
// keeps an outbox of what it accepted and a table of everything (docs/nats.md).

import { randomBytes } from "node:crypto";
import { join } from "node:path";

import type { ActorThreads } from "./actor-threads.ts";
import type { Backbone, BackboneOptions } from "./backbone.ts";
import { openJetStreamCampaignStore } from "./campaign/jetstream-campaign-store.ts";
import { openClusterLimits } from "./cluster/jetstream-limits.ts";
import { joinCluster, type Membership } from "./cluster/jetstream-membership.ts";
import { answerReplays, requestReplay } from "./cluster/jetstream-replay.ts";
import { openJetStreamKeyStore } from "./ingress/jetstream-key-store.ts";
import type { MessageId } from "./message/ids.ts";
import { PARTITIONS } from "./message/partition.ts";
import { nodeIdentity } from "./node-identity.ts";
import { connectNats } from "./runtime/jetstream-connection.ts";
import { describeServer } from "./runtime/jetstream-server.ts";
import { ensureStreams, recreateStreams } from "./runtime/jetstream-streams.ts";
import { systemClock } from "./runtime/system-clock.ts";
import { type JetStreamStream, openJetStreamStream } from "./stream/jetstream-stream.ts";

export async function openClusterBackbone(options: BackboneOptions): Promise<Backbone> {
  const { config, log, shutdown, hasRow } = options;
  const { dataDir, stream: settings } = config;
  const clock = systemClock;
  const { nodeId, nodeName } = nodeIdentity(dataDir);
  const link = await connectNats({ config: settings, name: `volley-${nodeName}`, log, clock });
  shutdown.add("connection to NATS", () => link.close());
  await describeServer(link, settings, log);
  await ensureStreams(link, settings, log);
  const recreate = (): Promise<void> => recreateStreams(link, settings, log);

  const keysPath = join(dataDir, "keys");
  const keys = await openJetStreamKeyStore({ link, path: keysPath, nodeId, clock, randomBytes, log });
  shutdown.add("keys", () => keys.close());
  const store = await openJetStreamCampaignStore({ link, path: join(dataDir, "campaigns"), nodeId, clock, log });
  shutdown.add("campaigns", () => store.close());
  const limits = await openClusterLimits({ link, path: join(dataDir, "limits"), nodeId, clock, log });
  shutdown.add("limits", () => limits.close());

  const settled: ((messageIds: readonly MessageId[]) => void)[] = [];
  let threads: ActorThreads | null = null;
  const stream: JetStreamStream = await openJetStreamStream({
    link,
    path: join(dataDir, "stream"),
    recreate,
    hasRow,
    onFold: (fold) => threads?.folded(fold),
    onSettled: (messageIds) => settled.forEach((call) => call(messageIds)),
    log,
    clock,
  });
  shutdown.add("stream", () => stream.close());

  const leases = new SharedArrayBuffer(PARTITIONS * Float64Array.BYTES_PER_ELEMENT);
  let membership: Membership | null = null;

  return {
    stream,
    keys,
    store,
    limits,
    threadStream: () => ({
      driver: "jetstream",
      config: settings,
      nodeName,
      leases,
      folds: stream.folds(),
      owned: membership?.held() ?? [],
    }),
    attach: (made) => {
      threads = made;
    },
    join: async () => {
      const joined = await joinCluster({
        link,
        nodeId,
        nodeName,
        buffer: leases,
        onTake: (partition) => threads?.own(partition),
        onRelease: async (partition) => threads?.release(partition),
        onLost: (partition) => threads?.lost(partition),
        log,
        clock,
      });
      membership = joined;
      shutdown.add("membership", () => joined.leave());
      shutdown.add(
        "replays",
        answerReplays(link, (partition, ids, maxPerSecond) =>
          joined.held().includes(partition) ? (threads?.replay(partition, ids, maxPerSecond) ?? null) : null,
        ),
      );
    },
    get nodeNumber() {
      return membership?.nodeNumber ?? 0;
    },
    onSettled: (call) => void settled.push(call),
    rewound: (partition) => stream.republish(partition),
    replay: async (partition, ids, maxPerSecond) =>
      threads !== null && membership?.held().includes(partition) === true
        ? threads.replay(partition, ids, maxPerSecond)
        : requestReplay(link, { partition, ids, maxPerSecond }),
    cluster: () => ({
      driver: "jetstream",
      node: nodeName,
      nodes: membership?.nodes() ?? [],
      partitions: (membership?.owners() ?? []).map((owner, partition) => ({ partition, owner })),
    }),
  };
}
