// A stream of JetStream that is full refuses what is new (discard: new), which is right for whoever must not lose the
// old, and wrong for a log whose old part every node has in its own table already. So its oldest half goes.

import type { NatsLink } from "./jetstream-connection.ts";
import { messageOf } from "./errors.ts";
import type { Log } from "./log.ts";

/**
 * Removes the older half of a stream's messages, at most through `through`.
 *
 * @returns false when nothing could be removed.
 */
export async function dropOldestHalf(
  link: NatsLink,
  stream: string,
  { through, log }: { readonly through: number; readonly log: Log },
): Promise<boolean> {
  try {
    const { state } = await link.manager.streams.info(stream);
    const half = state.first_seq + Math.floor((state.last_seq - state.first_seq) / 2);
    const last = Math.min(half, through);
    if (state.messages < 2 || last < state.first_seq) return false;
    const { purged } = await link.manager.streams.purge(stream, { seq: last + 1 });
    log.warn("stream.full", { stream, removedMessages: purged, advice: "raise its size: see docs/nats.md, Sizing" });
    return purged > 0;
  } catch (error) {
    log.warn("stream.full", { stream, reason: messageOf(error) });
    return false;
  }
}
