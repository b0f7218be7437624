// Waits until a NATS cluster is whole again: every replica of every stream is up to date. Two faults at once would be
// more than three replicas are made for.

import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

import { until } from "./until.ts";

const ANSWER_MS_MAX = 2_000;

/** How many streams each server leads, by the server's name. */
export async function untilReplicasCurrent(
  urls: readonly string[],
  replicas: number,
  deadlineMs = 60_000,
): Promise<ReadonlyMap<string, number>> {
  const connection = await connect({ servers: [...urls], timeout: ANSWER_MS_MAX, waitOnFirstConnect: true });
  try {
    const manager = await jetstreamManager(connection, { timeout: ANSWER_MS_MAX, checkAPI: false });
    let leaders = new Map<string, number>();
    const isWhole = async (): Promise<boolean> => {
      leaders = new Map();
      try {
        for (const { cluster } of await manager.streams.list().next()) {
          const others = cluster?.replicas ?? [];
          const current = others.filter(({ current: isCurrent, offline }) => isCurrent && !(offline ?? false));
          if (cluster?.leader === undefined || current.length !== replicas - 1) return false;
          leaders.set(cluster.leader, (leaders.get(cluster.leader) ?? 0) + 1);
        }
        return leaders.size > 0;
      } catch {
        return false;
      }
    };
    await until("every replica is current", isWhole, deadlineMs);
    return leaders;
  } finally {
    await connection.close();
  }
}
