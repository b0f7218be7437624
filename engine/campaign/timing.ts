// When an event's message goes, what it can be cancelled by, and what the event itself cancels. Compiled when the
// campaign is deployed; a campaign that uses none of the three has no timing, and its events pay nothing.

import type { CampaignDefinition, CampaignFault } from "../message/campaign.ts";
import { parsePaths } from "./attribute-path.ts";
import { firstValue, pointerOfFirst } from "./attribute-reader.ts";
import type { PayloadFault } from "./mapping.ts";
import { compileSendTime } from "./send-time.ts";
import { keyText, WAIT_KEY_LENGTH_MAX } from "./wait-key.ts";

export interface Timing {
  readonly uses: { readonly sendAt: boolean; readonly key: boolean; readonly cancels: boolean };
  /** @param nowMs epoch milliseconds of the acceptance. */
  schedule(payload: unknown, nowMs: number): Schedule;
}

export type Schedule =
  | {
      readonly kind: "valid";
      /** Epoch milliseconds; null: at once. */
      readonly sendAtMs: number | null;
      /** Null: cancelled by nothing. */
      readonly waitKey: string | null;
      readonly cancels: readonly CampaignKey[];
    }
  | { readonly kind: "invalid"; readonly faults: readonly PayloadFault[] };

/** The messages that wait in a campaign under one key. */
export interface CampaignKey {
  readonly campaignId: string;
  readonly key: string;
}

export type CompiledTiming =
  | { readonly kind: "compiled"; readonly timing: Timing | null }
  | { readonly kind: "refused"; readonly faults: readonly CampaignFault[] };

type Timed = Pick<CampaignDefinition, "sendAt" | "key" | "cancels">;

export function compileTiming(definition: Timed): CompiledTiming {
  const { sendAt, key, cancels = [] } = definition;
  if (sendAt === undefined && key === undefined && cancels.length === 0) return { kind: "compiled", timing: null };
  const faults: CampaignFault[] = [];
  const readSendTime = compileSendTime(sendAt, faults);
  const keyPaths = parsePaths("key.path", key?.path, faults);
  const targets = cancels.map(({ campaign, key: { path } }, index) => ({
    campaignId: campaign,
    paths: parsePaths(`cancels[${index}].key.path`, path, faults),
  }));
  if (faults.length > 0) return { kind: "refused", faults };
  return {
    kind: "compiled",
    timing: {
      uses: { sendAt: sendAt !== undefined, key: key !== undefined, cancels: cancels.length > 0 },
      schedule(payload, nowMs) {
        const time = readSendTime(payload, nowMs);
        const waitKey = keyText(firstValue(payload, keyPaths)) ?? null;
        const isKeyTooLong = waitKey !== null && waitKey.length > WAIT_KEY_LENGTH_MAX;
        if (time.kind === "invalid" || isKeyTooLong) {
          const timeFaults = time.kind === "invalid" ? [time.fault] : [];
          const keyFaults = isKeyTooLong ? [tooLongKey(pointerOfFirst(payload, keyPaths))] : [];
          return { kind: "invalid", faults: [...timeFaults, ...keyFaults] };
        }
        return {
          kind: "valid",
          sendAtMs: time.kind === "at" ? time.atMs : null,
          waitKey,
          cancels: targets.flatMap(({ campaignId, paths }) => {
            const found = keyText(firstValue(payload, paths));
            // Nothing waits under a longer one: its event was refused.
            return found === undefined || found.length > WAIT_KEY_LENGTH_MAX ? [] : [{ campaignId, key: found }];
          }),
        };
      },
    },
  };
}

/** Not cut: two keys that begin alike would cancel each other's messages. */
function tooLongKey(pointer: string): PayloadFault {
  const message = `key is longer than ${WAIT_KEY_LENGTH_MAX} characters`;
  return { pointer, attribute: "key", code: "too_long", message };
}
