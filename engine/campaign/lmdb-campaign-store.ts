// The campaign store in LMDB: numbers, API-made definitions, status overrides and the instance's secret, each a
// small table that is held in memory. Only the main thread opens it.
//
// After a commit that failed reads go on, and every later write answers the same error until the engine restarts
// (runtime/lmdb-commit.ts says why).

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

import type { Database } from "lmdb";

import type { CampaignDefinition } from "../message/campaign.ts";
import type { CampaignFile } from "../runtime/campaign-file.ts";
import { createCommitter, openEnvironment } from "../runtime/lmdb-commit.ts";
import type { Committer, Environment } from "../runtime/lmdb-commit.ts";
import type { CampaignStore, StatusOverride } from "./campaign-store.ts";

export interface LmdbCampaignStore extends CampaignStore {
  close(): Promise<void>;
}

/** The number has 32 bits in a message id. */
const CAMPAIGN_NUMBER_MAX = 2 ** 32 - 1;
const SECRET_BYTES = 32;

/**
 * Opens or creates the store at `path`, a folder.
 *
 * @throws EngineError ERR_STORE_WRITE when a new store cannot be written.
 */
export async function openCampaignStore(options: { readonly path: string }): Promise<LmdbCampaignStore> {
  const store = new StoreTables(options.path);
  await store.ensureSecret();
  return store;
}

class StoreTables implements LmdbCampaignStore {
  readonly #environment: Environment;
  readonly #committer: Committer;
  readonly #numberTable: Database<number, string>;
  readonly #definitionTable: Database<CampaignDefinition, string>;
  readonly #overrideTable: Database<StatusOverride, string>;
  readonly #instanceTable: Database<string, string>;
  readonly #numbers: Map<string, number>;
  readonly #definitions: Map<string, CampaignDefinition>;
  readonly #overrides: Map<string, StatusOverride>;
  #lastNumber = 0;
  #secret = "";

  constructor(path: string) {
    const environment = openEnvironment(path);
    this.#environment = environment;
    this.#committer = createCommitter(environment, { path, code: "ERR_STORE_WRITE" });
    this.#numberTable = environment.openDB({ name: "numbers", encoding: "json" });
    this.#definitionTable = environment.openDB({ name: "definitions", encoding: "json" });
    this.#overrideTable = environment.openDB({ name: "overrides", encoding: "json" });
    this.#instanceTable = environment.openDB({ name: "instance", encoding: "json" });
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
    if (stored === undefined) await this.#committer.commit(() => void this.#instanceTable.put("secret", this.#secret));
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

  definition(id: string): CampaignDefinition | undefined {
    return this.#definitions.get(id);
  }

  override(id: string): StatusOverride | undefined {
    return this.#overrides.get(id);
  }

  async assignNumbers(ids: readonly string[]): Promise<void> {
    const missing = ids.filter((id) => !this.#numbers.has(id));
    if (missing.length > 0) await this.#committer.commit(() => this.#assign(missing));
  }

  async putDefinition(definition: CampaignDefinition): Promise<void> {
    const { id } = definition;
    await this.#committer.commit(() => {
      this.#assign([id]);
      void this.#definitionTable.put(id, definition);
    });
    this.#definitions.set(id, definition);
  }

  async removeDefinition(id: string): Promise<void> {
    await this.#committer.commit(() => void this.#definitionTable.remove(id));
    this.#definitions.delete(id);
  }

  async putOverride(id: string, override: StatusOverride): Promise<void> {
    await this.#committer.commit(() => void this.#overrideTable.put(id, override));
    this.#overrides.set(id, override);
  }

  async removeOverrides(ids: readonly string[]): Promise<void> {
    const known = ids.filter((id) => this.#overrides.has(id));
    if (known.length === 0) return;
    await this.#committer.commit(() => {
      for (const id of known) void this.#overrideTable.remove(id);
    });
    for (const id of known) this.#overrides.delete(id);
  }

  // An engine that is alone: there is nobody to share with, and its own files are those that count.

  async shareFiles(): Promise<void> {}

  filesInForce(files: readonly CampaignFile[]): readonly CampaignFile[] {
    return files;
  }

  onChange(): void {}

  async close(): Promise<void> {
    await this.#committer.idle();
    // After a failed commit lmdb-js would wait for a flush that never comes (tried).
    if (this.#committer.failure() === null) await this.#environment.close();
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
}

function contentOf<Value>(table: Database<Value, string>): Map<string, Value> {
  const content = new Map<string, Value>();
  for (const { key, value } of table.getRange()) content.set(key, value);
  return content;
}
