// A claim remembers which message a dedupe value or an idempotency key stands for.

import type { MessageId } from "../message/ids.ts";

export interface Claim {
  /** 32 lower-case hex digits: 16 bytes of a cryptographic hash, so its bits are evenly spread. */
  readonly key: string;
  /** Epoch milliseconds of acceptance; decides how long the claim is kept. */
  readonly atMs: number;
  readonly messageId: MessageId;
  /** Hash of the body that claimed the key; any text, empty where the body does not matter. */
  readonly bodyHash: string;
}
