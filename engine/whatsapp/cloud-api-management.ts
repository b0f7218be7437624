// Everything that is asked of Meta's management side goes through here: lists of templates, pages of numbers. Such calls
// have an hourly limit of their own, which all programs of an account share, so Bottleneck paces them, one limiter an
// account (docs/decisions/0013-bottleneck-paces-management-calls.md). Messages never pass through here.

import Bottleneck from "bottleneck";
import { request } from "undici";

import type { Clock } from "../runtime/clock.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import { reasonOf } from "./error-catalogue.ts";
import { asInteger, asObject, asText, parseForeignJson } from "./foreign-json.ts";
import type { ForeignObject } from "./foreign-json.ts";
import { restAfterFault, restAfterUsage } from "./management-rest.ts";

export interface ManagementOptions {
  /** Such as `https://graph.facebook.com`, without a trailing slash. */
  readonly baseUrl: string;
  readonly apiVersion: string;
  /** Default: undici. */
  readonly fetchJson?: FetchJson;
  readonly clock: Clock;
}

/** GETs one address. Rejects when no whole answer came. */
export type FetchJson = (url: string, headers: Readonly<Record<string, string>>) => Promise<FetchedJson>;

export interface FetchedJson {
  readonly httpStatus: number;
  /** Undefined when the body is not JSON. */
  readonly json: unknown;
  /** Meta's `X-Business-Use-Case-Usage`; absent or empty: it did not say. */
  readonly usage?: string;
}

export interface ManagementCall {
  readonly wabaId: string;
  readonly accessToken: string;
  /** Below the version, such as `102290129340398/message_templates`. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
}

/** Until it is known that the account has a registered number. */
const CALLS_PER_HOUR_FIRST = 200;
const CALLS_PER_HOUR_MAX = 5000;
const HOUR_MS = 3_600_000;
const CALLS_AT_ONCE_MAX = 2;
const CALLS_APART_MS = 10;
const CALLS_QUEUED_MAX = 1000;
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;
const TIMEOUT_MS = 30_000;

/** Bottleneck waits by the wall clock: set back by more than this, it would make calls wait for as long. */
const SET_BACK_MS_MIN = 1_000;
/** While calls wait, the clock is looked at so often. */
const CLOCK_LOOK_MS = 5_000;

interface Account {
  /** Another one after the wall clock was set back. */
  limiter: Bottleneck;
  /** Monotonic: no call before it. */
  restsUntilMs: number;
  /** Faults of the limit in a row. */
  faults: number;
  isRegistered: boolean;
}

/** A fault that Meta answered with, as an operator reads it. */
export class ManagementFault extends EngineError {
  readonly errorCode: number | null;

  constructor(message: string, errorCode: number | null, cause?: unknown) {
    super("ERR_WHATSAPP_MANAGEMENT", message, { cause });
    this.errorCode = errorCode;
  }
}

export class ManagementCalls {
  readonly #options: ManagementOptions;
  readonly #accounts = new Map<string, Account>();
  readonly #closing = new AbortController();
  readonly #rests = new Set<() => void>();
  /** Both clocks, when they were last compared. */
  #looked: { readonly wallMs: number; readonly monotonicMs: number };
  #pending = 0;
  #cancelLook: (() => void) | null = null;

  constructor(options: ManagementOptions) {
    this.#options = options;
    this.#looked = bothClocks(options.clock);
  }

  /**
   * GETs one object, when the account's limit lets it.
   * @throws ManagementFault with a sentence when there is none: Meta refused, or could not be reached.
   */
  async get(call: ManagementCall): Promise<ForeignObject> {
    const account = this.#accountOf(call.wabaId);
    this.#pending += 1;
    await this.#lookAtClock();
    const { httpStatus, json } = await this.#paced(account, call).finally(() => {
      this.#pending -= 1;
      if (this.#pending === 0) this.#cancelLook?.();
    });
    const body = asObject(json);
    const error = asObject(body?.["error"]);
    if (error !== null) throw new ManagementFault(sentenceOf(error), asInteger(error["code"]));
    if (body === null || httpStatus !== 200) {
      throw new ManagementFault(`the answer (HTTP ${httpStatus}) is not what was asked for`, null);
    }
    return body;
  }

  /** The account has a registered number: Meta allows it many more calls. */
  noteRegistered(wabaId: string): void {
    const account = this.#accountOf(wabaId);
    if (account.isRegistered) return;
    account.isRegistered = true;
    account.limiter.updateSettings({ reservoirRefreshAmount: CALLS_PER_HOUR_MAX });
    void account.limiter.incrementReservoir(CALLS_PER_HOUR_MAX - CALLS_PER_HOUR_FIRST);
  }

  /** What waits for its turn is given up, and rejects. */
  async close(): Promise<void> {
    this.#closing.abort(new Error("the engine stops"));
    this.#cancelLook?.();
    for (const wake of this.#rests) wake();
    await Promise.all([...this.#accounts.values()].map(({ limiter }) => limiter.stop({ dropWaitingJobs: true })));
  }

  async #paced(account: Account, call: ManagementCall): Promise<FetchedJson> {
    const { baseUrl, apiVersion, fetchJson, clock } = this.#options;
    const { signal } = this.#closing;
    const query = new URLSearchParams(call.query).toString().replaceAll("%2C", ",");
    const path = call.path.split("/").map(encodeURIComponent).join("/");
    const url = `${baseUrl}/${encodeURIComponent(apiVersion)}/${path}?${query}`;
    const headers = { authorization: `Bearer ${call.accessToken}`, accept: "application/json" };
    const { limiter } = account;
    try {
      return await limiter.schedule(async () => {
        // Both turns of the account wait here, and the others behind them: nothing is asked while it rests.
        while (!signal.aborted && account.restsUntilMs > clock.monotonicMs()) {
          // oxlint-disable-next-line no-await-in-loop -- a rest may have been made longer meanwhile
          await this.#rest(account.restsUntilMs - clock.monotonicMs());
        }
        signal.throwIfAborted();
        const fetched = await (fetchJson?.(url, headers) ?? fetchOverHttp(url, headers, signal));
        this.#learn(account, fetched);
        return fetched;
      });
    } catch (error) {
      // Its limiter gave way to another one before it had its turn.
      if (error instanceof Bottleneck.BottleneckError && limiter !== account.limiter && !signal.aborted) {
        return this.#paced(account, call);
      }
      throw new ManagementFault(`WhatsApp could not be reached (${messageOf(error)})`, null, error);
    }
  }

  /** Also while calls wait: one that hangs would never look. */
  async #lookAtClock(): Promise<void> {
    const { clock } = this.#options;
    this.#cancelLook?.();
    this.#cancelLook = clock.after(CLOCK_LOOK_MS, () => void this.#lookAtClock());
    const now = bothClocks(clock);
    const passedMs = now.monotonicMs - this.#looked.monotonicMs;
    const setBackMs = passedMs - (now.wallMs - this.#looked.wallMs);
    this.#looked = now;
    if (setBackMs < SET_BACK_MS_MIN) return;
    await Promise.all(Array.from(this.#accounts.values(), renewLimiter));
  }

  async #rest(restMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(restMs, () => wake());
      const wake = (): void => {
        cancel();
        this.#rests.delete(wake);
        resolve();
      };
      this.#rests.add(wake);
    });
  }

  #learn(account: Account, { json, usage = "" }: FetchedJson): void {
    const code = asInteger(asObject(asObject(json)?.["error"])?.["code"]);
    const usageMs = restAfterUsage(usage);
    const faultMs = restAfterFault(code, account.faults);
    account.faults = faultMs === null ? 0 : account.faults + 1;
    const restMs = Math.max(usageMs, faultMs ?? 0);
    account.restsUntilMs = Math.max(account.restsUntilMs, this.#options.clock.monotonicMs() + restMs);
  }

  #accountOf(wabaId: string): Account {
    const known = this.#accounts.get(wabaId);
    if (known !== undefined) return known;
    const limiter = createLimiter(CALLS_PER_HOUR_FIRST, CALLS_PER_HOUR_FIRST);
    const account = { limiter, restsUntilMs: 0, faults: 0, isRegistered: false };
    this.#accounts.set(wabaId, account);
    return account;
  }
}

function createLimiter(callsLeft: number, callsPerHour: number): Bottleneck {
  return new Bottleneck({
    maxConcurrent: CALLS_AT_ONCE_MAX,
    minTime: CALLS_APART_MS,
    reservoir: callsLeft,
    reservoirRefreshAmount: callsPerHour,
    reservoirRefreshInterval: HOUR_MS,
    highWater: CALLS_QUEUED_MAX,
    strategy: Bottleneck.strategy.OVERFLOW,
  });
}

/** What was called in this hour stays counted; what waits goes over to the new one. */
async function renewLimiter(account: Account): Promise<void> {
  const { limiter, isRegistered } = account;
  const callsLeft = (await limiter.currentReservoir()) ?? 0;
  account.limiter = createLimiter(callsLeft, isRegistered ? CALLS_PER_HOUR_MAX : CALLS_PER_HOUR_FIRST);
  // Not waited for: it lets what is under way come to its end.
  void limiter.stop({ dropWaitingJobs: true }).then(() => limiter.disconnect());
}

function bothClocks(clock: Clock): { readonly wallMs: number; readonly monotonicMs: number } {
  return { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
}

async function fetchOverHttp(
  url: string,
  requestHeaders: Readonly<Record<string, string>>,
  closing: AbortSignal,
): Promise<FetchedJson> {
  const signal = AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), closing]);
  const { statusCode, headers, body } = await request(url, { headers: requestHeaders, signal });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`an answer exceeds ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  const usage = headers["x-business-use-case-usage"];
  return {
    httpStatus: statusCode,
    json: parseForeignJson(Buffer.concat(chunks).toString("utf8")),
    usage: typeof usage === "string" ? usage : "",
  };
}

function sentenceOf(error: ForeignObject): string {
  const message = asText(error["message"]);
  const code = asInteger(error["code"]);
  return code === null ? message : reasonOf(code, message, asInteger(error["error_subcode"]) ?? undefined);
}
