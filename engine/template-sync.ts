// Keeps the templates known: from the files beside the configuration at once, from Meta as soon as it answers, again
// every few minutes, and when Meta says that one changed: what a webhook tells holds at once, and the list is read again.
// Meta's word goes before a file's; what only a file has stays (work without a connection).

import type { WhatsAppTemplate } from "./message/template.ts";
import type { Clock } from "./runtime/clock.ts";
import type { SenderConfig } from "./runtime/config.ts";
import { messageOf } from "./runtime/errors.ts";
import type { Log } from "./runtime/log.ts";
import type { ManagementCalls } from "./whatsapp/cloud-api-management.ts";
import { listTemplates } from "./whatsapp/cloud-api-templates.ts";
import { isAbout, templateNewsOf } from "./whatsapp/template-news.ts";

/** Twelve readings an hour and account, of Meta's 5,000 calls: of 6,000 templates one takes 60. */
const SYNC_EVERY_MS = 300_000;
/** After a failure: Meta may only be starting, or the network. */
const RETRY_AFTER_MS = 10_000;
/** News of templates come in swarms; one reading answers them all. */
const NEWS_REST_MS = 1_000;
/** A send that met another template than the one here says so; a thousand of them ask for one reading. */
const STALE_REST_MS = 10_000;
/** Sends that meet it again and again, whatever was read: the rest has doubled up to this. */
const STALE_REST_MS_MAX = 600_000;

export interface TemplateSyncOptions {
  readonly calls: ManagementCalls;
  /** As they are now: tokens may change. */
  senders(): readonly SenderConfig[];
  readonly fromFiles: readonly WhatsAppTemplate[];
  /** Called with all templates of an account whenever they may have changed. */
  onTemplates(wabaId: string, templates: readonly WhatsAppTemplate[]): void;
  readonly clock: Clock;
  readonly log: Log;
}

interface Account {
  readonly wabaId: string;
  /** As last read, with what webhooks told since; empty before that. */
  listed: readonly WhatsAppTemplate[];
  /** Counts webhooks: a list that was asked for before one may not know of it. */
  news: number;
  isReading: boolean;
  /** Asked for while a list was under way. */
  isOutdated: boolean;
  cancelNext: () => void;
}

export class TemplateSync {
  /** The first reading of all accounts is over, well or not. */
  readonly firstRound: Promise<void>;
  readonly #options: TemplateSyncOptions;
  readonly #accounts: readonly Account[];
  #fromFiles: readonly WhatsAppTemplate[];
  /** Monotonic: when a stale template last asked for a reading. */
  #staleAtMs = Number.NEGATIVE_INFINITY;
  #staleRestMs = STALE_REST_MS;
  #isStopped = false;

  constructor(options: TemplateSyncOptions) {
    this.#options = options;
    this.#fromFiles = options.fromFiles;
    this.#accounts = Array.from(new Set(options.senders().map(({ wabaId }) => wabaId)), (wabaId) => {
      return { wabaId, listed: [], news: 0, isReading: false, isOutdated: false, cancelNext: () => {} };
    });
    for (const account of this.#accounts) this.#tell(account);
    this.firstRound = Promise.all(this.#accounts.map((account) => this.#read(account))).then(() => undefined);
  }

  /** The files changed. */
  setFiles(templates: readonly WhatsAppTemplate[]): void {
    this.#fromFiles = templates;
    for (const account of this.#accounts) this.#tell(account);
  }

  /** A webhook came; one that is not about templates is left alone. */
  notified(field: string, value: unknown): void {
    const news = templateNewsOf(value);
    if (news === null && !/^(message_template_|template_)/.test(field)) return;
    for (const account of this.#accounts) {
      account.news++;
      if (news === null || !account.listed.some((template) => isAbout(news, template))) continue;
      account.listed = account.listed.map((template) => (isAbout(news, template) ? news.apply(template) : template));
      this.#tell(account);
    }
    this.refresh();
  }

  /** Soon instead of at the next turn: Meta says that a template changed, or there is another token. */
  refresh(): void {
    for (const account of this.#accounts) {
      if (account.isReading) account.isOutdated = true;
      else this.#readAfter(account, NEWS_REST_MS);
    }
  }

  /** WhatsApp refused a message because its template is another one than the one here. */
  stale(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const sinceMs = nowMs - this.#staleAtMs;
    if (sinceMs < this.#staleRestMs) return;
    this.#staleRestMs =
      sinceMs > STALE_REST_MS_MAX ? STALE_REST_MS : Math.min(STALE_REST_MS_MAX, this.#staleRestMs * 2);
    this.#staleAtMs = nowMs;
    this.refresh();
  }

  stop(): void {
    this.#isStopped = true;
    for (const account of this.#accounts) account.cancelNext();
  }

  async #read(account: Account): Promise<void> {
    const { wabaId } = account;
    const accessToken = this.#options.senders().find((sender) => sender.wabaId === wabaId)?.accessToken ?? "";
    if (accessToken === "" || this.#isStopped) return;
    const { calls, log } = this.#options;
    const newsBefore = account.news;
    let nextMs = SYNC_EVERY_MS;
    account.isReading = true;
    account.isOutdated = false;
    try {
      const listed = await listTemplates({ calls, wabaId, accessToken });
      if (account.news === newsBefore || account.listed.length === 0) account.listed = listed;
      else account.isOutdated = true;
      if (!this.#isStopped) this.#tell(account);
    } catch (error) {
      nextMs = RETRY_AFTER_MS;
      if (!this.#isStopped) log.warn("templates.unread", { wabaId, reason: messageOf(error), nextMs });
    }
    account.isReading = false;
    if (!this.#isStopped) this.#readAfter(account, account.isOutdated ? NEWS_REST_MS : nextMs);
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
