// What the engine knows of one WhatsApp error code. The entries are data (error-entries-*.ts), because they change
// with Meta's documentation and not with our code.

import type { BlockScope, SendRoute } from "../message/verdict.ts";

/** What kind of error Meta describes; what Volley does about it is the effect. */
export type ErrorClass =
  /** The same request may pass a moment later. */
  | "retry"
  /** The same request may pass after minutes, hours or a day. */
  | "retryLong"
  /** The same request meets the same answer. */
  | "permanent"
  /** Nothing of a whole scope passes until somebody or something changes it. */
  | "stop"
  /** Somebody may have got the message all the same. */
  | "ambiguous"
  /** Of management calls and of features that Volley does not use. */
  | "administrative"
  /** News that concerns no message that was sent. */
  | "informative";

/** Where Meta, its samples or the projects around it saw the code. It is understood in both places. */
export type ErrorWhere = "answer" | "webhook" | "both";

/** What an error code means for the message that met it: the verdict, but for what only the answer knows. */
export type ErrorEffect =
  /** This message fails; others go on. */
  | { readonly kind: "rejected"; readonly isTemplateStale?: true }
  /** Certainly not sent; tried again later, at the cost of an attempt. */
  | {
      readonly kind: "transient";
      /** Attempts of one message in all; absent: the retry policy's own. */
      readonly attemptsMax?: number;
      /** Not before so long; absent: the retry policy's own. */
      readonly waitMs?: number;
    }
  /** Too fast: the number, or only this recipient, waits; no attempt is counted. */
  | {
      readonly kind: "throttled";
      readonly scope: "number" | "pair";
      /** How long WhatsApp usually needs, when its answer names no time. */
      readonly waitMs?: number;
      /** The rate itself was too high, and is lowered. */
      readonly isRate?: true;
    }
  /** Nothing of this scope can be sent until somebody or something changes it; messages wait, no attempt is counted. */
  | {
      readonly kind: "blocked";
      readonly scope: BlockScope;
      /** The message that met it fails. */
      readonly isFinal?: true;
      readonly isTemplateStale?: true;
    }
  /** The same message is taken at the Cloud API's other door. */
  | { readonly kind: "misrouted"; readonly route: SendRoute };

export interface ErrorEntry {
  readonly code: number;
  /** The last code of a range that shares this entry. */
  readonly through?: number;
  /** Only for errors with this `error_subcode`. */
  readonly subcode?: number;
  readonly class: ErrorClass;
  readonly where: ErrorWhere;
  readonly effect: ErrorEffect;
  /** Where it means something else at the door for marketing. */
  readonly effectOnMarketing?: ErrorEffect;
  /** What happened, in a plain sentence for the CSV. */
  readonly reason: string;
  /** What an operator can do about it. */
  readonly hint: string;
  /** Which page or project says so: the tags are explained in docs/errors-whatsapp.md. */
  readonly source: "ERR" | "PYW" | "OAPI" | "NOS" | "PUL" | "EXP" | "DS";
  /** WhatsApp's own details say more than our sentence, such as which variable is wrong: they are appended. */
  readonly hasDetails?: true;
}

/** Meta's "try again" for errors that are more likely to stay. */
export const FEW_ATTEMPTS_MAX = 3;
/** A new template, or one that lay idle for a week, is prepared for the marketing door within ten minutes. */
const SYNC_MS = 600_000;
/** Maintenance of a number, such as the switch to a higher throughput, takes up to a minute. */
const MAINTENANCE_MS = 60_000;
/** "A few minutes", Meta says. */
const LONG_MAINTENANCE_MS = 180_000;

export const REJECTED: ErrorEffect = { kind: "rejected" };
export const REJECTED_STALE: ErrorEffect = { kind: "rejected", isTemplateStale: true };
export const TRANSIENT: ErrorEffect = { kind: "transient" };
export const TRANSIENT_FEW: ErrorEffect = { kind: "transient", attemptsMax: FEW_ATTEMPTS_MAX };
export const SYNCING: ErrorEffect = { kind: "transient", waitMs: SYNC_MS };
export const SYNCING_PERHAPS: ErrorEffect = { kind: "transient", attemptsMax: 2, waitMs: SYNC_MS };
export const BLOCKED_TOKEN: ErrorEffect = { kind: "blocked", scope: "token" };
export const BLOCKED_ACCOUNT: ErrorEffect = { kind: "blocked", scope: "account" };
export const BLOCKED_NUMBER: ErrorEffect = { kind: "blocked", scope: "number" };
export const BLOCKED_TEMPLATE: ErrorEffect = { kind: "blocked", scope: "template" };
export const BLOCKED_TEMPLATE_STALE: ErrorEffect = { kind: "blocked", scope: "template", isTemplateStale: true };
export const BLOCKED_APP: ErrorEffect = { kind: "blocked", scope: "app" };
export const BLOCKED_COUNTRY: ErrorEffect = { kind: "blocked", scope: "country", isFinal: true };
export const TOO_FAST: ErrorEffect = { kind: "throttled", scope: "number", isRate: true };
export const THROTTLED_PAIR: ErrorEffect = { kind: "throttled", scope: "pair" };
export const MAINTENANCE: ErrorEffect = { kind: "throttled", scope: "number", waitMs: MAINTENANCE_MS };
export const MAINTENANCE_LONG: ErrorEffect = { kind: "throttled", scope: "number", waitMs: LONG_MAINTENANCE_MS };
export const VIA_MESSAGES: ErrorEffect = { kind: "misrouted", route: "messages" };
export const VIA_MARKETING_MESSAGES: ErrorEffect = { kind: "misrouted", route: "marketing_messages" };
