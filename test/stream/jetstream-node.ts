// One node of a cluster as far as the stream goes: its connection, its side of the stream, and an actor's readers. The
// ledger of the actor is a set of ids.

import { PARTITIONS } from "../../engine/message/partition.ts";
import type { MessageId } from "../../engine/message/ids.ts";
import type { NatsLink } from "../../engine/runtime/jetstream-connection.ts";
import { ensureStreams } from "../../engine/runtime/jetstream-streams.ts";
import type { StreamPosition } from "../../engine/runtime/jetstream-tail.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { type EventsReader, openEventsReader } from "../../engine/stream/jetstream-events-reader.ts";
import { type ClaimsReader, openClaimsReader } from "../../engine/stream/lmdb-claims-reader.ts";
import { type FoldNews, type JetStreamStream, openJetStreamStream } from "../../engine/stream/jetstream-stream.ts";
import { connectTo, keptLog, type LogLine, streamConfig } from "../runtime/jetstream-settings.ts";
import { ActorLedger } from "./stream-reading.ts";

export interface NodeOptions {
  readonly url: string;
  /** Keeps the nodes of one test apart from others' on the same server. */
  readonly prefix: string;
  readonly path: string;
  readonly eventsMaxBytes?: number;
  /** By partition; given again after a restart. */
  readonly ledgers?: readonly ActorLedger[];
}

export interface ClusterNode {
  readonly link: NatsLink;
  readonly stream: JetStreamStream;
  readonly ledgers: readonly ActorLedger[];
  readonly settled: MessageId[];
  readonly lines: readonly LogLine[];
  /** Partitions whose readers found the stream rewound. */
  readonly rewound: number[];
  reader(partition: number, after?: StreamPosition, decisionOf?: ClaimsReader["decisionOf"]): Promise<EventsReader>;
  stop(): Promise<void>;
}

const EVENTS_BYTES_MAX = 256 * 1024 * 1024;

export async function startNode(options: NodeOptions): Promise<ClusterNode> {
  const { url, prefix, path, eventsMaxBytes = EVENTS_BYTES_MAX } = options;
  const { log, lines } = keptLog();
  const settings = { name: prefix, eventsMaxBytes };
  const config = streamConfig(url, settings);
  const link = await connectTo({ server: { url }, settings, log });
  await ensureStreams(link, config, log);
  const ledgers = options.ledgers ?? Array.from({ length: PARTITIONS }, () => new ActorLedger());
  const readers = new Map<EventsReader, number>();
  const settled: MessageId[] = [];
  const rewound: number[] = [];
  const stream = await openJetStreamStream({
    link,
    path,
    recreate: () => ensureStreams(link, config, log),
    hasRow: (id) => ledgers.some(({ rows }) => rows.has(id)),
    onFold: (news: FoldNews) => {
      for (const [reader, partition] of readers) if (partition === news.partition) reader.folded();
    },
    onSettled: (ids) => void settled.push(...ids),
    log,
    clock: systemClock,
  });
  const claims = openClaimsReader({ path, nowMs: () => systemClock.nowMs() });
  return {
    link,
    stream,
    ledgers,
    settled,
    lines,
    rewound,
    async reader(partition, after = { sequence: 0, id: "" }, decisionOf = (claim) => claims.decisionOf(claim)) {
      const onRewound = (): void => void rewound.push(partition);
      const onMore = (): void => undefined;
      const reader = await openEventsReader({
        link,
        partition,
        after,
        decisionOf,
        onMore,
        onRewound,
        log,
        clock: systemClock,
      });
      readers.set(reader, partition);
      // What was decided while it opened.
      reader.folded();
      return reader;
    },
    async stop() {
      await Promise.all([...readers.keys()].map((reader) => reader.close()));
      await claims.close();
      await stream.close();
      await link.close();
    },
  };
}
