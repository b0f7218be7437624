// Whether a stream is still the one it was. An answer of JetStream is no fsync: a server that lost its power may come back
// without its newest messages and give their sequences to others. So a place in a stream is a sequence *and* the id of
// the message there.

import { setTimeout as passed } from "node:timers/promises";

import type { NatsLink } from "./jetstream-connection.ts";

/** A place in a stream: the message dealt with last. `{ sequence: 0, id: "" }`: before the first message. */
export interface StreamPosition {
  readonly sequence: number;
  /** Nats-Msg-Id of the message at `sequence`; empty when it has none. */
  readonly id: string;
}

/** A new leader of a replicated stream may for a moment not show what it already has: one look proves no loss. */
const LOOKS_MAX = 3;
const LOOK_PAUSE_MS = 500;

/**
 * Whether the stream still holds at `position` what it held; an entry that only aged out counts as held.
 * A `false` takes about a second: it is looked again before a loss is believed.
 *
 * @throws what the server's API throws: no answer in time, no leader, stream not found.
 */
export async function isPositionHeld(
  link: Pick<NatsLink, "manager">,
  stream: string,
  position: StreamPosition,
): Promise<boolean> {
  if (position.sequence === 0) return true;
  for (let look = 1; ; look += 1) {
    const found = await lookAt(link, stream, position);
    if (found !== "missing") return found === "held";
    if (look === LOOKS_MAX) return false;
    await passed(LOOK_PAUSE_MS);
  }
}

async function lookAt(
  { manager }: Pick<NatsLink, "manager">,
  stream: string,
  position: StreamPosition,
): Promise<"held" | "replaced" | "missing"> {
  const message = await manager.streams.getMessage(stream, { seq: position.sequence });
  if (message !== null) return message.header.get("Nats-Msg-Id") === position.id ? "held" : "replaced";
  const { state } = await manager.streams.info(stream);
  // Messages leave at the front by age alone. A hole further back is none of ours: whoever reads on from there may miss something.
  return state.first_seq > position.sequence ? "held" : "missing";
}

/** Sequence of the newest message; 0 when there never was one. */
export async function lastSequence(link: Pick<NatsLink, "manager">, stream: string): Promise<number> {
  return (await link.manager.streams.info(stream)).state.last_seq;
}
