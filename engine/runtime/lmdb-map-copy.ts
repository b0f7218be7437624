// This node's own copy of a map that all nodes share. nats-server acknowledges before it fsyncs and may lose its tail in
// a power cut; what is in here was fsync'd, and is given back. Beside it are the node's notes, which it shares with nobody.
//
// A row is visible once it is durable. Of two rows of one key the newer stays, in whatever order they come.

import type { Database } from "lmdb";

import { messageOf } from "./errors.ts";
import { type Committer, createCommitter, type Environment, openEnvironment } from "./lmdb-commit.ts";
import type { Log } from "./log.ts";
import { isNewer, type Row } from "./shared-map-row.ts";

export interface MapCopyOptions {
  /** A folder, made when missing. */
  readonly path: string;
  /** Told of keys that were heard, once they are visible. */
  onShown(keys: readonly string[]): void;
  readonly log: Log;
}

export class MapCopy<Value, Note> {
  /** What is visible. */
  readonly rows: Map<string, Row<Value>>;
  readonly notes: Map<string, Note>;
  readonly #path: string;
  readonly #onShown: (keys: readonly string[]) => void;
  readonly #log: Log;
  readonly #environment: Environment;
  readonly #committer: Committer;
  readonly #rowTable: Database<Row<Value>, string>;
  readonly #noteTable: Database<Note, string>;
  /** Heard, but not durable yet. */
  #incoming = new Map<string, Row<Value>>();
  #flushing: Promise<void> = Promise.resolve();

  constructor({ path, onShown, log }: MapCopyOptions) {
    this.#path = path;
    this.#onShown = onShown;
    this.#log = log;
    this.#environment = openEnvironment(path);
    this.#committer = createCommitter(this.#environment, { path, code: "ERR_STORE_WRITE" });
    this.#rowTable = this.#environment.openDB({ name: "rows", encoding: "json" });
    this.#noteTable = this.#environment.openDB({ name: "notes", encoding: "json" });
    this.rows = contentOf(this.#rowTable);
    this.notes = contentOf(this.#noteTable);
  }

  /** Also of what was heard and is not visible yet. */
  newestOf(key: string): Row<Value> | undefined {
    const incoming = this.#incoming.get(key);
    const shown = this.rows.get(key);
    return incoming !== undefined && isNewer(incoming, shown) ? incoming : shown;
  }

  /**
   * In one commit. A note that is null is removed.
   *
   * @throws EngineError ERR_STORE_WRITE; nothing of it is stored then, nor visible.
   */
  async keep(rows: ReadonlyMap<string, Row<Value>>, notes: ReadonlyMap<string, Note | null>): Promise<void> {
    await this.#commit(rows, notes);
    this.#show(rows);
    for (const [key, note] of notes) {
      if (note === null) this.notes.delete(key);
      else this.notes.set(key, note);
    }
  }

  /** From the bucket. All that comes while a commit runs is the next commit. */
  hear(key: string, row: Row<Value>): void {
    if (!isNewer(row, this.newestOf(key))) return;
    this.#incoming.set(key, row);
    if (this.#incoming.size === 1) this.#flushing = this.#flushing.then(() => this.#flush());
  }

  /** Resolves when what was heard is visible. */
  settled(): Promise<void> {
    return this.#flushing;
  }

  async close(): Promise<void> {
    await this.#flushing;
    await this.#committer.idle();
    // After a failed commit lmdb-js never settles a close.
    if (this.#committer.failure() === null) await this.#environment.close();
  }

  async #flush(): Promise<void> {
    const rows = this.#incoming;
    this.#incoming = new Map();
    try {
      await this.#commit(rows, new Map());
    } catch (error) {
      // Visible all the same: a key that was revoked elsewhere must be refused here even when this disk is full.
      this.#log.error("map.unkept", { path: this.#path, reason: messageOf(error) });
    }
    const shown = this.#show(rows);
    if (shown.length > 0) this.#onShown(shown);
  }

  async #commit(rows: ReadonlyMap<string, Row<Value>>, notes: ReadonlyMap<string, Note | null>): Promise<void> {
    if (rows.size === 0 && notes.size === 0) return;
    await this.#committer.commit(() => {
      for (const [key, row] of rows) {
        // Asked here: what was committed while this commit waited counts as well.
        if (isNewer(row, this.#rowTable.get(key))) void this.#rowTable.put(key, row);
      }
      for (const [key, note] of notes) {
        void (note === null ? this.#noteTable.remove(key) : this.#noteTable.put(key, note));
      }
    });
  }

  #show(rows: ReadonlyMap<string, Row<Value>>): string[] {
    const shown: string[] = [];
    for (const [key, row] of rows) {
      if (!isNewer(row, this.rows.get(key))) continue;
      this.rows.set(key, row);
      shown.push(key);
    }
    return shown;
  }
}

function contentOf<Value>(table: Database<Value, string>): Map<string, Value> {
  return new Map(Array.from(table.getRange(), ({ key, value }) => [key, value]));
}
