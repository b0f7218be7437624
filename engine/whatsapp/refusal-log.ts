// What Meta's support asks for when sends are refused: the trace id of an answer, and how much of its request limits
// the account has used. One line a minute for each sender and error, so that a flood of refusals stays readable.

import type { Log } from "../runtime/log.ts";
import { asInteger, asObject, asText, parseForeignJson } from "./foreign-json.ts";
import type { SendAnswer } from "./send-answer.ts";

const LOG_EVERY_MS = 60_000;
/** Pairs of sender and error; the table starts anew beyond it. */
export const REFUSALS_MAX = 1000;

interface Refusals {
  loggedMonotonicMs: number;
  /** Since the last line. */
  count: number;
}

export class RefusalLog {
  readonly #log: Log;
  readonly #refusals = new Map<string, Refusals>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Answers that are no refusal cost one comparison. */
  note(senderId: string, answer: SendAnswer, monotonicMs: number): void {
    if (answer.kind !== "answered" || answer.httpStatus < 400) return;
    const error = asObject(asObject(parseForeignJson(answer.body))?.["error"]);
    const errorCode = asInteger(error?.["code"]);
    const key = `${errorCode ?? `http-${answer.httpStatus}`} ${senderId}`;
    const known = this.#refusals.get(key) ?? { loggedMonotonicMs: Number.NEGATIVE_INFINITY, count: 0 };
    known.count++;
    if (monotonicMs - known.loggedMonotonicMs >= LOG_EVERY_MS) {
      this.#log.info("send.refused", {
        senderId,
        errorCode,
        errorSubcode: asInteger(error?.["error_subcode"]),
        httpStatus: answer.httpStatus,
        fbtraceId: asText(error?.["fbtrace_id"]),
        usage: answer.usage ?? "",
        count: known.count,
      });
      known.loggedMonotonicMs = monotonicMs;
      known.count = 0;
    }
    if (this.#refusals.size >= REFUSALS_MAX) this.#refusals.clear();
    this.#refusals.set(key, known);
  }
}
