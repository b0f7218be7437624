// The API keys of an engine that is alone, durable in LMDB.

import type { Database } from "lmdb";

import type { Clock } from "../runtime/clock.ts";
import { type Committer, createCommitter, type Environment, openEnvironment } from "../runtime/lmdb-commit.ts";
import { adminKeyFile } from "./admin-key-file.ts";
import { KeyBook, type KeyRow, type KeyStore, type KeyTable } from "./key-book.ts";

export type { KeyStore } from "./key-book.ts";

export interface KeyStoreOptions {
  /** Folder of its LMDB environment, made when missing. One store a folder. */
  readonly path: string;
  readonly clock: Clock;
  randomBytes(length: number): Uint8Array;
}

export function openKeyStore({ path, clock, randomBytes }: KeyStoreOptions): KeyStore {
  return new KeyBook({ table: new LmdbKeyTable(path), keyFile: adminKeyFile, clock, random: randomBytes });
}

class LmdbKeyTable implements KeyTable {
  readonly #environment: Environment;
  readonly #committer: Committer;
  readonly #table: Database<KeyRow, string>;
  readonly #rows: Map<string, KeyRow>;

  constructor(path: string) {
    this.#environment = openEnvironment(path);
    this.#committer = createCommitter(this.#environment, { path, code: "ERR_STORE_WRITE" });
    this.#table = this.#environment.openDB({ name: "keys", encoding: "json" });
    this.#rows = new Map(Array.from(this.#table.getRange(), ({ key, value }) => [key, value]));
  }

  get(id: string): KeyRow | undefined {
    return this.#rows.get(id);
  }

  rows(): Iterable<KeyRow> {
    return this.#rows.values();
  }

  async put(row: KeyRow): Promise<void> {
    await this.#committer.commit(() => void this.#table.put(row.id, row));
    this.#rows.set(row.id, row);
  }

  lastUsedAtMs(row: KeyRow): number | null {
    return row.lastUsedAtMs;
  }

  async keepLastUses(lastUses: ReadonlyMap<string, number>): Promise<void> {
    await this.#committer.commit(() => {
      for (const [id, lastUsedAtMs] of lastUses) {
        // From the table: a revocation may have been committed while this commit waited.
        const row = this.#table.get(id);
        if (row === undefined) continue;
        const updated = { ...row, lastUsedAtMs };
        this.#rows.set(id, updated);
        void this.#table.put(id, updated);
      }
    });
  }

  async close(): Promise<void> {
    await this.#committer.idle();
    // After a failed commit lmdb-js never settles a close.
    if (this.#committer.failure() === null) await this.#environment.close();
  }
}
