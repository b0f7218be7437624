// What marketing may not do, asked for each message at the moment it would leave: what was true when its event came may
// not be any more.
//
// In this order: who asked for no more gets none; nor do numbers of the United States where the configuration says so;
// and in quiet hours the message waits until nobody's zone is quiet any more.

import type { ConsentRules, MarketingRules, QuietHours, Refusal } from "../message/marketing.ts";
import { type OptOut, optOutReason } from "./opt-out.ts";
import { createQuietHours } from "./quiet-hours.ts";
import type { ZonesOfRegion } from "./time-zones.ts";

export interface MarketingRulesOptions {
  /** What is known of a number's wish; the newest at `nowMs`. */
  optOutOf(phoneNumber: string, nowMs: number): OptOut | undefined;
  /** ISO 3166 alpha-2, or empty. */
  regionOf(phoneNumber: string): string;
  readonly zonesOf: ZonesOfRegion;
  /** As they are now: they may change while the engine runs. */
  rules(): ConsentRules;
}

const UNITED_STATES =
  "WhatsApp delivers no marketing to numbers of the United States, and the configuration says not to try (consent.unitedStates).";

export function createMarketingRules(options: MarketingRulesOptions): MarketingRules {
  const { optOutOf, regionOf, zonesOf, rules } = options;
  const quiet = createQuietHours(zonesOf);
  return {
    refusal(phoneNumber: string, quietHours: QuietHours | null, nowMs: number): Refusal | null {
      const known = optOutOf(phoneNumber, nowMs);
      if (known?.isOptedOut === true) return { kind: "suppressed", reason: optOutReason(known) };
      const { isUnitedStatesSuppressed } = rules();
      if (!isUnitedStatesSuppressed && quietHours === null) return null;
      const region = regionOf(phoneNumber);
      if (isUnitedStatesSuppressed && region === "US") return { kind: "suppressed", reason: UNITED_STATES };
      return quietHours === null ? null : quiet.refusal(region, quietHours, nowMs);
    },
    cap: () => rules().cap,
  };
}
