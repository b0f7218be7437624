// The campaigns/ folder: one campaign a file. A file with a fault is refused alone and named with line and
// column; the others load. A campaign whose secrets are not in the environment loads, with that as its fault:
// operators then see it, and see why it takes no triggers.

import { readdirSync } from "node:fs";
import { extname, join } from "node:path";

import type { CampaignDefinition } from "../message/campaign.ts";
import { campaignFaults, checkCampaignShape, completedCampaign, missingSecretFaults } from "./campaign-definition.ts";
import type { CampaignDocument } from "./campaign-definition.ts";
import type { Environment } from "./environment-reference.ts";
import { EngineError } from "./errors.ts";
import { tidyFaults } from "./file-fault.ts";
import type { FileFault } from "./file-fault.ts";
import type { SchemaFault } from "./schema-check.ts";
import { checkSettings, readSettings, readText, unsetMessage } from "./settings-file.ts";
import type { Settings } from "./settings-file.ts";
import { parseYaml } from "./yaml-document.ts";

export type CampaignFile =
  | {
      readonly kind: "loaded";
      readonly file: string;
      readonly definition: CampaignDefinition;
      /** Secrets that are not set. The definition is complete but for them, and cannot work before they are. */
      readonly faults: readonly FileFault[];
    }
  | { readonly kind: "refused"; readonly file: string; readonly faults: readonly FileFault[] };

/** What a folder held when it was last read; hand it to the next reading, which then looks at changed files only. */
export interface CampaignFolder {
  /** In the order of the files' names. */
  readonly campaigns: readonly CampaignFile[];
  readonly texts: ReadonlyMap<string, string>;
}

/** Far beyond the 10,000 campaigns that an engine is measured with. */
const CAMPAIGN_FILES_MAX = 100_000;
const EXTENSIONS: ReadonlySet<string> = new Set([".yaml", ".yml", ".json"]);
const SECRETS = /^trigger\.auth\.(secrets\[\d+\]|token)$/;

export function loadCampaignFile(file: string, environment: Environment): CampaignFile {
  const read = readText(file);
  if (read.kind === "unreadable") return { kind: "refused", file, faults: [read.fault] };
  return campaignOf(file, read.text, environment);
}

/**
 * Reads every campaign of a folder; one that does not exist has none. Of two files with one id the second is refused.
 *
 * @param previous An earlier reading with the same environment. Parsing takes 0.7 ms a file: with 10,000 campaigns,
 *   reading all of them anew for one change would stop the main thread for seconds.
 * @throws EngineError ERR_CONFIG_UNREADABLE when there are more than CAMPAIGN_FILES_MAX files.
 */
export function loadCampaignFolder(
  folder: string,
  environment: Environment,
  previous?: CampaignFolder,
): CampaignFolder {
  const known = new Map(previous?.campaigns.map((campaign) => [campaign.file, campaign]));
  const texts = new Map<string, string>();
  const campaigns: CampaignFile[] = [];
  const owners = new Map<string, string>();
  for (const file of settingsFiles(folder, {
    extensions: EXTENSIONS,
    filesMax: CAMPAIGN_FILES_MAX,
  })) {
    const read = readText(file);
    if (read.kind === "unreadable") {
      campaigns.push({ kind: "refused", file, faults: [read.fault] });
      continue;
    }
    const before = previous?.texts.get(file) === read.text ? known.get(file) : undefined;
    const campaign = claimed(before ?? campaignOf(file, read.text, environment), read.text, owners);
    // A file refused for its id alone is read again next time: the other file may have gone by then.
    if (campaign.kind === "loaded") texts.set(file, read.text);
    campaigns.push(campaign);
  }
  return { campaigns, texts };
}

/** The files of a folder in order of their names; none when there is no such folder. */
export function settingsFiles(
  folder: string,
  options: { readonly extensions: ReadonlySet<string>; readonly filesMax: number },
): string[] {
  const names = folderNames(folder).filter((name) => options.extensions.has(extname(name)) && !name.startsWith("."));
  if (names.length > options.filesMax) {
    throw new EngineError(
      "ERR_CONFIG_UNREADABLE",
      `${folder}: ${names.length} files exceed the ${options.filesMax} allowed`,
    );
  }
  return names.toSorted().map((name) => join(folder, name));
}

function folderNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw new EngineError("ERR_CONFIG_UNREADABLE", `${folder} cannot be read`, { cause: error });
  }
}

function campaignOf(file: string, text: string, environment: Environment): CampaignFile {
  const result = readSettings({
    file,
    text,
    environment,
    secrets: SECRETS,
    unsetSecret: "omitted",
  });
  if (result.kind === "malformed") return { kind: "refused", file, faults: result.faults };
  const { settings } = result;
  const unset = settings.unsetSecrets.map(({ path, variable }) =>
    settings.locate({ path, concerns: "value", message: unsetMessage(variable) }),
  );
  const checked = checkSettings(checkCampaignShape, settings);
  const shapeFaults = checked.kind === "fits" ? contradictions(checked.value, settings) : checked.faults;
  const faults = [...result.faults, ...shapeFaults.map(settings.locate)];
  if (checked.kind === "misfits" || faults.length > 0)
    return { kind: "refused", file, faults: tidyFaults([...faults, ...unset]) };
  return { kind: "loaded", file, definition: completedCampaign(checked.value), faults: unset };
}

function contradictions(document: CampaignDocument, { unsetSecrets }: Settings): SchemaFault[] {
  return [...campaignFaults(document), ...(unsetSecrets.length > 0 ? [] : missingSecretFaults(document))];
}

/** Refuses a campaign whose id an earlier file has. */
function claimed(campaign: CampaignFile, text: string, owners: Map<string, string>): CampaignFile {
  if (campaign.kind === "refused") return campaign;
  const { file, definition } = campaign;
  const owner = owners.get(definition.id);
  if (owner === undefined) {
    owners.set(definition.id, file);
    return campaign;
  }
  const message = `expected an id of its own, but ${owner} has "${definition.id}" already`;
  // It was well-formed a moment ago.
  const parsed = parseYaml(text);
  const at = parsed.kind === "parsed" ? parsed.document.positionOf(["id"]) : { line: 1, column: 1 };
  return { kind: "refused", file, faults: [{ file, ...at, path: "id", message }] };
}
