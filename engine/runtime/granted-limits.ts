// A sender's limits in force: what the file says, and where it says `auto`, what Meta granted. Pure.

import type { SenderConfig } from "./config.ts";

/** What Meta told of a number. Null: not known (yet). */
export interface Granted {
  readonly messagesPerSecond: number | null;
  /** Of its whole portfolio, in 24 hours. */
  readonly dailyRecipients: number | "unlimited" | null;
}

/** Meta's figure for every new number. */
const MESSAGES_PER_SECOND_DEFAULT = 80;

/**
 * A rate in the file stays, for an operator may know better (other programs on the number, a load test). Recipients are
 * different: Meta names no error for too many of them, so its limit holds whatever the file says, once it is known.
 */
export function effectiveLimits(
  configured: SenderConfig["configured"],
  granted: Granted | null,
): Pick<SenderConfig, "messagesPerSecond" | "dailyRecipients"> {
  const { messagesPerSecond, dailyRecipients } = configured;
  return {
    messagesPerSecond:
      messagesPerSecond === "auto" ? (granted?.messagesPerSecond ?? MESSAGES_PER_SECOND_DEFAULT) : messagesPerSecond,
    dailyRecipients: lower(dailyRecipients === "auto" ? "unlimited" : dailyRecipients, granted?.dailyRecipients),
  };
}

function lower(one: number | "unlimited", other: number | "unlimited" | null | undefined): number | "unlimited" {
  if (other === null || other === undefined || other === "unlimited") return one;
  return one === "unlimited" ? other : Math.min(one, other);
}
