// An actor thread's part in a cluster: its own connection to NATS, and a seat for each of its partitions.

import type { PartitionProgress } from "./actor/partition-deps.ts";
import type { FromThread, ThreadStream, ToThread } from "./actor/protocol.ts";
import { ClusterSeat } from "./cluster-seat.ts";
import type { Ledger } from "./ledger/lmdb-ledger.ts";
import type { SharedDeps } from "./partition-seat.ts";
import { connectNats } from "./runtime/jetstream-connection.ts";
import { recreateStreams } from "./runtime/jetstream-streams.ts";
import { salvage } from "./salvage.ts";
import { openClaimsReader } from "./stream/lmdb-claims-reader.ts";

export interface ClusterThread {
  readonly seats: readonly ClusterSeat[];
  hear(message: Extract<ToThread, { kind: "own" | "release" | "lost" | "folded" }>): void;
  close(): Promise<void>;
}

export async function startClusterThread(options: {
  readonly stream: Extract<ThreadStream, { driver: "jetstream" }>;
  readonly threadIndex: number;
  readonly ledgers: readonly { readonly partition: number; readonly ledger: Ledger }[];
  readonly shared: SharedDeps;
  post(message: FromThread): void;
  report(progress: PartitionProgress): void;
  onBroken(error: unknown): void;
}): Promise<ClusterThread> {
  const { stream, threadIndex, ledgers, shared, post } = options;
  const { config, nodeName } = stream;
  const { log, clock } = shared;
  const link = await connectNats({ config, name: `volley-${nodeName}-actor-${threadIndex}`, log, clock });
  const leases = new Float64Array(stream.leases);
  const claims = openClaimsReader({ path: stream.claimsPath, nowMs: () => clock.nowMs() });
  const closing = new AbortController();
  const recreate = (): Promise<void> => recreateStreams(link, config, log);
  const seats = ledgers.map(({ partition, ledger }) => {
    return new ClusterSeat({
      partition,
      shared,
      link,
      ledger,
      nodeName,
      leases,
      decisionOf: (claim) => claims.decisionOf(claim),
      isOwned: stream.owned.includes(partition),
      recreate,
      report: (progress) => options.report(progress),
      onRebuilding: (done, total) => post({ kind: "rebuilding", partition, done, total }),
      onRewound: () => post({ kind: "rewound", partition }),
      onSeated: () => post({ kind: "seated", partition }),
      onFork: (records) => salvage(link, partition, records, { signal: closing.signal, recreate }),
      onBroken: (error) => options.onBroken(error),
    });
  });
  const seatOf = (partition: number): ClusterSeat | undefined => seats.find((seat) => seat.partition === partition);

  return {
    seats,
    hear(message) {
      switch (message.kind) {
        case "own":
          seatOf(message.partition)?.own();
          return;
        case "release":
          void seatOf(message.partition)
            ?.release()
            .then(() => post({ kind: "released", partition: message.partition }));
          return;
        case "lost":
          seatOf(message.partition)?.lost();
          return;
        case "folded":
          seatOf(message.partition)?.folded();
      }
    },
    close: async () => {
      closing.abort();
      await link.close();
      await claims.close();
    },
  };
}
