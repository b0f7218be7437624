// The campaign store of a cluster: what one node writes, all have. In one map (runtime/jetstream-shared-map.ts) are the
// instance's secret, the campaigns' numbers, API-made definitions, status overrides, and the definitions of campaign
// files: of each the version that was saved last on any node, which all nodes run, whether they have the file or not.
//
// A campaign's number is a hash of its id, so a bucket that lost a number gets the same one again, and nodes that do
// not hear each other give the same. Should two ids have one hash, the second in the bucket takes another.

import { hash, randomBytes } from "node:crypto";
import { statSync } from "node:fs";

import type { CampaignDefinition } from "../message/campaign.ts";
import type { CampaignFile } from "../runtime/campaign-file.ts";
import type { Clock } from "../runtime/clock.ts";
import { contentHash } from "../runtime/content-hash.ts";
import { campaignsBucket } from "../runtime/jetstream-names.ts";
import { openSharedMap, type SharedMapOptions } from "../runtime/jetstream-shared-map.ts";
import type { Log } from "../runtime/log.ts";
import { newestSaved, type PublishedFile } from "../runtime/newest-saved.ts";
import type { SharedMap } from "../runtime/shared-map.ts";
import type { CampaignStore, LoadedCampaignFile, StatusOverride } from "./campaign-store.ts";

export interface JetStreamCampaignStore extends CampaignStore {
  close(): Promise<void>;
}

/** Under `secret`, `number/<number>`, and `definition/`, `override/` and `file/` with the campaign's id. */
type Shared =
  | { readonly kind: "secret"; readonly secret: string }
  | { readonly kind: "number"; readonly id: string }
  | { readonly kind: "definition"; readonly definition: CampaignDefinition }
  | { readonly kind: "override"; readonly override: StatusOverride }
  /** Null: the file was deleted. */
  | { readonly kind: "file"; readonly definition: CampaignDefinition | null; readonly savedAtMs: number };

/** By campaign id: this node's own file as it was last dealt with. */
interface FileNote {
  readonly hash: string;
  readonly file: string;
}

const SECRET_BYTES = 32;

/** @throws EngineError ERR_STORE_WRITE when the cluster does not answer. */
export async function openJetStreamCampaignStore(
  options: Omit<SharedMapOptions, "bucket">,
): Promise<JetStreamCampaignStore> {
  const map = await openSharedMap<Shared, FileNote>({ ...options, bucket: campaignsBucket(options.link.prefix) });
  try {
    await map.claim("secret", { kind: "secret", secret: randomBytes(SECRET_BYTES).toString("base64url") });
  } catch (error) {
    await map.close();
    throw error;
  }
  return new SharedCampaignStore(map, options);
}

class SharedCampaignStore implements JetStreamCampaignStore {
  readonly #map: SharedMap<Shared, FileNote>;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #numbers = new Map<string, number>();
  readonly #listeners: ((ids: readonly string[]) => void)[] = [];
  /** By definition: files are read anew, but what did not change is the same object. */
  readonly #hashes = new WeakMap<CampaignDefinition, string>();
  /** By campaign id: the hash that overrides this node's file, as it was told last. */
  readonly #overridden = new Map<string, string | null>();

  constructor(map: SharedMap<Shared, FileNote>, { log, clock }: { readonly log: Log; readonly clock: Clock }) {
    this.#map = map;
    this.#log = log;
    this.#clock = clock;
    for (const [key] of map.entries()) this.#readNumber(key);
    map.onChange((keys) => this.#onKeys(keys));
  }

  get instanceSecret(): string {
    const value = this.#map.get("secret");
    return value?.kind === "secret" ? value.secret : "";
  }

  numberOf(id: string): number | undefined {
    return this.#numbers.get(id);
  }

  numbers(): ReadonlyMap<string, number> {
    return this.#numbers;
  }

  definitions(): readonly CampaignDefinition[] {
    const definitions: CampaignDefinition[] = [];
    for (const [, value] of this.#map.entries()) if (value.kind === "definition") definitions.push(value.definition);
    return definitions;
  }

  definition(id: string): CampaignDefinition | undefined {
    const value = this.#map.get(`definition/${id}`);
    return value?.kind === "definition" ? value.definition : undefined;
  }

  override(id: string): StatusOverride | undefined {
    const value = this.#map.get(`override/${id}`);
    return value?.kind === "override" ? value.override : undefined;
  }

  async assignNumbers(ids: readonly string[]): Promise<void> {
    let open = ids.filter((id) => !this.#numbers.has(id));
    for (let attempt = 0; open.length > 0; attempt++) {
      const numbered = open.map((id) => ({ id, number: numberFor(id, attempt) })).filter(({ number }) => number > 0);
      const claims = numbered.map(({ id, number }) => [`number/${number}`, { kind: "number", id }] as const);
      // oxlint-disable-next-line no-await-in-loop -- the next attempt is for those that lost this one
      await this.#map.claimAll(claims);
      for (const [key] of claims) this.#readNumber(key);
      open = open.filter((id) => !this.#numbers.has(id));
    }
  }

  async putDefinition(definition: CampaignDefinition): Promise<void> {
    await this.assignNumbers([definition.id]);
    await this.#map.put(`definition/${definition.id}`, { kind: "definition", definition });
  }

  removeDefinition(id: string): Promise<void> {
    return this.#map.remove(`definition/${id}`);
  }

  putOverride(id: string, override: StatusOverride): Promise<void> {
    return this.#map.put(`override/${id}`, { kind: "override", override });
  }

  async removeOverrides(ids: readonly string[]): Promise<void> {
    const known = ids.filter((id) => this.override(id) !== undefined);
    await Promise.all(known.map((id) => this.#map.remove(`override/${id}`)));
  }

  async shareFiles(files: readonly CampaignFile[], canReplace: (file: LoadedCampaignFile) => boolean): Promise<void> {
    const values = new Map<string, Shared>();
    const notes = new Map<string, FileNote | null>();
    for (const file of files) {
      // One with faults says nothing to the others.
      if (file.kind === "refused" || file.faults.length > 0) continue;
      this.#share(file, { values, notes, canReplace });
    }
    for (const id of this.#deletedFrom(files)) {
      notes.set(id, null);
      if ((this.#publishedOf(id)?.hash ?? null) === null) continue;
      values.set(`file/${id}`, { kind: "file", definition: null, savedAtMs: this.#clock.nowMs() });
    }
    if (values.size > 0) await this.#map.putAll(values, notes);
    else if (notes.size > 0) await this.#map.keepNotes(notes);
  }

  filesInForce(files: readonly CampaignFile[]): readonly CampaignFile[] {
    const notes = this.#map.notes();
    const inForce: CampaignFile[] = [];
    for (const [, value] of this.#map.entries()) {
      if (value.kind !== "file" || value.definition === null) continue;
      const { definition } = value;
      inForce.push({ kind: "loaded", file: notes.get(definition.id)?.file ?? "", definition, faults: [] });
    }
    const idOfFile = new Map(Array.from(notes, ([id, { file }]) => [file, id]));
    for (const file of files) {
      const id = file.kind === "loaded" ? file.definition.id : idOfFile.get(file.file);
      if (id === undefined || this.#counts(file, id)) inForce.push(file);
    }
    return inForce;
  }

  onChange(call: (ids: readonly string[]) => void): void {
    this.#listeners.push(call);
  }

  close(): Promise<void> {
    return this.#map.close();
  }

  #share(
    file: LoadedCampaignFile,
    next: {
      readonly values: Map<string, Shared>;
      readonly notes: Map<string, FileNote | null>;
      canReplace(file: LoadedCampaignFile): boolean;
    },
  ): void {
    const { definition } = file;
    const { id } = definition;
    const own = this.#hashOf(definition);
    const note = this.#map.notes().get(id);
    const published = this.#publishedOf(id);
    // Asked only when it may matter: it costs a look at the file.
    const savedAtMs = note?.hash === own ? 0 : savedAt(file.file, this.#clock);
    const newest = newestSaved({ own: { hash: own, savedAtMs }, dealtWith: note?.hash ?? null, published });
    if (newest === "publish") {
      if (!next.canReplace(file)) return;
      next.values.set(`file/${id}`, { kind: "file", definition, savedAtMs });
    }
    if (note?.hash !== own || note.file !== file.file) next.notes.set(id, { hash: own, file: file.file });
  }

  /** Campaigns whose file this node had, and has no more. A file that cannot be read is there. */
  #deletedFrom(files: readonly CampaignFile[]): string[] {
    const ids = new Set<string>();
    const refused = new Set<string>();
    for (const file of files) {
      if (file.kind === "loaded") ids.add(file.definition.id);
      else refused.add(file.file);
    }
    const deleted: string[] = [];
    for (const [id, { file }] of this.#map.notes()) if (!ids.has(id) && !refused.has(file)) deleted.push(id);
    return deleted;
  }

  /** Whether an own file says something that the published one does not: its faults. Tells when another's is newer. */
  #counts(file: CampaignFile, id: string): boolean {
    const published = this.#publishedOf(id);
    if (file.kind === "refused") return published === null || published.hash !== null;
    const own = this.#hashOf(file.definition);
    const isDealtWith = this.#map.notes().get(id)?.hash === own;
    if (!isDealtWith) return true;
    const newer = published === null || published.hash === own ? undefined : published.hash;
    if (newer === undefined) this.#overridden.delete(id);
    else if (this.#overridden.get(id) !== newer) {
      this.#overridden.set(id, newer);
      this.#log.warn("campaign.file_overridden", { campaignId: id, file: file.file, isDeleted: newer === null });
    }
    return false;
  }

  #publishedOf(id: string): PublishedFile | null {
    const value = this.#map.get(`file/${id}`);
    if (value?.kind !== "file") return null;
    const { definition, savedAtMs } = value;
    return { hash: definition === null ? null : this.#hashOf(definition), savedAtMs };
  }

  #hashOf(definition: CampaignDefinition): string {
    const known = this.#hashes.get(definition) ?? contentHash(definition);
    this.#hashes.set(definition, known);
    return known;
  }

  #onKeys(keys: readonly string[]): void {
    const ids = new Set<string>();
    for (const key of keys) {
      this.#readNumber(key);
      const [, id] = /^(?:definition|override|file)\/(.+)$/.exec(key) ?? [];
      if (id !== undefined) ids.add(id);
    }
    if (ids.size > 0) for (const listener of this.#listeners) listener([...ids]);
  }

  #readNumber(key: string): void {
    const value = this.#map.get(key);
    if (value?.kind !== "number" || this.#numbers.has(value.id)) return;
    this.#numbers.set(value.id, Number(key.slice("number/".length)));
  }
}

/** 32 bits, as they fit into a message id; 0 is no number. */
function numberFor(id: string, attempt: number): number {
  return hash("sha256", `${attempt}/${id}`, "buffer").readUInt32BE(0);
}

function savedAt(file: string, clock: Clock): number {
  // It was there a moment ago; what is gone since was saved just now.
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? clock.nowMs();
}
