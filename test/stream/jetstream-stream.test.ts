// The stream of several nodes against a real nats-server: races for a key, servers that stop, lose and refuse.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import { eventsStream } from "../../engine/runtime/jetstream-names.ts";
import { type NatsServer, startNatsServer, withoutNats } from "../support/nats-server.ts";
import type { ClaimDecision } from "../../engine/stream/lmdb-claims-reader.ts";
import { until } from "../support/until.ts";
import { claimingEnvelope, envelopeOf, eventIds, idOf, keyOf, range } from "./envelopes.ts";
import { type ClusterNode, type NodeOptions, startNode } from "./jetstream-node.ts";
import { ActorLedger, BEGINNING } from "./stream-reading.ts";

const folder = mkdtempSync(join(tmpdir(), "volley-jetstream-"));
const nodes = new Set<ClusterNode>();
const servers = new Set<NatsServer>();
after(async () => {
  await Promise.all([...nodes].map((node) => node.stop()));
  await Promise.all([...servers].map((server) => server.stop()));
  rmSync(folder, { recursive: true, force: true });
});

let count = 0;

async function serverOf(options: { storeDir?: string } = {}): Promise<NatsServer> {
  const server = await startNatsServer(options);
  servers.add(server);
  return server;
}

async function nodeOf(server: NatsServer, options: Partial<NodeOptions> = {}): Promise<ClusterNode> {
  const path = join(folder, `node-${(count += 1)}`);
  const node = await startNode({ url: server.url, prefix: "volley", path, ...options });
  nodes.add(node);
  return node;
}

async function stop(node: ClusterNode): Promise<void> {
  nodes.delete(node);
  await node.stop();
}

function ledgerOf(node: ClusterNode): ActorLedger {
  const [ledger] = node.ledgers;
  assert.ok(ledger !== undefined);
  return ledger;
}

/** -1 while the server does not answer. */
async function messagesIn(node: ClusterNode, partition = 0): Promise<number> {
  const stream = eventsStream(node.link.prefix, partition);
  return node.link.manager.streams.info(stream).then(
    ({ state }) => state.messages,
    () => -1,
  );
}

describe("claims of two nodes", { skip: withoutNats }, () => {
  test("made at once have one winner each, the same on both, and the loser's append knows it", async () => {
    const server = await serverOf();
    const [first, second] = await Promise.all([nodeOf(server), nodeOf(server)]);
    await Promise.all(
      range(0, 200).map(async (number) => {
        const offers = [first, second].map(async (node, index) => {
          const origin = { node: index + 1, partition: number % 8 };
          await node.stream.append([claimingEnvelope(`key ${number}`, number, origin)]);
          const winner = node.stream.findClaim(keyOf(`key ${number}`))?.messageId;
          return { own: idOf(number, origin), winner };
        });
        const [one, other] = await Promise.all(offers);
        assert.ok(one !== undefined && other !== undefined);
        assert.equal(one.winner, other.winner);
        assert.ok(one.winner === one.own || one.winner === other.own);
      }),
    );
    const lostOf = (node: ClusterNode) => node.stream.folds().flatMap(({ superseded }) => superseded);
    await until("both know all", () => [first, second].every((node) => lostOf(node).length === 200));
    const lost = [first, second].map(lostOf);
    assert.deepEqual(new Set(lost[0]), new Set(lost[1]));
    for (const node of [first, second]) {
      const ledger = ledgerOf(node);
      const reader = await node.reader(0);
      await ledger.takeUntil(reader, 25);
      await until("all is read", () => {
        ledger.takeFrom(reader);
        return ledger.position.sequence === 50;
      });
      assert.equal(ledger.rows.size, 25);
      for (const id of ledger.rows) assert.ok(!lost[0]?.includes(id));
    }
  });

  test("a node that comes later, or again, knows every claim and every event that lost", async () => {
    const server = await serverOf();
    const path = join(folder, "comes-again");
    const ledgers = [new ActorLedger()];
    const [first, second] = await Promise.all([nodeOf(server), nodeOf(server, { path, ledgers })]);
    await Promise.all(
      [first, second].map((node, index) => node.stream.append([claimingEnvelope("race", index, { node: index })])),
    );
    await until("one lost", () => first.stream.folds()[0]?.superseded.length === 1);
    const winner = first.stream.findClaim(keyOf("race"))?.messageId;
    const lost = first.stream.folds()[0]?.superseded;
    await stop(second);
    await first.stream.append([claimingEnvelope("meanwhile", 7)]);
    const again = await nodeOf(server, { path, ledgers });
    const late = await nodeOf(server);
    for (const node of [again, late]) {
      await until("the claims are known", () => node.stream.findClaim(keyOf("meanwhile")) !== undefined);
      assert.equal(node.stream.findClaim(keyOf("race"))?.messageId, winner);
      assert.deepEqual(node.stream.folds()[0]?.superseded, lost);
    }
  });
});

describe("the outbox", { skip: withoutNats }, () => {
  test("is published after a stop before JetStream answered, once, and empties when the ledger holds it", async () => {
    const server = await serverOf();
    const path = join(folder, "unanswered");
    const first = await nodeOf(server, { path });
    await first.stream.append([envelopeOf([0])]);
    server.pause();
    const unanswered = first.stream.append([envelopeOf([1]), claimingEnvelope("k", 2)]);
    const rejected = assert.rejects(unanswered, { code: "ERR_STREAM_WRITE" });
    await until("it waits", () => first.stream.unavailability() !== null);
    await Promise.all([stop(first), rejected]);
    server.resume();

    const second = await nodeOf(server, { path });
    assert.equal(await messagesIn(second), 3);
    await until("the claim is known", () => second.stream.findClaim(keyOf("k")) !== undefined);
    const ledger = ledgerOf(second);
    assert.deepEqual(await ledger.takeUntil(await second.reader(0), 3), [0, 1, 2]);
    second.stream.trim(0, ledger.position.sequence);
    await second.stream.append([envelopeOf([3])]);
    await stop(second);
    const third = await nodeOf(server, { path });
    assert.equal(third.lines.find(({ event }) => event === "outbox.republished")?.fields["entries"], 1);
    assert.equal(await messagesIn(third), 4);
  });

  test("tells of the events of this run that the ledger holds", async () => {
    const node = await nodeOf(await serverOf());
    await node.stream.append([envelopeOf([1, 2]), claimingEnvelope("k", 3)]);
    const ledger = ledgerOf(node);
    await ledger.takeUntil(await node.reader(0), 3);
    node.stream.trim(0, 1);
    assert.deepEqual(node.settled, [idOf(1), idOf(2)]);
    node.stream.trim(0, ledger.position.sequence);
    assert.deepEqual(node.settled, [idOf(1), idOf(2), idOf(3)]);
  });

  test("lets go of thousands of entries at once, and only of what the ledger holds", async () => {
    const node = await nodeOf(await serverOf());
    await node.stream.append(range(0, 1_800).map((number) => envelopeOf([number])));
    const ledger = ledgerOf(node);
    const reader = await node.reader(0);
    await ledger.takeUntil(reader, 1_800);
    ledger.rows.delete(idOf(7));
    node.stream.trim(0, ledger.position.sequence);
    await until("all but one are settled", () => node.settled.length === 1_799);
    assert.ok(!node.settled.includes(idOf(7)));
  });

  test("loses nothing when the stream is deleted behind its back", async () => {
    const node = await nodeOf(await serverOf());
    const reader = await node.reader(0);
    const ledger = ledgerOf(node);
    await node.stream.append(range(0, 5).map((number) => envelopeOf([number])));
    await ledger.takeUntil(reader, 5);
    node.stream.trim(0, ledger.position.sequence);
    await node.stream.append([envelopeOf([5, 6]), claimingEnvelope("k", 7)]);
    await node.link.manager.streams.delete(eventsStream("volley", 0));
    await node.stream.append([envelopeOf([8])]);
    await until("what was not read is there again", async () => (await messagesIn(node)) === 3);
    await until("the reader noticed", () => node.rewound.length > 0);
    ledger.position = BEGINNING;
    const again = await node.reader(0);
    await ledger.takeUntil(again, 9);
    assert.deepEqual(new Set(ledger.taken), new Set(range(0, 9)));
    await until("the outbox is empty", () => {
      node.stream.trim(0, ledger.position.sequence);
      return node.settled.length === 9;
    });
  });

  test("gives a server that lost its newest messages back what it lost", async () => {
    const storeDir = mkdtempSync(join(folder, "store-"));
    const server = await serverOf({ storeDir });
    const node = await nodeOf(server);
    const ledger = ledgerOf(node);
    await node.stream.append([envelopeOf([0]), claimingEnvelope("before", 1)]);
    await ledger.takeUntil(await node.reader(0), 2);
    node.stream.trim(0, ledger.position.sequence);
    await server.kill();
    const backup = join(folder, "backup");
    cpSync(storeDir, backup, { recursive: true });
    await server.start();
    await until("the link is back", () => node.stream.unavailability() === null);
    await node.stream.append([envelopeOf([2]), claimingEnvelope("lost", 3), envelopeOf([4])]);
    await server.kill();
    rmSync(storeDir, { recursive: true });
    cpSync(backup, storeDir, { recursive: true });
    await server.start();
    await until("what was lost is there again", async () => (await messagesIn(node)) === 5);
    const late = await nodeOf(server);
    await until("others know its claims", () => late.stream.findClaim(keyOf("lost"))?.messageId === idOf(3));
    const reader = await node.reader(0, ledger.position);
    await ledger.takeUntil(reader, 5);
    assert.deepEqual(new Set(ledger.taken), new Set(range(0, 5)));
  });
});

describe("a node that was down", { skip: withoutNats }, () => {
  test("while its server lost its newest messages starts, and gives back what it has and its ledger lacks", async () => {
    const storeDir = mkdtempSync(join(folder, "store-"));
    const backup = join(folder, "older");
    const path = join(folder, "was-down");
    const server = await serverOf({ storeDir });
    const ledgers = [new ActorLedger()];
    const first = await nodeOf(server, { path, ledgers });
    await first.stream.append([claimingEnvelope("old", 0)]);
    await ledgers[0]?.takeUntil(await first.reader(0), 1);
    first.stream.trim(0, 1);
    await until("it is settled", () => first.settled.length === 1);
    await server.kill();
    cpSync(storeDir, backup, { recursive: true });
    await server.start();
    await until("the link is back", () => first.stream.unavailability() === null);
    await first.stream.append([claimingEnvelope("new", 1)]);
    await stop(first);
    await server.kill();
    rmSync(storeDir, { recursive: true });
    cpSync(backup, storeDir, { recursive: true });
    await server.start();

    const second = await nodeOf(server, { path, ledgers });
    assert.equal(await messagesIn(second), 2);
    assert.equal(second.stream.findClaim(keyOf("new"))?.messageId, idOf(1));
    await second.stream.append([claimingEnvelope("new", 2, { node: 1 })]);
    assert.equal(second.stream.findClaim(keyOf("new"))?.messageId, idOf(1));
    const reader = await second.reader(0, ledgers[0]?.position);
    assert.deepEqual(await ledgers[0]?.takeUntil(reader, 2), [0, 1]);
  });
});

describe("a JetStream that", { skip: withoutNats }, () => {
  test("stands still makes the stream unavailable within seconds, and finishes the append when it goes on", async () => {
    const server = await serverOf();
    const node = await nodeOf(server);
    assert.equal(node.stream.unavailability(), null);
    server.pause();
    const startedMs = performance.now();
    const append = node.stream.append([envelopeOf([1]), claimingEnvelope("k", 2)]);
    await until("it speaks", () => node.stream.unavailability() !== null);
    const tookMs = performance.now() - startedMs;
    // 2 s, and what a busy machine adds.
    assert.ok(tookMs > 1_900 && tookMs < 10_000, `${tookMs} ms`);
    assert.match(node.stream.unavailability() ?? "", /NATS/);
    server.resume();
    assert.equal((await append).length, 2);
    await until("it is silent", () => node.stream.unavailability() === null);
    assert.equal(node.stream.findClaim(keyOf("k"))?.messageId, idOf(2));
    assert.equal(await messagesIn(node), 2);
  });

  test("is gone makes the stream unavailable at once, and takes the append when it is back", async () => {
    const server = await serverOf();
    const node = await nodeOf(server);
    await node.stream.append([claimingEnvelope("k", 0)]);
    await until("the claim is durable", () => node.stream.folds()[0]?.through === 1);
    await server.kill();
    await until("it speaks", () => /no connection/.test(node.stream.unavailability() ?? ""));
    assert.equal(node.stream.folds()[0]?.through, 0);
    const append = node.stream.append([envelopeOf([1])]);
    await server.start();
    assert.deepEqual(await append, [{ partition: 0, sequence: 2 }]);
    await until("the claims are trusted again", () => node.stream.folds()[0]?.through === 1);
  });

  test("is full refuses the append without a trace, and the stream goes on for other partitions", async () => {
    const server = await serverOf();
    const path = join(folder, "full");
    const node = await nodeOf(server, { path, eventsMaxBytes: 64 * 1024 });
    const large = envelopeOf(range(0, 200));
    const refusal = await (async (): Promise<unknown> => {
      for (;;) await node.stream.append([large]).catch((error: unknown) => Promise.reject(error));
    })().catch((error: unknown) => error);
    assert.ok(refusal instanceof Error && "code" in refusal && refusal.code === "ERR_STREAM_WRITE", String(refusal));
    assert.match(refusal.message, /maximum bytes exceeded/);
    assert.deepEqual([node.stream.failure(), node.stream.unavailability()], [null, null]);
    await node.stream.append([envelopeOf([1], { partition: 1 })]);
    const stored = await messagesIn(node);
    await stop(node);
    const again = await nodeOf(server, { path, eventsMaxBytes: 64 * 1024 });
    assert.equal(again.lines.find(({ event }) => event === "outbox.republished")?.fields["entries"], stored);
  });

  test("is full for a part of an append gets that part when there is room, and nothing else until then", async () => {
    const server = await serverOf();
    const node = await nodeOf(server, { eventsMaxBytes: 64 * 1024 });
    const large = envelopeOf(range(0, 200));
    while (
      await node.stream.append([large]).then(
        () => true,
        () => false,
      )
    );
    const append = node.stream.append([large, envelopeOf([1], { partition: 1 })]);
    await until("it speaks", () => /no room/.test(node.stream.unavailability() ?? ""));
    await node.link.manager.streams.purge(eventsStream("volley", 0), { keep: 1 });
    const places = await append;
    assert.deepEqual(places[1], { partition: 1, sequence: 1 });
    assert.equal(node.stream.unavailability(), null);
  });
});

describe("a reader of events", { skip: withoutNats }, () => {
  test("gives out an envelope with claims, and what is behind it, only when its claims are decided", async () => {
    const node = await nodeOf(await serverOf());
    await node.stream.append([envelopeOf([1])]);
    await node.stream.append([claimingEnvelope("k", 2)]);
    await node.stream.append([envelopeOf([3])]);
    let decision: ClaimDecision = "undecided";
    const reader = await node.reader(0, undefined, () => decision);
    await until("the first is here", () => reader.read(0).length === 1);
    assert.deepEqual(
      reader.read(0).map(({ sequence }) => sequence),
      [1],
    );
    assert.deepEqual(reader.read(1), []);
    decision = "superseded";
    reader.folded();
    await until("all is here", () => reader.read(0).length === 3);
    assert.deepEqual(
      reader.read(0).map(({ sequence, bytes }) => [sequence, eventIds(bytes)]),
      [
        [1, [idOf(1)]],
        [2, []],
        [3, [idOf(3)]],
      ],
    );
    assert.equal(reader.head, 3);
  });

  test("holds no more than what may be unacknowledged, and knows the ids of what it gave out", async () => {
    const node = await nodeOf(await serverOf());
    await node.stream.append(range(0, 400).map((number) => envelopeOf([number])));
    const reader = await node.reader(0);
    const everything = { itemsMax: 1_000, bytesMax: 1e9 };
    await until("it is full", () => reader.read(0, everything).length === 128);
    reader.ack(100);
    await until("more came", () => reader.read(0, everything).at(-1)?.sequence === 228);
    assert.equal(reader.read(0, everything).length, 128);
    assert.equal(reader.idAt(100).length, 16);
    assert.equal(reader.idAt(228).length, 16);
    assert.equal(reader.idAt(5), "");
  });
});
