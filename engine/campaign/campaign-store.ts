// What the registry needs to remember over a restart, and in a cluster what it shares with the other nodes. Reads are
// from memory; a write has reached the disk, and the cluster, when its promise resolves.

import type { CampaignDefinition, CampaignStatus } from "../message/campaign.ts";
import type { CampaignFile } from "../runtime/campaign-file.ts";

/** An operator's pause or activation of a campaign that comes from a file. */
export interface StatusOverride {
  readonly status: CampaignStatus;
  /** What the file said then. Once the file says something else, its edit is the newer word and the override ends. */
  readonly declared: CampaignStatus;
}

export interface CampaignStore {
  /** Made once for this data directory, or this cluster; URL tokens derive from it. */
  readonly instanceSecret: string;
  /** Also of a campaign that was removed: numbers are in message ids and never get another meaning. */
  numberOf(id: string): number | undefined;
  /** Of every campaign there ever was. */
  numbers(): ReadonlyMap<string, number>;
  /** The API-made ones. */
  definitions(): readonly CampaignDefinition[];
  definition(id: string): CampaignDefinition | undefined;
  override(id: string): StatusOverride | undefined;
  /** Numbers for those that have none yet, in one commit. */
  assignNumbers(ids: readonly string[]): Promise<void>;
  /** Assigns a number as well, if there is none yet. */
  putDefinition(definition: CampaignDefinition): Promise<void>;
  removeDefinition(id: string): Promise<void>;
  putOverride(id: string, override: StatusOverride): Promise<void>;
  removeOverrides(ids: readonly string[]): Promise<void>;
  /**
   * Tells the other nodes what was saved here since the last call: all that lies in campaigns/ now.
   *
   * @param canReplace False for a version that must not replace the one that runs.
   */
  shareFiles(files: readonly CampaignFile[], canReplace: (file: LoadedCampaignFile) => boolean): Promise<void>;
  /** The files that count: this node's own; in a cluster, of each campaign the one that was saved last on any node. */
  filesInForce(files: readonly CampaignFile[]): readonly CampaignFile[];
  /** Called with the ids of campaigns that another node changed, once that can be read here. */
  onChange(call: (ids: readonly string[]) => void): void;
}

export type LoadedCampaignFile = CampaignFile & { readonly kind: "loaded" };
