// What a recipient said about marketing, as a webhook tells it: a word, a button, WhatsApp's own switch, or a send that
// Meta refused because of that switch.

import type { MessageId } from "./ids.ts";

export type ConsentKind = "stop" | "resume";

export interface ConsentSignal {
  readonly kind: ConsentKind;
  /** The digits of the number as WhatsApp knows it; empty when the webhook does not tell it. */
  readonly waId: string;
  /** The business-scoped user id, which people with a username have in place of a number; empty when not told. */
  readonly userId: string;
  /** The message that failed with 131050; else null. */
  readonly messageId: MessageId | null;
  readonly source: "text" | "button" | "preference" | "131050";
  /** What the person wrote or pressed; empty where there are no words. */
  readonly words: string;
  /** Epoch milliseconds, from Meta's whole seconds; 0: not told. */
  readonly atMs: number;
}

/** A webhook that told both: what is known of the user id counts for the number from then on. */
export interface KnownPerson {
  readonly waId: string;
  readonly userId: string;
}

/** Whether a whole text is a word that stops or resumes marketing. */
export type ConsentWordOf = (text: string) => ConsentKind | null;
