// Keeps the templates known: from the files beside the configuration at once, from Meta as soon as it answers, and
// again every few minutes. Meta's word goes before a file's; what only a file has stays (work without a connection).

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

export interface TemplateSyncOptions {
  readonly whatsapp: EngineConfig["whatsapp"];
  readonly senders: EngineConfig["senders"];
  readonly fromFiles: readonly WhatsAppTemplate[];
  /** Called with all templates of an account whenever they were read. */
  onTemplates(wabaId: string, templates: readonly WhatsAppTemplate[]): void;
  readonly clock: Clock;
  readonly log: Log;
}

export interface TemplateSync {
  /** The first reading of all accounts is over, well or not. */
  readonly firstRound: Promise<void>;
  stop(): void;
}

export function startTemplateSync(options: TemplateSyncOptions): TemplateSync {
  const accounts = new Map(Object.values(options.senders).map((sender) => [sender.wabaId, sender.accessToken]));
  const cancels = new Map<string, () => void>();
  let isStopped = false;

  const sync = async (wabaId: string, accessToken: string): Promise<void> => {
    const { whatsapp, fromFiles, onTemplates, clock, log } = options;
    let nextMs = SYNC_EVERY_MS;
    try {
      const { baseUrl, apiVersion } = whatsapp;
      const listed = await listTemplates({ baseUrl, apiVersion, wabaId, accessToken });
      if (!isStopped) onTemplates(wabaId, mergeTemplates(fromFiles, listed));
    } catch (error) {
      nextMs = RETRY_AFTER_MS;
      if (!isStopped) log.warn("templates.unread", { wabaId, reason: messageOf(error), nextMs });
    }
    if (!isStopped)
      cancels.set(
        wabaId,
        clock.after(nextMs, () => void sync(wabaId, accessToken)),
      );
  };

  for (const wabaId of accounts.keys()) options.onTemplates(wabaId, options.fromFiles);
  const first = [...accounts].filter(([, token]) => token !== "").map(([wabaId, token]) => sync(wabaId, token));
  return {
    firstRound: Promise.all(first).then(() => undefined),
    stop: () => {
      isStopped = true;
      for (const cancel of cancels.values()) cancel();
    },
  };
}

function mergeTemplates(
  fromFiles: readonly WhatsAppTemplate[],
  listed: readonly WhatsAppTemplate[],
): readonly WhatsAppTemplate[] {
  const merged = new Map<string, WhatsAppTemplate>();
  for (const template of [...fromFiles, ...listed]) merged.set(`${template.name} ${template.language}`, template);
  return [...merged.values()];
}
