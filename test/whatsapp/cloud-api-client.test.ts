import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

import type { SendAnswer } from "../../engine/whatsapp/send-answer.ts";
import { until } from "../support/until.ts";
import { createManualClock } from "./manual-clock.ts";
import { httpAnswer, onRequest, startRawServer } from "./raw-server.ts";
import type { OnConnection } from "./raw-server.ts";
import { connect, send, serve } from "./test-client.ts";

const ACCEPTED = '{"messaging_product":"whatsapp","messages":[{"id":"wamid.ABC"}]}';

async function refusedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

test("posts the body with token and version to the number's messages", async (context) => {
  const server = await serve(context, (socket) => onRequest(socket, () => socket.write(httpAnswer(200, ACCEPTED))));
  const answer = await send(connect(context, `${server.url}/graph/`), '{"to":"+1"}');
  assert.deepEqual(answer, {
    kind: "answered",
    httpStatus: 200,
    body: ACCEPTED,
    retryAfterMs: null,
  });
  const request = server.received();
  assert.match(request, /^POST \/graph\/v26\.0\/106540352242922\/messages HTTP\/1\.1\r\n/);
  assert.match(request, /\r\nauthorization: Bearer token\r\n/);
  assert.match(request, /\r\ncontent-type: application\/json\r\n/);
  assert.match(request, /\r\n\r\n\{"to":"\+1"\}$/);
});

test("posts to the door that a send asks for, with the same headers and body", async (context) => {
  const server = await serve(context, (socket) => onRequest(socket, () => socket.write(httpAnswer(200, ACCEPTED))));
  const client = connect(context, server.url);
  for (const route of ["marketing_messages", "messages", undefined, "marketing_messages"] as const) {
    const request = { phoneNumberId: "77", accessToken: "token", body: "{}", ...(route && { route }) };
    // oxlint-disable-next-line no-await-in-loop -- in order
    await new Promise<SendAnswer>((resolve) => client.send(request, resolve));
  }
  const doors = server.received().match(/POST \S+/g);
  const [messages, marketing] = ["POST /v26.0/77/messages", "POST /v26.0/77/marketing_messages"];
  assert.deepEqual(doors, [marketing, messages, messages, marketing]);
  assert.equal(server.received().match(/authorization: Bearer token/g)?.length, 4);
});

test("tells when a request was written, which is when its connection was ready", async (context) => {
  const clock = createManualClock();
  let answerFirst = (): void => undefined;
  const server = await serve(context, (socket) =>
    onRequest(socket, () => {
      answerFirst = () => socket.write(httpAnswer(200, ACCEPTED));
      if (server.received().match(/POST/g)?.length === 2) answerFirst();
    }),
  );
  const client = connect(context, server.url, { clock, connectionsMax: 1 });
  const startMs = clock.monotonicMs();
  const written: Promise<number | null>[] = [1, 2].map(() => {
    const request = { phoneNumberId: "77", accessToken: "token", body: "{}" };
    return new Promise((resolve) => client.send(request, (_answer, writtenAtMs) => resolve(writtenAtMs)));
  });
  await until("the first request arrives", () => server.received().includes("{}"));
  clock.advance(700);
  answerFirst();
  assert.deepEqual(await Promise.all(written), [startMs, startMs + 700]);
});

test("a refusal brings along what the account has used of its limits", async (context) => {
  const usage = '{"102290129340398":[{"type":"whatsapp","call_count":28}]}';
  const head = `X-Business-Use-Case-Usage: ${usage}\r\nContent-Length: 2\r\n\r\n{}`;
  let status = 400;
  const server = await serve(context, (socket) =>
    onRequest(socket, () => socket.write(`HTTP/1.1 ${status} X\r\n${head}`)),
  );
  const client = connect(context, server.url);
  const refused = await send(client);
  status = 200;
  const taken = await send(client);
  const answered = { kind: "answered", body: "{}", retryAfterMs: null };
  assert.deepEqual(refused, { ...answered, httpStatus: 400, usage });
  assert.deepEqual(taken, { ...answered, httpStatus: 200 });
});

test("keeps senders, their tokens and a renewed token apart", async (context) => {
  const server = await serve(context, (socket) => onRequest(socket, () => socket.write(httpAnswer(200, "{}"))));
  const client = connect(context, server.url);
  for (const accessToken of ["old", "old", "new"]) await send(client, "{}", accessToken);
  assert.deepEqual(server.received().match(/Bearer \w+/g), ["Bearer old", "Bearer old", "Bearer new"]);
});

test("a refused port is unreachable", async (context) => {
  const answer = await send(connect(context, `http://127.0.0.1:${await refusedPort()}`));
  assert.deepEqual(answer, {
    kind: "unreachable",
    reason: "WhatsApp could not be reached: the connection was refused.",
  });
});

test("a request that may not leave any more when its connection is ready is never written", async (context) => {
  const server = await serve(context, (socket) => onRequest(socket, () => socket.write(httpAnswer(200, ACCEPTED))));
  const client = connect(context, server.url);
  for (const [mayLeave, kind] of [
    [false, "unreachable"],
    [true, "answered"],
    [false, "unreachable"],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop -- the second and third find a connection
    const answer = await new Promise<SendAnswer>((resolve) => {
      const request = {
        phoneNumberId: "1",
        accessToken: "token",
        body: `{"may":${mayLeave}}`,
        mayLeave: () => mayLeave,
      };
      client.send(request, resolve);
    });
    assert.equal(answer.kind, kind);
  }
  assert.doesNotMatch(server.received(), /"may":false/);
  assert.match(server.received(), /"may":true/);
});

test("a host that no name server knows is unreachable", async (context) => {
  const answer = await send(connect(context, "http://volley.invalid"));
  assert.equal(answer.kind, "unreachable");
});

test("a reset right after accepting is unreachable only if the request was not written", async (context) => {
  const server = await serve(context, (socket) => socket.resetAndDestroy());
  const client = connect(context, server.url);
  for (let round = 0; round < 50; round++) {
    const answer = await send(client, `{"round":"<${round}>"}`);
    assert.notEqual(answer.kind, "answered");
    if (answer.kind === "unreachable") assert.ok(!server.received().includes(`<${round}>`));
  }
});

const LOST: readonly {
  readonly name: string;
  readonly reason: RegExp;
  readonly serve: OnConnection;
}[] = [
  {
    name: "a reset after the request was read",
    reason: /the connection broke/,
    serve: (socket) => onRequest(socket, () => socket.resetAndDestroy()),
  },
  {
    name: "a hang-up after the request was read",
    reason: /the connection was closed/,
    serve: (socket) => onRequest(socket, () => socket.end()),
  },
  {
    name: "a hang-up after half of the request",
    reason: /the connection (was closed|broke)/,
    serve: (socket) => socket.once("data", () => socket.destroy()),
  },
  {
    name: "an answer cut in its head",
    reason: /the connection was closed/,
    serve: (socket) => onRequest(socket, () => socket.end("HTTP/1.1 200 OK\r\ncontent-le")),
  },
  {
    name: "an answer cut in the middle of its body",
    reason: /the connection was closed/,
    serve: (socket) => onRequest(socket, () => socket.end(httpAnswer(200, ACCEPTED).slice(0, -10))),
  },
  {
    name: "a chunked answer without its end",
    reason: /the connection was closed/,
    serve: (socket) =>
      onRequest(socket, () => socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n")),
  },
  {
    name: "an answer that is not HTTP",
    reason: /the answer could not be read/,
    serve: (socket) => onRequest(socket, () => socket.end("SSH-2.0-OpenSSH_9.2\r\n")),
  },
  {
    name: "an answer beyond 64 KB",
    reason: /the answer was far too long/,
    serve: (socket) => onRequest(socket, () => socket.write(httpAnswer(200, "x".repeat(65_537)))),
  },
];

for (const { name, reason, serve: onConnection } of LOST) {
  test(`${name} is lost, not tried again by itself`, async (context) => {
    const server = await serve(context, onConnection);
    const answer = await send(connect(context, server.url));
    assert.equal(answer.kind, "lost");
    assert.match(answer.kind === "lost" ? answer.reason : "", reason);
    assert.equal(server.connections(), 1);
  });
}

test("an answer of exactly 64 KB is whole", async (context) => {
  const server = await serve(context, (socket) =>
    onRequest(socket, () => socket.write(httpAnswer(200, "é".repeat(32_768)))),
  );
  const answer = await send(connect(context, server.url));
  assert.equal(answer.kind === "answered" ? answer.body : "", "é".repeat(32_768));
});

test("200 with garbage is an answer, for the verdict to judge", async (context) => {
  const server = await serve(context, (socket) => onRequest(socket, () => socket.write(httpAnswer(200, "<html>"))));
  const answer = await send(connect(context, server.url));
  assert.deepEqual(answer, {
    kind: "answered",
    httpStatus: 200,
    body: "<html>",
    retryAfterMs: null,
  });
});

test("informational answers are passed over and Retry-After is read", async (context) => {
  const final = httpAnswer(429, "{}", ["Retry-After: 7"]);
  const server = await serve(context, (socket) =>
    onRequest(socket, () => socket.write(`HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${final}`)),
  );
  const answer = await send(connect(context, server.url));
  assert.deepEqual(answer, { kind: "answered", httpStatus: 429, body: "{}", retryAfterMs: 7000 });
});

test("a silent server is lost after the timeout, and its late answer belongs to nobody", async (context) => {
  const clock = createManualClock();
  const open: (() => void)[] = [];
  const server = await serve(context, (socket) =>
    onRequest(socket, () => {
      open.push(() => socket.write(httpAnswer(200, "late")));
      if (open.length === 2) socket.write(httpAnswer(200, "second"));
      else clock.advance(15_000);
    }),
  );
  const client = connect(context, server.url, { clock, connectionsMax: 1 });
  const first = await send(client);
  assert.deepEqual(first, {
    kind: "lost",
    reason: "No answer came from WhatsApp within 15 s. The message may or may not have arrived.",
  });
  open[0]?.();
  const second = await send(client);
  assert.equal(second.kind === "answered" ? second.body : "", "second");
});

test("an answer that trickles past the timeout is lost", async (context) => {
  const clock = createManualClock();
  const server = await serve(context, (socket) =>
    onRequest(socket, () => {
      const bytes = httpAnswer(200, ACCEPTED);
      let sent = 0;
      const trickle = setInterval(() => {
        socket.write(bytes.charAt(sent++));
        clock.advance(1000);
      }, 1);
      socket.on("close", () => clearInterval(trickle));
    }),
  );
  const answer = await send(connect(context, server.url, { clock }));
  assert.equal(answer.kind, "lost");
});

test("a send that finds no free connection in time is unreachable and is never written", async (context) => {
  const clock = createManualClock();
  const server = await serve(context, (socket) =>
    onRequest(socket, (request) => {
      if (request.includes("<first>")) clock.advance(15_000);
      else socket.write(httpAnswer(200, "{}"));
    }),
  );
  const client = connect(context, server.url, { clock, connectionsMax: 1 });
  const answers = await Promise.all([send(client, '{"id":"<first>"}'), send(client, '{"id":"<second>"}')]);
  assert.equal(answers[0].kind, "lost");
  assert.deepEqual(answers[1], {
    kind: "unreachable",
    reason: "WhatsApp could not be reached: no connection was ready within 15 s.",
  });
  assert.equal((await send(client, '{"id":"<third>"}')).kind, "answered");
  assert.doesNotMatch(server.received(), /<second>/);
});

test("one timer keeps the deadlines of all sends", async (context) => {
  const clock = createManualClock();
  const server = await serve(context, (socket) => onRequest(socket, () => socket.write(httpAnswer(200, "{}"))));
  const client = connect(context, server.url, { clock, connectionsMax: 4 });
  const answers = Array.from({ length: 100 }, () => send(client));
  assert.equal(clock.timers(), 1);
  await Promise.all(answers);
  assert.equal(clock.timers(), 1);
});

test("a connection that its peer closed while idle costs the next message nothing", async (context) => {
  const closed = new EventEmitter();
  const server = await serve(context, (socket) => {
    onRequest(socket, () => socket.write(httpAnswer(200, "{}"), () => socket.end()));
    socket.on("close", () => closed.emit("close"));
  });
  const client = connect(context, server.url);
  const hungUp = once(closed, "close");
  await send(client);
  await hungUp;
  const answer = await send(client);
  assert.equal(answer.kind, "answered");
  assert.equal(server.connections(), 2);
});

test("a connection that its peer closes exactly when it is reused never sends a message twice", async (context) => {
  let answered = 0;
  const server = await serve(context, (socket) =>
    onRequest(socket, () => {
      answered++;
      // No `connection: close`: the client has every reason to reuse it.
      socket.write(httpAnswer(200, "{}"));
      if (answered % 2 === 0) socket.destroy();
      else socket.resetAndDestroy();
    }),
  );
  const client = connect(context, server.url, { connectionsMax: 1 });
  const kinds = new Map<string, string>();
  for (let round = 0; round < 200; round++) {
    const id = `<${round}>`;
    kinds.set(id, (await send(client, `{"id":"${id}"}`)).kind);
  }
  for (const [id, kind] of kinds) {
    const copies = server.received().split(id).length - 1;
    assert.ok(copies <= 1, `${id} was written ${copies} times`);
    if (kind === "answered") assert.equal(copies, 1);
    if (kind === "unreachable") assert.equal(copies, 0);
  }
});

test("a peer that hangs up on the second request of a connection makes it lost", async (context) => {
  const server = await serve(context, (socket) => {
    let requests = 0;
    onRequest(socket, () => {
      requests++;
      if (requests === 1) socket.write(httpAnswer(200, "{}"));
      else socket.destroy();
    });
  });
  const client = connect(context, server.url, { connectionsMax: 1 });
  assert.equal((await send(client)).kind, "answered");
  assert.equal((await send(client)).kind, "lost");
  assert.equal(server.connections(), 1);
});

test("works again as soon as the server is back, with all connections", async (context) => {
  const port = await refusedPort();
  const client = connect(context, `http://127.0.0.1:${port}`, { connectionsMax: 3 });
  const down = await Promise.all(Array.from({ length: 40 }, () => send(client)));
  assert.ok(down.every((answer) => answer.kind === "unreachable"));
  const server = await startRawServer((socket) => onRequest(socket, () => socket.write(httpAnswer(200, "{}"))), port);
  context.after(() => server.close());
  const up = await Promise.all(Array.from({ length: 40 }, () => send(client)));
  assert.ok(up.every((answer) => answer.kind === "answered"));
});

test("a token that no header can carry is refused without a connection, and harms no other send", async (context) => {
  const server = await serve(context, (socket) => onRequest(socket, () => socket.write(httpAnswer(200, "{}"))));
  const client = connect(context, server.url, { connectionsMax: 1 });
  for (const token of ["", "two words", "line\nbreak", "naïve"]) {
    assert.equal((await send(client, "{}", token)).kind, "unreachable");
  }
  assert.equal(server.connections(), 0);
  assert.equal((await send(client)).kind, "answered");
});

test("close waits for open sends, refuses new ones and may be called twice", async (context) => {
  const requested = new EventEmitter();
  const server = await serve(context, (socket) => onRequest(socket, () => requested.emit("request", socket)));
  const client = connect(context, server.url);
  const received = once(requested, "request");
  const open = send(client);
  const [socket] = await received;
  const closing = client.close();
  assert.deepEqual(await send(client), {
    kind: "unreachable",
    reason: "WhatsApp could not be reached: Volley is shutting down.",
  });
  socket.write(httpAnswer(200, "{}"));
  assert.equal((await open).kind, "answered");
  await closing;
  await client.close();
});

test("a fault in the caller ends the thread instead of vanishing in undici", async (context) => {
  const server = await serve(context, (socket) => onRequest(socket, () => socket.write(httpAnswer(200, "{}"))));
  const module = new URL("../../engine/whatsapp/cloud-api-client.js", import.meta.url).href;
  const clock = new URL("../../engine/runtime/system-clock.js", import.meta.url).href;
  const code = `
    const { createCloudApiClient } = await import(${JSON.stringify(module)});
    const { systemClock } = await import(${JSON.stringify(clock)});
    const client = createCloudApiClient({ baseUrl: ${JSON.stringify(server.url)}, apiVersion: "v26.0", clock: systemClock });
    client.send({ phoneNumberId: "1", accessToken: "t", body: "{}" }, () => { throw new Error("broken caller"); });
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  const [error] = await once(worker, "error");
  assert.equal(error.message, "broken caller");
});
