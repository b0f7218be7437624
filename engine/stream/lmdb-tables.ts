// The tables of the stream's environment, and how their keys and values look.
//
//   envelopes  [partition, sequence] → an envelope's bytes
//   heads      partition             → the newest sequence ever given, so that none is given twice
//   claims     hour and key, binary  → see lmdb-claims.ts

import type { Environment, Table } from "../runtime/lmdb-commit.ts";

export interface StreamTables {
  readonly claims: Table;
  /** Newest sequence of a partition; 0 when there never was one. */
  head(partition: number): number;
  /** Oldest sequence still stored. */
  firstSequence(partition: number): number | undefined;
  /** A copy: stays valid. */
  envelope(partition: number, sequence: number): Uint8Array | undefined;
  /** Sequences still stored, in order. */
  sequences(partition: number): number[];
  /** Inside a transaction. Also moves the partition's head. */
  putEnvelope(partition: number, sequence: number, bytes: Uint8Array): void;
  /** Inside a transaction. */
  removeEnvelope(partition: number, sequence: number): void;
  /** Envelopes after `afterSequence` in order, at most `limit`; a lazy range that must be read at once. */
  envelopesAfter(
    partition: number,
    afterSequence: number,
    limit: number,
  ): Iterable<{ readonly sequence: number; readonly bytes: Uint8Array }>;
}

const SEQUENCE_BYTES = 8;

export function openStreamTables(environment: Environment): StreamTables {
  const envelopes: Table = environment.openDB("envelopes", { encoding: "binary" });
  const heads: Table = environment.openDB("heads", { encoding: "binary" });
  const claims: Table = environment.openDB("claims", { encoding: "binary", keyEncoding: "binary" });

  return {
    claims,
    head: (partition) => {
      const value = heads.getBinary(partition);
      return value === undefined ? 0 : value.readDoubleBE(0);
    },
    firstSequence: (partition) => {
      const [key] = envelopes.getKeys({ start: [partition], end: [partition + 1], limit: 1 });
      return key === undefined ? undefined : sequenceOf(key);
    },
    envelope: (partition, sequence) => envelopes.getBinary([partition, sequence]),
    sequences: (partition) => [...envelopes.getKeys({ start: [partition], end: [partition + 1] })].map(sequenceOf),
    putEnvelope: (partition, sequence, bytes) => {
      const head = Buffer.allocUnsafe(SEQUENCE_BYTES);
      head.writeDoubleBE(sequence, 0);
      void envelopes.put([partition, sequence], bytes);
      void heads.put(partition, head);
    },
    removeEnvelope: (partition, sequence) => {
      void envelopes.remove([partition, sequence]);
    },
    envelopesAfter: (partition, afterSequence, limit) =>
      envelopes
        .getRange({ start: [partition, afterSequence + 1], end: [partition + 1], limit })
        .map(({ key, value }) => ({ sequence: sequenceOf(key), bytes: value })),
  };
}

function sequenceOf(key: unknown): number {
  return Array.isArray(key) ? Number(key[1]) : 0;
}
