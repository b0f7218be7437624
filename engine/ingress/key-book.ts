// The API keys, whatever table they are kept in: looked up in memory, so that a revoked key is refused by the next
// request. Only hashes are stored. When a key was last used is kept in memory and written once a minute: it is a hint
// for operators, and must not cost a write for every request.

import type { Clock } from "../runtime/clock.ts";
import { EngineError } from "../runtime/errors.ts";
import { formatKey, hashSecret, ID_BYTES, isSecretOf, makeKeyText, parseKey, SECRET_BYTES } from "./api-key.ts";
import type { ApiKey, KeyScope } from "./authentication.ts";

export interface KeyRequest {
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

/** As stored, under the key's id. */
export interface KeyRow extends ApiKey {
  readonly secretHash: string;
}

/** Where the keys are kept. Reads are from memory; a write is durable, and then visible, when it resolves. */
export interface KeyTable {
  get(id: string): KeyRow | undefined;
  rows(): Iterable<KeyRow>;
  put(row: KeyRow): Promise<void>;
  /** As last written; null: never. */
  lastUsedAtMs(row: KeyRow): number | null;
  /** By key id. */
  keepLastUses(lastUses: ReadonlyMap<string, number>): Promise<void>;
  close(): Promise<void>;
}

/** One key in a file, for callers on the same host. */
export interface KeyFile {
  /** Empty when there is none. Narrows the file's mode to its owner. */
  read(path: string): string;
  /** A reader sees the whole key or none, and never with a wider mode. */
  write(path: string, key: string): void;
}

export interface KeyBookOptions {
  readonly table: KeyTable;
  readonly keyFile: KeyFile;
  readonly clock: Clock;
  random(length: number): Uint8Array;
}

const LAST_USED_FLUSH_MS = 60_000;
/** A hash that no secret has: an unknown id takes as long as a wrong secret. */
const NO_HASH = "0".repeat(64);
/** More than anyone can keep track of; each key costs memory in every rate limit. */
const KEYS_MAX = 10_000;

export class KeyBook implements KeyStore {
  readonly #options: KeyBookOptions;
  readonly #table: KeyTable;
  readonly #clock: Clock;
  /** Refused already, whatever the table says. When it cannot be written they stay refused until a restart. */
  readonly #revokedAtMs = new Map<string, number>();
  /** Not written yet. */
  #lastUsedAtMs = new Map<string, number>();
  #stopFlushing: () => void;
  #isClosed = false;

  constructor(options: KeyBookOptions) {
    this.#options = options;
    this.#table = options.table;
    this.#clock = options.clock;
    this.#stopFlushing = this.#flushLater();
  }

  async create({ name, scope, campaigns = null }: KeyRequest): Promise<ApiKey & { readonly key: string }> {
    if ([...this.#table.rows()].length >= KEYS_MAX)
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
    await this.#table.put(row);
    return { ...this.#viewOf(row), key: formatKey(text) };
  }

  list(): readonly ApiKey[] {
    const rows = [...this.#table.rows()].toSorted((a, b) => a.createdAtMs - b.createdAtMs);
    return rows.map((row) => this.#viewOf(row));
  }

  async revoke(id: string): Promise<boolean> {
    const row = this.#table.get(id);
    if (row === undefined) return false;
    if (row.revokedAtMs !== null) return true;
    // In memory first: what is revoked must be refused even while the disk is slow.
    const revokedAtMs = this.#revokedAtMs.get(id) ?? this.#clock.nowMs();
    this.#revokedAtMs.set(id, revokedAtMs);
    await this.#table.put({ ...row, revokedAtMs });
    this.#revokedAtMs.delete(id);
    return true;
  }

  find(text: string): ApiKey | undefined {
    const parsed = parseKey(text);
    if (parsed === null) return undefined;
    const row = this.#table.get(parsed.id);
    const isGenuine = isSecretOf(parsed.secret, row?.secretHash ?? NO_HASH);
    if (row === undefined || !isGenuine || row.revokedAtMs !== null || this.#revokedAtMs.has(row.id)) return undefined;
    this.#lastUsedAtMs.set(row.id, this.#clock.nowMs());
    return row;
  }

  async ensureAdminKey(filePath: string): Promise<string> {
    const { keyFile } = this.#options;
    const written = keyFile.read(filePath);
    if (written !== "" && this.find(written)?.scope === "admin") return written;
    const { key } = await this.create({ name: "admin", scope: "admin" });
    keyFile.write(filePath, key);
    return key;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopFlushing();
    // Losing a hint is no reason not to stop.
    await this.#flushLastUsed().catch(() => {});
    await this.#table.close();
  }

  #newText(): ReturnType<typeof makeKeyText> {
    const { random } = this.#options;
    for (;;) {
      const text = makeKeyText({ id: random(ID_BYTES), secret: random(SECRET_BYTES) });
      if (this.#table.get(text.id) === undefined) return text;
    }
  }

  #viewOf(row: KeyRow): ApiKey {
    const { id, name, scope, campaigns, createdAtMs } = row;
    const lastUsedAtMs = this.#lastUsedAtMs.get(id) ?? this.#table.lastUsedAtMs(row);
    const revokedAtMs = row.revokedAtMs ?? this.#revokedAtMs.get(id) ?? null;
    return { id, name, scope, campaigns, createdAtMs, lastUsedAtMs, revokedAtMs };
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
    const lastUses = this.#lastUsedAtMs;
    this.#lastUsedAtMs = new Map();
    await this.#table.keepLastUses(lastUses);
  }
}
