// A process that stores one campaign after the other and writes a dot for each that is confirmed, until it is killed
// or a write fails. Then it tries once more, and writes both error codes.

import { openCampaignStore } from "../../engine/campaign/lmdb-campaign-store.ts";
import { EngineError } from "../../engine/runtime/errors.ts";
import { campaignOf } from "./campaign-fixture.ts";

const CAMPAIGNS_MAX = 100_000;

const [path = "", nameLength = "20"] = process.argv.slice(2);
const name = "x".repeat(Number(nameLength));
const store = await openCampaignStore({ path });
const codes: string[] = [];
for (let index = 0; index < CAMPAIGNS_MAX && codes.length < 2; index++) {
  try {
    // oxlint-disable-next-line no-await-in-loop -- each is confirmed before the next
    await store.putDefinition({ ...campaignOf(), id: `campaign-${index}`, name });
    process.stdout.write(".");
  } catch (error) {
    codes.push(error instanceof EngineError ? error.code : String(error));
  }
}
await store.close();
process.stdout.write(codes.join(" "));
