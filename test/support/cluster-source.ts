// A shop in front of a cluster that never gives up: posts numbered events to the nodes in turn and repeats each, at the
// next node and under the same Idempotency-Key, until it gets its 202. As a load balancer does, it leaves a node alone
// for a moment when it does not answer.

import { Agent, type Dispatcher } from "undici";

import { type AcceptedPost, eventBody } from "./event-source.ts";

export interface ClusterSource {
  /** Events that got their 202. */
  readonly accepted: AcceptedPost[];
  /** Answers that no caller should ever see: anything but 202 and a retryable 503. */
  readonly strange: string[];
  readonly counts: SourceCounts;
  /** The longest time without any 202 since this was called last. */
  longestRestMs(): number;
  /** Resolves once so many events have their 202. */
  untilAccepted(events: number, deadlineMs: number): Promise<void>;
  /** Resolves once every event that was begun has its 202. */
  stop(): Promise<void>;
  /** Gives up at once what has no 202 yet. Safe at any time. */
  abandon(): Promise<void>;
}

export interface SourceCounts {
  posts: number;
  /** 503 with a problem that says so. */
  refused: number;
  /** Connection refused: the node was down. */
  down: number;
  /** No answer in time, or a connection that was cut: the event may have been accepted. */
  unanswered: number;
  /** Events whose 202 said that another post of the same had been accepted. */
  duplicates: number;
  /** From the first try to the 202, of the post that took longest. */
  slowestMs: number;
}

export interface ClusterSourceOptions {
  /** Addresses, asked anew for each post. */
  nodes(): readonly string[];
  readonly campaigns: readonly string[];
  /** Known to all nodes. */
  readonly key: string;
  readonly concurrency: number;
  /** Events of a post, in turn; 1 is a single event, more an array. Default: all single. */
  readonly lengths?: readonly number[];
  /** Default: as fast as the answers come. */
  readonly perSecond?: number;
  /** Of the first event. Default 0. */
  readonly firstNumber?: number;
}

interface Post {
  readonly campaignId: string;
  readonly numbers: readonly number[];
}

/** A node that takes longer is taken for frozen. The event may have been accepted all the same. */
const ANSWER_MS_MAX = 4_000;
const AVOIDED_MS = 1_000;
const PAUSE_MS = 50;
const LATE_MS_MAX = 1_000;

export function startClusterSource(options: ClusterSourceOptions): ClusterSource {
  return new Source(options);
}

class Source implements ClusterSource {
  readonly accepted: AcceptedPost[] = [];
  readonly strange: string[] = [];
  readonly counts: SourceCounts = { posts: 0, refused: 0, down: 0, unanswered: 0, duplicates: 0, slowestMs: 0 };
  readonly #options: ClusterSourceOptions;
  readonly #agent: Agent;
  readonly #avoidedUntilMs = new Map<string, number>();
  #startedAtMs: number = performance.now();
  readonly #firstNumber: number;
  readonly #workers: Promise<unknown>;
  #acceptedAtMs: number = performance.now();
  #longestRestMs = 0;
  #nextNumber: number;
  #nextPost = 0;
  #isStopping = false;
  #isAbandoned = false;
  #failure: Error | null = null;

  constructor(options: ClusterSourceOptions) {
    this.#options = options;
    this.#firstNumber = options.firstNumber ?? 0;
    this.#nextNumber = this.#firstNumber;
    this.#agent = new Agent({ connections: options.concurrency, headersTimeout: ANSWER_MS_MAX, pipelining: 1 });
    this.#workers = Promise.all(Array.from({ length: options.concurrency }, () => this.#work())).catch(
      (error: unknown) => (this.#failure = error instanceof Error ? error : new Error(String(error))),
    );
  }

  longestRestMs(): number {
    const longest = Math.max(this.#longestRestMs, performance.now() - this.#acceptedAtMs);
    this.#longestRestMs = 0;
    return longest;
  }

  async untilAccepted(events: number, deadlineMs: number): Promise<void> {
    const endMs = performance.now() + deadlineMs;
    while (this.accepted.length < events && this.#failure === null) {
      if (performance.now() > endMs) throw new Error(`only ${this.accepted.length} of ${events} events were accepted`);
      // oxlint-disable-next-line no-await-in-loop -- waits
      await pause(PAUSE_MS);
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#workers;
    await this.#agent.destroy();
    if (this.#failure !== null) throw this.#failure;
  }

  async abandon(): Promise<void> {
    this.#isStopping = true;
    this.#isAbandoned = true;
    await this.#agent.destroy();
    await this.#workers;
  }

  async #work(): Promise<void> {
    /* oxlint-disable no-await-in-loop -- one post after the other */
    while (!this.#isStopping) {
      const number = this.#nextPost++;
      const post = this.#make(number);
      await this.#untilDue(post);
      const startedAtMs = performance.now();
      for (let attempt = number; !this.#isAbandoned && !(await this.#try(post, attempt)); attempt++) {
        await pause(PAUSE_MS);
      }
      this.counts.slowestMs = Math.max(this.counts.slowestMs, performance.now() - startedAtMs);
    }
    /* oxlint-enable no-await-in-loop */
  }

  #make(number: number): Post {
    const { campaigns, lengths = [1] } = this.#options;
    // Each campaign gets each length in turn.
    const length = lengths[Math.floor(number / campaigns.length) % lengths.length] ?? 1;
    const first = this.#nextNumber;
    this.#nextNumber += length;
    const numbers = Array.from({ length }, (_, index) => first + index);
    return { campaignId: campaigns[number % campaigns.length] ?? "", numbers };
  }

  async #untilDue({ numbers: [first = 0] }: Post): Promise<void> {
    const { perSecond } = this.#options;
    if (perSecond === undefined) return;
    const dueAtMs = this.#startedAtMs + ((first - this.#firstNumber) / perSecond) * 1_000;
    const leftMs = dueAtMs - performance.now();
    if (leftMs > 0) await pause(leftMs);
    // What an outage held up is not made up for.
    else if (leftMs < -LATE_MS_MAX) this.#startedAtMs -= leftMs;
  }

  /** @returns whether it got its 202. */
  async #try(post: Post, attempt: number): Promise<boolean> {
    const url = this.#nodeOf(attempt);
    this.counts.posts++;
    let answer: Dispatcher.ResponseData;
    let text: string;
    try {
      answer = await this.#request(url, post);
      text = await answer.body.text();
    } catch (error) {
      if (isRefused(error)) this.counts.down++;
      else this.counts.unanswered++;
      this.#avoidedUntilMs.set(url, performance.now() + AVOIDED_MS);
      return false;
    }
    if (answer.statusCode === 202) {
      this.#note(post, text);
      return true;
    }
    if (answer.statusCode === 503) {
      this.counts.refused++;
      if (answer.headers["retry-after"] === undefined) this.strange.push(`503 without Retry-After: ${text}`);
    } else {
      this.strange.push(`${answer.statusCode} ${text}`);
    }
    return false;
  }

  #request(url: string, { campaignId, numbers }: Post): Promise<Dispatcher.ResponseData> {
    const [only = 0] = numbers;
    return this.#agent.request({
      origin: url,
      path: `/api/campaigns/${campaignId}/trigger`,
      method: "POST",
      headers: {
        "x-api-key": this.#options.key,
        "content-type": "application/json",
        "idempotency-key": `event-${only}`,
      },
      body: numbers.length === 1 ? eventBody(only) : `[${numbers.map(eventBody).join(",")}]`,
    });
  }

  /** The attempts of a post go around; all nodes are asked when all are avoided. */
  #nodeOf(attempt: number): string {
    const nodes = this.#options.nodes();
    const nowMs = performance.now();
    const inTurn = nodes.map((_, index) => nodes[(attempt + index) % nodes.length] ?? "");
    return inTurn.find((url) => (this.#avoidedUntilMs.get(url) ?? 0) <= nowMs) ?? inTurn[0] ?? "";
  }

  #note({ campaignId, numbers }: Post, text: string): void {
    const results = resultsOf(text);
    const nowMs = performance.now();
    this.#longestRestMs = Math.max(this.#longestRestMs, nowMs - this.#acceptedAtMs);
    this.#acceptedAtMs = nowMs;
    numbers.forEach((number, index) => {
      const result = results[index];
      if (result?.messageId === undefined) {
        this.strange.push(`202 without a message id for event ${number}: ${text}`);
        return;
      }
      if (result.duplicate === true) this.counts.duplicates++;
      this.accepted.push({ number, campaignId, messageId: result.messageId });
    });
  }
}

interface Result {
  readonly messageId?: string;
  readonly duplicate?: boolean;
}

function resultsOf(text: string): readonly Result[] {
  const answer = JSON.parse(text) as Result & { readonly results?: readonly Result[] };
  return answer.results ?? [answer];
}

function isRefused(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
