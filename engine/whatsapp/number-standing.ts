// What Meta says of a business phone number, read from its own page and from webhooks. Meta writes limits as words
// (`TIER_2K`), as numbers and as digits in quotes, adds words without notice, and leaves out what it does not want to
// say: whatever is not understood is unknown, and never a fault.

import type { Granted } from "../runtime/granted-limits.ts";
import { asInteger, asObject, asText } from "./foreign-json.ts";

export interface NumberStanding extends Granted {
  /** Meta's words, such as STANDARD or HIGH; empty: not said. */
  readonly level: string;
  /** GREEN, YELLOW, RED or UNKNOWN; empty: not said. */
  readonly quality: string;
  /** CONNECTED, FLAGGED, RESTRICTED …; empty: not said. */
  readonly status: string;
  /** Of its display name: APPROVED, PENDING_REVIEW …; empty: not said. */
  readonly nameStatus: string;
  /** CLOUD_API …; empty: not said. */
  readonly platform: string;
}

/** Messages a second of each level. */
const LEVELS: ReadonlyMap<string, number> = new Map([
  ["STANDARD", 80],
  ["HIGH", 1000],
]);
/** Of a number that is in use in the WhatsApp Business app as well, whatever its level. */
const COEXISTENCE_PER_SECOND = 20;
const TIER = /^TIER_(\d{1,6})(K|M)?$/;
const THOUSANDS: Readonly<Record<string, number>> = { K: 1_000, M: 1_000_000 };

export function standingOf(value: unknown): NumberStanding {
  const page = asObject(value) ?? {};
  const level = asText(asObject(page["throughput"])?.["level"]);
  const isShared = page["is_on_biz_app"] === true;
  return {
    level,
    messagesPerSecond: isShared ? COEXISTENCE_PER_SECOND : (LEVELS.get(level) ?? null),
    dailyRecipients: recipientLimitOf(page["whatsapp_business_manager_messaging_limit"]),
    quality: asText(page["quality_rating"]),
    status: asText(page["status"]),
    nameStatus: asText(page["name_status"]),
    platform: asText(page["platform_type"]),
  };
}

/** @returns null when it says nothing that can be counted with. */
export function recipientLimitOf(value: unknown): number | "unlimited" | null {
  const text = asText(value);
  if (text === "TIER_UNLIMITED" || text === "UNLIMITED") return "unlimited";
  const tier = TIER.exec(text);
  const limit = tier === null ? asInteger(value) : Number(tier[1]) * (THOUSANDS[tier[2] ?? ""] ?? 1);
  return limit !== null && limit > 0 ? limit : null;
}

/** The limit that a webhook about a number, or about what a business may do, carries; null: it carries none. */
export function recipientLimitIn(value: unknown): number | "unlimited" | null {
  const news = asObject(value);
  return recipientLimitOf(news?.["max_daily_conversations_per_business"]) ?? recipientLimitOf(news?.["current_limit"]);
}
