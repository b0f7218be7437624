// Posts statuses and other updates to the subscriber, signed, in batches, several at a time, and again until it answers 200.

import { Pool } from "undici";

import type { Clock } from "../runtime/clock.ts";
import { notificationBody, signBody, type WebhookUpdate } from "./status-notification.ts";
import type { Chance } from "./chance.ts";
import type { Scenario } from "./scenario.ts";

export interface OutboxStats {
  /** Statuses in POSTs that were answered with 200. */
  readonly acknowledged: number;
  /** Statuses that wait for their first or next POST. */
  readonly waiting: number;
  /** Statuses that were given up, or fell due while nobody was subscribed. */
  readonly dropped: number;
  readonly posts: number;
  readonly failedPosts: number;
  /** What the last failed POST came to, or null. */
  readonly lastFailure: string | null;
}

/** Meta: "Webhooks payloads can be up to 3 MB". */
const BODY_BYTES_MAX = 3 * 1024 * 1024;

/** A POST: built once, so that every repetition is byte for byte the same. */
interface Post {
  readonly body: Buffer;
  readonly signature: string;
  readonly updates: number;
  readonly firstTriedAtMs: number;
  failures: number;
  dueAtMs: number;
}

const CONNECTIONS_MAX = 64;
/** Meta expects an answer within seconds. */
const ANSWER_TIMEOUT_MS = 10_000;
/** Beyond it the oldest status is dropped: a subscriber that never comes back must not fill the memory. */
const WAITING_UPDATES_MAX = 2_000_000;
/** POSTs that wait for their repetition; more updates stay unposted, and share larger POSTs later. */
const WAITING_POSTS_MAX = 256;

export class WebhookOutbox {
  readonly #appSecret: string;
  readonly #clock: Clock;
  readonly #onSettled: () => void;
  #settings: Scenario["webhooks"];
  #pool: Pool | null = null;
  #path = "/";
  #updates: WebhookUpdate[] = [];
  #retries: Post[] = [];
  #inFlight = 0;
  #updatesInPosts = 0;
  #acknowledged = 0;
  #dropped = 0;
  #posts = 0;
  #failedPosts = 0;
  #lastFailure: string | null = null;
  /** They gather until they are released. */
  #isHeld = false;
  #isClosed = false;

  /** @param onSettled called after each POST that came to an end, so that the owner can post more. */
  constructor(options: {
    readonly appSecret: string;
    readonly clock: Clock;
    readonly settings: Scenario["webhooks"];
    readonly onSettled: () => void;
  }) {
    this.#appSecret = options.appSecret;
    this.#clock = options.clock;
    this.#settings = options.settings;
    this.#onSettled = options.onSettled;
  }

  get isEmpty(): boolean {
    return this.#updates.length === 0 && this.#updatesInPosts === 0;
  }

  set settings(settings: Scenario["webhooks"]) {
    this.#settings = settings;
  }

  /** @param url null: nobody is subscribed; what falls due is dropped, as with Meta. */
  setUrl(url: string | null): void {
    void this.#pool?.close();
    if (url === null) {
      this.#pool = null;
      this.#dropWaiting();
      return;
    }
    const target = new URL(url);
    this.#path = target.pathname + target.search;
    this.#pool = new Pool(target.origin, {
      connections: CONNECTIONS_MAX,
      pipelining: 1,
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: ANSWER_TIMEOUT_MS,
    });
  }

  add(update: WebhookUpdate): void {
    if (this.#pool === null) {
      this.#dropped++;
      return;
    }
    this.#updates.push(update);
    if (this.#updates.length <= WAITING_UPDATES_MAX) return;
    const excess = WAITING_UPDATES_MAX / 10;
    this.#updates = this.#updates.slice(excess);
    this.#dropped += excess;
  }

  /** From now on nothing new is posted; repetitions are. */
  hold(): void {
    this.#isHeld = true;
  }

  /** @param shuffle makes any order of what gathered; null: it stays in order. */
  release(shuffle: Chance | null): void {
    this.#isHeld = false;
    if (shuffle !== null) shuffleInPlace(this.#updates, shuffle);
  }

  /** Posts what is due, as far as POSTs may run beside each other. */
  flush(nowMs: number): void {
    if (this.#isClosed || this.#pool === null) return;
    this.#repeat(nowMs);
    if (this.#isHeld) return;
    let start = 0;
    while (start < this.#updates.length && this.#mayPost()) {
      const batch = this.#updates.slice(start, start + this.#settings.updatesPerPostMax);
      const post = this.#makePost(batch, nowMs);
      start += post.updates;
      this.#updatesInPosts += post.updates;
      void this.#send(post);
    }
    if (start > 0) this.#updates = this.#updates.slice(start);
  }

  stats(): OutboxStats {
    return {
      acknowledged: this.#acknowledged,
      waiting: this.#updates.length + this.#updatesInPosts,
      dropped: this.#dropped,
      posts: this.#posts,
      failedPosts: this.#failedPosts,
      lastFailure: this.#lastFailure,
    };
  }

  /** Drops what waits and cuts what runs. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#dropWaiting();
    await this.#pool?.destroy();
  }

  #dropWaiting(): void {
    const inRetries = this.#retries.reduce((sum, post) => sum + post.updates, 0);
    this.#dropped += this.#updates.length + inRetries;
    this.#updatesInPosts -= inRetries;
    this.#updates = [];
    this.#retries = [];
  }

  #mayPost(): boolean {
    return this.#inFlight < this.#settings.parallelPostsMax && this.#retries.length < WAITING_POSTS_MAX;
  }

  #repeat(nowMs: number): void {
    if (this.#retries.length === 0) return;
    const due = this.#retries.filter((post) => post.dueAtMs <= nowMs);
    for (const post of due) {
      if (this.#inFlight >= this.#settings.parallelPostsMax) return;
      this.#retries.splice(this.#retries.indexOf(post), 1);
      void this.#send(post);
    }
  }

  /** Of as many of the first updates as one POST may carry. */
  #makePost(batch: readonly WebhookUpdate[], nowMs: number): Post {
    const body = notificationBody(batch, this.#settings.updatesPerChangeMax);
    if (body.length > BODY_BYTES_MAX && batch.length > 1) {
      return this.#makePost(batch.slice(0, Math.floor(batch.length / 2)), nowMs);
    }
    const signature = signBody(body, this.#appSecret);
    return {
      body,
      signature,
      updates: batch.length,
      firstTriedAtMs: nowMs,
      failures: 0,
      dueAtMs: nowMs,
    };
  }

  /** Never rejects: it is left alone by its callers. */
  async #send(post: Post): Promise<void> {
    this.#inFlight++;
    this.#posts++;
    const failure = await this.#tryPost(post);
    this.#inFlight--;
    if (failure === null) {
      this.#acknowledged += post.updates;
      this.#updatesInPosts -= post.updates;
    } else {
      this.#retryLater(post, failure);
    }
    if (!this.#isClosed) this.#onSettled();
  }

  /** @returns null after a 200, else what came instead. */
  async #tryPost(post: Post): Promise<string | null> {
    if (this.#pool === null) return "nobody is subscribed";
    try {
      const response = await this.#pool.request({
        method: "POST",
        path: this.#path,
        headers: {
          "content-type": "application/json",
          "user-agent": "facebookexternalua",
          "x-hub-signature-256": post.signature,
        },
        body: post.body,
      });
      await response.body.dump();
      return response.statusCode === 200 ? null : `HTTP ${response.statusCode}`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #retryLater(post: Post, failure: string): void {
    const nowMs = this.#clock.monotonicMs();
    this.#failedPosts++;
    this.#lastFailure = failure;
    if (this.#pool === null || nowMs - post.firstTriedAtMs >= this.#settings.giveUpAfterMs) {
      this.#dropped += post.updates;
      this.#updatesInPosts -= post.updates;
      return;
    }
    const { retryAfterMs, retryAfterMsMax } = this.#settings;
    post.dueAtMs = nowMs + Math.min(retryAfterMsMax, retryAfterMs * 2 ** Math.min(post.failures, 30));
    post.failures++;
    this.#retries.push(post);
  }
}

/** Fisher and Yates. */
function shuffleInPlace(updates: WebhookUpdate[], chance: Chance): void {
  for (let last = updates.length - 1; last > 0; last--) {
    const other = Math.floor(chance() * (last + 1));
    const [one, two] = [updates[last], updates[other]];
    if (one === undefined || two === undefined) return;
    updates[last] = two;
    updates[other] = one;
  }
}
