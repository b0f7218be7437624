// What came back for one send, before anybody judged it. The line that matters runs between "certainly not sent" and
// "maybe sent": WhatsApp knows no idempotency key, so only the first kind may be tried again without a thought.

export type SendAnswer =
  /** A whole HTTP answer, whatever it says. */
  | {
      readonly kind: "answered";
      readonly httpStatus: number;
      readonly body: string;
      /** From `Retry-After`; null when the answer has none. */
      readonly retryAfterMs: number | null;
      /** Of a refusal: what `X-Business-Use-Case-Usage` says of the account's request limits, if it came. */
      readonly usage?: string;
    }
  /** No byte of the request was written: name look-up, connection or TLS failed, or no connection became free. */
  | { readonly kind: "unreachable"; readonly reason: string }
  /** The request may have arrived: no answer in time, connection broken after writing, answer cut or oversized. */
  | { readonly kind: "lost"; readonly reason: string };
