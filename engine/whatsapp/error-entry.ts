// What the engine knows of one WhatsApp error code. The entries are data (error-entries-*.ts), because they change
// with Meta's documentation and not with our code.

import type { BlockScope } from "../message/verdict.ts";

/** What an error code means for the message that met it. */
export type ErrorEffect =
  /** This message fails; others go on. */
  | { readonly kind: "rejected" }
  /** Certainly not sent; tried again later, at the cost of an attempt. */
  | { readonly kind: "transient" }
  /** Too fast: the number, or only this recipient, waits; no attempt is counted. */
  | {
      readonly kind: "throttled";
      readonly scope: "number" | "pair";
      /** How long WhatsApp usually needs, when its answer names no time. */
      readonly waitMs?: number;
    }
  /** Nothing of this scope can be sent until somebody or something changes it; messages wait, no attempt is counted. */
  | { readonly kind: "blocked"; readonly scope: BlockScope };

export interface ErrorEntry {
  readonly code: number;
  /** The last code of a range that shares this entry. */
  readonly through?: number;
  /** Only for errors with this `error_subcode`. */
  readonly subcode?: number;
  readonly effect: ErrorEffect;
  /** What happened, in a plain sentence for the CSV. */
  readonly reason: string;
  /** What an operator can do about it. */
  readonly hint: string;
  /** Which page or project says so: the tags are explained in docs/errors-whatsapp.md. */
  readonly source: "ERR" | "PYW" | "OAPI" | "NOS" | "PUL" | "EXP" | "DS";
  /** WhatsApp's own details say more than our sentence, such as which variable is wrong: they are appended. */
  readonly hasDetails?: true;
}

export const REJECTED: ErrorEffect = { kind: "rejected" };
export const TRANSIENT: ErrorEffect = { kind: "transient" };
export const BLOCKED_TOKEN: ErrorEffect = { kind: "blocked", scope: "token" };
export const BLOCKED_ACCOUNT: ErrorEffect = { kind: "blocked", scope: "account" };
export const BLOCKED_NUMBER: ErrorEffect = { kind: "blocked", scope: "number" };
export const BLOCKED_TEMPLATE: ErrorEffect = { kind: "blocked", scope: "template" };
export const BLOCKED_APP: ErrorEffect = { kind: "blocked", scope: "app" };
export const THROTTLED_NUMBER: ErrorEffect = { kind: "throttled", scope: "number" };
export const THROTTLED_PAIR: ErrorEffect = { kind: "throttled", scope: "pair" };
/** Maintenance of a number, such as the switch to a higher throughput, takes up to a minute. */
export const MAINTENANCE: ErrorEffect = { kind: "throttled", scope: "number", waitMs: 60_000 };
