// A real server on a free port, and a client that writes raw bytes.

import { once } from "node:events";
import { connect, type Socket } from "node:net";

import { startUwsServer, type UwsServer, type UwsServerOptions } from "../../engine/ingress/uws-server.ts";
import type { HttpRequest, Route } from "../../engine/runtime/http.ts";
import type { LogFields } from "../../engine/runtime/log.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";

export interface LogLine {
  readonly level: "info" | "warn" | "error";
  readonly event: string;
  readonly fields: LogFields;
}

export interface TestServer extends UwsServer {
  readonly url: string;
  readonly lines: readonly LogLine[];
}

export function memoryLog(): { lines: LogLine[]; info: Write; warn: Write; error: Write } {
  const lines: LogLine[] = [];
  const at =
    (level: LogLine["level"]): Write =>
    (event, fields = {}) =>
      void lines.push({ level, event, fields });
  return { lines, info: at("info"), warn: at("warn"), error: at("error") };
}

type Write = (event: string, fields?: LogFields) => void;

export async function startServer(routes: Route[], options: Partial<UwsServerOptions> = {}): Promise<TestServer> {
  const log = memoryLog();
  const server = await startUwsServer({ host: "127.0.0.1", port: 0, routes, log, clock: systemClock, ...options });
  return { ...server, url: `http://127.0.0.1:${server.port}`, lines: log.lines };
}

/** Answers 200 with what arrived. */
export const echoRoute: Route = {
  method: "post",
  pattern: "/echo/:name",
  bodyBytesMax: 1000,
  handle: (request, reply) => reply.send({ status: 200, body: JSON.stringify(view(request)) }),
};

function view(request: HttpRequest): unknown {
  const { method, path, query, params, headers, body, remoteAddress } = request;
  return {
    method,
    path,
    query,
    params,
    headers: Object.fromEntries(headers),
    body: body.toString("latin1"),
    remoteAddress,
  };
}

export async function openSocket(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** Writes the bytes and gives back all that comes until the server closes the connection. */
export async function exchange(port: number, bytes: string | Uint8Array): Promise<string> {
  const socket = await openSocket(port);
  const answer = readToClose(socket);
  socket.write(bytes);
  return answer;
}

export function readToClose(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (data) => (text += data.toString("latin1")));
    socket.on("close", () => resolve(text));
  });
}

/** What comes until the text holds the pattern, or the connection closes. */
export function readUntil(socket: Socket, pattern: RegExp): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const look = (data: Buffer): void => {
      text += data.toString("latin1");
      if (!pattern.test(text)) return;
      socket.off("data", look);
      resolve(text);
    };
    socket.on("data", look);
    socket.on("close", () => resolve(text));
  });
}

// What a test expects is what it reads.
// oxlint-disable-next-line no-explicit-any
export type JsonObject = Record<string, any>;

export async function jsonOf(response: Response): Promise<JsonObject> {
  return parseObject(await response.text());
}

/** Empty for what is no JSON object. */
export function parseObject(text: string): JsonObject {
  return text.startsWith("{") ? JSON.parse(text) : {};
}

export interface Deferred<Value> {
  readonly promise: Promise<Value>;
  resolve(value: Value): void;
}

export function deferred<Value = void>(): Deferred<Value> {
  const settle: { resolve?: (value: Value) => void } = {};
  const promise = new Promise<Value>((resolve) => {
    settle.resolve = resolve;
  });
  return { promise, resolve: (value) => settle.resolve?.(value) };
}
