// A claim's value as bytes: time (8), message id (26), body hash (the rest).

import assert from "node:assert/strict";

import { isMessageId, MESSAGE_ID_LENGTH } from "../message/ids.ts";
import type { Claim } from "./claim.ts";

const TIME_BYTES = 8;
const HEAD_BYTES = TIME_BYTES + MESSAGE_ID_LENGTH;

export function encodeClaimValue(claim: Claim): Uint8Array {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + Buffer.byteLength(claim.bodyHash));
  bytes.writeDoubleBE(claim.atMs, 0);
  bytes.write(claim.messageId, TIME_BYTES, "latin1");
  bytes.write(claim.bodyHash, HEAD_BYTES, "utf8");
  return bytes;
}

/** Trusts its input: only this module writes claims. */
export function decodeClaim(key: string, value: Uint8Array): Claim {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const messageId = bytes.toString("latin1", TIME_BYTES, HEAD_BYTES);
  assert(isMessageId(messageId), "a stored claim names its message");
  return {
    key,
    atMs: bytes.readDoubleBE(0),
    messageId,
    bodyHash: bytes.toString("utf8", HEAD_BYTES),
  };
}
