// Finds places in the LEDGER stream by what its messages say, never by remembered sequences: a stream that lost its
// tail, or was made anew, has other messages under the same sequences.

import { JetStreamApiError } from "@nats-io/jetstream";

import type { Clock } from "../runtime/clock.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import type { NatsLink } from "../runtime/jetstream-connection.ts";
import type { Log } from "../runtime/log.ts";
import { decodeHead, type EntryHead } from "./ledger-entry.ts";

export interface SearchedStream {
  readonly link: NatsLink;
  readonly stream: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Makes the stream anew. */
  recreate(): Promise<void>;
  /** Another number after each loss and each return of the connection. */
  epoch(): number;
}

export interface FoundMessage {
  readonly sequence: number;
  /** Nats-Msg-Id. */
  readonly id: string;
  readonly head: EntryHead;
}

/** What the next message is stored behind. */
export interface LastMessage {
  readonly sequence: number;
  /** Empty when the stream holds no message. */
  readonly id: string;
  /** When it was seen to be the last: on another connection it has to be looked at again. */
  readonly epoch: number;
}

export interface StreamEnd {
  readonly last: LastMessage;
  readonly newest: FoundMessage | null;
  /** The end of the newest whole entry; null when the stream holds none. */
  readonly entry: FoundMessage | null;
}

interface Bounds {
  readonly first: number;
  /** Less than `first`: there are no messages. */
  readonly last: number;
}

const STREAM_NOT_FOUND = 10059;
const PAUSE_MS_MIN = 50;
const PAUSE_MS_MAX = 1_000;

export async function streamEnd(searched: SearchedStream, signal: AbortSignal): Promise<StreamEnd> {
  for (;;) {
    const epoch = searched.epoch();
    // oxlint-disable-next-line no-await-in-loop -- again only when the stream or the connection changed in between
    const { first, last } = await bounds(searched, signal);
    // oxlint-disable-next-line no-await-in-loop
    const newest = last < first ? null : await messageAt(searched, last, signal);
    // oxlint-disable-next-line no-await-in-loop
    const entry = newest === null ? null : await wholeEntry(searched, newest, signal);
    if (epoch !== searched.epoch() || (newest === null && last >= first)) continue;
    return { last: { sequence: last, id: newest?.id ?? "", epoch }, newest, entry };
  }
}

/** The message behind which an entry after `index` comes first, and the entry there; nulls: at the very beginning. */
export async function lastThrough(
  searched: SearchedStream,
  index: number,
  signal: AbortSignal,
): Promise<{ readonly message: FoundMessage | null; readonly entry: FoundMessage | null }> {
  const message = await lastThat(searched, (head) => head.index <= index, signal);
  return { message, entry: message && (await wholeEntry(searched, message, signal)) };
}

/** The last message up to which the stream and a table have the same past, and the index it reaches; 0: none. */
export async function commonPast(
  searched: SearchedStream,
  isShared: (head: EntryHead) => boolean,
  signal: AbortSignal,
): Promise<{ readonly message: FoundMessage | null; readonly index: number }> {
  const message = await lastThat(searched, isShared, signal);
  if (message === null) return { message, index: 0 };
  // Of a group that was cut short, what came before it is common for certain.
  return { message, index: isLastPart(message.head) ? message.head.index : message.head.baseIndex };
}

/** The last of the messages for which `isBefore` holds; it holds up to some message and not behind it. */
async function lastThat(
  searched: SearchedStream,
  isBefore: (head: EntryHead) => boolean,
  signal: AbortSignal,
): Promise<FoundMessage | null> {
  const { first, last } = await bounds(searched, signal);
  const newest = last < first ? null : await messageAt(searched, last, signal);
  // The common case: a table that is at the end.
  if (newest !== null && isBefore(newest.head)) return newest;
  let found: FoundMessage | null = null;
  let from = first;
  let to = last;
  while (from < to) {
    const middle = Math.floor((from + to) / 2);
    // oxlint-disable-next-line no-await-in-loop -- each look decides where the next one is
    const message = await messageAt(searched, middle, signal);
    // One that is gone was older than all that are there.
    if (message === null || isBefore(message.head)) {
      found = message ?? found;
      from = middle + 1;
    } else {
      to = middle;
    }
  }
  return found;
}

/** The end of the newest whole entry at or before `message`. */
async function wholeEntry(
  searched: SearchedStream,
  message: FoundMessage,
  signal: AbortSignal,
): Promise<FoundMessage | null> {
  let found: FoundMessage | null = message;
  while (found !== null && !isLastPart(found.head)) {
    // The parts of a group lie side by side.
    const before: number = found.sequence - found.head.part - 1;
    // oxlint-disable-next-line no-await-in-loop -- a step for each group that was cut short; they are rare
    found = before < 1 ? null : await messageAt(searched, before, signal);
  }
  return found;
}

function isLastPart(head: EntryHead): boolean {
  return head.part === head.parts - 1;
}

async function bounds(searched: SearchedStream, signal: AbortSignal): Promise<Bounds> {
  const { state } = await ask(searched, signal, () => searched.link.manager.streams.info(searched.stream));
  return state.messages === 0
    ? { first: state.last_seq + 1, last: state.last_seq }
    : { first: state.first_seq, last: state.last_seq };
}

async function messageAt(
  searched: SearchedStream,
  sequence: number,
  signal: AbortSignal,
): Promise<FoundMessage | null> {
  const { link, stream } = searched;
  const message = await ask(searched, signal, () => link.manager.streams.getMessage(stream, { seq: sequence }));
  if (message === null) return null;
  return { sequence: message.seq, id: message.header.get("Nats-Msg-Id"), head: decodeHead(message.data) };
}

/**
 * Asks until there is an answer: servers come and go, and leaders are elected.
 * @throws the signal's reason once it is aborted; EngineError ERR_NATS_CONNECT when the connection was closed.
 */
async function ask<T>(searched: SearchedStream, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  const { link, stream, clock, log } = searched;
  let pauseMs = PAUSE_MS_MIN;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- nats.js throws away what is sent meanwhile
    while (!link.isConnected() && !link.connection.isClosed()) await pause(clock, PAUSE_MS_MIN, signal);
    try {
      // oxlint-disable-next-line no-await-in-loop -- again only when there was no answer
      return await unlessAborted(onThisConnection(link, call()), signal);
    } catch (error) {
      signal.throwIfAborted();
      if (link.connection.isClosed()) {
        throw new EngineError("ERR_NATS_CONNECT", "the connection to NATS was closed", { cause: error });
      }
      // oxlint-disable-next-line no-await-in-loop
      await recreateMissing(searched, error);
      log.warn("ledger.unanswered", { stream, reason: messageOf(error) });
    }
    // oxlint-disable-next-line no-await-in-loop
    await pause(clock, pauseMs, signal);
    pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
  }
}

async function recreateMissing({ stream, log, recreate }: SearchedStream, error: unknown): Promise<void> {
  if (!(error instanceof JetStreamApiError) || error.code !== STREAM_NOT_FOUND) return;
  log.error("ledger.stream_missing", { stream });
  try {
    await recreate();
  } catch (failure) {
    log.warn("ledger.stream_not_created", { stream, reason: messageOf(failure) });
  }
}

/** @throws the signal's reason once it is aborted. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      cancel();
      reject(reasonOf(signal));
    };
    const cancel = clock.after(delayMs, () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}

/** nats.js would let a request that a lost connection swallowed wait for its timeout. */
function onThisConnection<T>(link: NatsLink, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const forget = link.onChange(() => reject(new Error("the connection changed")));
    work.then(resolve, reject).finally(forget);
  });
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(reasonOf(signal));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function reasonOf({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error(messageOf(reason));
}
