// Files that apply while the engine runs: campaigns, templates, limits, secrets. A faulty file leaves what runs as it is.

import { dirname, join } from "node:path";

import type { CampaignRegistry } from "./campaign/campaign-registry.ts";
import { watchFiles } from "./file-watch.ts";
import type { LiveLimits } from "./live-limits.ts";
import type { WhatsAppTemplate } from "./message/template.ts";
import { type CampaignFolder, loadCampaignFolder } from "./runtime/campaign-file.ts";
import type { Environment } from "./runtime/environment-reference.ts";
import type { Log } from "./runtime/log.ts";
import { repeat } from "./runtime/repeat.ts";
import type { Shutdown } from "./runtime/shutdown.ts";
import { systemClock } from "./runtime/system-clock.ts";
import { loadTemplateFolder } from "./runtime/template-file.ts";

/** Secret files are read this often even if nothing tells of a change: not every mounted file system does. */
const SECRETS_READ_EVERY_MS = 30_000;

export interface LiveFilesOptions {
  /** `campaigns/` and `templates/` lie in it, and volley.yaml. */
  readonly folder: string;
  readonly environment: Environment;
  /** Absolute paths. */
  readonly secretFiles: readonly string[];
  readonly registry: CampaignRegistry;
  readonly limits: LiveLimits;
  onTemplates(templates: readonly WhatsAppTemplate[]): void;
  readonly log: Log;
  readonly shutdown: Shutdown;
}

/** Applies the campaigns, then follows every change. */
export async function followFiles(options: LiveFilesOptions): Promise<void> {
  const { folder, environment, secretFiles, registry, limits, log, shutdown } = options;
  const campaigns = join(folder, "campaigns");
  const templates = join(folder, "templates");
  let read: CampaignFolder | undefined;
  const readCampaigns = async (): Promise<void> => {
    read = loadCampaignFolder(campaigns, environment, read);
    await registry.setFiles(read.campaigns);
  };
  const onChange = async (): Promise<void> => {
    options.onTemplates(readTemplates(templates, log));
    await limits.reload();
    await readCampaigns();
    log.info("files.applied", { campaigns: registry.list().length });
  };
  await readCampaigns();
  const folders = [...new Set([folder, campaigns, templates, ...secretFiles.map((file) => dirname(file))])];
  shutdown.add("file watch", watchFiles({ folders, onChange, clock: systemClock, log }));
  if (secretFiles.length === 0) return;
  shutdown.add(
    "secret files",
    repeat(systemClock, SECRETS_READ_EVERY_MS, () => limits.reloadSecrets()),
  );
}

export function readTemplates(folder: string, log: Log): readonly WhatsAppTemplate[] {
  const { templates, faults } = loadTemplateFolder(folder);
  for (const fault of faults) log.error("template.refused", { ...fault });
  return templates;
}
