// A server that misbehaves at random, and the truth from its side of the wire: whatever the client says of a message
// must agree with the bytes that arrived.

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import type { Socket } from "node:net";
import { test } from "node:test";

import { createCloudApiClient } from "../../engine/whatsapp/cloud-api-client.ts";
import type { CloudApiClient } from "../../engine/whatsapp/cloud-api-client.ts";
import type { SendAnswer } from "../../engine/whatsapp/send-answer.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { httpAnswer, onRequest, startRawServer } from "./raw-server.ts";

const SENDS = 1500;
const OPEN_MAX = 24;

/** mulberry32: small, seeded, good enough to choose mishaps. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function misbehave(socket: Socket, random: () => number): void {
  if (random() < 0.05) {
    if (random() < 0.5) socket.destroy();
    else socket.resetAndDestroy();
    return;
  }
  onRequest(socket, (request) => {
    const answer = httpAnswer(200, `{"echo":"${/<\d+>/.exec(request)?.[0] ?? ""}"}`);
    const chance = random();
    if (chance < 0.6) socket.write(answer);
    else if (chance < 0.65) socket.write(answer, () => socket.end());
    else if (chance < 0.7) setImmediate(() => socket.write(answer, () => socket.resetAndDestroy()));
    else if (chance < 0.75) socket.end(answer.slice(0, Math.floor(random() * answer.length)));
    else if (chance < 0.8) socket.destroy();
    else if (chance < 0.85) socket.resetAndDestroy();
    else if (chance < 0.9) socket.end(answer.replace("\r\n", "\r\nconnection: close\r\n"));
    else {
      socket.write(answer.slice(0, 40));
      setImmediate(() => socket.write(answer.slice(40)));
      if (chance > 0.95) setTimeout(() => socket.end(), random() * 3);
    }
  });
}

/** Keeps OPEN_MAX sends open until all are answered; each must be answered exactly once. */
function sendAll(client: CloudApiClient): Promise<Map<string, SendAnswer>> {
  const answers = new Map<string, SendAnswer>();
  return new Promise((resolve) => {
    let next = 0;
    const sendNext = (): void => {
      const id = `<${next++}>`;
      client.send({ phoneNumberId: "1", accessToken: "token", body: `{"id":"${id}"}` }, (answer) => {
        assert.ok(!answers.has(id), `${id} was answered twice`);
        answers.set(id, answer);
        if (next < SENDS) sendNext();
        else if (answers.size === SENDS) resolve(answers);
      });
    };
    for (let open = 0; open < OPEN_MAX; open++) sendNext();
  });
}

test("what the client says of each message agrees with what the server saw of it", async (context) => {
  const seed = randomInt(2 ** 31);
  context.diagnostic(`seed ${seed}`);
  const random = createRandom(seed);
  const server = await startRawServer((socket) => misbehave(socket, random));
  const client = createCloudApiClient({
    baseUrl: server.url,
    apiVersion: "v26.0",
    connectionsMax: 8,
    clock: systemClock,
  });
  const answers = await sendAll(client);
  await client.close();
  const received = server.received();
  await server.close();
  const copies = new Map<string, number>();
  for (const [id] of received.matchAll(/<\d+>/g)) copies.set(id, (copies.get(id) ?? 0) + 1);
  const kinds = { answered: 0, lost: 0, unreachable: 0 };
  for (const [id, answer] of answers) {
    const seen = copies.get(id) ?? 0;
    kinds[answer.kind]++;
    assert.ok(seen <= 1, `${id} was written ${seen} times (seed ${seed})`);
    if (answer.kind === "unreachable") assert.equal(seen, 0, `${id} was written (seed ${seed})`);
    if (answer.kind !== "answered") continue;
    assert.equal(seen, 1);
    assert.equal(answer.body, `{"echo":"${id}"}`, `${id} got the answer of another (seed ${seed})`);
  }
  context.diagnostic(JSON.stringify(kinds));
  assert.ok(kinds.answered > SENDS / 3 && kinds.lost > 0, "the chaos was one-sided");
});
