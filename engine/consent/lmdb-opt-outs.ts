// The opt-outs of an engine that is alone. The main thread is the only writer; what it confirmed is fsync'd, and every
// thread's next look sees it.

import type { Database } from "lmdb";

import { type Committer, createCommitter, type Environment, openEnvironment } from "../runtime/lmdb-commit.ts";
import { OPT_OUTS_TABLE, OptOutsReader } from "./lmdb-opt-outs-reader.ts";
import { decodeOptOut, encodeOptOut, type OptOutRow } from "./opt-out-record.ts";
import type { OptOutPage, OptOutPageQuery, OptOutStore } from "./opt-out-store.ts";
import { isLater, type OptOut } from "./opt-out.ts";

/** @param path a folder, made when missing. One store a folder. */
export function openOptOuts({ path }: { readonly path: string }): OptOutStore {
  return new LmdbOptOuts(path);
}

class LmdbOptOuts implements OptOutStore {
  readonly #environment: Environment;
  readonly #committer: Committer;
  readonly #table: Database<OptOutRow, string>;
  readonly #reader: OptOutsReader;

  constructor(path: string) {
    this.#environment = openEnvironment(path);
    this.#committer = createCommitter(this.#environment, { path, code: "ERR_STORE_WRITE" });
    this.#table = this.#environment.openDB({ name: OPT_OUTS_TABLE, encoding: "json" });
    this.#reader = new OptOutsReader(this.#environment);
  }

  get(key: string): OptOut | undefined {
    return this.#reader.get(key);
  }

  page(query: OptOutPageQuery): OptOutPage {
    return this.#reader.page(query);
  }

  async keep(wishes: ReadonlyMap<string, OptOut>): Promise<number> {
    const rows = Array.from(wishes, ([key, wish]) => ({ key, wish, row: { value: encodeOptOut(wish) } }));
    let kept = 0;
    await this.#committer.commit(() => {
      for (const { key, wish, row } of rows) {
        // Asked here: what was committed while this commit waited counts as well.
        const known = this.#table.get(key)?.value;
        if (known !== undefined && !isLater(wish, decodeOptOut(known))) continue;
        void this.#table.put(key, row);
        kept++;
      }
    });
    return kept;
  }

  async close(): Promise<void> {
    await this.#committer.idle();
    // After a failed commit lmdb-js never settles a close.
    if (this.#committer.failure() === null) await this.#environment.close();
  }
}
