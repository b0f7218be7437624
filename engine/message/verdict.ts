// What one send came to. Classified by Meta's error code, never by HTTP status: a 400 may mean "slow down".

/** `country`: the recipient's country, for the number's account. */
export type BlockScope = "token" | "account" | "number" | "template" | "app" | "country";

/** The two doors of the Cloud API: Meta may demand the second one for marketing templates. */
export type SendRoute = "messages" | "marketing_messages";

export type Verdict =
  /** WhatsApp took the message. `isHeld`: its quality pacing keeps it back for now. */
  | { readonly kind: "accepted"; readonly wamid: string; readonly isHeld: boolean }
  /** WhatsApp refused it for good. */
  | {
      readonly kind: "rejected";
      readonly errorCode: number | null;
      readonly reason: string;
      /** The template here may be out of date: it is read again. */
      readonly isTemplateStale?: true;
      /** No release knows the code: classified by the safe default. */
      readonly isUnknownCode?: true;
    }
  /** Too fast. Costs no attempt. `pair`: only this recipient waits. */
  | {
      readonly kind: "throttled";
      readonly scope: "number" | "pair";
      readonly errorCode: number;
      readonly reason: string;
      readonly retryAfterMs: number | null;
      /** The number's rate was too high (130429), not only its moment bad: the rate is to be lowered. */
      readonly isRate?: true;
    }
  /** Certainly not sent, and worth another try. */
  | {
      readonly kind: "transient";
      readonly errorCode: number | null;
      readonly reason: string;
      /** Attempts of this message in all, at most; absent: the retry policy's own. */
      readonly attemptsMax?: number;
      /** Not before so long; absent: the retry policy's own. */
      readonly waitMs?: number;
      readonly isUnknownCode?: true;
    }
  /** Nothing of this scope can be sent until somebody or something changes it. Costs no attempt. */
  | {
      readonly kind: "blocked";
      readonly scope: BlockScope;
      readonly errorCode: number;
      readonly reason: string;
      /** This message fails all the same (a country that the account may not message); the next ones wait. */
      readonly isFinal?: true;
      /** The template here may be out of date: it is read again. */
      readonly isTemplateStale?: true;
    }
  /** Meta wants such messages through the other door. Certainly not sent; costs no attempt. */
  | { readonly kind: "misrouted"; readonly route: SendRoute; readonly errorCode: number; readonly reason: string }
  /** It may or may not have been sent: timeout, reset after the request was written, an answer nobody can read. */
  | { readonly kind: "unknown"; readonly reason: string };
