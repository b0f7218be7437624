// What this node has decided about an event that carries a claim, asked by any thread. Decisions are told by what is
// stored, never by how far the stream was read: two replicas of a stream may number the same messages differently
// (nats-server 2.9.10, after a leader was frozen; measured).

import { decodeMessageId, type MessageId } from "../message/ids.ts";
import { openEnvironment } from "../runtime/lmdb-commit.ts";
import type { Claim } from "./claim.ts";
import { decodeClaim } from "./claim-record.ts";
import { rowKeyOf } from "./lmdb-claims.ts";
import { openStreamTables } from "./lmdb-tables.ts";

export type ClaimDecision = "won" | "superseded" | "undecided";

export interface ClaimsReader {
  /** Of the event whose first claim this is. */
  decisionOf(claim: Claim): ClaimDecision;
  close(): Promise<void>;
}

/** Claims are forgotten after 73 hours; an event that old has its row, or lost its time to live. */
const DECIDED_FOR_LONG_MS = 72 * 3_600_000;

export function openClaimsReader(options: { readonly path: string; nowMs(): number }): ClaimsReader {
  const environment = openEnvironment(options.path);
  const { claims } = openStreamTables(environment);
  const superseded = environment.openDB<Uint8Array>("superseded", { encoding: "binary" });
  const isSuperseded = (messageId: MessageId): boolean => {
    const partition = decodeMessageId(messageId)?.partition ?? 0;
    return superseded.getBinary([partition, messageId]) !== undefined;
  };
  return {
    decisionOf(claim) {
      environment.resetReadTxn();
      const row = claims.getBinary(rowKeyOf(claim));
      if (row !== undefined && decodeClaim(claim.key, row).messageId === claim.messageId) return "won";
      if (isSuperseded(claim.messageId)) return "superseded";
      return claim.atMs < options.nowMs() - DECIDED_FOR_LONG_MS ? "won" : "undecided";
    },
    close: () => environment.close(),
  };
}
