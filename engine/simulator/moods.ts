// What Meta holds against a message: because of its account, number, template, country, or the door it came through.

import type { BookedTemplate } from "./booked-template.ts";
import type { Mood } from "./change.ts";
import type { GraphFault } from "./graph-error.ts";
import type { NumberState } from "./number-state.ts";
import type { SendRequest } from "./send-request.ts";
import type { SendRoute } from "./send-route.ts";

/** Meta's own word: the account is sent through the ordinary door then. */
const FALLBACK_POLICY = "CLOUD_API_FALLBACK";
const POLICIES: ReadonlySet<string> = new Set(["", FALLBACK_POLICY, "STRICT"]);

/** The first mood that strikes this message, or null. @param chance draws a share. */
export function strikingMood(
  message: {
    readonly number: NumberState;
    readonly booked: BookedTemplate;
    readonly waId: string;
    readonly countries: ReadonlyMap<string, Mood>;
  },
  chance: { happens(share: number): boolean },
): Mood | null {
  const { number, booked, waId, countries } = message;
  if (strikes(number.account.fails, chance)) return number.account.fails;
  if (strikes(number.fails, chance)) return number.fails;
  if (strikes(booked.mood.fails, chance)) return booked.mood.fails;
  if (countries.size === 0) return null;
  for (const [callingCode, mood] of countries) {
    if (waId.startsWith(callingCode) && strikes(mood, chance)) return mood;
  }
  return null;
}

/** Whether the message came through the door that Meta wants for it. */
export function routeFault(
  route: SendRoute,
  request: SendRequest,
  { account }: NumberState,
  { category }: BookedTemplate,
): GraphFault | null {
  if (route === "messages") {
    return category === "marketing" && !account.marketingOnMessages ? { code: 131063 } : null;
  }
  if (!POLICIES.has(request.productPolicy)) {
    return { code: 100, message: "(#100) Param product_policy must be one of {CLOUD_API_FALLBACK, STRICT}." };
  }
  if (category !== "marketing") return { code: 134100 };
  const isRefused = account.marketingMessages === "off" && request.productPolicy !== FALLBACK_POLICY;
  return isRefused ? { code: 134102 } : null;
}

/** What the message is charged as. */
export function priceCategory(route: SendRoute, { account }: NumberState, { category }: BookedTemplate): string {
  return route === "marketing_messages" && account.marketingMessages === "on" ? "marketing_lite" : category;
}

/** One draw, none where it always strikes. */
function strikes(mood: Mood | null, chance: { happens(share: number): boolean }): boolean {
  if (mood === null) return false;
  const share = mood.share ?? 1;
  return share >= 1 || chance.happens(share);
}
