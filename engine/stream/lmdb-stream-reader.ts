// Reads the embedded stream from any thread. A call sees every envelope whose append resolved before it, and holds
// no read transaction after it: a held one would make the file grow.

import { openEnvironment } from "../runtime/lmdb-commit.ts";
import { openStreamTables } from "./lmdb-tables.ts";

export interface ReadEnvelope {
  readonly sequence: number;
  /** A copy: stays valid. */
  readonly bytes: Uint8Array;
}

export interface LmdbStreamReader {
  /**
   * The partition's next envelopes after `afterSequence`, in order; the first call passes 0 or the ledger's cursor.
   * Ends after `itemsMax` envelopes, or with the one that reaches `bytesMax`: a large one is never stuck.
   */
  read(
    partition: number,
    afterSequence: number,
    bounds: { readonly itemsMax: number; readonly bytesMax: number },
  ): ReadEnvelope[];
  close(): Promise<void>;
}

export function openLmdbStreamReader(options: { readonly path: string }): LmdbStreamReader {
  const environment = openEnvironment(options.path);
  const tables = openStreamTables(environment);
  let isClosed = false;

  return {
    read(partition, afterSequence, { itemsMax, bytesMax }) {
      environment.resetReadTxn();
      const found: ReadEnvelope[] = [];
      let bytes = 0;
      for (const envelope of tables.envelopesAfter(partition, afterSequence, itemsMax)) {
        found.push(envelope);
        bytes += envelope.bytes.length;
        if (bytes >= bytesMax) break;
      }
      return found;
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      await environment.close();
    },
  };
}
