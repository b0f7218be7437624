// A real HTTP server that speaks the operators' API: the engine's own handlers over plain maps, on a socket.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

import type { HttpReply, Route } from "../../engine/runtime/http.ts";
import { ADMIN_KEY, InMemoryEngine, paramsOf } from "../api/in-memory-engine.ts";

export interface ApiServer {
  readonly engine: InMemoryEngine;
  readonly url: string;
  /** What a command needs to find it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Bodies of dry runs, as they came. */
  readonly dryRuns: string[];
  close(): Promise<void>;
}

export async function startApiServer(): Promise<ApiServer> {
  const engine = new InMemoryEngine();
  const dryRuns: string[] = [];
  const routes = [...engine.routes, dryRunRoute(dryRuns)];
  const server = createServer((request, response) => void serve(routes, request, response));
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${portOf(server)}`;
  return {
    engine,
    url,
    dryRuns,
    environment: { VOLLEY_URL: url, VOLLEY_API_KEY: ADMIN_KEY },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function dryRunRoute(dryRuns: string[]): Route {
  return {
    method: "post",
    pattern: "/api/campaigns/:campaignId/trigger",
    bodyBytesMax: 1_000_000,
    handle(request, reply) {
      dryRuns.push(request.body.toString());
      const answer = {
        dryRun: true,
        phoneNumber: "+14155552671",
        message: "Hi Maria",
        ...(request.body.includes("checkout_token") && {
          sendAt: "2026-11-23T13:00:00.000Z",
          key: null,
          cancels: [{ campaign: "abandoned-cart", key: "t1" }],
        }),
        request: { to: "+14155552671" },
      };
      reply.send({ status: 200, body: JSON.stringify(request.query === "dryRun=true" ? answer : {}) });
    },
  };
}

async function serve(routes: readonly Route[], request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname: path, search } = new URL(request.url ?? "/", "http://localhost");
  const method = request.method ?? "";
  const body = await buffer(request);
  const headers = new Map(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  for (const route of routes) {
    const params = paramsOf(route.pattern, path);
    if (route.method !== method.toLowerCase() || params === null) continue;
    const call = { method, path, query: search.slice(1), params, headers, body, remoteAddress: "127.0.0.1" };
    try {
      await route.handle(call, replyOn(response));
    } catch {
      // As the engine's server does: a cut answer is the only honest one then.
      response.destroy();
    }
    return;
  }
  response.writeHead(404).end();
}

function replyOn(response: ServerResponse): HttpReply {
  return {
    isAborted: false,
    send: ({ status, headers, body }) => void response.writeHead(status, headers).end(body ?? ""),
    stream({ status, headers }) {
      response.writeHead(status, headers);
      return {
        write: (chunk) => new Promise((resolve) => response.write(chunk, () => resolve(true))),
        end: () => void response.end(),
      };
    },
    onAbort: (call) => void response.once("close", call),
  };
}

function portOf(server: Server): number {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server that listens has one.
  return (server.address() as AddressInfo).port;
}
