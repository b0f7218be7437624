// The only file that writes to a uWebSockets.js response. Its rules are deadly: a response that is touched after the
// client has gone throws, and one that is forgotten without an abort handler ends the process. So every write goes
// through here: once, corked, and only while the client is there.
//
//   open       until `send` or `stream`; the deadline answers 503
//   streaming  from `stream` to its `end`; no deadline, the client's own pace decides
//   done       answered, aborted or closed; every call does nothing

import type { HttpResponse as UwsResponse } from "uWebSockets.js";

import type { HttpReply, HttpResponse, ResponseStream } from "../runtime/http.ts";

/** What the server knows of its replies. */
export interface ReplyOwner {
  /** True while the server drains: the connection closes with the answer. */
  readonly isClosing: boolean;
  /** The reply is done, in whatever way. Called once. */
  settled(reply: UwsReply): void;
  /** Something that cannot happen did: the native side threw. */
  onFault(error: unknown): void;
}

/**
 * Chunks below this are put together: uWebSockets tells that the client is behind only for writes that do not fit into
 * its cork buffer of 16 KiB.
 */
const STREAM_CHUNK_BYTES_MIN = 32 * 1024;

const GONE = Promise.resolve(false);
const GO_ON = Promise.resolve(true);

export class UwsReply implements HttpReply {
  /** The server's tick at which the request came; it decides the deadline. */
  readonly startedTick: number;
  /** True until the body is complete: an answer before that ends the connection. */
  closesConnection = false;
  /** Memory that the server holds for the request's body. The server writes it. */
  bodyBytesHeld = 0;
  readonly #response: UwsResponse;
  readonly #owner: ReplyOwner;
  readonly #isHead: boolean;
  #phase: "open" | "streaming" | "done" = "open";
  #isAborted = false;
  #abortCalls: (() => void)[] = [];

  /** Must be made inside the route's handler: it registers the abort handler without which the process would end. */
  constructor(response: UwsResponse, owner: ReplyOwner, request: { isHead: boolean; tick: number }) {
    this.#response = response;
    this.#owner = owner;
    this.#isHead = request.isHead;
    this.startedTick = request.tick;
    response.onAborted(() => this.#abort());
  }

  get isAborted(): boolean {
    return this.#isAborted;
  }

  get isOpen(): boolean {
    return this.#phase === "open";
  }

  /** Empty once the answer is complete. */
  remoteAddress(): string {
    if (this.#phase === "done") return "";
    return Buffer.from(this.#response.getRemoteAddressAsText()).toString("latin1");
  }

  send(response: HttpResponse): void {
    if (this.#phase !== "open") return;
    this.#finish();
    this.#guard(() => this.#response.cork(() => this.#write(response)));
  }

  stream(head: { readonly status: number; readonly headers: Readonly<Record<string, string>> }): ResponseStream {
    if (this.#isHead) this.send(head);
    if (this.#phase !== "open") return new UwsStream(null);
    this.#phase = "streaming";
    const stream = new UwsStream({
      response: this.#response,
      isLive: () => this.#phase === "streaming",
      end: (rest) => this.#endStream(rest),
    });
    this.onAbort(() => stream.abort());
    this.#guard(() => this.#response.cork(() => this.#writeHead(head.status, head.headers)));
    return stream;
  }

  onAbort(call: () => void): void {
    if (this.#isAborted) call();
    else if (this.#phase !== "done") this.#abortCalls.push(call);
  }

  /** Closes the connection without an answer, or in the middle of one. */
  close(): void {
    if (this.#phase === "done") return;
    this.#guard(() => this.#response.close());
    // Usually uWebSockets has called it from within close.
    this.#abort();
  }

  #write({ status, headers, body }: HttpResponse): void {
    this.#writeHead(status, headers);
    const closes = this.closesConnection || this.#owner.isClosing;
    if (!this.#isHead) {
      this.#response.end(body ?? "", closes);
      return;
    }
    // The length is a header of ours, and no argument given: with one, the Node.js 20 binary waits for that many bytes.
    this.#response.writeHeader("content-length", String(body === undefined ? 0 : Buffer.byteLength(body)));
    this.#response.endWithoutBody();
  }

  #writeHead(status: number, headers: Readonly<Record<string, string>> | undefined): void {
    this.#response.writeStatus(statusLine(status));
    for (const name in headers) this.#response.writeHeader(name, headers[name] ?? "");
  }

  #endStream(rest: Uint8Array): void {
    if (this.#phase !== "streaming") return;
    this.#finish();
    const closes = this.closesConnection || this.#owner.isClosing;
    this.#guard(() =>
      this.#response.cork(() => {
        if (rest.length > 0) this.#response.write(rest);
        this.#response.end(undefined, closes);
      }),
    );
  }

  #finish(): void {
    this.#phase = "done";
    this.#owner.settled(this);
  }

  #abort(): void {
    if (this.#phase === "done") return;
    this.#isAborted = true;
    this.#finish();
    const calls = this.#abortCalls;
    this.#abortCalls = [];
    for (const call of calls) this.#guard(call);
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#owner.onFault(error);
    }
  }
}

/** What a stream may do to the reply it belongs to. */
interface StreamTarget {
  readonly response: UwsResponse;
  isLive(): boolean;
  end(rest: Uint8Array): void;
}

class UwsStream implements ResponseStream {
  readonly #target: StreamTarget | null;
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  #resume: ((hasRoom: boolean) => void) | null = null;

  /** @param target null: the client has gone before the stream began. */
  constructor(target: StreamTarget | null) {
    this.#target = target;
    target?.response.onWritable(() => {
      this.#wake(true);
      return true;
    });
  }

  write(chunk: Uint8Array): Promise<boolean> {
    const target = this.#target;
    if (target === null || !target.isLive()) return GONE;
    if (this.#pieceBytes + chunk.length < STREAM_CHUNK_BYTES_MIN) {
      // Copied: the caller may fill its buffer again.
      this.#pieces.push(new Uint8Array(chunk));
      this.#pieceBytes += chunk.length;
      return GO_ON;
    }
    return this.#flush(target, this.#pieceBytes === 0 ? chunk : Buffer.concat([this.#takePieces(), chunk]));
  }

  #flush(target: StreamTarget, chunk: Uint8Array): Promise<boolean> {
    let hasRoom = false;
    target.response.cork(() => {
      hasRoom = target.response.write(chunk);
    });
    if (hasRoom) return GO_ON;
    this.#wake(true);
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  end(): void {
    this.#target?.end(this.#takePieces());
  }

  abort(): void {
    this.#wake(false);
  }

  #wake(hasRoom: boolean): void {
    const resume = this.#resume;
    this.#resume = null;
    resume?.(hasRoom);
  }

  #takePieces(): Uint8Array {
    const whole = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#pieceBytes = 0;
    return whole;
  }
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  304: "Not Modified",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  412: "Precondition Failed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

const STATUS_LINES = new Map(
  Object.entries(REASONS).map(([status, reason]) => [Number(status), `${status} ${reason}`]),
);

function statusLine(status: number): string {
  return STATUS_LINES.get(status) ?? `${status} Other`;
}
