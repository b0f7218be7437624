// The port between the doors and the actors: what is accepted is appended here, on the main thread, and the actors
// read it. Two drivers keep its promise: lmdb-stream.ts (this machine alone) and jetstream-stream.ts (several nodes).

import type { WriteFailure } from "../runtime/lmdb-commit.ts";
import type { Claim } from "./claim.ts";

export interface StreamEnvelope {
  /** 0 to PARTITIONS - 1. */
  readonly partition: number;
  /** Must not change before the append resolved. */
  readonly bytes: Uint8Array;
  /** Of its events, in their order: those of one event side by side, the one that decides first. */
  readonly claims: readonly Claim[];
}

export interface StreamPlace {
  readonly partition: number;
  /** Grows within a partition, in the order in which the actors read. */
  readonly sequence: number;
}

export interface Stream {
  /**
   * Stores all envelopes; resolves with their places, in their order, once they are durable and their claims decided.
   * @throws EngineError ERR_STREAM_WRITE; callers are told that nothing was stored.
   */
  append(envelopes: readonly StreamEnvelope[]): Promise<StreamPlace[]>;
  /** Who holds a key (32 hex digits): right for every claim whose append resolved within the last 72 h. */
  findClaim(key: string): Claim | undefined;
  /** The ledger of this node holds a partition's entries up to and including `throughSequence`. */
  trim(partition: number, throughSequence: number): void;
  /** Sequence of the partition's newest entry that this node knows of; 0 before the first. */
  lastSequence(partition: number): number;
  /** Why nothing can be taken now, as a sentence; null: all is well. Cheap: asked for each request. */
  unavailability(): string | null;
  /** Why nothing is stored any more until a restart; `broken`: the process must end. */
  failure(): WriteFailure | null;
  /** Waits for the running commit. */
  close(): Promise<void>;
}
