// The campaign store in LMDB: numbers, API-made definitions, status overrides and the instance's secret, each a
// small table that is held in memory. Only the main thread opens it.
//
// A commit that failed is the last one that is tried (facts: lmdb-js aborts the process after a few failures on a
// full disk): reads go on, every later write answers the same error until the engine restarts.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

import { open } from "lmdb";
import type { Database, RootDatabase, RootDatabaseOptionsWithPath } from "lmdb";

import type { CampaignDefinition } from "../message/campaign.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import type { CampaignStore, StatusOverride } from "./campaign-store.ts";

export interface LmdbCampaignStore extends CampaignStore {
  close(): Promise<void>;
}

/** The number has 32 bits in a message id. */
const CAMPAIGN_NUMBER_MAX = 2 ** 32 - 1;
const TABLES_MAX = 4;
const SECRET_BYTES = 32;

/**
 * Opens or creates the store at `path`, a folder.
 *
 * @throws EngineError ERR_LEDGER_WRITE when a new store cannot be written.
 */
export async function openCampaignStore(options: { readonly path: string }): Promise<LmdbCampaignStore> {
  const settings: RootDatabaseOptionsWithPath & { safeRestore: boolean; permissionsMode: number } = {
    path: options.path,
    maxDbs: TABLES_MAX,
    // A VM snapshot or a volume that lost writes keeps the boot id: trust only what was flushed.
    safeRestore: true,
    // Definitions hold secrets. Not in lmdb's typings; read by its native open.
    permissionsMode: 0o600,
  };
  const store = new StoreTables(open(settings));
  await store.ensureSecret();
  return store;
}

class StoreTables implements LmdbCampaignStore {
  readonly #root: RootDatabase;
  readonly #numberTable: Database<number, string>;
  readonly #definitionTable: Database<CampaignDefinition, string>;
  readonly #overrideTable: Database<StatusOverride, string>;
  readonly #instanceTable: Database<string, string>;
  readonly #numbers: Map<string, number>;
  readonly #definitions: Map<string, CampaignDefinition>;
  readonly #overrides: Map<string, StatusOverride>;
  #lastNumber = 0;
  #secret = "";
  #failure: EngineError | null = null;
  #lastCommit: Promise<void> = Promise.resolve();

  constructor(root: RootDatabase) {
    this.#root = root;
    this.#numberTable = root.openDB({ name: "numbers", encoding: "json" });
    this.#definitionTable = root.openDB({ name: "definitions", encoding: "json" });
    this.#overrideTable = root.openDB({ name: "overrides", encoding: "json" });
    this.#instanceTable = root.openDB({ name: "instance", encoding: "json" });
    this.#numbers = contentOf(this.#numberTable);
    this.#definitions = contentOf(this.#definitionTable);
    this.#overrides = contentOf(this.#overrideTable);
    for (const number of this.#numbers.values()) this.#lastNumber = Math.max(this.#lastNumber, number);
  }

  get instanceSecret(): string {
    return this.#secret;
  }

  async ensureSecret(): Promise<void> {
    const stored = this.#instanceTable.get("secret");
    this.#secret = stored ?? randomBytes(SECRET_BYTES).toString("base64url");
    if (stored === undefined) await this.#commit(() => void this.#instanceTable.put("secret", this.#secret));
  }

  numberOf(id: string): number | undefined {
    return this.#numbers.get(id);
  }

  numbers(): ReadonlyMap<string, number> {
    return this.#numbers;
  }

  definitions(): readonly CampaignDefinition[] {
    return [...this.#definitions.values()];
  }

  override(id: string): StatusOverride | undefined {
    return this.#overrides.get(id);
  }

  async assignNumbers(ids: readonly string[]): Promise<void> {
    const missing = ids.filter((id) => !this.#numbers.has(id));
    if (missing.length > 0) await this.#commit(() => this.#assign(missing));
  }

  async putDefinition(definition: CampaignDefinition): Promise<void> {
    const { id } = definition;
    await this.#commit(() => {
      this.#assign([id]);
      void this.#definitionTable.put(id, definition);
    });
    this.#definitions.set(id, definition);
  }

  async removeDefinition(id: string): Promise<void> {
    await this.#commit(() => void this.#definitionTable.remove(id));
    this.#definitions.delete(id);
  }

  async putOverride(id: string, override: StatusOverride): Promise<void> {
    await this.#commit(() => void this.#overrideTable.put(id, override));
    this.#overrides.set(id, override);
  }

  async removeOverrides(ids: readonly string[]): Promise<void> {
    const known = ids.filter((id) => this.#overrides.has(id));
    if (known.length === 0) return;
    await this.#commit(() => {
      for (const id of known) void this.#overrideTable.remove(id);
    });
    for (const id of known) this.#overrides.delete(id);
  }

  async close(): Promise<void> {
    await this.#lastCommit;
    await this.#root.close();
  }

  /** Numbers are given out in memory at once: a commit that fails is the last one, so none is given twice. */
  #assign(ids: readonly string[]): void {
    for (const id of ids) {
      if (this.#numbers.has(id)) continue;
      assert(this.#lastNumber < CAMPAIGN_NUMBER_MAX, `campaign numbers end at ${CAMPAIGN_NUMBER_MAX}`);
      this.#lastNumber++;
      this.#numbers.set(id, this.#lastNumber);
      void this.#numberTable.put(id, this.#lastNumber);
    }
  }

  /** One at a time, so that a later write never overtakes an earlier one. */
  #commit(write: () => void): Promise<void> {
    const commit = this.#lastCommit.then(() => this.#run(write));
    this.#lastCommit = commit.catch(() => undefined);
    return commit;
  }

  async #run(write: () => void): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    try {
      await this.#root.batch(write);
      await this.#root.flushed;
    } catch (error) {
      const cause = await causeOf(error);
      this.#failure = new EngineError("ERR_LEDGER_WRITE", `campaigns cannot be stored: ${messageOf(cause)}`, { cause });
      throw this.#failure;
    }
  }
}

function contentOf<Value>(table: Database<Value, string>): Map<string, Value> {
  const content = new Map<string, Value>();
  for (const { key, value } of table.getRange()) content.set(key, value);
  return content;
}

/** lmdb-js keeps the errno in a second promise; left unhandled, its rejection would end the process. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !("commitError" in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}
