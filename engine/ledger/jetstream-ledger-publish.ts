// One ledger entry into the stream, directly behind the message that its writer knows as the last: JetStream itself
// refuses it when anybody else wrote meanwhile. That is what keeps an owner that lost its lease from writing history.

import type { LedgerEntry } from "./ledger-entry.ts";
import { encodeEntry, ENTRY_PART_BYTES_MAX } from "./ledger-entry.ts";
import { type LastMessage, pause, type SearchedStream, streamEnd } from "./jetstream-ledger-search.ts";
import type { NatsLink } from "../runtime/jetstream-connection.ts";
import { publish, type PublishResult } from "../runtime/jetstream-publish.ts";
import { dropOldestHalf } from "../runtime/jetstream-room.ts";

export type EntryPublished =
  | { readonly kind: "stored"; readonly last: LastMessage }
  /** Another message is last. Parts of this entry may be in the stream; without its last one it does not count. */
  | { readonly kind: "conflict" };

export interface EntryPublication {
  readonly subject: string;
  readonly entry: LedgerEntry;
  readonly behind: LastMessage;
  /** Empty for the only try of an owner; else a text that no other try of anybody has. */
  readonly nonce: string;
}

/** Headers count too. */
const HEADER_BYTES = 1_024;
const PAYLOAD_BYTES = 1_048_576;
const FULL_PAUSE_MS = 1_000;
const DISAGREEMENT_PAUSE_MS = 50;

/**
 * Waits through lost connections and full streams: an entry that was sent may have been stored, so it cannot be
 * given up before that is known.
 *
 * A sequence alone proves little: a stream that lost its tail, and grew again, has other messages under the same
 * ones. So what is behind us is told by its id too; and since a server that was restarted may not know the id of its
 * last message (2.9 looks back no further than the duplicate window), it is looked at again on each new connection.
 * @throws the signal's reason once it is aborted, and what `publish` throws.
 */
export async function publishEntry(
  searched: SearchedStream,
  { subject, entry, behind, nonce }: EntryPublication,
  signal: AbortSignal,
): Promise<EntryPublished> {
  const { link, stream, clock } = searched;
  const parts = encodeEntry(entry, partBytesMax(link));
  const idOf = (part: number): string => `${entry.term}.${entry.index}.${part}${nonce === "" ? "" : `.${nonce}`}`;
  let last = behind;
  let isIdExpected = last.id !== "";
  for (let part = 0; part < parts.length;) {
    const bytes = parts[part] ?? new Uint8Array(0);
    const expected = { expectLastSequence: last.sequence, ...(isIdExpected ? { expectLastId: last.id } : {}) };
    const publication = { subject, stream, bytes, id: idOf(part), ...expected };
    // oxlint-disable-next-line no-await-in-loop -- each part goes behind the one before
    const result = await publishOn(searched, { publication, epoch: last.epoch }, signal);
    // A server that lost its tail may remember the id of a message that it no longer has.
    const isStale = result.kind === "stored" && result.sequence !== last.sequence + 1;
    if (result.kind === "stored" && !isStale) {
      last = { sequence: result.sequence, id: idOf(part), epoch: last.epoch };
      isIdExpected = true;
      part += 1;
      continue;
    }
    // oxlint-disable-next-line no-await-in-loop
    const end = await streamEnd(searched, signal);
    const isAsKnown = end.last.sequence === last.sequence && end.last.id === last.id;
    const isOwn = end.newest !== null && end.newest.id === idOf(end.newest.head.part);
    const next = isAsKnown ? part : isOwn ? end.newest.head.part + 1 : null;
    // Only another id brings back a part whose id is remembered and which is gone.
    if (next === null || (isStale && next <= part)) return { kind: "conflict" };
    if (isAsKnown && result.kind === "conflict") {
      // oxlint-disable-next-line no-await-in-loop -- two servers that do not agree yet
      if (!isIdExpected) await pause(clock, DISAGREEMENT_PAUSE_MS, signal);
      isIdExpected = false;
    }
    // A retry whose first try was stored, or a tail lost within the entry: it goes on behind what is there.
    last = end.last;
    part = next;
  }
  return { kind: "stored", last };
}

type Published = Extract<PublishResult, { kind: "stored" | "conflict" }> | { readonly kind: "interrupted" };

/** On this one connection, which is the one on which the last message was looked at. */
async function publishOn(
  searched: SearchedStream,
  { publication, epoch }: { readonly publication: Parameters<typeof publish>[1]; readonly epoch: number },
  signal: AbortSignal,
): Promise<Published> {
  const { link, stream, clock, log, recreate } = searched;
  // Every node that runs has the old entries in its table; only a new one would read them.
  const makeRoom = (): Promise<boolean> => dropOldestHalf(link, stream, { through: Infinity, log });
  const onDoubt = (reason: string): void => log.warn("ledger.publish_uncertain", { stream, reason });
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort();
  const forget = link.onChange(interrupt);
  signal.addEventListener("abort", interrupt, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      if (epoch !== searched.epoch()) return { kind: "interrupted" };
      // oxlint-disable-next-line no-await-in-loop -- again only when the stream is full
      const result = await publish(link, publication, { signal: interruption.signal, recreate, makeRoom, onDoubt });
      if (result.kind === "stored" || result.kind === "conflict") return result;
      if (result.kind === "stopped") continue;
      log.warn("ledger.full", { stream, reason: result.message });
      // oxlint-disable-next-line no-await-in-loop
      await pause(clock, FULL_PAUSE_MS, signal);
    }
  } finally {
    forget();
    signal.removeEventListener("abort", interrupt);
  }
}

function partBytesMax({ connection }: NatsLink): number {
  return Math.min(ENTRY_PART_BYTES_MAX, (connection.info?.max_payload ?? PAYLOAD_BYTES) - HEADER_BYTES);
}
