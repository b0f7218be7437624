import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setImmediate } from "node:timers/promises";

import type { UwsServerOptions } from "../../engine/ingress/uws-server.ts";
import type { HttpReply, ResponseStream, Route } from "../../engine/runtime/http.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { deferred, exchange, openSocket, readToClose, startServer } from "./server-kit.ts";

const HEAD = { status: 200, headers: { "content-type": "text/csv" } };
const GET = "GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const CHUNKS = 1024;

/** Writes until the client is behind, or all is written. Gives back how many chunks went, and the last promise. */
async function writeUntilStalled(
  stream: ResponseStream,
  chunk: Uint8Array,
): Promise<{ chunks: number; last: Promise<boolean> }> {
  for (let chunks = 1; ; chunks++) {
    const last = stream.write(chunk);
    const isStalled = await Promise.race([last.then(() => false), setImmediate(true)]);
    if (isStalled || chunks === CHUNKS) return { chunks, last };
  }
}

async function startStreaming(options: Partial<UwsServerOptions> = {}): Promise<{
  server: Awaited<ReturnType<typeof startServer>>;
  reply: Promise<HttpReply>;
}> {
  const reply = deferred<HttpReply>();
  const route: Route = {
    method: "get",
    pattern: "/stream",
    bodyBytesMax: 0,
    handle: (_, given) => reply.resolve(given),
  };
  const server = await startServer([route], options);
  after(() => server.close());
  return { server, reply: reply.promise };
}

for (const [size, bytes] of [
  ["large", 64 * 1024],
  ["small", 8 * 1024],
] as const) {
  test(`holds the writer of ${size} chunks back while the client does not read, and loses nothing`, async () => {
    const { server, reply } = await startStreaming();
    const socket = await openSocket(server.port);
    socket.pause();
    socket.write(GET);
    const stream = (await reply).stream(HEAD);
    const chunk = Buffer.alloc(bytes, "c");
    const { chunks, last } = await writeUntilStalled(stream, chunk);
    assert.ok(chunks < CHUNKS, `took ${chunks * bytes} bytes without a reader`);
    const received = readToClose(socket);
    socket.resume();
    assert.equal(await last, true);
    for (let more = 0; more < 100; more++) await stream.write(chunk);
    stream.end();
    assert.equal(countBody(await received), (chunks + 100) * bytes);
  });
}

/** Bytes of a chunked body. */
function countBody(text: string): number {
  let position = text.indexOf("\r\n\r\n") + 4;
  let sum = 0;
  for (;;) {
    const lineEnd = text.indexOf("\r\n", position);
    const size = Number.parseInt(text.slice(position, lineEnd), 16);
    if (size === 0 || Number.isNaN(size)) return sum;
    sum += size;
    position = lineEnd + 2 + size + 2;
  }
}

test("tells the writer that the client has gone, also while it waits", async () => {
  const { server, reply } = await startStreaming();
  const socket = await openSocket(server.port);
  socket.pause();
  socket.write(GET);
  const stream = (await reply).stream(HEAD);
  const { last } = await writeUntilStalled(stream, Buffer.alloc(64 * 1024));
  socket.destroy();
  assert.equal(await last, false);
  assert.equal(await stream.write(Buffer.from("more")), false);
  stream.end();
  assert.equal(server.inFlight(), 0);
});

test("gives a stream no deadline", async () => {
  const ticks: (() => void)[] = [];
  const keepTimer = (_: number, call: () => void): (() => void) => {
    ticks.push(call);
    return () => {};
  };
  const { server, reply } = await startStreaming({ clock: { ...systemClock, after: keepTimer } });
  const answer = exchange(server.port, GET);
  const stream = (await reply).stream(HEAD);
  await stream.write(Buffer.from("first,"));
  for (let tick = 0; tick < 100; tick++) ticks.shift()?.();
  await stream.write(Buffer.from("second"));
  stream.end();
  assert.match((await answer).replaceAll("\r\n", ""), /first,second/);
});

test("answers HEAD without streaming", async () => {
  const reply = deferred<boolean>();
  const route: Route = {
    method: "get",
    pattern: "/stream",
    bodyBytesMax: 0,
    handle: async (_, given) => reply.resolve(await given.stream(HEAD).write(Buffer.from("x"))),
  };
  const server = await startServer([route]);
  const text = await exchange(server.port, GET.replace("GET", "HEAD"));
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/);
  assert.equal(await reply.promise, false);
  server.close();
});

test("a writer that fails half way cuts the connection, so that the file is not taken for whole", async () => {
  const route: Route = {
    method: "get",
    pattern: "/stream",
    bodyBytesMax: 0,
    handle: async (_, reply) => {
      await reply.stream(HEAD).write(Buffer.alloc(64 * 1024, "c"));
      throw new Error("disk gone");
    },
  };
  const server = await startServer([route]);
  const text = await exchange(server.port, GET);
  assert.doesNotMatch(text, /\r\n0\r\n\r\n$/);
  assert.equal(server.lines.at(-1)?.fields["reason"], "disk gone");
  assert.equal(server.inFlight(), 0);
  server.close();
});
