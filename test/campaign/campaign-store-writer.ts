// A process that stores one campaign after the other and writes a dot for each that is confirmed, until it is killed.

import { openCampaignStore } from "../../engine/campaign/lmdb-campaign-store.ts";
import { campaignOf } from "./campaign-fixture.ts";

const CAMPAIGNS_MAX = 100_000;

const store = await openCampaignStore({ path: process.argv[2] ?? "" });
for (let index = 0; index < CAMPAIGNS_MAX; index++) {
  // oxlint-disable-next-line no-await-in-loop -- each is confirmed before the next
  await store.putDefinition({ ...campaignOf(), id: `campaign-${index}` });
  process.stdout.write(".");
}
