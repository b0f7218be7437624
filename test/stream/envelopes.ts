// Events, claims and envelopes for tests of the stream, told apart by numbers.

import { createHash } from "node:crypto";

import { decodeEnvelope, encodeEnvelope } from "../../engine/message/envelope.ts";
import type { AcceptedEvent } from "../../engine/message/event.ts";
import { decodeMessageId, encodeMessageId, type MessageId } from "../../engine/message/ids.ts";
import type { Claim } from "../../engine/stream/claim.ts";
import type { StreamEnvelope } from "../../engine/stream/stream.ts";

export interface EventOrigin {
  readonly partition?: number;
  /** Of the node that accepts it. */
  readonly node?: number;
}

export function idOf(number: number, { partition = 0, node = 0 }: EventOrigin = {}): MessageId {
  return encodeMessageId({ partition, campaignNumber: 1, acceptedAtMs: 1_790_000_000_000, node, sequence: number });
}

export function numberOf(id: MessageId): number {
  return decodeMessageId(id)?.sequence ?? -1;
}

export function eventOf(number: number, origin: EventOrigin = {}): AcceptedEvent {
  return { messageId: idOf(number, origin), phoneNumber: "+15550001111", attributes: `{"n":${number}}` };
}

/** @param key any text: equal texts are equal keys. */
export function claimOf(key: string, messageId: MessageId, atMs = 1_790_000_000_000): Claim {
  return { key: keyOf(key), atMs, messageId, bodyHash: "" };
}

export function keyOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

export function envelopeOf(numbers: readonly number[], origin: EventOrigin = {}): StreamEnvelope {
  const events = numbers.map((number) => eventOf(number, origin));
  return { partition: origin.partition ?? 0, bytes: encodeEnvelope({ kind: "events", events }), claims: [] };
}

/** One event with one claim. */
export function claimingEnvelope(key: string, number: number, origin: EventOrigin = {}): StreamEnvelope {
  return { ...envelopeOf([number], origin), claims: [claimOf(key, idOf(number, origin))] };
}

export function eventIds(bytes: Uint8Array): readonly MessageId[] {
  const envelope = decodeEnvelope(bytes);
  return envelope.kind === "events" ? envelope.events.map(({ messageId }) => messageId) : [];
}

export function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}
