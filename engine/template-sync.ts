// Keeps the templates known: from the files beside the configuration at once, from Meta as soon as it answers, again
// every few minutes, and when Meta says that one changed. Meta's word goes before a file's; what only a file has
// stays (work without a connection).

import type { WhatsAppTemplate } from "./message/template.ts";
import type { Clock } from "./runtime/clock.ts";
import type { EngineConfig } from "./runtime/config.ts";
import { messageOf } from "./runtime/errors.ts";
import type { Log } from "./runtime/log.ts";
import { listTemplates } from "./whatsapp/cloud-api-templates.ts";

/** Twelve calls an hour and account, of Meta's 5,000. */
const SYNC_EVERY_MS = 300_000;
/** After a failure: Meta may only be starting, or the network. */
const RETRY_AFTER_MS = 10_000;
/** News of templates come in swarms; one reading answers them all. */
const NEWS_REST_MS = 1_000;

export interface TemplateSyncOptions {
  readonly whatsapp: EngineConfig["whatsapp"];
  readonly senders: EngineConfig["senders"];
  readonly fromFiles: readonly WhatsAppTemplate[];
  /** Called with all templates of an account whenever they may have changed. */
  onTemplates(wabaId: string, templates: readonly WhatsAppTemplate[]): void;
  readonly clock: Clock;
  readonly log: Log;
}

interface Account {
  readonly wabaId: string;
  readonly accessToken: string;
  /** As last read; empty before that. */
  listed: readonly WhatsAppTemplate[];
  isReading: boolean;
  cancelNext: () => void;
}

export class TemplateSync {
  /** The first reading of all accounts is over, well or not. */
  readonly firstRound: Promise<void>;
  readonly #options: TemplateSyncOptions;
  readonly #accounts: readonly Account[];
  #fromFiles: readonly WhatsAppTemplate[];
  #isStopped = false;

  constructor(options: TemplateSyncOptions) {
    const tokens = new Map(Object.values(options.senders).map((sender) => [sender.wabaId, sender.accessToken]));
    this.#options = options;
    this.#fromFiles = options.fromFiles;
    this.#accounts = Array.from(tokens, ([wabaId, accessToken]) => {
      return { wabaId, accessToken, listed: [], isReading: false, cancelNext: () => {} };
    });
    for (const account of this.#accounts) this.#tell(account);
    this.firstRound = Promise.all(this.#accounts.map((account) => this.#read(account))).then(() => undefined);
  }

  /** The files changed. */
  setFiles(templates: readonly WhatsAppTemplate[]): void {
    this.#fromFiles = templates;
    for (const account of this.#accounts) this.#tell(account);
  }

  /** Meta says that a template changed: read soon instead of at the next turn. */
  refresh(): void {
    for (const account of this.#accounts) if (!account.isReading) this.#readAfter(account, NEWS_REST_MS);
  }

  stop(): void {
    this.#isStopped = true;
    for (const account of this.#accounts) account.cancelNext();
  }

  async #read(account: Account): Promise<void> {
    const { wabaId, accessToken } = account;
    if (accessToken === "" || this.#isStopped) return;
    const { baseUrl, apiVersion } = this.#options.whatsapp;
    let nextMs = SYNC_EVERY_MS;
    account.isReading = true;
    try {
      account.listed = await listTemplates({ baseUrl, apiVersion, wabaId, accessToken });
      if (!this.#isStopped) this.#tell(account);
    } catch (error) {
      nextMs = RETRY_AFTER_MS;
      if (!this.#isStopped) this.#options.log.warn("templates.unread", { wabaId, reason: messageOf(error), nextMs });
    }
    account.isReading = false;
    if (!this.#isStopped) this.#readAfter(account, nextMs);
  }

  #readAfter(account: Account, delayMs: number): void {
    account.cancelNext();
    account.cancelNext = this.#options.clock.after(delayMs, () => void this.#read(account));
  }

  #tell({ wabaId, listed }: Account): void {
    const merged = new Map<string, WhatsAppTemplate>();
    for (const template of [...this.#fromFiles, ...listed])
      merged.set(`${template.name} ${template.language}`, template);
    this.#options.onTemplates(wabaId, [...merged.values()]);
  }
}
