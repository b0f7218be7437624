// The way out: one POST to WhatsApp's Cloud API a message, over one undici pool a thread.
//
// It promises that `done` is called exactly once for each send, never before `send` has returned; that a request is
// written at most once; and that its answer tells "certainly not sent" from "maybe sent" (cloud-api-exchange.ts).
// HTTP/1.1 only: undici 7 sends non-idempotent requests one at a time over an HTTP/2 session, so nothing is gained,
// and after a GOAWAY it queues requests again that were already written.

import { Pool } from "undici";

import type { SendRoute } from "../message/verdict.ts";
import type { Clock } from "../runtime/clock.ts";
import { CloudApiExchange } from "./cloud-api-exchange.ts";
import type { ExchangeKeeper, SendDone } from "./cloud-api-exchange.ts";
import type { SendAnswer } from "./send-answer.ts";

export interface CloudApiClientOptions {
  /** Such as `https://graph.facebook.com`; a path in it is kept. */
  readonly baseUrl: string;
  /** Such as `v26.0`. */
  readonly apiVersion: string;
  /** A connection carries one message at a time, so this is the rate times the answer's latency. Default 512. */
  readonly connectionsMax?: number;
  /** How long a send may wait for a connection, and then for its whole answer. Default 15 s each. */
  readonly timeoutMs?: number;
  readonly clock: Clock;
}

export interface SendRequest {
  readonly phoneNumberId: string;
  readonly accessToken: string;
  /** The JSON of the Cloud API's message. */
  readonly body: string;
  /** The door for it; the body is the same at both. Default `messages`. */
  readonly route?: SendRoute;
  /** Asked in the same breath as the request is written; false holds it back (`unreachable`). Default: it may. */
  mayLeave?(): boolean;
}

export interface CloudApiClient {
  /** The caller bounds how many are open at once; beyond `connectionsMax` they wait for a connection. */
  send(request: SendRequest, done: SendDone): void;
  /** Refuses new sends, waits for the open ones (at most twice `timeoutMs`), then hangs up. Safe twice. */
  close(): Promise<void>;
}

/** 1,000 messages/s at Meta's own planning figure of 350 ms an answer need 350 connections. */
const CONNECTIONS_MAX_DEFAULT = 512;
const TIMEOUT_MS_DEFAULT = 15_000;
const CONNECT_TIMEOUT_MS_MAX = 10_000;
/**
 * Shorter than the idle limit of every server we know (Node.js 5 s, uWebSockets 8 s): a connection that its server
 * closes at the moment of reuse costs an answer, a new handshake only time.
 */
const KEEP_ALIVE_MS = 4000;
/** Real answers are below 1 KB. */
const ANSWER_BYTES_MAX = 65_536;
/** Senders of one engine; the table starts anew beyond it. */
const TARGETS_MAX = 1024;
/** What a header value can carry; anything else would make undici lose the connection it planned to use. */
const SENDABLE_TOKEN = /^[\x21-\x7e]+$/;

/** What all messages of one sender have in common. */
interface Target {
  readonly accessToken: string;
  readonly paths: Readonly<Record<SendRoute, string>>;
  readonly headers: string[];
}

export function createCloudApiClient(options: CloudApiClientOptions): CloudApiClient {
  return new PooledClient(options);
}

const always = (): boolean => true;

class PooledClient implements CloudApiClient, ExchangeKeeper {
  readonly #clock: Clock;
  readonly #pool: Pool;
  readonly #pathPrefix: string;
  readonly #timeoutMs: number;
  readonly #targets = new Map<string, Target>();
  /** Both in the order in which they fall due: a set keeps its order of insertion. */
  readonly #waiting = new Set<CloudApiExchange>();
  readonly #underway = new Set<CloudApiExchange>();
  #unanswered = 0;
  #isDispatching = false;
  #cancelTimer: (() => void) | null = null;
  #closing: Promise<void> | null = null;
  #onIdle: (() => void) | null = null;

  constructor(options: CloudApiClientOptions) {
    const url = new URL(options.baseUrl);
    this.#clock = options.clock;
    this.#pathPrefix = `${url.pathname.replace(/\/+$/, "")}/${encodeURIComponent(options.apiVersion)}/`;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS_DEFAULT;
    this.#pool = new Pool(url.origin, {
      connections: options.connectionsMax ?? CONNECTIONS_MAX_DEFAULT,
      pipelining: 1,
      allowH2: false,
      connectTimeout: Math.min(this.#timeoutMs, CONNECT_TIMEOUT_MS_MAX),
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxResponseSize: ANSWER_BYTES_MAX,
      // undici's own limits restart with every chunk; the deadline below covers the whole answer, with one timer for all.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  send(request: SendRequest, done: SendDone): void {
    this.#unanswered++;
    const exchange = new CloudApiExchange(this, request.mayLeave ?? always, done);
    const target = this.#targetOf(request);
    if (target === null || this.#closing !== null) {
      const cause = target === null ? "the access token has characters no token has" : "Volley is shutting down";
      queueMicrotask(() => this.#answer(exchange, unreachable(cause)));
      return;
    }
    exchange.dueAtMs = this.#clock.monotonicMs() + this.#timeoutMs;
    this.#waiting.add(exchange);
    if (this.#cancelTimer === null) this.#arm();
    this.#isDispatching = true;
    this.#pool.dispatch(
      {
        method: "POST",
        path: target.paths[request.route ?? "messages"],
        headers: target.headers,
        body: request.body,
        idempotent: false,
      },
      exchange,
    );
    this.#isDispatching = false;
  }

  close(): Promise<void> {
    this.#closing ??= this.#drain();
    return this.#closing;
  }

  started(exchange: CloudApiExchange): void {
    this.#waiting.delete(exchange);
    exchange.writtenAtMs = this.#clock.monotonicMs();
    exchange.dueAtMs = exchange.writtenAtMs + this.#timeoutMs;
    this.#underway.add(exchange);
  }

  settled(exchange: CloudApiExchange, answer: SendAnswer): void {
    if (!this.#underway.delete(exchange)) this.#waiting.delete(exchange);
    if (this.#isDispatching) queueMicrotask(() => this.#answer(exchange, answer));
    else this.#answer(exchange, answer);
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  #answer(exchange: CloudApiExchange, answer: SendAnswer): void {
    try {
      exchange.done(answer, exchange.writtenAtMs);
    } catch (error) {
      // undici swallows what its handlers throw; a fault in the caller must end the thread, not vanish.
      queueMicrotask(() => {
        throw error;
      });
    }
    this.#unanswered--;
    if (this.#unanswered === 0) this.#onIdle?.();
  }

  #targetOf(request: SendRequest): Target | null {
    const known = this.#targets.get(request.phoneNumberId);
    if (known !== undefined && known.accessToken === request.accessToken) return known;
    if (!SENDABLE_TOKEN.test(request.accessToken)) return null;
    if (this.#targets.size >= TARGETS_MAX) this.#targets.clear();
    const number = `${this.#pathPrefix}${encodeURIComponent(request.phoneNumberId)}`;
    const target: Target = {
      accessToken: request.accessToken,
      paths: { messages: `${number}/messages`, marketing_messages: `${number}/marketing_messages` },
      headers: ["authorization", `Bearer ${request.accessToken}`, "content-type", "application/json"],
    };
    this.#targets.set(request.phoneNumberId, target);
    return target;
  }

  /**
   * One timer for all: it is set for the oldest and finds out when it rings who is still there. It also answers what
   * undici forgets: after a certificate of another name the requests queued behind are never looked at again.
   */
  #arm(): void {
    const dueAtMs = Math.min(firstDueAtMs(this.#waiting), firstDueAtMs(this.#underway));
    if (dueAtMs === Infinity) return;
    const delayMs = Math.max(1, dueAtMs - this.#clock.monotonicMs());
    this.#cancelTimer = this.#clock.after(delayMs, () => {
      // After a long pause of the process (suspended, swapping) answers lie unread in the sockets: they go first.
      setImmediate(() => this.#expireDue());
    });
  }

  #expireDue(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const exchanges of [this.#waiting, this.#underway]) {
      for (const exchange of exchanges) {
        if (exchange.dueAtMs > nowMs) break;
        exchange.expire(this.#timeoutMs);
      }
    }
    this.#cancelTimer = null;
    this.#arm();
  }

  async #drain(): Promise<void> {
    if (this.#unanswered > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    this.#cancelTimer?.();
    await this.#pool.destroy();
  }
}

function firstDueAtMs(exchanges: ReadonlySet<CloudApiExchange>): number {
  for (const exchange of exchanges) return exchange.dueAtMs;
  return Infinity;
}

function unreachable(cause: string): SendAnswer {
  return { kind: "unreachable", reason: `WhatsApp could not be reached: ${cause}.` };
}
