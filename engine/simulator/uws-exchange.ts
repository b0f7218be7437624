// One HTTP exchange of the simulator. No other file touches uWebSockets' response: a touch after the client has gone
// ends the process, so every write passes the guard here.

import type { HttpResponse } from "uWebSockets.js";

export interface ExchangeAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const JSON_TYPE = "application/json; charset=UTF-8";
export const HTML_TYPE = "text/html; charset=utf-8";

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  202: "Accepted",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  413: "Payload Too Large",
  429: "Too Many Requests",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
};

export class UwsExchange {
  readonly #response: HttpResponse;
  /** Of the version that the caller asked for; empty for the control routes. */
  readonly #apiVersion: string;
  #isOver = false;

  constructor(response: HttpResponse, apiVersion: string) {
    this.#response = response;
    this.#apiVersion = apiVersion;
    response.onAborted(() => {
      this.#isOver = true;
    });
  }

  /** Answered, cut, or left by the client. */
  get isOver(): boolean {
    return this.#isOver;
  }

  answer(answer: ExchangeAnswer): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#response.cork(() => {
      this.#response.writeStatus(`${answer.status} ${REASONS[answer.status] ?? "Error"}`);
      this.#response.writeHeader("content-type", answer.contentType);
      if (this.#apiVersion !== "") this.#response.writeHeader("facebook-api-version", this.#apiVersion);
      for (const name in answer.headers) this.#response.writeHeader(name, answer.headers[name] ?? "");
      this.#response.end(answer.body);
    });
  }

  /** Closes the connection without an answer. */
  cut(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#response.close();
  }

  /** Calls once with the whole body as text; a body beyond `bytesMax` is answered with 413 and never delivered. */
  readBody(bytesMax: number, done: (body: string) => void): void {
    let earlier: Buffer | null = null;
    this.#response.onData((chunk, isLast) => {
      if (this.#isOver) return;
      const bytes = Buffer.from(chunk);
      if ((earlier?.length ?? 0) + bytes.length > bytesMax) {
        this.answer({
          status: 413,
          contentType: JSON_TYPE,
          body: '{"error":{"message":"Request body is too large"}}',
        });
        return;
      }
      // The chunk's memory is uWebSockets' own again after this call: a later part needs copies, one part does not.
      if (isLast) done(earlier === null ? bytes.toString("utf8") : Buffer.concat([earlier, bytes]).toString("utf8"));
      else earlier = earlier === null ? Buffer.from(bytes) : Buffer.concat([earlier, bytes]);
    });
  }
}
