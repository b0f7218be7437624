// Every campaign the engine knows, ready to run: those of the campaigns/ folder and those made over the API.
//
// - What cannot work is never active. Its faults say why; once they are gone (a template got approved, a sender was
//   added) it takes up the status it was meant to have.
// - Something bad never replaces something good: a file saved with a fault leaves the version before it running,
//   an API call with a fault is refused.
// - Readers see whole entries: an entry is built, made durable, then swapped in as one reference.

import { createHmac } from "node:crypto";

import type { CampaignDefinition, CampaignFault, CampaignStatus } from "../message/campaign.ts";
import { partitionOf } from "../message/partition.ts";
import type { WhatsAppTemplate } from "../message/template.ts";
import type { CampaignFile } from "../runtime/campaign-file.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import type { Log } from "../runtime/log.ts";
import { CampaignCompiler, isSameContent, TEMPLATES_UNREAD } from "./campaign-compiler.ts";
import type {
  CheckedCampaign,
  CompileCampaign,
  DeclaredCampaign,
  Senders,
  TemplatesByAccount,
} from "./campaign-compiler.ts";
import { CampaignFiles } from "./campaign-files.ts";
import type { CampaignStore } from "./campaign-store.ts";
import type { CompiledCampaign } from "./compiled-campaign.ts";
import type { Parking } from "./parking.ts";

export interface CampaignEntry {
  /** With the status in effect: a campaign with faults is paused, whatever was asked for. */
  readonly definition: CampaignDefinition;
  /** In every message id; never reused. */
  readonly number: number;
  readonly partition: number;
  readonly source: "file" | "api";
  /** What keeps it from working. */
  readonly faults: readonly CampaignFault[];
  /** Meta keeps it from sending for now; null: it does not. It is paused then, and goes on by itself. */
  readonly parking: Parking | null;
  /** It takes events: it is active, or parked in a way that they may wait. */
  readonly takesEvents: boolean;
  /** Faults of a newer version of its file. That version is not used; this one still runs. */
  readonly refusedFaults: readonly CampaignFault[];
  /** As Meta approved it; null while it is unknown. */
  readonly template: WhatsAppTemplate | null;
  /** Null when it has faults other than those that park it. */
  readonly compiled: CompiledCampaign | null;
  /** The definition's, or one of this instance; null unless `auth: { type: urlToken }`. */
  readonly urlToken: string | null;
}

export interface RegistryChange {
  /** Gone, or gone from this partition. Comes first: the same campaign may be in `changed`, elsewhere. */
  readonly removed: readonly CampaignEntry[];
  /** New, or different from before in any way. */
  readonly changed: readonly CampaignEntry[];
}

export type RegistryPut =
  | { readonly kind: "stored"; readonly entry: CampaignEntry; readonly isNew: boolean }
  | { readonly kind: "refused"; readonly faults: readonly CampaignFault[] }
  | { readonly kind: "managed_by_file" };

export type RegistryRemoval =
  | { readonly kind: "changed"; readonly entry: CampaignEntry }
  | { readonly kind: "managed_by_file" }
  | { readonly kind: "not_found" };

export type RegistryStatusChange =
  | { readonly kind: "changed"; readonly entry: CampaignEntry }
  | { readonly kind: "refused"; readonly faults: readonly CampaignFault[] }
  | { readonly kind: "not_found" };

export interface RegistryDeps {
  readonly store: CampaignStore;
  readonly compile: CompileCampaign;
  readonly senders: Senders;
  nowMs(): number;
  readonly log: Log;
}

/** Everything that waits for the disk, one after the other; API calls beyond it are refused. */
const CHANGES_WAITING_MAX = 1000;
const URL_TOKEN_LENGTH = 32;

/** Starts with the API-made campaigns of the store. Templates and files come by setTemplates and setFiles. */
export function createRegistry(deps: RegistryDeps): CampaignRegistry {
  return new CampaignRegistry(deps);
}

interface Slot extends CheckedCampaign {
  readonly entry: CampaignEntry;
}

export class CampaignRegistry {
  readonly #store: CampaignStore;
  readonly #compiler: CampaignCompiler;
  readonly #log: Log;
  readonly #listeners: ((change: RegistryChange) => void)[] = [];
  readonly #campaignFiles: CampaignFiles;
  #slots = new Map<string, Slot>();
  /** This node's own. */
  #files: readonly CampaignFile[] = [];
  /** Ids of campaigns that another node changed. */
  #stale = new Set<string>();
  #isRefreshing = false;
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: RegistryDeps) {
    this.#store = deps.store;
    this.#compiler = new CampaignCompiler(deps);
    this.#log = deps.log;
    this.#campaignFiles = new CampaignFiles({
      running: (id) => this.#slots.get(id),
      runningCampaigns: () => this.#slots.values(),
      check: (declared) => this.#check(declared),
      log: deps.log,
    });
    for (const definition of deps.store.definitions()) {
      this.#slots.set(definition.id, this.#slotOf(declaredByApi(definition)));
    }
    deps.store.onChange((ids) => this.#refreshSoon(ids));
  }

  get(id: string): CampaignEntry | undefined {
    return this.#slots.get(id)?.entry;
  }

  list(): readonly CampaignEntry[] {
    return Array.from(this.#slots.values(), ({ entry }) => entry);
  }

  /** Campaigns that are no more: messages of theirs may still wait. */
  removed(): readonly { readonly id: string; readonly number: number }[] {
    const removed: { id: string; number: number }[] = [];
    for (const [id, number] of this.#store.numbers()) if (!this.#slots.has(id)) removed.push({ id, number });
    return removed;
  }

  /** Called after each change has become durable and visible, with all of it at once. */
  onChange(call: (change: RegistryChange) => void): void {
    this.#listeners.push(call);
  }

  /** All templates of all accounts (wabaId → templates), each time anew. Campaigns whose template changed are checked again. */
  setTemplates(templates: TemplatesByAccount): void {
    this.#compiler.setTemplates(templates);
    this.#rebuild();
  }

  setSenders(senders: Senders): void {
    this.#compiler.setSenders(senders);
    this.#rebuild();
  }

  /**
   * Everything in the campaigns/ folder, each time anew. A campaign whose file is gone goes; one whose file has become
   * faulty stays as it was before. A file's campaign hides an API-made one of the same id until the file is gone.
   * In a cluster the file that was saved last, on any node, counts on all of them.
   *
   * @throws EngineError ERR_STORE_WRITE; nothing changes then.
   */
  setFiles(files: readonly CampaignFile[]): Promise<void> {
    return this.#inTurn(async () => {
      await this.#store.shareFiles(files, (file) => this.#campaignFiles.canReplace(file));
      this.#files = files;
      const next = this.#declaredByFiles(() => true);
      await this.#store.assignNumbers([...next.keys()]);
      await this.#store.removeOverrides([...next.values()].filter((one) => this.#isOutdated(one)).map(idOf));
      const slots = new Map<string, Slot>();
      for (const [id, declared] of next) slots.set(id, this.#slotOf(declared));
      for (const definition of this.#store.definitions()) {
        if (slots.has(definition.id)) this.#tellHidden(definition.id);
        else slots.set(definition.id, this.#slotOf(declaredByApi(definition)));
      }
      this.#swap(slots);
    });
  }

  /** @throws EngineError ERR_STORE_WRITE; nothing changes then. */
  put(definition: CampaignDefinition): Promise<RegistryPut> {
    return this.#inTurn(async () => {
      const before = this.#slots.get(definition.id);
      if (before?.declared.source === "file") return { kind: "managed_by_file" };
      const { faults } = this.#check(declaredByApi(definition));
      if (faults.length > 0) return { kind: "refused", faults };
      await this.#store.putDefinition(definition);
      return {
        kind: "stored",
        entry: this.#install(declaredByApi(definition)),
        isNew: before === undefined,
      };
    });
  }

  /** @throws EngineError ERR_STORE_WRITE; nothing changes then. */
  remove(id: string): Promise<RegistryRemoval> {
    return this.#inTurn(async () => {
      const slot = this.#slots.get(id);
      if (slot === undefined) return { kind: "not_found" };
      if (slot.declared.source === "file") return { kind: "managed_by_file" };
      await this.#store.removeDefinition(id);
      const slots = new Map(this.#slots);
      slots.delete(id);
      this.#swap(slots);
      return { kind: "changed", entry: slot.entry };
    });
  }

  /**
   * Activates or pauses. Of a campaign from a file this holds until the file itself says something new.
   *
   * @throws EngineError ERR_STORE_WRITE; nothing changes then.
   */
  setStatus(id: string, status: CampaignStatus): Promise<RegistryStatusChange> {
    return this.#inTurn(async () => {
      const slot = this.#slots.get(id);
      if (slot === undefined) return { kind: "not_found" };
      if (status === "active" && slot.faults.length > 0) return { kind: "refused", faults: slot.faults };
      return {
        kind: "changed",
        entry: this.#install(await this.#storeStatus(slot.declared, status)),
      };
    });
  }

  async #storeStatus(declared: DeclaredCampaign, status: CampaignStatus): Promise<DeclaredCampaign> {
    const { definition } = declared;
    if (declared.source === "api") {
      await this.#store.putDefinition({ ...definition, status });
      return declaredByApi({ ...definition, status });
    }
    if (status === definition.status) await this.#store.removeOverrides([definition.id]);
    else await this.#store.putOverride(definition.id, { status, declared: definition.status });
    return declared;
  }

  /** Many changes that come together are one. */
  #refreshSoon(ids: readonly string[]): void {
    for (const id of ids) this.#stale.add(id);
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    // Not refused by CHANGES_WAITING_MAX: at most one waits.
    this.#last = this.#last
      .then(() => this.#refresh())
      .catch((error: unknown) => this.#log.error("campaign.unrefreshed", { reason: messageOf(error) }));
  }

  /** What another node changed becomes visible the way an own change does. */
  async #refresh(): Promise<void> {
    this.#isRefreshing = false;
    const ids = this.#stale;
    this.#stale = new Set();
    const next = this.#declaredByFiles((id) => ids.has(id));
    for (const id of ids) {
      const definition = this.#store.definition(id);
      if (definition === undefined) continue;
      if (next.has(id)) this.#tellHidden(id);
      else next.set(id, declaredByApi(definition));
    }
    // Whoever made them has numbered them; a bucket that lost one number gets the same again.
    await this.#store.assignNumbers([...next.keys()]);
    const slots = new Map(this.#slots);
    for (const id of ids) slots.delete(id);
    for (const [id, declared] of next) slots.set(id, this.#slotOf(declared));
    this.#swap(slots);
  }

  #declaredByFiles(isConcerned: (id: string) => boolean): Map<string, DeclaredCampaign> {
    return this.#campaignFiles.declared(this.#store.filesInForce(this.#files), isConcerned);
  }

  #tellHidden(campaignId: string): void {
    if (this.#slots.get(campaignId)?.declared.source !== "file")
      this.#log.warn("campaign.hidden_by_file", { campaignId });
  }

  #isOutdated({ definition }: DeclaredCampaign): boolean {
    const override = this.#store.override(definition.id);
    return override !== undefined && override.declared !== definition.status;
  }

  #rebuild(): void {
    const slots = new Map<string, Slot>();
    for (const [id, { declared }] of this.#slots) slots.set(id, this.#slotOf(declared));
    this.#swap(slots);
  }

  #install(declared: DeclaredCampaign): CampaignEntry {
    const slot = this.#slotOf(declared);
    this.#swap(new Map(this.#slots).set(idOf(declared), slot));
    // Nothing may have changed, and then the entry of before stands.
    return this.#slots.get(idOf(declared))?.entry ?? slot.entry;
  }

  #check(declared: DeclaredCampaign): CheckedCampaign {
    return this.#compiler.check(declared, this.#slots.get(idOf(declared)));
  }

  /** The registry has numbered the campaign before. */
  #slotOf(declared: DeclaredCampaign): Slot {
    const { template, compiled, faults, parking } = this.#check(declared);
    const { definition, source, refusedFaults } = declared;
    const status = this.#statusOf(declared, faults);
    const isHolding = parking !== null && definition.lane === "transactional";
    const entry: CampaignEntry = {
      definition: { ...definition, status },
      number: this.#numberOf(definition.id),
      partition: partitionOf(definition.sender),
      source,
      faults,
      parking,
      takesEvents: status === "active" || (isHolding && this.#statusOf(declared, []) === "active"),
      refusedFaults,
      template,
      compiled,
      urlToken: this.#urlTokenOf(definition),
    };
    return { declared, template, compiled, faults, parking, entry };
  }

  #statusOf({ definition, source }: DeclaredCampaign, faults: readonly CampaignFault[]): CampaignStatus {
    if (faults.length > 0) return "paused";
    const override = source === "file" ? this.#store.override(definition.id) : undefined;
    return override?.declared === definition.status ? override.status : definition.status;
  }

  #numberOf(id: string): number {
    const number = this.#store.numberOf(id);
    if (number === undefined) throw new EngineError("ERR_STORE_WRITE", `campaign ${id} has no number`);
    return number;
  }

  #urlTokenOf({ id, trigger: { auth } }: CampaignDefinition): string | null {
    if (auth.type !== "urlToken") return null;
    if (auth.token !== undefined) return auth.token;
    return createHmac("sha256", this.#store.instanceSecret).update(id).digest("base64url").slice(0, URL_TOKEN_LENGTH);
  }

  #swap(slots: Map<string, Slot>): void {
    const before = this.#slots;
    const removed: CampaignEntry[] = [];
    const changed: CampaignEntry[] = [];
    for (const [id, { entry }] of before) {
      if (slots.get(id)?.entry.partition !== entry.partition) removed.push(entry);
    }
    for (const [id, slot] of slots) {
      const old = before.get(id);
      if (old !== undefined && isSameEntry(old.entry, slot.entry)) slots.set(id, { ...slot, entry: old.entry });
      else changed.push(slot.entry);
    }
    this.#slots = slots;
    if (removed.length === 0 && changed.length === 0) return;
    this.#tell(changed);
    for (const listener of this.#listeners) listener({ removed, changed });
  }

  #tell(changed: readonly CampaignEntry[]): void {
    for (const { definition, faults, parking } of changed) {
      if (parking !== null) this.#log.warn("campaign.parked", { campaignId: definition.id, faults });
      else if (faults.some((fault) => fault !== TEMPLATES_UNREAD))
        this.#log.warn("campaign.faulty", { campaignId: definition.id, faults });
    }
  }

  /** One change at a time: none is built on what another is about to replace. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#waiting >= CHANGES_WAITING_MAX) {
      const message = `${this.#waiting} campaign changes wait already (CHANGES_WAITING_MAX)`;
      return Promise.reject(new EngineError("ERR_STORE_WRITE", message));
    }
    this.#waiting++;
    const result = this.#last.then(work).finally(() => this.#waiting--);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

function declaredByApi(definition: CampaignDefinition): DeclaredCampaign {
  return { definition, source: "api", file: "", fileFaults: [], refusedFaults: [] };
}

function idOf({ definition }: DeclaredCampaign): string {
  return definition.id;
}

function isSameEntry(left: CampaignEntry, right: CampaignEntry): boolean {
  if (left === right) return true;
  const { compiled: leftCompiled, ...leftRest } = left;
  const { compiled: rightCompiled, ...rightRest } = right;
  return leftCompiled === rightCompiled && isSameContent(leftRest, rightRest);
}
