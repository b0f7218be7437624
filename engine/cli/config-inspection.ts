// What the engine would say to a configuration and to the campaigns and templates beside it, without an engine.

import { dirname, join } from "node:path";
import { compileCampaign } from "../campaign/compiled-campaign.ts";
import type { CampaignDefinition, CampaignFault } from "../message/campaign.ts";
import type { WhatsAppTemplate } from "../message/template.ts";
import { loadCampaignFolder } from "../runtime/campaign-file.ts";
import { loadConfig, type LoadedConfig } from "../runtime/config-file.ts";
import type { EngineConfig } from "../runtime/config.ts";
import { EngineError } from "../runtime/errors.ts";
import { faultText } from "../runtime/file-fault.ts";
import { loadTemplateFolder } from "../runtime/template-file.ts";
import type { CommandCall } from "./command.ts";

export interface ConfigReport {
  readonly file: string;
  /** Null when the file itself is at fault. */
  readonly loaded: LoadedConfig | null;
  readonly campaigns: number;
  readonly templates: number;
  /** Each with file, line and path. The engine refuses what they concern. */
  readonly errors: readonly string[];
  /** The engine works all the same. */
  readonly warnings: readonly string[];
}

export function inspectConfig(file: string, environment: CommandCall["environment"]): ConfigReport {
  const errors: string[] = [];
  const warnings: string[] = [];
  const loaded = tryLoadConfig(file, environment, errors);
  const folder = dirname(file);
  const { templates, faults } = loadTemplateFolder(join(folder, "templates"));
  errors.push(...faults.map(faultText));
  const { campaigns } = loadCampaignFolder(join(folder, "campaigns"), environment);
  for (const campaign of campaigns) {
    // Secrets that are not set here may be set where the engine runs.
    if (campaign.kind === "refused") errors.push(...campaign.faults.map(faultText));
    else {
      warnings.push(...campaign.faults.map(faultText));
      const inspected = campaignFaults(campaign.definition, templates, loaded?.config);
      errors.push(...inspected.map((fault) => `${campaign.file} ${fault.path}: ${fault.message}`));
    }
  }
  for (const variable of loaded?.unsetVariables ?? []) {
    warnings.push(`${variable} is not set: without WhatsApp credentials the engine runs against the simulator`);
  }
  return {
    file,
    loaded,
    campaigns: campaigns.length,
    templates: templates.length,
    errors,
    warnings,
  };
}

function tryLoadConfig(file: string, environment: CommandCall["environment"], errors: string[]): LoadedConfig | null {
  try {
    return loadConfig({ file, environment });
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    errors.push(...error.message.split("\n"));
    return null;
  }
}

/** A template that is not in the folder may still be in the account, so only those that are here are checked. */
function campaignFaults(
  definition: CampaignDefinition,
  templates: readonly WhatsAppTemplate[],
  config: EngineConfig | undefined,
): readonly CampaignFault[] {
  const faults: CampaignFault[] = [];
  if (config !== undefined && !Object.hasOwn(config.senders, definition.sender)) {
    const known = Object.keys(config.senders).join(", ") || "none";
    faults.push({
      path: "sender",
      message: `there is no sender ${definition.sender}; known are ${known}`,
    });
  }
  const { name, language } = definition.template;
  const template = templates.find((candidate) => candidate.name === name && candidate.language === language);
  if (template === undefined) return faults;
  const compilation = compileCampaign(definition, template);
  return compilation.kind === "refused" ? [...faults, ...compilation.faults] : faults;
}
