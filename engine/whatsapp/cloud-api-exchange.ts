// One request to the Cloud API and the answer to it, as undici's handler. Its one promise: it knows whether a byte of
// the request may have left. undici calls onRequestStart in the same breath as the write, after name look-up,
// connection and TLS; so what fails before that call was certainly not sent, and what fails after it may have been.
//
//   waiting    for a connection; ends in `underway`, or settles as unreachable
//   underway   the request is written; settles as answered or lost. A second start (undici would send again over a
//              new connection) is refused: WhatsApp knows no idempotency key, a second copy is a second message.
//   settled    `done` has its answer; everything later is ignored, and a start is refused

import type { Dispatcher } from "undici";

import { lostReason, unreachableReason } from "./connection-fault.ts";
import { retryAfterMs } from "./retry-after.ts";
import type { SendAnswer } from "./send-answer.ts";

/** Of the account's usage, for the log: one account's takes 150 characters. */
const USAGE_LENGTH_MAX = 512;

/** @param writtenAtMs monotonic: when the request was written to its connection; null: it never was. */
export type SendDone = (answer: SendAnswer, writtenAtMs: number | null) => void;

/** The client that keeps the deadlines. */
export interface ExchangeKeeper {
  started(exchange: CloudApiExchange): void;
  settled(exchange: CloudApiExchange, answer: SendAnswer): void;
  /** Epoch milliseconds, for a Retry-After that names a date. */
  nowMs(): number;
}

export class CloudApiExchange implements Dispatcher.DispatchHandler {
  readonly done: SendDone;
  /** Monotonic; written by the keeper, anew for each phase. */
  dueAtMs = 0;
  /** Monotonic, by the keeper: when the request was written; null before. */
  writtenAtMs: number | null = null;
  readonly #keeper: ExchangeKeeper;
  #phase: "waiting" | "underway" | "settled" = "waiting";
  #controller: Dispatcher.DispatchController | null = null;
  #httpStatus = 0;
  #retryAfterMs: number | null = null;
  #usage = "";
  /** Nearly every answer is one chunk. */
  #firstChunk: Buffer | null = null;
  #moreChunks: Buffer[] | null = null;

  readonly #mayLeave: () => boolean;

  constructor(keeper: ExchangeKeeper, mayLeave: () => boolean, done: SendDone) {
    this.#keeper = keeper;
    this.#mayLeave = mayLeave;
    this.done = done;
  }

  /** Throwing here makes undici drop the request unwritten and keep the connection. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#phase !== "waiting") throw new Error(`an exchange that is ${this.#phase} is not written`);
    if (!this.#mayLeave()) {
      this.#settle({ kind: "unreachable", reason: "The request was held back: this engine may not send any more." });
      throw new Error("the request may not leave any more");
    }
    this.#phase = "underway";
    this.#controller = controller;
    this.#keeper.started(this);
  }

  /** Also called for 1xx answers; the last call counts. */
  onResponseStart(
    _controller: Dispatcher.DispatchController,
    httpStatus: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    this.#httpStatus = httpStatus;
    const retryAfter = headers["retry-after"];
    this.#retryAfterMs = retryAfter === undefined ? null : retryAfterMs(retryAfter, this.#keeper.nowMs());
    if (httpStatus >= 400) this.#usage = String(headers["x-business-use-case-usage"] ?? "").slice(0, USAGE_LENGTH_MAX);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#firstChunk === null) this.#firstChunk = chunk;
    else (this.#moreChunks ??= []).push(chunk);
  }

  onResponseEnd(): void {
    this.#settle({
      kind: "answered",
      httpStatus: this.#httpStatus,
      body: this.#body(),
      retryAfterMs: this.#retryAfterMs,
      ...(this.#usage !== "" && { usage: this.#usage }),
    });
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#settle(
      this.#phase === "waiting"
        ? { kind: "unreachable", reason: unreachableReason(error) }
        : { kind: "lost", reason: lostReason(error) },
    );
  }

  /** The phase took longer than `limitMs`: settles now, and hangs up if the request was written. */
  expire(limitMs: number): void {
    const seconds = `${limitMs / 1000} s`;
    if (this.#phase === "waiting") {
      this.#settle({
        kind: "unreachable",
        reason: `WhatsApp could not be reached: no connection was ready within ${seconds}.`,
      });
      return;
    }
    this.#settle({
      kind: "lost",
      reason: `No answer came from WhatsApp within ${seconds}. The message may or may not have arrived.`,
    });
    this.#controller?.abort(new Error("no answer in time"));
  }

  #body(): string {
    if (this.#firstChunk === null) return "";
    if (this.#moreChunks === null) return this.#firstChunk.toString("utf8");
    return Buffer.concat([this.#firstChunk, ...this.#moreChunks]).toString("utf8");
  }

  #settle(answer: SendAnswer): void {
    if (this.#phase === "settled") return;
    this.#phase = "settled";
    this.#keeper.settled(this, answer);
  }
}
