// The HTTP server: routes, bodies, limits and deadlines in front of handlers that never see a socket. Whatever a handler
// does, or fails to do, ends in an answer or a closed connection, never in a crash.

import type {
  HttpRequest as UwsRequest,
  HttpResponse as UwsResponse,
  TemplatedApp,
  us_listen_socket,
} from "uWebSockets.js";

import type { Clock } from "../runtime/clock.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import { problem, type HttpRequest, type HttpResponse, type Route } from "../runtime/http.ts";
import type { Log } from "../runtime/log.ts";
import { loadUws } from "../runtime/uws-module.ts";
import { BodyBuffer } from "./body-buffer.ts";
import { readHeaders } from "./request-headers.ts";
import { UwsReply, type ReplyOwner } from "./uws-response.ts";

export interface UwsServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly routes: readonly Route[];
  readonly log: Log;
  readonly clock: Clock;
  /** From the request's header to its answer, unless it streams; then 503. Default {@link REQUEST_TIMEOUT_MS}. */
  readonly requestTimeoutMs?: number;
  /** Requests beyond it get 503. Default {@link IN_FLIGHT_MAX}. */
  readonly inFlightMax?: number;
}

export interface UwsServer {
  /** The one that is listened on. */
  readonly port: number;
  /** The library, its release and file. */
  readonly description: string;
  /** Takes no new connection; requests on open ones are answered, with the connection closed after each. */
  stopListening(): void;
  /** Stops listening and cuts every request that is not answered yet. */
  close(): void;
  /** Requests without a complete answer. */
  inFlight(): number;
}

const REQUEST_TIMEOUT_MS = 30_000;
/** The deadline is looked at this often; one timer serves all requests. */
const TICK_MS_MAX = 1000;
const TICKS_PER_TIMEOUT = 5;
/** More would be memory, not work: the path behind answers within milliseconds or says 503. */
const IN_FLIGHT_MAX = 20_000;
/** Memory for bodies that come in pieces, over all requests. */
const BODY_BYTES_HELD_MAX = 512 * 1024 * 1024;
/** How much of a body that is too large is read and dropped, so that the caller lives to read the 413. */
const DISCARDED_BYTES_MAX = 32 * 1024 * 1024;
/** uSockets: fail when another process listens; its default would share the port silently. */
const LISTEN_EXCLUSIVELY = 1;

/** @throws EngineError ERR_INGRESS_LISTEN when the address is taken or not this machine's; as {@link loadUws}. */
export async function startUwsServer(options: UwsServerOptions): Promise<UwsServer> {
  const { uws, description } = loadUws();
  const app = uws.App();
  const desk = new RequestDesk(options);
  registerRoutes(app, options.routes, desk);
  const socket = await listen(app, options);
  desk.startDeadlines();
  let isListening = true;
  const stopListening = (): void => {
    desk.isClosing = true;
    if (!isListening) return;
    isListening = false;
    uws.us_listen_socket_close(socket);
  };
  return {
    port: uws.us_socket_local_port(socket),
    description,
    stopListening,
    close: () => {
      stopListening();
      desk.close();
      // Ends the idle keep-alive connections too.
      app.close();
    },
    inFlight: () => desk.size,
  };
}

function listen(app: TemplatedApp, { host, port }: UwsServerOptions): Promise<us_listen_socket> {
  return new Promise((resolve, reject) => {
    const listening = (socket: us_listen_socket | false): void => {
      if (socket !== false) return resolve(socket);
      const message = `Cannot listen on ${host}:${port}: another process does, or the address is not this machine's.`;
      reject(new EngineError("ERR_INGRESS_LISTEN", message));
    };
    // The native function takes host and options together; the declarations know only one or the other.
    Reflect.apply(Reflect.get(app, "listen"), app, [host, port, LISTEN_EXCLUSIVELY, listening]);
  });
}

function registerRoutes(app: TemplatedApp, routes: readonly Route[], desk: RequestDesk): void {
  const methodsOf = new Map<string, string[]>();
  for (const route of routes) {
    const parameters = (route.pattern.match(/:\w+/g) ?? []).length;
    const handle = (response: UwsResponse, request: UwsRequest): void =>
      desk.receive(response, request, { route, parameters });
    const methods = methodsOf.get(route.pattern) ?? [];
    methods.push(route.method.toUpperCase());
    methodsOf.set(route.pattern, methods);
    if (route.method === "delete") app.del(route.pattern, handle);
    else app[route.method](route.pattern, handle);
    if (route.method !== "get") continue;
    // RFC 9110 §9.3.2: the same answer without its body.
    app.head(route.pattern, handle);
    methods.push("HEAD");
  }
  for (const [pattern, methods] of methodsOf) {
    const answer = methodNotAllowed(methods.join(", "));
    app.any(pattern, (response, request) => desk.refuse(response, request, answer));
  }
  app.any("/*", (response, request) => desk.refuse(response, request, NOT_FOUND));
}

interface RouteMatch {
  readonly route: Route;
  /** How many `:name` parts the pattern has. */
  readonly parameters: number;
}

/** Every request between its header and its answer. */
class RequestDesk implements ReplyOwner {
  isClosing = false;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #inFlightMax: number;
  /** In order of arrival, which is the order of their deadlines. */
  readonly #open = new Set<UwsReply>();
  #tick = 0;
  #stopTicking: () => void = () => {};
  #bodyBytesHeld = 0;

  constructor({ log, clock, requestTimeoutMs = REQUEST_TIMEOUT_MS, inFlightMax = IN_FLIGHT_MAX }: UwsServerOptions) {
    this.#log = log;
    this.#clock = clock;
    this.#timeoutMs = requestTimeoutMs;
    this.#inFlightMax = inFlightMax;
  }

  get size(): number {
    return this.#open.size;
  }

  settled(reply: UwsReply): void {
    this.#open.delete(reply);
    this.#bodyBytesHeld -= reply.bodyBytesHeld;
  }

  onFault(error: unknown): void {
    this.#log.error("response.failed", { reason: messageOf(error) });
  }

  startDeadlines(): void {
    const tickMs = Math.min(TICK_MS_MAX, Math.ceil(this.#timeoutMs / TICKS_PER_TIMEOUT));
    const ticksMax = Math.ceil(this.#timeoutMs / tickMs);
    const answer = timedOut(this.#timeoutMs);
    this.#stopTicking = this.#clock.after(tickMs, () => {
      this.#tick++;
      for (const reply of this.#open) {
        if (this.#tick - reply.startedTick <= ticksMax) break;
        reply.send(answer);
      }
      this.startDeadlines();
    });
  }

  close(): void {
    this.#stopTicking();
    for (const reply of this.#open) reply.close();
  }

  /** A request that no handler wants. */
  refuse(response: UwsResponse, request: UwsRequest, answer: HttpResponse): void {
    const reply = this.#admit(response, request);
    if (readHeaders((call) => request.forEach(call)) === null) reply.close();
    else reply.send(answer);
  }

  receive(response: UwsResponse, uwsRequest: UwsRequest, match: RouteMatch): void {
    const reply = this.#admit(response, uwsRequest);
    const headers = readHeaders((call) => uwsRequest.forEach(call));
    if (headers === null) return reply.close();
    const request = new CopiedRequest(uwsRequest, match.parameters, headers, reply);
    // An answer before the body is complete ends the connection: nobody wants the rest.
    reply.closesConnection = true;
    if (this.#open.size > this.#inFlightMax) return reply.send(BUSY);
    const declaredBytes = Number(headers.get("content-length") ?? 0);
    if (declaredBytes > DISCARDED_BYTES_MAX) return reply.send(tooLarge(match.route.bodyBytesMax));
    this.#readBody(response, reply, match.route.bodyBytesMax, (body) => {
      reply.closesConnection = false;
      request.body = body;
      this.#handle(match.route, request, reply);
    });
  }

  #admit(response: UwsResponse, request: UwsRequest): UwsReply {
    const reply = new UwsReply(response, this, { isHead: request.getMethod() === "head", tick: this.#tick });
    this.#open.add(reply);
    return reply;
  }

  #readBody(response: UwsResponse, reply: UwsReply, bytesMax: number, done: (body: Buffer) => void): void {
    let body: BodyBuffer | null = null;
    response.onData((data, isLast) => {
      if (!reply.isOpen) return;
      const piece = new Uint8Array(data);
      // Nearly every body comes whole; its bytes are only lent, so they are copied, once.
      if (body === null && isLast && piece.length <= bytesMax) return done(Buffer.from(piece));
      body ??= new BodyBuffer(bytesMax);
      body.append(piece);
      this.#hold(reply, body.bytesHeld);
      if (body.length > DISCARDED_BYTES_MAX || (isLast && body.isOverLimit)) reply.send(tooLarge(bytesMax));
      else if (this.#bodyBytesHeld > BODY_BYTES_HELD_MAX) reply.send(BUSY);
      else if (isLast) done(body.take());
    });
  }

  #hold(reply: UwsReply, bytes: number): void {
    this.#bodyBytesHeld += bytes - reply.bodyBytesHeld;
    reply.bodyBytesHeld = bytes;
  }

  #handle(route: Route, request: HttpRequest, reply: UwsReply): void {
    try {
      const result = route.handle(request, reply);
      if (result !== undefined) result.catch((error: unknown) => this.#fail(route, reply, error));
    } catch (error) {
      this.#fail(route, reply, error);
    }
  }

  /** The pattern, never the path: a path may hold a token. */
  #fail(route: Route, reply: UwsReply, error: unknown): void {
    this.#log.error("request.failed", {
      method: route.method,
      pattern: route.pattern,
      reason: messageOf(error),
      stack: stackOf(error),
    });
    if (reply.isOpen) reply.send(INTERNAL_ERROR);
    else reply.close();
  }
}

/** Everything of the native request that outlives the handler's call, which is all that it may be read in. */
class CopiedRequest implements HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly params: readonly string[];
  readonly headers: ReadonlyMap<string, string>;
  body: Buffer = NO_BODY;
  readonly #reply: UwsReply;

  constructor(request: UwsRequest, parameters: number, headers: ReadonlyMap<string, string>, reply: UwsReply) {
    this.method = request.getMethod().toUpperCase();
    this.path = request.getUrl();
    this.query = request.getQuery();
    this.params = Array.from({ length: parameters }, (_, index) => decoded(request.getParameter(index) ?? ""));
    this.headers = headers;
    this.#reply = reply;
  }

  /** Asked for rarely and costly to make; empty after the answer. */
  get remoteAddress(): string {
    return this.#reply.remoteAddress();
  }
}

const NO_BODY = Buffer.alloc(0);

/** What is not well encoded stays as it came; it names nothing that exists. */
function decoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const NOT_FOUND = problem({ status: 404, code: "not_found", detail: "Nothing lives at this path." });

const BUSY = problem({
  status: 503,
  code: "overloaded",
  detail: "Too many requests are being worked on. Nothing was stored; send it again.",
  headers: { "retry-after": "5" },
});

const INTERNAL_ERROR = problem({
  status: 500,
  code: "internal_error",
  detail: "The engine failed to handle this request; its log says why.",
});

function methodNotAllowed(methods: string): HttpResponse {
  const detail = `This path takes ${methods}.`;
  return problem({ status: 405, code: "method_not_allowed", detail, headers: { allow: methods } });
}

function tooLarge(bytesMax: number): HttpResponse {
  const detail = `The body exceeds the limit of ${bytesMax} bytes.`;
  return problem({ status: 413, code: "payload_too_large", detail, more: { limitBytes: bytesMax } });
}

function timedOut(timeoutMs: number): HttpResponse {
  const detail = `No answer was ready within ${timeoutMs / 1000} s; whether the request took effect is not known.`;
  return problem({ status: 503, code: "timed_out", detail, headers: { "retry-after": "5" } });
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
