// What both drivers of the stream promise: one machine alone (embedded) and NATS JetStream, by the same tests.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { createDedupeDesk } from "../../engine/ingress/dedupe.ts";
import { createGroupCommit } from "../../engine/ingress/group-commit.ts";
import type { MessageId } from "../../engine/message/ids.ts";
import { PARTITIONS } from "../../engine/message/partition.ts";
import type { StreamPosition } from "../../engine/runtime/jetstream-tail.ts";
import { openEnvironment } from "../../engine/runtime/lmdb-commit.ts";
import { openLmdbStreamReader } from "../../engine/stream/lmdb-stream-reader.ts";
import { openLmdbStream } from "../../engine/stream/lmdb-stream.ts";
import { openStreamTables } from "../../engine/stream/lmdb-tables.ts";
import type { Stream } from "../../engine/stream/stream.ts";
import { type NatsServer, startNatsServer, withoutNats } from "../support/nats-server.ts";
import { until } from "../support/until.ts";
import { claimOf, envelopeOf, eventOf, idOf, range } from "./envelopes.ts";
import { type ClusterNode, startNode } from "./jetstream-node.ts";
import { ActorLedger, BEGINNING, quiet, type StreamReading } from "./stream-reading.ts";

const WRITER = fileURLToPath(new URL("./stream-append-child.js", import.meta.url));

/** One engine's stream, which can be closed and opened again. */
interface World {
  readonly stream: Stream;
  /** By partition. */
  readonly ledgers: readonly ActorLedger[];
  reading(partition: number, after?: StreamPosition): Promise<StreamReading>;
  /** Envelopes of a partition that this engine keeps on its own disk. */
  kept(partition: number): number;
  close(): Promise<void>;
  open(): Promise<void>;
  /** What the child that appends is told. */
  readonly childArguments: readonly string[];
}

interface Driver {
  readonly name: string;
  readonly skip: string | false;
  create(): Promise<World>;
}

const folder = mkdtempSync(join(tmpdir(), "volley-conformance-"));
let server: NatsServer | null = null;
const open = new Set<World>();
after(async () => {
  await Promise.all([...open].map((world) => world.close()));
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

let worlds = 0;

class EmbeddedWorld implements World {
  readonly #path = join(folder, `embedded-${(worlds += 1)}`);
  readonly ledgers = Array.from({ length: PARTITIONS }, () => new ActorLedger());
  readonly childArguments = ["embedded", this.#path];
  #stream = openLmdbStream({ path: this.#path, log: quiet });

  get stream(): Stream {
    return this.#stream;
  }

  async reading(partition: number): Promise<StreamReading> {
    const reader = openLmdbStreamReader({ path: this.#path });
    return {
      read: (afterSequence) => reader.read(partition, afterSequence, { itemsMax: 16, bytesMax: 1_048_576 }),
      idAt: () => "",
      ack: () => undefined,
      close: () => reader.close(),
    };
  }

  kept(partition: number): number {
    return keptAt(this.#path, partition);
  }

  close(): Promise<void> {
    return this.#stream.close();
  }

  async open(): Promise<void> {
    this.#stream = openLmdbStream({ path: this.#path, log: quiet });
  }
}

class JetStreamWorld implements World {
  readonly ledgers = Array.from({ length: PARTITIONS }, () => new ActorLedger());
  readonly #path: string;
  readonly #prefix: string;
  readonly #url: string;
  #node: ClusterNode | null = null;

  constructor(url: string) {
    this.#url = url;
    this.#prefix = `world-${(worlds += 1)}`;
    this.#path = join(folder, this.#prefix);
  }

  get childArguments(): readonly string[] {
    return ["jetstream", this.#path, this.#url, this.#prefix];
  }

  get #open(): ClusterNode {
    assert.ok(this.#node !== null);
    return this.#node;
  }

  get stream(): Stream {
    return this.#open.stream;
  }

  reading(partition: number, position: StreamPosition = BEGINNING): Promise<StreamReading> {
    return this.#open.reader(partition, position);
  }

  kept(partition: number): number {
    return keptAt(this.#path, partition);
  }

  async close(): Promise<void> {
    await this.#node?.stop();
    this.#node = null;
  }

  async open(): Promise<void> {
    this.#node = await startNode({ url: this.#url, prefix: this.#prefix, path: this.#path, ledgers: this.ledgers });
  }
}

/** All threads share one native environment, so a second opening sees what is committed. */
function keptAt(path: string, partition: number): number {
  const environment = openEnvironment(path);
  environment.resetReadTxn();
  const { length } = openStreamTables(environment).sequences(partition);
  void environment.close();
  return length;
}

const drivers: readonly Driver[] = [
  {
    name: "embedded",
    skip: false,
    create: async () => new EmbeddedWorld(),
  },
  {
    name: "jetstream",
    skip: withoutNats,
    create: async () => {
      server ??= await startNatsServer();
      const world = new JetStreamWorld(server.url);
      await world.open();
      return world;
    },
  },
];

async function worldOf(driver: Driver): Promise<World> {
  const world = await driver.create();
  open.add(world);
  return world;
}

async function restart(world: World): Promise<void> {
  await world.close();
  await world.open();
}

function ledgerOf(world: World, partition: number): ActorLedger {
  const ledger = world.ledgers[partition];
  assert.ok(ledger !== undefined);
  return ledger;
}

/** A door: dedupes by key and commits in groups. Answers the message id that the caller gets. */
function doorOf(world: World) {
  const desk = createDedupeDesk((key) => world.stream.findClaim(key));
  const commit = createGroupCommit({
    append: ({ envelopes }) => world.stream.append(envelopes),
    isAvailable: () => world.stream.unavailability() === null,
    defer: (call) => void setImmediate(call),
    onFault: (error) => assert.fail(String(error)),
  });
  return (key: string, number: number): Promise<MessageId | null> =>
    new Promise((resolve) => {
      const claims = [claimOf(key, idOf(number))];
      const sighting = desk.look(claims[0]?.key ?? "", "");
      if (sighting.kind === "committed") return resolve(sighting.messageId);
      if (sighting.kind === "inFlight") {
        sighting.first.twins.push((settlement) => resolve(settlement.kind === "stored" ? settlement.winner : null));
        return;
      }
      commit.submit(0, eventOf(number), claims, (error) => {
        const settlement = desk.settle(claims, error);
        resolve(settlement.kind === "stored" ? settlement.winner : null);
      });
      desk.open(claims);
    });
}

for (const driver of drivers) {
  describe(`the ${driver.name} stream: order and settlement`, { skip: driver.skip }, () => {
    test("gives the envelopes of each partition in the order of their appends", async () => {
      const world = await worldOf(driver);
      const appends = range(0, 60).map((number) =>
        world.stream.append([
          envelopeOf([number * 3, number * 3 + 1], { partition: 1 }),
          envelopeOf([number], { partition: 2 }),
          envelopeOf([number * 3 + 2], { partition: 1 }),
        ]),
      );
      const places = await Promise.all(appends);
      for (const partition of [1, 2]) {
        const sequences = places.flat().filter((place) => place.partition === partition);
        assert.deepEqual(
          sequences.map(({ sequence }) => sequence),
          range(1, partition === 1 ? 120 : 60),
        );
        assert.equal(world.stream.lastSequence(partition), sequences.length);
        const reading = await world.reading(partition);
        const count = partition === 1 ? 180 : 60;
        assert.deepEqual(await ledgerOf(world, partition).takeUntil(reading, count), range(0, count));
        await reading.close();
      }
    });

    test("shows the same again to a reader that begins at an older place", async () => {
      const world = await worldOf(driver);
      for (const number of range(0, 20)) await world.stream.append([envelopeOf([number])]);
      const first = await world.reading(0);
      const ledger = new ActorLedger();
      await ledger.takeUntil(first, 20);
      await first.close();
      const again = new ActorLedger();
      const second = await world.reading(0, again.position);
      assert.deepEqual(await again.takeUntil(second, 20), ledger.taken);
      assert.deepEqual(again.position, ledger.position);
      await second.close();
    });

    test("lets go of what the ledger holds, and a restart at the ledger's place sees the rest only", async () => {
      const world = await worldOf(driver);
      const ledger = ledgerOf(world, 0);
      await world.stream.append(range(0, 10).map((number) => envelopeOf([number])));
      const first = await world.reading(0);
      await ledger.takeUntil(first, 10);
      await first.close();
      world.stream.trim(0, ledger.position.sequence);
      await until("nothing is kept", () => world.kept(0) === 0);

      await world.stream.append([envelopeOf([10]), envelopeOf([11])]);
      await restart(world);
      assert.equal(world.kept(0), 2);
      const second = await world.reading(0, ledger.position);
      assert.deepEqual(await ledger.takeUntil(second, 12), range(0, 12));
      await second.close();
    });

    test("waits for a reader that does not read, and one that comes late or after a restart gets everything", async () => {
      const world = await worldOf(driver);
      const ledger = ledgerOf(world, 3);
      const paused = await world.reading(3);
      for (const number of range(0, 300)) await world.stream.append([envelopeOf([number], { partition: 3 })]);
      assert.deepEqual(await ledger.takeUntil(paused, 300), range(0, 300));
      await paused.close();
      const late = new ActorLedger();
      const reading = await world.reading(3);
      assert.deepEqual(await late.takeUntil(reading, 300), range(0, 300));
      await reading.close();

      await restart(world);
      await world.stream.append([envelopeOf([300], { partition: 3 })]);
      const resumed = await world.reading(3, ledger.position);
      assert.deepEqual(await ledger.takeUntil(resumed, 301), range(0, 301));
      await resumed.close();
    });
  });

  describe(`the ${driver.name} stream: floods, twins and death`, { skip: driver.skip }, () => {
    test("carries a backlog of 100,000 events, of which a reader holds a bounded part", async () => {
      const world = await worldOf(driver);
      for (let first = 0; first < 100_000; first += 2_000) {
        await world.stream.append(range(0, 10).map((index) => envelopeOf(range(first + index * 200, 200))));
      }
      const reading = await world.reading(0);
      await until("something can be read", () => reading.read(0).length > 0);
      assert.ok(reading.read(0).length <= 16);
      const ledger = ledgerOf(world, 0);
      await ledger.takeUntil(reading, 100_000);
      assert.deepEqual(ledger.taken, range(0, 100_000));
      world.stream.trim(0, ledger.position.sequence);
      await until("nothing is kept", () => world.kept(0) === 0);
      await reading.close();
    });

    test("makes one event of an earlier message's repeats and of twins", async () => {
      const world = await worldOf(driver);
      const offer = doorOf(world);
      const first = await offer("order 1", 1);
      assert.equal(first, idOf(1));
      assert.equal(await offer("order 1", 2), first);
      const twins = await Promise.all(range(10, 50).map((number) => offer("order 2", number)));
      assert.deepEqual(new Set(twins), new Set([idOf(10)]));
      await restart(world);
      assert.equal(await doorOf(world)("order 2", 99), idOf(10));
      const reading = await world.reading(0);
      assert.deepEqual(await ledgerOf(world, 0).takeUntil(reading, 2), [1, 10]);
      await reading.close();
    });

    test("has every append that resolved after kill -9, in order, three times over", async () => {
      const world = await worldOf(driver);
      await world.close();
      let promised = 0;
      for (let life = 1; life <= 3; life++) {
        promised = await lastPromised(world.childArguments, promised);
      }
      await world.open();
      const ledger = ledgerOf(world, 0);
      const reading = await world.reading(0);
      const taken = await ledger.takeUntil(reading, promised + 1);
      assert.deepEqual(taken.slice(0, promised + 1), range(0, promised + 1));
      await reading.close();
    });
  });
}

/** Lets a child append events from `first` on, kills it in the middle, and answers the last number it had promised. */
async function lastPromised(childArguments: readonly string[], first: number): Promise<number> {
  const child = spawn(process.execPath, [WRITER, ...childArguments, String(first)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  for await (const chunk of child.stdout) {
    text += String(chunk);
    if (text.split("\n").length > 30) child.kill("SIGKILL");
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return Number(text.split("\n").at(-2));
}
