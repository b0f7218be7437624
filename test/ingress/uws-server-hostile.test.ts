// What a hostile client can send: every vector either ends in a closed connection or in one plain answer, and the
// second request that it tries to smuggle is never seen.

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { after, test } from "node:test";

import type { Route } from "../../engine/runtime/http.ts";
import { chance } from "../support/chance.ts";
import { mutatedRequest } from "../support/mutation.ts";
import { exchange, openSocket, readUntil, startServer } from "./server-kit.ts";

const seen: string[] = [];
const routes: Route[] = ["/in", "/smuggled"].map((pattern) => ({
  method: "post",
  pattern,
  bodyBytesMax: 1000,
  handle: (request, reply) => {
    seen.push(`${request.path} ${request.body.toString("latin1")}`);
    reply.send({ status: 200, body: "ok" });
  },
}));
const server = await startServer(routes);
after(() => server.close());

const SMUGGLED = "POST /smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

const refused: Record<string, string> = {
  "two different Content-Lengths": `Host: a\r\nContent-Length: 5\r\nContent-Length: 40\r\n\r\nhello${SMUGGLED}`,
  "two equal Content-Lengths": "Host: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
  "Content-Length beside Transfer-Encoding": `Host: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "an empty Content-Length beside Transfer-Encoding": `Host: a\r\nContent-Length:\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "an empty Content-Length": "Host: a\r\nContent-Length:\r\n\r\n",
  "a Content-Length with a sign": "Host: a\r\nContent-Length: +5\r\n\r\nhello",
  "a list of Content-Lengths": "Host: a\r\nContent-Length: 5,5\r\n\r\nhello",
  "a Content-Length in hexadecimal": "Host: a\r\nContent-Length: 0x5\r\n\r\nhello",
  "Transfer-Encoding: identity": `Host: a\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "Transfer-Encoding: gzip, chunked": "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
  "Transfer-Encoding: Chunked with a capital": "Host: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
  "Transfer-Encoding twice": "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "Transfer-Encoding: xchunked": "Host: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
  "two Hosts": "Host: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n",
};

for (const [name, rest] of Object.entries(refused)) {
  for (const path of ["/in", "/nowhere"]) {
    test(`closes the connection on ${name}, at ${path}`, async () => {
      seen.length = 0;
      const text = await exchange(server.port, `POST ${path} HTTP/1.1\r\n${rest}`);
      // Nothing, or the library's own refusal before any handler.
      assert.match(text, /^$|^HTTP\/1\.1 4\d\d /);
      assert.doesNotMatch(text, /\b(200 OK|404)\b/);
      assert.deepEqual(seen, []);
    });
  }
}

test("takes a plain chunked body, and the next request on the same connection", async () => {
  seen.length = 0;
  const socket = await openSocket(server.port);
  const first = readUntil(socket, /ok$/);
  socket.write("POST /in HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  await first;
  const second = readUntil(socket, /ok$/);
  socket.write("POST /in HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nyou");
  await second;
  assert.deepEqual(seen, ["/in hello", "/in you"]);
  socket.destroy();
});

test("a body that looks like a request stays a body", async () => {
  seen.length = 0;
  const socket = await openSocket(server.port);
  const answer = readUntil(socket, /ok$/);
  socket.write(`POST /in HTTP/1.1\r\nHost: a\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`);
  await answer;
  assert.deepEqual(seen, [`/in ${SMUGGLED}`]);
  socket.destroy();
});

/** Some are cut off at any stage, some end their side, as callers do that crash or lose patience. */
async function sendHostile(bytes: Buffer, below: (limit: number) => number): Promise<void> {
  const socket = await openSocket(server.port);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  const cut = below(bytes.length + 1);
  socket.resume();
  socket.write(bytes.subarray(0, cut));
  socket.write(bytes.subarray(cut), () => (below(2) === 0 ? socket.destroy() : socket.end()));
  await closed;
}

test("survives 2,000 mutated requests, whole and cut off, and still answers", async (context) => {
  const seed = Number(process.env["VOLLEY_TEST_SEED"] ?? randomInt(2 ** 31));
  context.diagnostic(`seed ${seed}`);
  const below = chance(seed);
  for (let round = 0; round < 40; round++) {
    await Promise.all(Array.from({ length: 50 }, () => sendHostile(mutatedRequest(below, "/in"), below)));
  }
  const response = await fetch(`${server.url}/in`, { method: "POST", body: "alive" });
  assert.equal(await response.text(), "ok");
  assert.deepEqual(server.lines, []);
});
