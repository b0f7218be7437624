// `consent:` of volley.yaml → the rules that the actor threads are told.

import type { ConsentRules } from "../message/marketing.ts";

/** What of the configuration they are made of. */
interface ConsentSettings {
  readonly frequencyCap: { readonly messages: number; readonly hours: number } | null;
  readonly unitedStates: "send" | "suppress";
}

const HOUR_MS = 3_600_000;

export function consentRulesOf({ frequencyCap, unitedStates }: ConsentSettings): ConsentRules {
  const cap = frequencyCap && { messages: frequencyCap.messages, periodMs: frequencyCap.hours * HOUR_MS };
  return { cap, isUnitedStatesSuppressed: unitedStates === "suppress" };
}
