// What the registry needs to remember over a restart. Reads are from memory; a write has reached the disk when its
// promise resolves.

import type { CampaignDefinition, CampaignStatus } from "../message/campaign.ts";

/** An operator's pause or activation of a campaign that comes from a file. */
export interface StatusOverride {
  readonly status: CampaignStatus;
  /** What the file said then. Once the file says something else, its edit is the newer word and the override ends. */
  readonly declared: CampaignStatus;
}

export interface CampaignStore {
  /** Made once for this data directory; URL tokens derive from it. */
  readonly instanceSecret: string;
  /** Also of a campaign that was removed: numbers are in message ids and never get another meaning. */
  numberOf(id: string): number | undefined;
  /** Of every campaign there ever was. */
  numbers(): ReadonlyMap<string, number>;
  /** The API-made ones. */
  definitions(): readonly CampaignDefinition[];
  override(id: string): StatusOverride | undefined;
  /** Numbers for those that have none yet, in one commit. */
  assignNumbers(ids: readonly string[]): Promise<void>;
  /** Assigns a number as well, if there is none yet. */
  putDefinition(definition: CampaignDefinition): Promise<void>;
  removeDefinition(id: string): Promise<void>;
  putOverride(id: string, override: StatusOverride): Promise<void>;
  removeOverrides(ids: readonly string[]): Promise<void>;
}
