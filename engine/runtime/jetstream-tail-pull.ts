// One life of a pull consumer: asks for messages, hands each delivery on, and says when this consumer is no longer to be
// trusted, instead of repairing it. Its owner then makes another one; so there is one way to recover from everything.
// Not the client's own consume(): that asks again for ever when a consumer vanished, and does not see a lost delivery.

import { createInbox, nanos } from "@nats-io/transport-node";
import type { Msg, NatsConnection } from "@nats-io/transport-node";

import type { Clock } from "./clock.ts";
import { messageOf } from "./errors.ts";

export interface Delivery {
  readonly sequence: number;
  /** Nats-Msg-Id; empty when the message has none. */
  readonly id: string;
  /** A view into the connection's buffer: to be copied before the turn ends. */
  readonly data: Uint8Array;
  /** When the server stored it, epoch milliseconds. */
  readonly atMs: number;
  /** Messages of this consumer still to be delivered. */
  readonly pending: number;
  /** Where its acknowledgement goes. */
  readonly reply: string;
}

export interface Pull {
  /** So many messages may come now, together with those already asked for. */
  want(room: number): void;
  /** Messages asked for and not come yet. */
  readonly requested: number;
  stop(): void;
}

export interface PullOptions {
  readonly connection: NatsConnection;
  readonly stream: string;
  readonly consumer: string;
  readonly heartbeatMs: number;
  readonly clock: Clock;
  onDelivery(delivery: Delivery): void;
  /** At most once: this consumer is lost, or may have lost something. */
  onBroken(reason: string): void;
}

const REQUEST_EXPIRES_MS = 30_000;
/**
 * What one request may bring. nats-server cuts a connection for which more than 64 MB wait, and that is soon reached when
 * many tails of a thread are behind: 500 entries of 100 kB were too much for one (2.9.10).
 */
const REQUEST_BYTES_MAX = 2 * 1024 * 1024;
/** Subjects and protocol around the largest message: it must fit into one request. */
const OVERHEAD_BYTES_MAX = 4096;
/** So many heartbeats may fail to come before the server is held for gone. */
const HEARTBEATS_MISSED_MAX = 3;
/** A fresh consumer may not be known on all servers of the cluster yet: it is asked again, for a second. */
const NO_RESPONDERS_PAUSE_MS = 200;
const NO_RESPONDERS_MAX = 5;

export function startPull(options: PullOptions): Pull {
  return new PullLife(options);
}

class PullLife implements Pull {
  requested = 0;
  readonly #options: PullOptions;
  readonly #inbox = createInbox();
  readonly #subject: string;
  readonly #bytesMax: number;
  readonly #unsubscribe: () => void;
  #room = 0;
  #deliveries = 0;
  #noResponders = 0;
  #hasDelivered = false;
  #isBytesBound = true;
  #signAtMs: number;
  #tickAtMs: number;
  #cancelTick: () => void;
  #cancelRetry: () => void = () => undefined;
  #isStopped = false;

  constructor(options: PullOptions) {
    this.#options = options;
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${options.stream}.${options.consumer}`;
    const payloadBytesMax = options.connection.info?.max_payload ?? 0;
    this.#bytesMax = Math.max(REQUEST_BYTES_MAX, payloadBytesMax + OVERHEAD_BYTES_MAX);
    const subscription = options.connection.subscribe(this.#inbox, {
      callback: (error, message) => {
        if (error !== null) this.#broken(error.message);
        else this.#onMessage(message);
      },
    });
    this.#unsubscribe = () => subscription.unsubscribe();
    this.#signAtMs = options.clock.monotonicMs();
    this.#tickAtMs = this.#signAtMs;
    this.#cancelTick = this.#nextTick();
  }

  /** One request at a time: the server serves several in turn, and which of them a message used up could not be told. */
  want(room: number): void {
    this.#room = room;
    if (this.#isStopped || this.requested > 0 || room <= 0) return;
    this.requested = room;
    this.#hasDelivered = false;
    this.#signAtMs = this.#options.clock.monotonicMs();
    const request = {
      batch: room,
      expires: nanos(REQUEST_EXPIRES_MS),
      idle_heartbeat: nanos(this.#options.heartbeatMs),
      ...(this.#isBytesBound ? { max_bytes: this.#bytesMax } : {}),
    };
    try {
      this.#options.connection.publish(this.#subject, JSON.stringify(request), { reply: this.#inbox });
    } catch (error) {
      // The connection is being closed.
      this.#broken(messageOf(error));
    }
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#cancelTick();
    this.#cancelRetry();
    this.#unsubscribe();
  }

  #broken(reason: string): void {
    if (this.#isStopped) return;
    this.stop();
    this.#options.onBroken(reason);
  }

  #onMessage(message: Msg): void {
    if (this.#isStopped) return;
    const { reply = "" } = message;
    if (!reply.startsWith("$JS.ACK.")) return this.#onStatus(message);
    this.#seen();
    const info = deliveryInfo(reply);
    if (info.delivery !== this.#deliveries + 1) {
      return this.#broken(`delivery ${info.delivery} came after ${this.#deliveries}`);
    }
    this.#deliveries = info.delivery;
    this.requested = Math.max(0, this.requested - 1);
    this.#room = Math.max(0, this.#room - 1);
    this.#hasDelivered = true;
    this.#isBytesBound = true;
    const id = message.headers?.get("Nats-Msg-Id") ?? "";
    this.#options.onDelivery({ ...info, id, data: message.data, reply });
  }

  #seen(): void {
    this.#signAtMs = this.#options.clock.monotonicMs();
    this.#noResponders = 0;
  }

  #onStatus(message: Msg): void {
    const code = message.headers?.code ?? 0;
    const description = message.headers?.description ?? "";
    // Nobody listens to requests: the only answer that is no sign of the consumer.
    if (code === 503) return this.#askAgain();
    this.#seen();
    if (code === 100) return; // a heartbeat
    const isExpired = code === 404 || code === 408;
    const isFull = code === 409 && /^(Message Size Exceeds MaxBytes|Batch Completed)/i.test(description);
    if (!isExpired && !isFull) return this.#broken(`${code} ${description}`);
    // A message that fits into no request must not stop the stream: the next request takes it whatever its size.
    if (isFull && !this.#hasDelivered) this.#isBytesBound = false;
    this.requested = 0;
    this.want(this.#room);
  }

  #askAgain(): void {
    this.#noResponders += 1;
    if (this.#noResponders > NO_RESPONDERS_MAX) return this.#broken("nobody answers for the consumer");
    this.#cancelRetry();
    this.#cancelRetry = this.#options.clock.after(NO_RESPONDERS_PAUSE_MS, () => {
      this.requested = 0;
      this.want(this.#room);
    });
  }

  #nextTick(): () => void {
    return this.#options.clock.after(this.#options.heartbeatMs / 2, () => {
      const nowMs = this.#options.clock.monotonicMs();
      // This thread was busy or the process frozen: what came meanwhile is still unread in the socket.
      if (nowMs - this.#tickAtMs > this.#options.heartbeatMs) this.#signAtMs = nowMs;
      this.#tickAtMs = nowMs;
      const silentMs = nowMs - this.#signAtMs;
      if (this.requested > 0 && silentMs > this.#options.heartbeatMs * HEARTBEATS_MISSED_MAX) {
        return this.#broken(`no sign of the consumer for ${Math.round(silentMs)} ms`);
      }
      this.#cancelTick = this.#nextTick();
    });
  }
}

/**
 * What the reply subject of a delivery tells: `$JS.ACK.<stream>.<consumer>.<times>.<sequence>.<delivery>.<time>.<pending>`,
 * from some servers with `<domain>.<account>` before the stream and something random at the end (nats.js jsmsg.ts).
 */
function deliveryInfo(reply: string): { sequence: number; delivery: number; atMs: number; pending: number } {
  const words = reply.split(".");
  const first = words.length === 9 ? 5 : 7;
  return {
    sequence: Number(words[first]),
    delivery: Number(words[first + 1]),
    atMs: Math.floor(Number(words[first + 2]) / 1e6),
    pending: Number(words[first + 3]),
  };
}
