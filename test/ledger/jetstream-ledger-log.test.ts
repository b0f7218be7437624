// The replicated ledger on a real nats-server: one owner, others that follow, and who may write.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";

import { decodeHead, encodeEntry } from "../../engine/ledger/ledger-entry.ts";
import { type NatsServer, startNatsServer, withoutNats } from "../support/nats-server.ts";
import { until } from "../support/until.ts";
import {
  assertSame,
  commitRounds,
  createLedgerStream,
  eventsOf,
  type LedgerNode,
  nodesOf,
  STREAM,
} from "./ledger-node.ts";
import { entryOf, RoundAuthor } from "./table-world.ts";

const needsNats = { skip: withoutNats, timeout: 120_000 };

async function started(t: TestContext): Promise<NatsServer> {
  const server = await startNatsServer();
  t.after(() => server.stop());
  return server;
}

async function lastSequence({ link }: LedgerNode): Promise<number> {
  return (await link.manager.streams.info(STREAM)).state.last_seq;
}

test("two followers show what the owner shows, through several take-ups by different nodes", needsNats, async (t) => {
  const open = nodesOf(t, await started(t));
  for (const seed of [1, 2, 3]) {
    const nodes = await Promise.all(["a", "b", "c"].map((name) => open(`${name}${seed}`)));
    const [first] = nodes;
    assert.ok(first !== undefined);
    if (seed > 1) await first.link.manager.streams.delete(STREAM);
    await createLedgerStream(first.link);
    for (const node of nodes) await node.log.reconcile();
    await Promise.all(nodes.map((node) => node.log.follow()));
    const author = new RoundAuthor(seed);
    for (let turn = 0; turn < 4; turn++) {
      const owner = nodes[turn % nodes.length] ?? first;
      await owner.log.takeUp();
      await commitRounds(owner, author, 25);
      await assertSame(owner, ...nodes.filter((node) => node !== owner));
      owner.log.release();
      await owner.log.follow();
    }
    assert.equal(first.ledger.position().index, 4 * 26);
    assert.deepEqual(
      eventsOf(first).filter((event) => /gap|fork|fenced|failed/.test(event)),
      [],
    );
    for (const node of nodes) await node.close();
  }
});

test(
  "an owner that another one replaced is refused, and takes over the other's history when it follows",
  needsNats,
  async (t) => {
    const open = nodesOf(t, await started(t));
    const [old, successor] = [await open("old"), await open("successor")];
    await createLedgerStream(old.link);
    const author = new RoundAuthor(4);
    await old.log.takeUp();
    await commitRounds(old, author, 5);
    await successor.log.takeUp();
    await commitRounds(successor, new RoundAuthor(40), 3);
    for (let attempt = 0; attempt < 2; attempt++) {
      await assert.rejects(old.log.commit(author.batch(old.ledger)), { code: "ERR_PARTITION_FENCED" });
    }
    old.log.release();
    await assert.rejects(old.log.commit(author.batch(old.ledger)), { code: "ERR_PARTITION_FENCED" });
    await old.log.follow();
    await assertSame(successor, old);
    assert.ok(!eventsOf(old).includes("ledger.forked"));

    await old.log.takeUp();
    await commitRounds(old, new RoundAuthor(41), 2);
    await assert.rejects(successor.log.commit(author.batch(successor.ledger)), { code: "ERR_PARTITION_FENCED" });
  },
);

test("several nodes that take up at once come one after the other, and the last one owns", needsNats, async (t) => {
  const open = nodesOf(t, await started(t));
  const nodes = await Promise.all(["a", "b", "c", "d"].map((name) => open(name)));
  const [first] = nodes;
  assert.ok(first !== undefined);
  await createLedgerStream(first.link);
  await Promise.all(nodes.map((node) => node.log.takeUp()));
  const results = await Promise.allSettled(nodes.map((node) => commitRounds(node, new RoundAuthor(5), 1)));
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
  const owner = nodes[results.findIndex(({ status }) => status === "fulfilled")] ?? first;
  const others = nodes.filter((node) => node !== owner);
  for (const node of others) node.log.release();
  await Promise.all(others.map((node) => node.log.follow()));
  assert.equal(owner.ledger.position().index, 5);
  await assertSame(owner, ...others);
});

test("an entry of 5 MB goes in parts, none larger than the server takes", needsNats, async (t) => {
  const server = await startNatsServer({ config: "max_payload: 300KB" });
  t.after(() => server.stop());
  const open = nodesOf(t, server);
  const [owner, follower] = [await open("owner"), await open("follower")];
  await createLedgerStream(owner.link);
  await follower.log.follow();
  await owner.log.takeUp();
  await commitRounds(owner, new RoundAuthor(6), 2, { created: 2_500, textLength: 1_900 });
  await assertSame(owner, follower);
  const sequence = await lastSequence(owner);
  const newest = await owner.link.manager.streams.getMessage(STREAM, { seq: sequence });
  assert.ok(newest !== null);
  const { parts, part, term, index } = decodeHead(newest.data);
  assert.ok(parts > 16);
  assert.equal(newest.header.get("Nats-Msg-Id"), `${term}.${index}.${part}`);

  const late = await open("late");
  await late.log.follow();
  await assertSame(owner, late);
});

test("an owner that ended in the middle of an entry leaves nothing of it", needsNats, async (t) => {
  const open = nodesOf(t, await started(t));
  const [owner, follower] = [await open("owner"), await open("follower")];
  await createLedgerStream(owner.link);
  await owner.log.takeUp();
  await commitRounds(owner, new RoundAuthor(7), 3);
  const [head] = partsOf(owner, 900);
  assert.ok(head !== undefined);
  await owner.link.jetstream.publish("volley.ledger.3", head, { msgID: "cut short" });
  await follower.log.follow();
  await assertSame(owner, follower);
  await follower.log.takeUp();
  await commitRounds(follower, new RoundAuthor(8), 3);
  const late = await open("late");
  await late.log.follow();
  await assertSame(follower, late);
  await assert.rejects(commitRounds(owner, new RoundAuthor(9), 1), { code: "ERR_PARTITION_FENCED" });
});

test("a new node fills its table from the stream and tells how far it is", needsNats, async (t) => {
  const open = nodesOf(t, await started(t));
  const owner = await open("owner");
  await createLedgerStream(owner.link);
  await owner.log.takeUp();
  const author = new RoundAuthor(10);
  await commitRounds(owner, author, 500, { created: 200, updated: 0, textLength: 100 });
  const steps: [number, number][] = [];
  const applied = new Set<number>();
  const fresh = await open("fresh", {
    onProgress: (done, total) => steps.push([done, total]),
    onApplied: (numbers) => numbers.forEach((number) => applied.add(number)),
  });
  const startMs = performance.now();
  await fresh.log.follow();
  const seconds = (performance.now() - startMs) / 1_000;
  t.diagnostic(`${Math.round(100_000 / seconds)} rows/s`);
  assert.deepEqual(steps.at(-1), [501, 501]);
  assert.ok(steps.length > 3);
  assert.ok(steps.every(([done, total], at) => total === 501 && done >= (steps[at - 1]?.[0] ?? 0)));
  assert.deepEqual(applied, new Set([1, 2, 3]));
  await assertSame(owner, fresh);
  assert.ok(seconds < 60);
});

test("a publish without an answer for seconds leaves exactly one entry", needsNats, async (t) => {
  const server = await started(t);
  const open = nodesOf(t, server);
  const [owner, follower] = [await open("owner"), await open("follower")];
  await createLedgerStream(owner.link);
  const author = new RoundAuthor(11);
  await owner.log.takeUp();
  await commitRounds(owner, author, 3);
  await follower.log.follow();
  server.pause();
  const commit = commitRounds(owner, author, 1);
  await until(
    "the owner is in doubt",
    () => eventsOf(owner).filter((event) => event === "ledger.publish_uncertain").length >= 2,
  );
  server.resume();
  await commit;
  await commitRounds(owner, author, 3);
  await assertSame(owner, follower);
  assert.equal(await lastSequence(owner), 8);
});

test(
  "a full stream lets its oldest half go: the owner goes on, and who follows misses nothing",
  needsNats,
  async (t) => {
    const open = nodesOf(t, await started(t));
    const [owner, follower] = [await open("owner"), await open("follower")];
    await createLedgerStream(owner.link, 20_000);
    await owner.log.takeUp();
    await follower.log.follow();
    const author = new RoundAuthor(12);
    for (let round = 0; round < 20; round++) {
      await commitRounds(owner, author, 1, { created: 5, textLength: 300 });
      const { index } = owner.ledger.position();
      await until("the follower has it", () => follower.ledger.position().index === index);
    }
    assert.ok(eventsOf(owner).includes("stream.full"));
    const { state } = await owner.link.manager.streams.info(STREAM);
    assert.ok(state.first_seq > 1 && state.bytes <= 20_000);
    await assertSame(owner, follower);
  },
);

test("release and close end a commit that waits, at once", needsNats, async (t) => {
  const server = await started(t);
  const open = nodesOf(t, server);
  for (const end of ["release", "close"] as const) {
    const owner = await open(end);
    if (end === "release") await createLedgerStream(owner.link);
    const author = new RoundAuthor(13);
    await owner.log.takeUp();
    server.pause();
    const refused = assert.rejects(commitRounds(owner, author, 1), { code: "ERR_PARTITION_FENCED" });
    const startMs = performance.now();
    await owner.log[end]();
    await refused;
    assert.ok(performance.now() - startMs < 500);
    server.resume();
    if (end === "close") continue;
    // The entry may be there or not; the table is what the stream says.
    await owner.log.follow();
    const other = await open("other");
    await other.log.follow();
    await assertSame(owner, other);
    await owner.log.close();
  }
});

test("a take-up that is given up in the middle ends at once, and the node follows", needsNats, async (t) => {
  const server = await started(t);
  const open = nodesOf(t, server);
  const [owner, node] = [await open("owner"), await open("node")];
  await createLedgerStream(owner.link);
  await owner.log.takeUp();
  await commitRounds(owner, new RoundAuthor(14), 5);
  server.pause();
  const refused = assert.rejects(node.log.takeUp(), { code: "ERR_PARTITION_FENCED" });
  node.log.release();
  await refused;
  server.resume();
  await node.log.follow();
  await commitRounds(owner, new RoundAuthor(15), 1);
  await assertSame(owner, node);
});

function partsOf({ ledger }: LedgerNode, partBytesMax: number): Uint8Array[] {
  const { index, term } = ledger.position();
  const batch = new RoundAuthor(70).batch(ledger, { created: 9, textLength: 200 });
  return encodeEntry(entryOf(batch, { index: index + 1, term }), partBytesMax);
}
