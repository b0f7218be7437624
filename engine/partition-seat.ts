// A partition's place in its actor thread. With the embedded stream it works from start to stop; in a cluster it works
// while this node owns the partition (cluster-seat.ts).

import { Partition } from "./actor/partition.ts";
import type { PartitionDeps } from "./actor/partition-deps.ts";
import type { ThreadCampaign } from "./actor/protocol.ts";
import type { Ledger } from "./ledger/lmdb-ledger.ts";
import type { MarketingElsewhere } from "./marketing-elsewhere.ts";
import type { LmdbStreamReader } from "./stream/lmdb-stream-reader.ts";
import type { ThreadCampaigns } from "./thread-campaigns.ts";

/** What all partitions of a thread have in common. */
export type SharedDeps = Omit<
  PartitionDeps,
  | "partition"
  | "streamHead"
  | "ledger"
  | "readStream"
  | "permit"
  | "send"
  | "report"
  | "marketingSendsElsewhere"
  | "onAwaited"
  | "onBroken"
> & {
  readonly campaigns: ThreadCampaigns;
  readonly marketingElsewhere: MarketingElsewhere;
  /** `mayLeave` is asked when the request is about to be written. */
  send(
    request: Parameters<PartitionDeps["send"]>[0] & { mayLeave?(): boolean },
    done: Parameters<PartitionDeps["send"]>[1],
  ): void;
};

export type OwnDeps = Pick<
  PartitionDeps,
  "partition" | "streamHead" | "ledger" | "readStream" | "permit" | "send" | "report" | "onBroken"
>;

export interface Seat {
  readonly partition: number;
  /** Null while another node owns the partition. */
  readonly worker: Partition | null;
  /** Resolves once the partition works, or follows the node that owns it. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** A partition that knows its campaigns; it still has to be started. */
export function createPartition(shared: SharedDeps, own: OwnDeps): Partition {
  const { campaigns, defer, marketingElsewhere } = shared;
  const { partition } = own;
  const worker = new Partition({
    ...shared,
    ...own,
    marketingSendsElsewhere: (phoneNumber, sinceMs) => marketingElsewhere.sends(partition, phoneNumber, sinceMs),
    onAwaited: (campaignNumber) => {
      shared.log.warn("event.awaits_campaign", { partition, campaignNumber });
      defer(() => campaigns.awaited(worker, partition, campaignNumber));
    },
  });
  campaigns.teach(worker, partition, campaigns.all());
  return worker;
}

export function teach(seats: Iterable<Seat>, campaigns: ThreadCampaigns, news: readonly ThreadCampaign[]): void {
  campaigns.set(news);
  for (const { worker, partition } of seats) if (worker !== null) campaigns.teach(worker, partition, news);
}

/** What one look into the stream brings at most. */
const STREAM_READ = { itemsMax: 16, bytesMax: 1_048_576 };

export class EmbeddedSeat implements Seat {
  readonly partition: number;
  readonly worker: Partition;
  readonly #ledger: Ledger;

  constructor(
    shared: SharedDeps,
    own: Pick<OwnDeps, "partition" | "streamHead" | "report" | "onBroken"> & {
      readonly ledger: Ledger;
      readonly stream: LmdbStreamReader;
    },
  ) {
    const { partition, stream } = own;
    this.partition = partition;
    this.#ledger = own.ledger;
    this.worker = createPartition(shared, {
      ...own,
      readStream: (afterSequence) => stream.read(partition, afterSequence, STREAM_READ),
      permit: (call) => call(),
      send: (request, done) => shared.send(request, done),
    });
  }

  async start(): Promise<void> {
    this.worker.start();
  }

  async stop(): Promise<void> {
    await this.worker.stop();
    await this.#ledger.close();
  }
}
