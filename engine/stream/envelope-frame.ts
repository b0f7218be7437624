// An envelope and its claims as one message of the events stream. The claims stand in front, so that every node can
// read them without touching the events behind:
//
//   [u32 little-endian: length of the claims part][claims part: msgpack, no bytes when there are none][envelope]

import { Packr } from "msgpackr";

import type { MessageId } from "../message/ids.ts";
import type { Claim } from "./claim.ts";

type ClaimRow = readonly [key: string, atMs: number, messageId: MessageId, bodyHash: string];

const LENGTH_BYTES = 4;
const NO_BYTES = new Uint8Array(0);
const NO_CLAIMS: readonly Claim[] = [];

const packr = new Packr({ useRecords: false });

export function encodeFrame(envelope: { readonly bytes: Uint8Array; readonly claims: readonly Claim[] }): Uint8Array {
  const { bytes, claims } = envelope;
  const rows = claims.map(({ key, atMs, messageId, bodyHash }): ClaimRow => [key, atMs, messageId, bodyHash]);
  const part = rows.length === 0 ? NO_BYTES : packr.pack(rows);
  const frame = new Uint8Array(LENGTH_BYTES + part.length + bytes.length);
  viewOf(frame).setUint32(0, part.length, true);
  frame.set(part, LENGTH_BYTES);
  frame.set(bytes, LENGTH_BYTES + part.length);
  return frame;
}

export function frameHasClaims(frame: Uint8Array): boolean {
  return claimsLength(frame) > 0;
}

/** Trusts its input: only encodeFrame writes frames, and the stream keeps their bytes whole. */
export function frameClaims(frame: Uint8Array): readonly Claim[] {
  const length = claimsLength(frame);
  if (length === 0) return NO_CLAIMS;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by encodeFrame
  const rows = packr.unpack(frame.subarray(LENGTH_BYTES, LENGTH_BYTES + length)) as readonly ClaimRow[];
  return rows.map(([key, atMs, messageId, bodyHash]) => ({ key, atMs, messageId, bodyHash }));
}

/** The envelope's own bytes; a view of the frame, no copy. */
export function frameEnvelope(frame: Uint8Array): Uint8Array {
  return frame.subarray(LENGTH_BYTES + claimsLength(frame));
}

function claimsLength(frame: Uint8Array): number {
  return viewOf(frame).getUint32(0, true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
