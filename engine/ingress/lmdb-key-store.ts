// The API keys: durable in LMDB, looked up in memory, so that a revoked key is refused by the next request. Only hashes
// are stored. When a key was last used is kept in memory and written once a minute: it is a hint for operators, and
// must not cost a write for every request.

import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

import type { Database } from "lmdb";

import type { Clock } from "../runtime/clock.ts";
import { EngineError } from "../runtime/errors.ts";
import { type Committer, createCommitter, type Environment, openEnvironment } from "../runtime/lmdb-commit.ts";
import { formatKey, hashSecret, ID_BYTES, isSecretOf, makeKeyText, parseKey, SECRET_BYTES } from "./api-key.ts";
import type { ApiKey, KeyScope } from "./authentication.ts";

interface KeyRequest {
  readonly name: string;
  readonly scope: KeyScope;
  /** Null or absent: all. */
  readonly campaigns?: readonly string[] | null;
}

export interface KeyStore {
  /** Durable when it resolves. `key` is shown this once. */
  create(request: KeyRequest): Promise<ApiKey & { readonly key: string }>;
  /** Oldest first, the revoked ones included. */
  list(): readonly ApiKey[];
  /** Effective at once, durable when it resolves. False: no such key. */
  revoke(id: string): Promise<boolean>;
  /** Undefined for a text that is no key, an unknown key and a revoked one, in the same time. */
  find(text: string): ApiKey | undefined;
  /** The key in this file; when the file is missing or its key is dead, a new admin key is made and written there. */
  ensureAdminKey(filePath: string): Promise<string>;
  close(): Promise<void>;
}

export interface KeyStoreOptions {
  /** Folder of its LMDB environment, made when missing. One store a folder. */
  readonly path: string;
  readonly clock: Clock;
  randomBytes(length: number): Uint8Array;
}

/** As stored, under the key's id. */
interface KeyRow extends ApiKey {
  readonly secretHash: string;
}

const LAST_USED_FLUSH_MS = 60_000;
/** A hash that no secret has: an unknown id takes as long as a wrong secret. */
const NO_HASH = "0".repeat(64);
/** More than anyone can keep track of; each key costs memory in every rate limit. */
const KEYS_MAX = 10_000;

export function openKeyStore(options: KeyStoreOptions): KeyStore {
  return new LmdbKeyStore(options);
}

class LmdbKeyStore implements KeyStore {
  readonly #clock: Clock;
  readonly #randomBytes: (length: number) => Uint8Array;
  readonly #environment: Environment;
  readonly #committer: Committer;
  readonly #table: Database<KeyRow, string>;
  readonly #rows: Map<string, KeyRow>;
  /** Not written yet. */
  readonly #lastUsedAtMs = new Map<string, number>();
  #stopFlushing: () => void;
  #isClosed = false;

  constructor(options: KeyStoreOptions) {
    const { path, clock } = options;
    this.#clock = clock;
    this.#randomBytes = (length) => options.randomBytes(length);
    this.#environment = openEnvironment(path);
    this.#committer = createCommitter(this.#environment, { path, code: "ERR_STORE_WRITE" });
    this.#table = this.#environment.openDB({ name: "keys", encoding: "json" });
    this.#rows = new Map(Array.from(this.#table.getRange(), ({ key, value }) => [key, value]));
    this.#stopFlushing = this.#flushLater();
  }

  async create({ name, scope, campaigns = null }: KeyRequest): Promise<ApiKey & { readonly key: string }> {
    if (this.#rows.size >= KEYS_MAX)
      throw new EngineError("ERR_STORE_WRITE", `there are ${KEYS_MAX} keys already (KEYS_MAX)`);
    const text = this.#newText();
    const row: KeyRow = {
      id: text.id,
      name,
      scope,
      campaigns,
      createdAtMs: this.#clock.nowMs(),
      lastUsedAtMs: null,
      revokedAtMs: null,
      secretHash: hashSecret(text.secret),
    };
    await this.#store(row);
    return { ...viewOf(row), key: formatKey(text) };
  }

  list(): readonly ApiKey[] {
    const rows = [...this.#rows.values()].toSorted((a, b) => a.createdAtMs - b.createdAtMs);
    return rows.map((row) => viewOf({ ...row, lastUsedAtMs: this.#lastUsedAtMs.get(row.id) ?? row.lastUsedAtMs }));
  }

  async revoke(id: string): Promise<boolean> {
    const row = this.#rows.get(id);
    if (row === undefined) return false;
    if (row.revokedAtMs === null) await this.#store({ ...row, revokedAtMs: this.#clock.nowMs() });
    else await this.#committer.idle();
    return true;
  }

  find(text: string): ApiKey | undefined {
    const parsed = parseKey(text);
    if (parsed === null) return undefined;
    const row = this.#rows.get(parsed.id);
    const isGenuine = isSecretOf(parsed.secret, row?.secretHash ?? NO_HASH);
    if (row === undefined || !isGenuine || row.revokedAtMs !== null) return undefined;
    this.#lastUsedAtMs.set(row.id, this.#clock.nowMs());
    return row;
  }

  async ensureAdminKey(filePath: string): Promise<string> {
    const written = existsSync(filePath) ? readFileSync(filePath, "utf8").trim() : "";
    if (written !== "" && this.find(written)?.scope === "admin") {
      chmodSync(filePath, 0o600);
      return written;
    }
    const { key } = await this.create({ name: "admin", scope: "admin" });
    // Renamed into place: a reader sees the whole key or none, and never with a wider mode.
    const draft = `${filePath}.new`;
    writeFileSync(draft, `${key}\n`, { mode: 0o600 });
    renameSync(draft, filePath);
    return key;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopFlushing();
    // Losing a hint is no reason not to stop.
    await this.#flushLastUsed().catch(() => {});
    await this.#committer.idle();
    // After a failed commit lmdb-js never settles a close.
    if (this.#committer.failure() === null) await this.#environment.close();
  }

  /** In memory first: what is revoked must be refused even while the disk is slow. */
  async #store(row: KeyRow): Promise<void> {
    this.#rows.set(row.id, row);
    await this.#committer.commit(() => void this.#table.put(row.id, row));
  }

  #newText(): ReturnType<typeof makeKeyText> {
    for (;;) {
      const text = makeKeyText({ id: this.#randomBytes(ID_BYTES), secret: this.#randomBytes(SECRET_BYTES) });
      if (!this.#rows.has(text.id)) return text;
    }
  }

  #flushLater(): () => void {
    return this.#clock.after(LAST_USED_FLUSH_MS, () => {
      // A failed write loses a hint; the next one carries it.
      this.#flushLastUsed().catch(() => {});
      this.#stopFlushing = this.#flushLater();
    });
  }

  async #flushLastUsed(): Promise<void> {
    if (this.#lastUsedAtMs.size === 0) return;
    const used = [...this.#lastUsedAtMs];
    this.#lastUsedAtMs.clear();
    await this.#committer.commit(() => {
      for (const [id, lastUsedAtMs] of used) {
        const row = this.#rows.get(id);
        if (row === undefined) continue;
        const updated = { ...row, lastUsedAtMs };
        this.#rows.set(id, updated);
        void this.#table.put(id, updated);
      }
    });
  }
}

function viewOf({ id, name, scope, campaigns, createdAtMs, lastUsedAtMs, revokedAtMs }: KeyRow): ApiKey {
  return { id, name, scope, campaigns, createdAtMs, lastUsedAtMs, revokedAtMs };
}
