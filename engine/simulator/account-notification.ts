// What Meta's webhooks say when a number, an account or the portfolio changes.

import type { Mood } from "./change.ts";
import { fieldUpdate, type FieldUpdate } from "./field-update.ts";
import { isHighThroughput, tierOf } from "./meta-levels.ts";
import type { Scenario } from "./scenario.ts";
import type { SimulatedNumber } from "./status-notification.ts";

/** The codes that Meta announces as a restriction of the account. */
const RESTRICTION_CODES: ReadonlySet<number> = new Set([368, 131031]);
const DAY_SECONDS = 86_400;

/** A number's throughput changed its level, or not: then nothing is told. */
export function throughputUpdate(
  number: SimulatedNumber,
  rates: { readonly before: number; readonly after: number },
  atMs: number,
): FieldUpdate | null {
  if (isHighThroughput(rates.before) === isHighThroughput(rates.after)) return null;
  return fieldUpdate({
    wabaId: number.wabaId,
    field: "phone_number_quality_update",
    atMs,
    value: {
      display_phone_number: number.displayPhoneNumber,
      // The name of the way down is a guess: Meta documents only the upgrade.
      event: isHighThroughput(rates.after) ? "THROUGHPUT_UPGRADE" : "THROUGHPUT_DOWNGRADE",
      current_limit: "TIER_UNLIMITED",
    },
  });
}

/** An account was restricted or set free again, or something that Meta does not announce. */
export function restrictionUpdate(
  wabaId: string,
  moods: { readonly before: Mood | null; readonly after: Mood | null },
  atMs: number,
): FieldUpdate | null {
  const was = moods.before !== null && RESTRICTION_CODES.has(moods.before.code);
  const is = moods.after !== null && RESTRICTION_CODES.has(moods.after.code);
  if (was === is) return null;
  const expiration = Math.floor(atMs / 1000) + DAY_SECONDS;
  const value = is
    ? {
        event: "ACCOUNT_RESTRICTION",
        restriction_info: [{ restriction_type: "RESTRICTED_BIZ_INITIATED_MESSAGING", expiration }],
      }
    : {
        event: "DISABLED_UPDATE",
        ban_info: { waba_ban_state: "REINSTATE", waba_ban_date: new Date(atMs).toDateString() },
      };
  return fieldUpdate({ wabaId, field: "account_update", atMs, value });
}

/** The portfolio's daily limit, told for one of its accounts. */
export function capabilityUpdate(
  wabaId: string,
  dailyRecipients: number | "unlimited",
  form: Scenario["webhooks"]["dailyLimit"],
  atMs: number,
): FieldUpdate {
  const isNumber = form === "number" && dailyRecipients !== "unlimited";
  return fieldUpdate({
    wabaId,
    field: "business_capability_update",
    atMs,
    value: {
      max_daily_conversations_per_business: isNumber ? dailyRecipients : tierOf(dailyRecipients),
      max_phone_numbers_per_waba: 25,
    },
  });
}
