// What marketing may not do: reach people who stopped it, too often, or at night. Asked at the moment of sending, because
// what was true when the event came may not be any more.

/** From `fromMinute` to `toMinute` of the day, over midnight if need be; of the recipient's own time zones, or of one. */
export interface QuietHours {
  readonly fromMinute: number;
  readonly toMinute: number;
  /** IANA; null: the recipient's. */
  readonly timeZone: string | null;
}

/** Why a message may not leave although its number is free. */
export type Refusal =
  /** It ends as `suppressed`. */
  | { readonly kind: "suppressed"; readonly reason: string }
  /** It waits. */
  | { readonly kind: "wait"; readonly untilMs: number; readonly reason: string };

/** The same for every number of the engine. */
export interface MarketingRules {
  /** Consent, the United States, quiet hours. Null: it may leave. `nowMs`: epoch. */
  refusal(phoneNumber: string, quietHours: QuietHours | null, nowMs: number): Refusal | null;
  /** Marketing messages to one person in any `periodMs`, over all campaigns and numbers; null: no cap. */
  cap(): { readonly messages: number; readonly periodMs: number } | null;
}

/** The engine's rules as plain data: what the threads are told, and told again when the configuration changes. */
export interface ConsentRules {
  /** Marketing messages to one person in any `periodMs`, over all campaigns and numbers; null: no cap. */
  readonly cap: { readonly messages: number; readonly periodMs: number } | null;
  /** No marketing to numbers of the United States. */
  readonly isUnitedStatesSuppressed: boolean;
}
