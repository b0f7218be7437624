// Publishing until the answer is certain. A timeout, a broken connection or "no responders" leaves open whether the
// message was stored, so it is sent again under the same id: JetStream answers a repeat within its duplicate window
// (2 min) with the first one's sequence. After a longer outage a second copy is possible; whoever reads the stream
// therefore knows ids, and whoever must not have that sets `expectLastSequence`.

import { setMaxListeners } from "node:events";
import { setTimeout as passed } from "node:timers/promises";

import { JetStreamApiError } from "@nats-io/jetstream";
import type { JetStreamPublishOptions } from "@nats-io/jetstream";
import { errors } from "@nats-io/transport-node";

import { EngineError, messageOf } from "./errors.ts";
import type { NatsLink } from "./jetstream-connection.ts";
import { isUnheard, missingRight } from "./jetstream-fault.ts";

export type PublishResult =
  | { readonly kind: "stored"; readonly sequence: number; readonly isDuplicate: boolean }
  /** Expected last sequence was another; after a retry the caller must look whether the message is its own. */
  | { readonly kind: "conflict" }
  /** max_bytes or no storage: nothing was stored. */
  | { readonly kind: "full"; readonly message: string }
  /** The signal was aborted; the outcome of the last try may be unknown. */
  | { readonly kind: "stopped" };

export interface Publication {
  readonly subject: string;
  /** The stream that must take it; another one that listens to the subject is refused. */
  readonly stream: string;
  readonly bytes: Uint8Array;
  /** Nats-Msg-Id: the same for each try, and for nothing else. */
  readonly id: string;
  readonly expectLastSequence?: number;
  /** Nats-Msg-Id of the last message: a stream that lost its tail and grew again has other ids under the same sequences. */
  readonly expectLastId?: string;
}

export interface PublishingOptions {
  readonly signal: AbortSignal;
  /** Creates the stream anew; called when JetStream says that it does not exist. */
  readonly recreate: () => Promise<void>;
  /** Asked once when the stream is full: whether something could be removed from it, so that another try is worth it. */
  readonly makeRoom?: () => Promise<boolean>;
  /** For one try; 2 s. */
  readonly timeoutMs?: number;
  /** Told of each try that ended without a certain answer. */
  readonly onDoubt?: (reason: string) => void;
}

const TIMEOUT_MS = 2000;
const PAUSE_MS_MIN = 50;
const PAUSE_MS_MAX = 1000;
/** Of the tries that found nobody listening, each how-manyth asks whether the stream still exists: the first may be a moment without a leader. */
const MISSING_ASKED_EVERY = 2;
const MISSING_ASKED_MS_MAX = 500;

/** JetStream's error codes (nats-server/server/errors.json). */
/** Wrong last id, wrong last sequence, wrong last sequence of the subject. */
const WRONG_LAST = [10070, 10071, 10164];
const STORE_FAILED = 10077;
const NO_RESOURCES = [10002, 10023, 10028, 10047];
const STREAM_NOT_FOUND = 10059;
const OTHER_STREAM = 10060;

type Attempt = PublishResult | { readonly kind: "doubt"; readonly reason: string; readonly isUnheard: boolean };

/**
 * Publishes, and tries again until it is certain what became of it; a lost connection is waited for.
 *
 * @throws EngineError ERR_STREAM_WRITE when no retry could help (larger than the server's max_payload),
 *   ERR_NATS_REFUSED without the right to publish, ERR_NATS_MISMATCH when another stream has the subject,
 *   ERR_NATS_CONNECT when the link was closed.
 */
export async function publish(
  link: NatsLink,
  publication: Publication,
  options: PublishingOptions,
): Promise<PublishResult> {
  const { signal } = options;
  // One listener for each message in flight, of which the caller decides how many; Node.js warns of the eleventh.
  setMaxListeners(0, signal);
  let pauseMs = PAUSE_MS_MIN;
  let unheard = 0;
  let hasMadeRoom = false;
  while (!signal.aborted) {
    // Not earlier: nats.js throws away what is sent while it dials.
    await connected(link, signal);
    if (signal.aborted) break;
    const attempt = await tryOnce(link, publication, options);
    if (attempt.kind === "full" && !hasMadeRoom && options.makeRoom !== undefined) {
      hasMadeRoom = true;
      if (await options.makeRoom()) continue;
    }
    if (attempt.kind !== "doubt") return attempt;
    options.onDoubt?.(attempt.reason);
    if (attempt.isUnheard) unheard += 1;
    if (attempt.isUnheard && unheard % MISSING_ASKED_EVERY === 0) {
      await orAborted(recreateMissing(link, publication, options), signal);
    }
    await pause(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
  }
  return { kind: "stopped" };
}

/** Resolves when there is a connection, or the signal was aborted. */
async function connected(link: NatsLink, signal: AbortSignal): Promise<void> {
  while (!link.isConnected() && !signal.aborted) {
    if (link.connection.isClosed()) throw new EngineError("ERR_NATS_CONNECT", "the connection to NATS was closed");
    const change = interruption(link, signal);
    await change.happened;
    change.release();
  }
}

/** One request, given up at once when the connection breaks: nats.js would let it wait for its timeout. */
async function tryOnce(link: NatsLink, publication: Publication, options: PublishingOptions): Promise<Attempt> {
  const { subject, stream, bytes, id, expectLastSequence, expectLastId } = publication;
  const interrupted = interruption(link, options.signal);
  const settings: Partial<JetStreamPublishOptions> = {
    msgID: id,
    timeout: options.timeoutMs ?? TIMEOUT_MS,
    expect: {
      streamName: stream,
      ...(expectLastSequence === undefined ? {} : { lastSequence: expectLastSequence }),
      ...(expectLastId === undefined ? {} : { lastMsgID: expectLastId }),
    },
  };
  const answered = link.jetstream.publish(subject, bytes, settings).then(
    ({ seq, duplicate }): Attempt => ({ kind: "stored", sequence: seq, isDuplicate: duplicate }),
    (error: unknown) => attemptOf(error, publication),
  );
  try {
    return await Promise.race([answered, interrupted.happened]);
  } finally {
    interrupted.release();
    // When the interruption came first, nobody looks at this one any more.
    answered.catch(() => undefined);
  }
}

function attemptOf(error: unknown, publication: Publication): Attempt {
  if (error instanceof JetStreamApiError) return refusal(error, publication);
  const { subject, bytes } = publication;
  if (error instanceof errors.InvalidArgumentError) {
    const message = `a message of ${bytes.length} bytes for ${subject} was not sent: ${error.message}`;
    throw new EngineError("ERR_STREAM_WRITE", message, { cause: error });
  }
  const right = missingRight(error);
  if (right !== null) throw new EngineError("ERR_NATS_REFUSED", right, { cause: error });
  if (error instanceof errors.ClosedConnectionError || error instanceof errors.DrainingConnectionError) {
    throw new EngineError("ERR_NATS_CONNECT", "the connection to NATS was closed", { cause: error });
  }
  if (isUnheard(error)) return { kind: "doubt", reason: `nobody listens to ${subject}`, isUnheard: true };
  return { kind: "doubt", reason: messageOf(error), isUnheard: false };
}

function refusal(error: JetStreamApiError, { subject, stream }: Publication): Attempt {
  const { code, status, message } = error;
  if (WRONG_LAST.includes(code)) return { kind: "conflict" };
  const isFull = code === STORE_FAILED && /exceeded|no space|resource/i.test(message);
  if (isFull || NO_RESOURCES.includes(code)) return { kind: "full", message: `${stream}: ${message} (${code})` };
  if (code === OTHER_STREAM) {
    const sentence = `another stream than ${stream} has the subject ${subject}: ${message}`;
    throw new EngineError("ERR_NATS_MISMATCH", sentence, { cause: error });
  }
  // 503: no leader, not the leader, shutting down; 429: too many in flight. All of them pass.
  if (status >= 500 || status === 429) return { kind: "doubt", reason: `${message} (${code})`, isUnheard: false };
  const sentence = `${stream} refused a message: ${message} (${code})`;
  throw new EngineError("ERR_STREAM_WRITE", sentence, { cause: error });
}

/** "Nobody listens" is true for a stream without a leader as well; only a clear answer makes a new one. */
async function recreateMissing(link: NatsLink, { stream }: Publication, options: PublishingOptions): Promise<void> {
  // Without a leader nobody answers this either, and the message would wait for it longer than for the new leader.
  const unknown = pause(MISSING_ASKED_MS_MAX, options.signal).then(() => false);
  if (!(await Promise.race([isMissing(link, stream), unknown])) || options.signal.aborted) return;
  try {
    await options.recreate();
  } catch (error) {
    if (error instanceof EngineError && error.code !== "ERR_NATS_CONNECT") throw error;
    options.onDoubt?.(`${stream} is missing and could not be created: ${messageOf(error)}`);
  }
}

async function isMissing(link: NatsLink, stream: string): Promise<boolean> {
  try {
    await link.manager.streams.info(stream);
    return false;
  } catch (error) {
    return error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND;
  }
}

interface Interruption {
  /** The signal was aborted, or the connection changed. */
  readonly happened: Promise<Attempt>;
  release(): void;
}

function interruption(link: NatsLink, signal: AbortSignal): Interruption {
  let release = nothing;
  const happened = new Promise<Attempt>((resolve) => {
    const onAbort = (): void => resolve({ kind: "stopped" });
    const forget = link.onChange(() => resolve({ kind: "doubt", reason: "the connection broke", isUnheard: false }));
    signal.addEventListener("abort", onAbort, { once: true });
    release = () => {
      forget();
      signal.removeEventListener("abort", onAbort);
    };
  });
  return { happened, release };
}

/** Resolves at once when the signal is aborted, whatever becomes of `work` then. */
async function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let forget = nothing;
  const aborted = new Promise<void>((resolve) => {
    const onAbort = (): void => resolve();
    signal.addEventListener("abort", onAbort, { once: true });
    forget = () => signal.removeEventListener("abort", onAbort);
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    forget();
    work.catch(() => undefined);
  }
}

function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return passed(delayMs, undefined, { signal }).catch(() => undefined);
}

function nothing(): void {
  // Until there is something to undo.
}
