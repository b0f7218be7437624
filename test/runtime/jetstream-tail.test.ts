import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { test, type TestContext } from "node:test";

import { connectNats, type NatsLink } from "../../engine/runtime/jetstream-connection.ts";
import {
  isPositionHeld,
  lastSequence,
  openTail,
  type StreamPosition,
  type Tail,
  type TailEntry,
  type TailOptions,
} from "../../engine/runtime/jetstream-tail.ts";
import type { Log } from "../../engine/runtime/log.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { type NatsServer, startNatsCluster, startNatsServer, withoutNats } from "../support/nats-server.ts";
import { until } from "../support/until.ts";

const needsNats = { skip: withoutNats };
const STREAM = "ORDERS";
const START: StreamPosition = { sequence: 0, id: "" };
const silent: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

async function server(t: TestContext): Promise<NatsServer> {
  const started = await startNatsServer();
  t.after(() => started.stop());
  return started;
}

async function link(t: TestContext, servers: readonly string[]): Promise<NatsLink> {
  const connected = await connectNats({
    config: {
      driver: "jetstream",
      servers,
      replicas: 1,
      name: "volley",
      eventsMaxBytes: 1e9,
      ledgerMaxBytes: 1e9,
      ledgerMaxAgeDays: 1,
    },
    name: "test",
    log: silent,
    clock: systemClock,
  });
  t.after(() => connected.close());
  return connected;
}

async function createStream({ manager }: NatsLink, replicas = 1): Promise<void> {
  await manager.streams.add({ name: STREAM, subjects: ["orders.>"], num_replicas: replicas });
}

/** Publishes `from … to` as messages that say their number, each under its own id, retrying until all are stored. */
async function publish(
  to: NatsLink,
  numbers: readonly number[],
  { subject = "orders.a", run = "" } = {},
): Promise<void> {
  for (let first = 0; first < numbers.length; first += 500) {
    await Promise.all(
      numbers
        .slice(first, first + 500)
        .map((number) =>
          to.jetstream.publish(subject, `order ${number}`, { msgID: `${run}${number}`, retries: 20, timeout: 1_000 }),
        ),
    );
  }
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

interface Reader {
  readonly tail: Tail;
  readonly entries: TailEntry[];
  readonly numbers: () => number[];
  readonly position: () => StreamPosition;
  readonly rewinds: () => number;
}

async function read(
  t: TestContext,
  from: NatsLink,
  options: Partial<TailOptions> & { keep?: boolean } = {},
): Promise<Reader> {
  const entries: TailEntry[] = [];
  let rewinds = 0;
  let tail: Tail | null = null;
  tail = await openTail(from, {
    stream: STREAM,
    after: START,
    name: "reader",
    unackedMax: 500,
    log: silent,
    clock: systemClock,
    onEntries: (arrived) => {
      entries.push(...arrived);
      if (options.keep !== true) tail?.ack(arrived.at(-1)?.sequence ?? 0);
    },
    onRewound: () => {
      rewinds += 1;
    },
    ...options,
  });
  const opened = tail;
  t.after(() => opened.close());
  return {
    tail,
    entries,
    numbers: () => entries.map((entry) => Number(Buffer.from(entry.bytes).toString().slice("order ".length))),
    position: () => entries.at(-1) ?? START,
    rewinds: () => rewinds,
  };
}

function consumerNames({ manager }: NatsLink): Promise<string[]> {
  return manager.consumers
    .list(STREAM)
    .next()
    .then((consumers) => consumers.map((consumer) => consumer.name));
}

test("reads 10,000 messages in order, each once, with their ids and times", needsNats, async (t) => {
  const nats = await link(t, [(await server(t)).url]);
  await createStream(nats);
  const startedAtMs = Date.now();
  await publish(nats, range(1, 5_000));
  const reader = await read(t, nats);
  await publish(nats, range(5_001, 10_000));
  await until("all are read", () => reader.entries.length >= 10_000);
  assert.deepEqual(reader.numbers(), range(1, 10_000));
  assert.deepEqual(
    reader.entries.map((entry) => entry.id),
    range(1, 10_000).map(String),
  );
  assert.ok(reader.entries.every((entry) => entry.atMs >= startedAtMs - 1_000 && entry.atMs <= Date.now() + 1_000));
  assert.equal(reader.tail.pending, 0);
  assert.equal(await lastSequence(nats, STREAM), 10_000);
});

test("tells before the first delivery how many messages are waiting", needsNats, async (t) => {
  const nats = await link(t, [(await server(t)).url]);
  await createStream(nats);
  const empty = await read(t, nats);
  assert.equal(empty.tail.pending, 0);
  await publish(nats, range(1, 30));
  const { tail } = await read(t, nats, { after: { sequence: 10, id: "10" } });
  assert.equal(tail.pending, 20);
});

test("never has more unacknowledged entries than unackedMax", needsNats, async (t) => {
  const nats = await link(t, [(await server(t)).url]);
  await createStream(nats);
  await publish(nats, range(1, 1_000));
  const reader = await read(t, nats, { unackedMax: 50, keep: true, timing: { stalledMs: 500, verifyEveryMs: 200 } });
  let acknowledged = 0;
  while (acknowledged < 1_000) {
    const expected = Math.min(1_000, acknowledged + 50);
    await until(`${expected} are read`, () => reader.entries.length >= expected);
    assert.equal(reader.entries.length, expected);
    // Now and then the consumer vanishes: what is unacknowledged still counts.
    if (acknowledged === 333 || acknowledged === 666) {
      for (const name of await consumerNames(nats)) await nats.manager.consumers.delete(STREAM, name);
    }
    acknowledged = Math.min(1_000, acknowledged + 37);
    reader.tail.ack(acknowledged);
  }
  assert.deepEqual(reader.numbers(), range(1, 1_000));
});

test("drops what the server delivers again", needsNats, async (t) => {
  const nats = await link(t, [(await server(t)).url]);
  await createStream(nats);
  await publish(nats, range(1, 5));
  const reader = await read(t, nats, { keep: true, timing: { ackWaitMs: 300 } });
  await until("the server delivered again", async () => {
    const [consumer] = await nats.manager.consumers.list(STREAM).next();
    return (consumer?.num_redelivered ?? 0) >= 5;
  });
  reader.tail.ack(5);
  await publish(nats, range(6, 8));
  await until("all are read", () => reader.entries.length >= 8);
  assert.deepEqual(reader.numbers(), range(1, 8));
});

test("goes on when its consumer is deleted behind its back", needsNats, async (t) => {
  const nats = await link(t, [(await server(t)).url]);
  await createStream(nats);
  const reader = await read(t, nats);
  await publish(nats, range(1, 100));
  await until("the first are read", () => reader.entries.length >= 100);
  const [before = ""] = await consumerNames(nats);
  await nats.manager.consumers.delete(STREAM, before);
  await publish(nats, range(101, 200));
  await until("all are read", () => reader.entries.length >= 200, 10_000);
  assert.deepEqual(reader.numbers(), range(1, 200));
  const after = await consumerNames(nats);
  assert.equal(after.length, 1);
  assert.notEqual(after[0], before);
});

test("misses nothing when deliveries of its consumer go astray", needsNats, async (t) => {
  const nats = await link(t, [(await server(t)).url]);
  await createStream(nats);
  const reader = await read(t, nats, { timing: { stalledMs: 1_000 } });
  const steal = async (count: number): Promise<void> => {
    const [name = ""] = await consumerNames(nats);
    nats.connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${STREAM}.${name}`, JSON.stringify({ batch: count }), {
      reply: "thief",
    });
    await nats.connection.flush();
  };
  let stolen = 0;
  nats.connection.subscribe("thief", { callback: () => void (stolen += 1) });
  await steal(3);
  // Waiting requests are served in turn: first the tail's, then the thief's. A gap between deliveries tells.
  await publish(nats, range(1, 5));
  await until("the first are read", () => reader.entries.length >= 5);
  assert.ok(stolen > 0);
  // Here nothing follows the stolen one: only the stream itself shows that something is missing.
  const before = stolen;
  await publish(nats, [6]);
  await until("the tail was served", () => reader.entries.length >= 6);
  await steal(1);
  await publish(nats, [7]);
  await publish(nats, [8]);
  await until("all are read", () => reader.entries.length >= 8, 10_000);
  assert.equal(stolen, before + 1);
  assert.deepEqual(reader.numbers(), range(1, 8));
});

test("asks for no more bytes than a connection may wait for", needsNats, async (t) => {
  const nats = await link(t, [(await server(t)).url]);
  await createStream(nats);
  const bytes = new Uint8Array(700_000);
  for (let count = 0; count < 150; count += 10) {
    await Promise.all(
      range(1, 10).map((number) => nats.jetstream.publish("orders.a", bytes, { msgID: `${count + number}` })),
    );
  }
  let losses = 0;
  nats.onChange(() => (losses += 1));
  const reader = await read(t, nats, { unackedMax: 1_000, keep: true });
  await until("all are read", () => reader.entries.length >= 150);
  assert.equal(losses, 0, "nats-server cuts a connection for which more than 64 MB wait");
});

test("reads only the subject it is asked for", needsNats, async (t) => {
  const nats = await link(t, [(await server(t)).url]);
  await createStream(nats);
  await publish(nats, range(1, 10), { subject: "orders.a" });
  await publish(nats, range(11, 20), { subject: "orders.a.claims" });
  await publish(nats, range(21, 30), { subject: "orders.b" });
  const reader = await read(t, nats, { filterSubject: "orders.a.claims", timing: { stalledMs: 1_000 } });
  const both = await read(t, nats, { filterSubject: "orders.a.>" });
  await publish(nats, [31], { subject: "orders.a.claims" });
  await until("all are read", () => reader.entries.length >= 11 && both.entries.length >= 11);
  assert.deepEqual(reader.numbers(), [...range(11, 20), 31]);
  assert.deepEqual(both.numbers(), reader.numbers());
});

test("goes on from a position, and leaves no consumer behind when it is closed", needsNats, async (t) => {
  const nats = await link(t, [(await server(t)).url]);
  await createStream(nats);
  await publish(nats, range(1, 100));
  const first = await read(t, nats, { unackedMax: 40, keep: true });
  await until("some are read", () => first.entries.length >= 40);
  await first.tail.close();
  await first.tail.close();
  assert.deepEqual(await consumerNames(nats), []);
  const second = await read(t, nats, { after: first.position() });
  await until("the others are read", () => second.entries.length >= 60);
  assert.deepEqual(second.numbers(), range(41, 100));
  assert.equal(first.entries.length, 40);
});

test("ends quietly with its connection", needsNats, async (t) => {
  const nats = await link(t, [(await server(t)).url]);
  await createStream(nats);
  await publish(nats, range(1, 10));
  const reader = await read(t, nats, { keep: true, unackedMax: 5 });
  await until("some are read", () => reader.entries.length >= 5);
  const closing = nats.close();
  reader.tail.ack(3);
  await closing;
  reader.tail.ack(5);
  await reader.tail.close();
  assert.equal(reader.rewinds(), 0);
  await assert.rejects(read(t, nats), { code: "ERR_NATS_CONNECT" });
});

test("tells that the stream was deleted and recreated", needsNats, async (t) => {
  const nats = await link(t, [(await server(t)).url]);
  await createStream(nats);
  await publish(nats, range(1, 20));
  const reader = await read(t, nats, { timing: { stalledMs: 2_500 } });
  await until("all are read", () => reader.entries.length >= 20);
  await nats.manager.streams.delete(STREAM);
  await createStream(nats);
  // As many again: only the ids tell the difference.
  await publish(nats, range(1, 20), { run: "again-" });
  await until("the loss is noticed", () => reader.rewinds() > 0, 15_000);
  assert.equal(reader.rewinds(), 1);
  assert.equal(reader.entries.length, 20);
  assert.equal(await isPositionHeld(nats, STREAM, reader.position()), false);
  const anew = await read(t, nats);
  await until("it is read anew", () => anew.entries.length >= 20);
  assert.equal(anew.entries[0]?.id, "again-1");
});

test("waits for a stream that does not exist yet, until it is told to stop", needsNats, async (t) => {
  const nats = await link(t, [(await server(t)).url]);
  const stop = new AbortController();
  const stopped = assert.rejects(read(t, nats, { signal: stop.signal }), { name: "AbortError" });
  const reading = read(t, nats);
  stop.abort();
  await stopped;
  await createStream(nats);
  await publish(nats, range(1, 3));
  const reader = await reading;
  await until("all are read", () => reader.entries.length >= 3);
});

test("counts an entry that aged out as held, a hole further back as lost", needsNats, async (t) => {
  const nats = await link(t, [(await server(t)).url]);
  await createStream(nats);
  await publish(nats, range(1, 10));
  await nats.manager.streams.purge(STREAM, { seq: 6 });
  assert.equal(await isPositionHeld(nats, STREAM, START), true);
  assert.equal(await isPositionHeld(nats, STREAM, { sequence: 3, id: "3" }), true);
  assert.equal(await isPositionHeld(nats, STREAM, { sequence: 7, id: "7" }), true);
  assert.equal(await isPositionHeld(nats, STREAM, { sequence: 7, id: "another" }), false);
  assert.equal(await isPositionHeld(nats, STREAM, { sequence: 11, id: "11" }), false);
  await nats.manager.streams.deleteMessage(STREAM, 8);
  assert.equal(await isPositionHeld(nats, STREAM, { sequence: 8, id: "8" }), false);
  await nats.manager.streams.purge(STREAM);
  assert.equal(await isPositionHeld(nats, STREAM, { sequence: 10, id: "10" }), true);
});

test("loses and repeats nothing when the server is killed and comes back", needsNats, async (t) => {
  const nats = await server(t);
  const [reading, writing] = [await link(t, [nats.url]), await link(t, [nats.url])];
  await createStream(writing);
  const reader = await read(t, reading, { unackedMax: 100 });
  const published = publish(writing, range(1, 3_000));
  for (const share of [200, 900]) {
    await until(`${share} are read`, () => reader.entries.length >= share);
    await nats.kill();
    await nats.start();
  }
  await published;
  await until("all are read", () => reader.entries.length >= 3_000);
  // Which of several in flight at the time of a kill is stored first is chance; each is stored once.
  assert.deepEqual(
    reader.numbers().toSorted((a, b) => a - b),
    range(1, 3_000),
  );
  assert.deepEqual(
    reader.entries.map((entry) => entry.sequence),
    range(1, 3_000),
  );
  assert.equal(reader.rewinds(), 0);
});

test("goes on when the server was frozen for eight seconds", needsNats, async (t) => {
  const nats = await server(t);
  const connected = await link(t, [nats.url]);
  await createStream(connected);
  const reader = await read(t, connected);
  await publish(connected, range(1, 100));
  await until("the first are read", () => reader.entries.length >= 100);
  nats.pause();
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  nats.resume();
  await publish(connected, range(101, 200));
  await until("all are read", () => reader.entries.length >= 200, 15_000);
  assert.deepEqual(reader.numbers(), range(1, 200));
  assert.equal(reader.rewinds(), 0);
});

test("tells when a server lost the end of its stream, though others took the lost places", needsNats, async (t) => {
  const nats = await server(t);
  const [reading, writing] = [await link(t, [nats.url]), await link(t, [nats.url])];
  await createStream(writing);
  await publish(writing, range(1, 50));
  const copy = `${nats.storeDir}-copy`;
  await nats.kill();
  cpSync(nats.storeDir, copy, { recursive: true });
  await nats.start();
  const reader = await read(t, reading);
  const far = await read(t, reading, { after: { sequence: 20, id: "20" }, unackedMax: 10, keep: true });
  await publish(writing, range(51, 100));
  await until("all are read", () => reader.entries.length >= 100 && far.entries.length >= 10);
  await nats.kill();
  rmSync(nats.storeDir, { recursive: true });
  cpSync(copy, nats.storeDir, { recursive: true });
  rmSync(copy, { recursive: true });
  await nats.start();
  await publish(writing, range(101, 180), { run: "later-" });
  await until("the loss is noticed", () => reader.rewinds() > 0, 15_000);
  assert.equal(reader.rewinds(), 1);
  // A reader that was not yet where the loss begins has lost nothing.
  far.tail.ack(30);
  await until("the other goes on", () => far.entries.length >= 20, 15_000);
  assert.equal(far.rewinds(), 0);
  assert.deepEqual(far.numbers(), range(21, 40));
});

test("goes on within seconds when a server of the cluster is killed", needsNats, async (t) => {
  const cluster = await startNatsCluster();
  t.after(() => cluster.stop());
  const nats = await link(t, cluster.urls);
  await createStream(nats, 3);
  const reader = await read(t, nats);
  await publish(nats, range(1, 200));
  await until("the first are read", () => reader.entries.length >= 200);
  const [consumer] = await nats.manager.consumers.list(STREAM).next();
  const info = await nats.manager.streams.info(STREAM);
  const name = consumer?.cluster?.leader ?? info.cluster?.leader ?? "";
  const victim = cluster.servers.find((member) => name.endsWith(`-${member.port}`));
  assert.ok(victim, `${name} is one of the servers`);
  const killedAtMs = performance.now();
  await victim.kill();
  await publish(nats, range(201, 400));
  await until("all are read", () => reader.entries.length >= 400, 20_000);
  t.diagnostic(`all read ${Math.round(performance.now() - killedAtMs)} ms after the kill`);
  assert.deepEqual(
    reader.numbers().toSorted((a, b) => a - b),
    range(1, 400),
  );
  assert.equal(reader.rewinds(), 0);
});
