// Reads a stream in order, each entry once and without a gap, from a position on, through whatever happens to servers,
// connections and consumers. It rests on a durable pull consumer with explicit acks, but nothing rests on what that
// consumer remembers: positions are the caller's. A consumer in doubt is replaced by one that starts behind the last
// delivered entry, and before each start the stream is looked at: is it still the one that was read so far?
//
// opening    from the start, and after each lost consumer: verifies the position, creates a consumer, retries for as
//            long as the tail is open. Left when the consumer exists (following) or the stream was rewound (stopped).
// following  entries come. Left when the connection or the consumer is lost, a delivery is missing, nothing comes though
//            the stream has more, or the position does not hold any more (opening).
// stopped    closed by the caller, or the stream was rewound. Final.

import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { Empty } from "@nats-io/transport-node";

import { type Clock, passed } from "./clock.ts";
import { EngineError, messageOf } from "./errors.ts";
import type { NatsLink } from "./jetstream-connection.ts";
import { createTailConsumer, deleteTailConsumer } from "./jetstream-tail-consumer.ts";
import { isPositionHeld, type StreamPosition } from "./jetstream-tail-position.ts";
import { type Delivery, type Pull, startPull } from "./jetstream-tail-pull.ts";
import type { Log } from "./log.ts";

export { isPositionHeld, lastSequence, type StreamPosition } from "./jetstream-tail-position.ts";

export interface TailEntry {
  readonly sequence: number;
  /** Nats-Msg-Id; empty when the message has none. */
  readonly id: string;
  /** A copy: stays valid. */
  readonly bytes: Uint8Array;
  /** When the server stored it, epoch milliseconds. */
  readonly atMs: number;
}

export interface Tail {
  /** Entries up to here are dealt with: the server may deliver more. Entries not yet delivered are not meant. */
  ack(throughSequence: number): void;
  /** Entries behind the last delivered, as the server told with the newest delivery (or with the consumer, before the first). */
  readonly pending: number;
  /** Nothing is delivered any more once this was called. Safe twice; never waits long, also when no server answers. */
  close(): Promise<void>;
}

export interface TailTiming {
  /** Without a delivery for so long although the stream has more, the consumer is replaced; a server's silence counts after 3/5 of it. Default 5 s. */
  readonly stalledMs: number;
  /** How often it is asked whether the position still holds. Default 10 s. */
  readonly verifyEveryMs: number;
  /** After this the server delivers an unacknowledged entry again, which the tail drops. Default 10 min. */
  readonly ackWaitMs: number;
}

export interface TailOptions {
  readonly stream: string;
  /** Only messages of this subject (wildcards allowed). */
  readonly filterSubject?: string;
  /** The last entry that is dealt with; `{ sequence: 0, id: "" }` reads from the stream's first message. */
  readonly after: StreamPosition;
  /** What the consumers' names begin with: letters, digits, `-` and `_`. */
  readonly name: string;
  /** So many entries may be delivered and not acknowledged. */
  readonly unackedMax: number;
  /** In order, each once, no gap; never empty; what one turn of the event loop brought. */
  onEntries(entries: readonly TailEntry[]): void;
  /** At most once, never before openTail resolved. The stream lost its tail or was recreated; this tail has stopped: open another. */
  onRewound(): void;
  readonly log: Log;
  readonly clock: Clock;
  readonly timing?: Partial<TailTiming>;
  /** Ends the waiting for the first consumer. Afterwards use close(). */
  readonly signal?: AbortSignal;
}

const STALLED_MS = 5_000;
const VERIFY_EVERY_MS = 10_000;
const ACK_WAIT_MS = 10 * 60_000;
/** nats-server takes heartbeats from half a second on. */
const HEARTBEAT_MS_MIN = 500;
const HEARTBEATS_PER_STALL = 5;
const REQUEST_MS_MAX = 3_000;
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 2_000;
/** A consumer that lived shorter does not prove that creating it anew at once is a good idea. */
const SHORT_LIFE_MS = 2_000;
const CLOSE_MS_MAX = 1_000;

/**
 * Resolves when the first consumer exists, or the stream turned out to be rewound; a stream that is missing or has no
 * leader is waited for.
 *
 * @throws the signal's reason when it is aborted before, EngineError ERR_NATS_CONNECT when the connection is closed before.
 */
export async function openTail(link: NatsLink, options: TailOptions): Promise<Tail> {
  const manager = await jetstreamManager(link.connection, { timeout: REQUEST_MS_MAX, checkAPI: false });
  options.signal?.throwIfAborted();
  const tail = new StreamTail(link, manager, options);
  const abort = (): void => void tail.close();
  options.signal?.addEventListener("abort", abort, { once: true });
  try {
    await tail.opened;
  } finally {
    options.signal?.removeEventListener("abort", abort);
  }
  options.signal?.throwIfAborted();
  return tail;
}

class StreamTail implements Tail {
  readonly opened: Promise<void>;
  pending = 0;
  readonly #link: NatsLink;
  readonly #manager: JetStreamManager;
  readonly #options: TailOptions;
  readonly #timing: TailTiming;
  readonly #running: Promise<void>;
  readonly #unlisten: () => void;
  /** Delivered and not acknowledged, oldest first; the replies of a replaced consumer are empty. */
  #unacked: { readonly sequence: number; reply: string }[] = [];
  #batch: TailEntry[] = [];
  /** The newest delivered entry. */
  #position: StreamPosition;
  #deliveredAtMs = 0;
  #pull: Pull | null = null;
  #isStopped = false;
  /** Stopped by the caller, who wants to hear nothing more. */
  #isClosed = false;
  #isConnected: boolean;
  /** Ends the pause of the opening, or the following, whichever is on. */
  #interrupt: (reason: string) => void = () => undefined;
  #onOpened: () => void = () => undefined;

  constructor(link: NatsLink, manager: JetStreamManager, options: TailOptions) {
    this.#link = link;
    this.#manager = manager;
    this.#options = options;
    this.#timing = {
      stalledMs: STALLED_MS,
      verifyEveryMs: VERIFY_EVERY_MS,
      ackWaitMs: ACK_WAIT_MS,
      ...options.timing,
    };
    this.#position = options.after;
    this.#isConnected = link.isConnected();
    this.#unlisten = link.onChange((isConnected) => {
      this.#isConnected = isConnected;
      this.#interrupt(isConnected ? "connection changed" : "connection lost");
    });
    const consumerExists = new Promise<void>((resolve) => {
      this.#onOpened = resolve;
    });
    this.#running = this.#run();
    this.opened = Promise.race([consumerExists, this.#running.then(() => this.#throwIfDisconnected())]);
  }

  ack(throughSequence: number): void {
    let count = 0;
    for (const { sequence, reply } of this.#unacked) {
      if (sequence > throughSequence) break;
      this.#acknowledge(reply);
      count += 1;
    }
    if (count === 0) return;
    this.#unacked.splice(0, count);
    this.#askForMore();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#batch = [];
    this.#stop("closed");
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(CLOSE_MS_MAX, resolve);
      void this.#running.finally(() => {
        cancel();
        resolve();
      });
    });
  }

  #stop(reason: string): void {
    this.#isStopped = true;
    this.#unlisten();
    this.#interrupt(reason);
  }

  async #run(): Promise<void> {
    let pauseMs = PAUSE_MS_MIN;
    while (this.#isOpen()) {
      if (!this.#isConnected) {
        await this.#pause(PAUSE_MS_MAX);
        continue;
      }
      const startedAtMs = this.#options.clock.monotonicMs();
      const reason = await this.#readOnce().catch(messageOf);
      if (!this.#isOpen()) break;
      const livedMs = this.#options.clock.monotonicMs() - startedAtMs;
      this.#options.log.warn("tail.interrupted", {
        stream: this.#options.stream,
        sequence: this.#position.sequence,
        reason,
        livedMs: Math.round(livedMs),
      });
      if (livedMs > SHORT_LIFE_MS) pauseMs = PAUSE_MS_MIN;
      await this.#pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    }
    this.#isStopped = true;
    this.#unlisten();
  }

  #isOpen(): boolean {
    return !this.#isStopped && !this.#link.connection.isClosed();
  }

  #throwIfDisconnected(): void {
    if (!this.#link.connection.isClosed()) return;
    throw new EngineError("ERR_NATS_CONNECT", `the connection was closed before ${this.#options.stream} could be read`);
  }

  /** One consumer from its creation to its end; answers why it ended. */
  async #readOnce(): Promise<string> {
    const { stream, log } = this.#options;
    if (!(await isPositionHeld({ manager: this.#manager }, stream, this.#position))) {
      if (this.#isStopped) return "closed";
      log.warn("tail.rewound", { stream, sequence: this.#position.sequence });
      this.#stop("rewound");
      // What was delivered before goes first, and whoever awaits openTail has its tail by then.
      setImmediate(() => {
        this.#handOver();
        if (!this.#isClosed) this.#options.onRewound();
      });
      return "rewound";
    }
    const { name, pending } = await createTailConsumer(this.#manager, {
      ...this.#options,
      startSequence: this.#position.sequence + 1,
      ackWaitMs: this.#timing.ackWaitMs,
    });
    this.pending = pending;
    try {
      if (!this.#isOpen()) return "closed";
      this.#onOpened();
      return await this.#follow(name);
    } finally {
      const deleted = this.#deleteConsumer(name);
      // Only an end waits for it, so that a consumer is gone with its tail.
      if (this.#isStopped) await deleted;
    }
  }

  async #deleteConsumer(name: string): Promise<void> {
    if (!this.#isConnected || this.#link.connection.isClosed()) return;
    await deleteTailConsumer(this.#manager, { stream: this.#options.stream, name });
  }

  /** Resolves with the reason when this consumer has to be given up. */
  async #follow(consumer: string): Promise<string> {
    const { clock, stream } = this.#options;
    const cancels: (() => void)[] = [];
    for (const entry of this.#unacked) entry.reply = "";
    const reason = await new Promise<string>((giveUp) => {
      this.#interrupt = giveUp;
      this.#deliveredAtMs = clock.monotonicMs();
      this.#pull = startPull({
        connection: this.#link.connection,
        stream,
        consumer,
        clock,
        heartbeatMs: Math.max(HEARTBEAT_MS_MIN, this.#timing.stalledMs / HEARTBEATS_PER_STALL),
        onDelivery: (delivery) => this.#onDelivery(delivery),
        onBroken: giveUp,
      });
      this.#askForMore();
      cancels.push(
        repeat(clock, this.#timing.verifyEveryMs, async () => {
          const isHeld = await isPositionHeld({ manager: this.#manager }, stream, this.#position);
          if (!isHeld) giveUp("position not held");
        }),
        repeat(clock, this.#timing.stalledMs / 2, async () => {
          if (await this.#isStalled()) giveUp("stalled");
        }),
      );
    });
    this.#interrupt = () => undefined;
    for (const cancel of cancels) cancel();
    this.#pull?.stop();
    this.#pull = null;
    return reason;
  }

  async #isStalled(): Promise<boolean> {
    const { clock, stream, filterSubject } = this.#options;
    const pull = this.#pull;
    const { sequence } = this.#position;
    if (pull === null || pull.requested === 0) return false;
    if (clock.monotonicMs() - this.#deliveredAtMs < this.#timing.stalledMs) return false;
    const newest = await this.#manager.streams.getMessage(stream, { last_by_subj: filterSubject ?? ">" });
    if (newest === null || newest.seq <= sequence) return false;
    // It may be on its way, or stored this very moment.
    await passed(clock, HEARTBEAT_MS_MIN);
    return this.#position.sequence === sequence;
  }

  #onDelivery(delivery: Delivery): void {
    const { sequence, id, data, atMs, pending, reply } = delivery;
    this.#deliveredAtMs = this.#options.clock.monotonicMs();
    this.pending = pending;
    if (sequence <= this.#position.sequence) {
      // Delivered again, since its acknowledgement is late or was lost. The first delivery's is still good for it.
      const oldest = this.#unacked[0];
      if (oldest === undefined || sequence < oldest.sequence) this.#acknowledge(reply);
      this.#askForMore();
      return;
    }
    this.#position = { sequence, id };
    this.#unacked.push({ sequence, reply });
    if (this.#batch.length === 0) setImmediate(() => this.#handOver());
    this.#batch.push({ sequence, id, bytes: new Uint8Array(data), atMs });
  }

  #handOver(): void {
    const entries = this.#batch;
    if (entries.length === 0) return;
    this.#batch = [];
    this.#options.onEntries(entries);
  }

  #askForMore(): void {
    this.#pull?.want(this.#options.unackedMax - this.#unacked.length);
  }

  #acknowledge(reply: string): void {
    if (reply === "" || !this.#isOpen()) return;
    try {
      this.#link.connection.publish(reply, Empty);
    } catch {
      // The connection is being closed; an acknowledgement that is lost costs nothing.
    }
  }

  #pause(durationMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(durationMs, resolve);
      this.#interrupt = () => {
        cancel();
        resolve();
      };
    });
  }
}

/** Calls again and again, `everyMs` after the last call ended. What it throws is tried again next time. */
function repeat(clock: Clock, everyMs: number, call: () => Promise<void>): () => void {
  let isCancelled = false;
  const callAndGoOn = async (): Promise<void> => {
    await call().catch(() => undefined);
    if (!isCancelled) cancel = clock.after(everyMs, () => void callAndGoOn());
  };
  let cancel = clock.after(everyMs, () => void callAndGoOn());
  return () => {
    isCancelled = true;
    cancel();
  };
}
