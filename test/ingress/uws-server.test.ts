import assert from "node:assert/strict";
import { after, test } from "node:test";

import type { HttpReply, Route } from "../../engine/runtime/http.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import {
  deferred,
  echoRoute,
  exchange,
  jsonOf,
  openSocket,
  readToClose,
  readUntil,
  startServer,
} from "./server-kit.ts";

const BODY_BYTES_MAX = 1000;
const held = deferred<HttpReply>();

const routes: Route[] = [
  echoRoute,
  {
    method: "get",
    pattern: "/hello",
    bodyBytesMax: 0,
    handle: (_, reply) => reply.send({ status: 200, body: "hello" }),
  },
  { method: "delete", pattern: "/hello", bodyBytesMax: 0, handle: (_, reply) => reply.send({ status: 204 }) },
  {
    method: "post",
    pattern: "/throws",
    bodyBytesMax: BODY_BYTES_MAX,
    handle: () => {
      throw new Error("a bug");
    },
  },
  {
    method: "post",
    pattern: "/rejects",
    bodyBytesMax: BODY_BYTES_MAX,
    handle: () => Promise.reject(new Error("a late bug")),
  },
  {
    method: "post",
    pattern: "/large",
    bodyBytesMax: 5 * 1024 * 1024,
    handle: (request, reply) => reply.send({ status: 200, body: String(request.body.length) }),
  },
  { method: "get", pattern: "/held", bodyBytesMax: 0, handle: (_, reply) => held.resolve(reply) },
];

const server = await startServer(routes);
after(() => server.close());

const post = (path: string, body: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(server.url + path, { method: "POST", body, headers });

test("hands on method, path, query, decoded parameters, headers in lower case, body and address", async () => {
  const response = await post("/echo/caf%C3%A9?a=1&b", "payload", { "X-Thing": "Value" });
  assert.equal(response.status, 200);
  const seen = await jsonOf(response);
  assert.deepEqual(
    { ...seen, headers: seen["headers"]["x-thing"] },
    {
      method: "POST",
      path: "/echo/caf%C3%A9",
      query: "a=1&b",
      params: ["café"],
      headers: "Value",
      body: "payload",
      remoteAddress: "127.0.0.1",
    },
  );
});

test("leaves a parameter as it came when it is not well encoded", async () => {
  const response = await post("/echo/%E0%A4%A", "");
  assert.deepEqual((await jsonOf(response))["params"], ["%E0%A4%A"]);
});

test("answers an unknown path with 404 not_found as a problem", async () => {
  const response = await post("/nowhere", "{}");
  assert.equal(response.status, 404);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal((await jsonOf(response))["code"], "not_found");
});

test("answers a wrong method with 405 and the methods that are right", async () => {
  const response = await fetch(`${server.url}/hello`, { method: "PATCH", body: "x" });
  assert.equal(response.status, 405);
  assert.equal(response.headers.get("allow"), "GET, HEAD, DELETE");
  assert.equal((await jsonOf(response))["code"], "method_not_allowed");
});

test("answers HEAD like GET, without the body", async () => {
  const text = await exchange(server.port, "HEAD /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(text, /content-length: 5\r\n/i);
  assert.ok(text.endsWith("\r\n\r\n"), text);
});

test("answers HEAD on a path that is not there with a bare 404", async () => {
  const response = await fetch(`${server.url}/nowhere`, { method: "HEAD" });
  assert.equal(response.status, 404);
  assert.equal(await response.text(), "");
});

test("takes a body of exactly the limit, and answers 413 naming the limit for one byte more", async () => {
  assert.equal((await post("/echo/a", "x".repeat(BODY_BYTES_MAX))).status, 200);
  const response = await post("/echo/a", "x".repeat(BODY_BYTES_MAX + 1));
  assert.equal(response.status, 413);
  const { code, detail } = await jsonOf(response);
  assert.equal(code, "payload_too_large");
  assert.match(detail, /1000 bytes/);
});

test("a caller far beyond the limit still gets to read the 413", async () => {
  const response = await post("/large", "x".repeat(6 * 1024 * 1024));
  assert.equal(response.status, 413);
});

test("counts a chunked body by its running sum", async () => {
  const socket = await openSocket(server.port);
  const answer = readToClose(socket);
  socket.write("POST /echo/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (let piece = 0; piece < 3; piece++) socket.write(`190\r\n${"y".repeat(0x190)}\r\n`);
  socket.write("0\r\n\r\n");
  assert.match(await answer, /^HTTP\/1\.1 413 /);
});

test("reads nothing of a body that is declared far too large", async () => {
  const request = "POST /echo/a HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000\r\n\r\n";
  assert.match(await exchange(server.port, request), /^HTTP\/1\.1 413 /);
});

test("lets a caller who asks first send its body", async () => {
  const socket = await openSocket(server.port);
  const permission = readUntil(socket, /100 Continue/);
  socket.write("POST /echo/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  assert.match(await permission, /100 Continue/);
  const answer = readUntil(socket, /"body":"after"/);
  socket.write("after");
  assert.match(await answer, /"body":"after"/);
  socket.destroy();
});

test("puts a body together that comes in pieces", async () => {
  const body = Array.from({ length: 200_000 }, (_, index) => index % 10).join("");
  assert.equal(await (await post("/large", body)).text(), String(body.length));
});

test("puts a chunked body together that comes byte by byte", async () => {
  const socket = await openSocket(server.port);
  const answer = readUntil(socket, /"body":"[^"]*"/);
  socket.write("POST /echo/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (const character of "piecemeal") socket.write(`1\r\n${character}\r\n`);
  socket.write("0\r\n\r\n");
  assert.match(await answer, /"body":"piecemeal"/);
  socket.destroy();
});

test("a handler that throws is logged without its path and answered with 500", async () => {
  for (const [path, reason] of [
    ["/throws", "a bug"],
    ["/rejects", "a late bug"],
  ] as const) {
    const response = await post(path, "");
    assert.equal(response.status, 500);
    assert.equal((await jsonOf(response))["code"], "internal_error");
    const line = server.lines.findLast(({ event }) => event === "request.failed");
    assert.deepEqual([line?.fields["pattern"], line?.fields["reason"]], [path, reason]);
  }
});

test("an answer after the client has gone does nothing", async () => {
  const socket = await openSocket(server.port);
  socket.write("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
  const reply = await held.promise;
  const gone = deferred();
  reply.onAbort(() => gone.resolve());
  socket.destroy();
  await gone.promise;
  assert.equal(reply.isAborted, true);
  reply.send({ status: 200, body: "too late" });
  reply.send({ status: 200, body: "again" });
  assert.equal(await reply.stream({ status: 200, headers: {} }).write(Buffer.from("x")), false);
  assert.equal((await fetch(`${server.url}/hello`)).status, 200);
  assert.equal(server.lines.filter(({ event }) => event === "response.failed").length, 0);
});

test("only the first answer counts", async () => {
  const route: Route = {
    method: "get",
    pattern: "/",
    bodyBytesMax: 0,
    handle: (_, reply) => {
      reply.send({ status: 200, body: "first" });
      reply.send({ status: 500, body: "second" });
    },
  };
  const other = await startServer([route]);
  assert.equal(await (await fetch(other.url)).text(), "first");
  other.close();
});

test("a handler that never answers costs the caller its deadline, not the process", async () => {
  const other = await startServer([{ ...echoRoute, handle: () => {} }], { requestTimeoutMs: 50 });
  const response = await fetch(`${other.url}/echo/a`, { method: "POST", body: "x" });
  assert.equal(response.status, 503);
  assert.equal((await jsonOf(response))["code"], "timed_out");
  assert.equal(other.inFlight(), 0);
  other.close();
});

test("a body that never ends costs the caller its connection at the deadline", async () => {
  const other = await startServer([echoRoute], { requestTimeoutMs: 50 });
  const text = await exchange(other.port, "POST /echo/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
  assert.match(text, /^HTTP\/1\.1 503 /);
  other.close();
});

test("refuses an address that is taken, instead of sharing it silently", async () => {
  await assert.rejects(startServer([echoRoute], { port: server.port }), {
    code: "ERR_INGRESS_LISTEN",
    message: /127\.0\.0\.1:\d+/,
  });
});

test("stopListening takes no new connection and closes open ones with their answers", async () => {
  const first = deferred<HttpReply>();
  const other = await startServer([{ ...echoRoute, method: "get", handle: (_, reply) => first.resolve(reply) }]);
  const socket = await openSocket(other.port);
  const answer = readToClose(socket);
  socket.write("GET /echo/a HTTP/1.1\r\nHost: a\r\n\r\n");
  const reply = await first.promise;
  other.stopListening();
  other.stopListening();
  await assert.rejects(fetch(other.url));
  assert.equal(other.inFlight(), 1);
  reply.send({ status: 200, body: "drained" });
  assert.match(await answer, /drained$/);
  assert.equal(other.inFlight(), 0);
  other.close();
});

test("answers 503 beyond the limit of requests in flight, and takes more once one is answered", async () => {
  const first = deferred<HttpReply>();
  const wait: Route = { ...echoRoute, method: "get", pattern: "/wait", handle: (_, reply) => first.resolve(reply) };
  const other = await startServer([echoRoute, wait], { inFlightMax: 1 });
  const waiting = fetch(`${other.url}/wait`);
  const reply = await first.promise;
  const refused = await fetch(`${other.url}/echo/a`, { method: "POST", body: "x" });
  assert.deepEqual([refused.status, (await jsonOf(refused))["code"]], [503, "overloaded"]);
  reply.send({ status: 200 });
  await waiting;
  assert.equal((await fetch(`${other.url}/echo/a`, { method: "POST", body: "x" })).status, 200);
  other.close();
});

test("close cuts what is not answered", async () => {
  const first = deferred<HttpReply>();
  const other = await startServer([{ ...echoRoute, method: "get", handle: (_, reply) => first.resolve(reply) }]);
  const answer = exchange(other.port, "GET /echo/a HTTP/1.1\r\nHost: a\r\n\r\n");
  const reply = await first.promise;
  other.close();
  other.close();
  assert.equal(await answer, "");
  assert.equal(reply.isAborted, true);
  reply.send({ status: 200 });
});

test("the clock's timers are the only thing that keeps a deadline", async () => {
  let cancelled = 0;
  const clock = { ...systemClock, after: () => () => void cancelled++ };
  const other = await startServer([echoRoute], { clock });
  other.close();
  assert.equal(cancelled, 1);
});
