// The API keys of a cluster: the same on all nodes, so that a key that was revoked on one is refused by all. When a key
// was last used is each node's own knowledge and stays there.

import { keysBucket } from "../runtime/jetstream-names.ts";
import { openSharedMap, type SharedMapOptions } from "../runtime/jetstream-shared-map.ts";
import type { SharedMap } from "../runtime/shared-map.ts";
import { adminKeyFile } from "./admin-key-file.ts";
import { KeyBook, type KeyRow, type KeyStore, type KeyTable } from "./key-book.ts";

export interface JetStreamKeyStoreOptions extends Omit<SharedMapOptions, "bucket"> {
  randomBytes(length: number): Uint8Array;
}

/** @throws EngineError ERR_STORE_WRITE when the cluster does not answer. */
export async function openJetStreamKeyStore({ randomBytes, ...options }: JetStreamKeyStoreOptions): Promise<KeyStore> {
  const map = await openSharedMap<KeyRow, number>({ ...options, bucket: keysBucket(options.link.prefix) });
  return new KeyBook({ table: sharedTable(map), keyFile: adminKeyFile, clock: options.clock, random: randomBytes });
}

/** Rows by key id; the notes say when this node saw the key last, in epoch milliseconds. */
function sharedTable(map: SharedMap<KeyRow, number>): KeyTable {
  return {
    get: (id) => map.get(id),
    rows: () => Array.from(map.entries(), ([, row]) => row),
    put: (row) => map.put(row.id, row),
    lastUsedAtMs: ({ id }) => map.notes().get(id) ?? null,
    keepLastUses: (lastUses) => map.keepNotes(lastUses),
    close: () => map.close(),
  };
}
