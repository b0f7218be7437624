// What one send came to. Classified by Meta's error code, never by HTTP status: a 400 may mean "slow down".

export type BlockScope = "token" | "account" | "number" | "template" | "app";

export type Verdict =
  /** WhatsApp took the message. `isHeld`: its quality pacing keeps it back for now. */
  | { readonly kind: "accepted"; readonly wamid: string; readonly isHeld: boolean }
  /** WhatsApp refused it for good. */
  | { readonly kind: "rejected"; readonly errorCode: number | null; readonly reason: string }
  /** Too fast. Costs no attempt. `pair`: only this recipient waits. */
  | {
      readonly kind: "throttled";
      readonly scope: "number" | "pair";
      readonly errorCode: number;
      readonly reason: string;
      readonly retryAfterMs: number | null;
    }
  /** Certainly not sent, and worth another try. */
  | { readonly kind: "transient"; readonly errorCode: number | null; readonly reason: string }
  /** Nothing of this scope can be sent until somebody or something changes it. Costs no attempt. */
  | { readonly kind: "blocked"; readonly scope: BlockScope; readonly errorCode: number; readonly reason: string }
  /** It may or may not have been sent: timeout, reset after the request was written, an answer nobody can read. */
  | { readonly kind: "unknown"; readonly reason: string };
