// A LEDGER stream that lost what it had said was stored, tables that have it still, and owners that ended badly.

import assert from "node:assert/strict";
import { test } from "node:test";

import { encodeEntry } from "../../engine/ledger/ledger-entry.ts";
import { CHANGES_KEPT_MS } from "../../engine/ledger/lmdb-ledger-history.ts";
import type { Ledger } from "../../engine/ledger/lmdb-ledger.ts";
import type { MessageRecord } from "../../engine/message/message-record.ts";
import { EngineError } from "../../engine/runtime/errors.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { withoutNats } from "../support/nats-server.ts";
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
import { startLossyServer } from "./lossy-server.ts";
import { contentsOf, entryOf, RoundAuthor, termOf } from "./table-world.ts";

const needsNats = { skip: withoutNats, timeout: 120_000 };

const connected = (...nodes: readonly LedgerNode[]): Promise<void> =>
  until("all are connected again", () => nodes.every(({ link }) => link.isConnected()));

async function assertFreshIsSame(open: ReturnType<typeof nodesOf>, owner: LedgerNode, name = "fresh"): Promise<void> {
  const fresh = await open(name);
  await fresh.log.follow();
  await assertSame(owner, fresh);
  assert.equal(fresh.ledger.gapAtIndex(), null);
}

test("a lost tail is given back at the next start, once, by any of the nodes that have it", needsNats, async (t) => {
  const { server, save, lose } = await startLossyServer(t);
  const open = nodesOf(t, server);
  const nodes = [await open("a"), await open("b"), await open("c")];
  const [owner, ...followers] = nodes;
  assert.ok(owner !== undefined);
  await createLedgerStream(owner.link);
  for (const node of followers) await node.log.follow();
  await owner.log.takeUp();
  const author = new RoundAuthor(1);
  await commitRounds(owner, author, 10);
  await save();
  await connected(...nodes);
  await commitRounds(owner, author, 15, { created: 60, textLength: 2_000 });
  await assertSame(owner, ...followers);
  for (const node of nodes) await node.close();
  await lose();
  const again = await Promise.all(nodes.map((node) => node.restarted()));
  await Promise.all(again.map((node) => node.log.reconcile()));
  await Promise.all(again.map((node) => node.log.follow()));
  const [first] = again;
  assert.ok(first !== undefined);
  await assertFreshIsSame(open, first);
  assert.equal(again.flatMap(eventsOf).filter((event) => event === "ledger.caught_up").length, 1);
  await first.log.takeUp();
  await commitRounds(first, author, 5);
  await assertSame(first, ...again.slice(1));
});

test("an owner whose stream loses its tail under it goes on, and nobody misses anything", needsNats, async (t) => {
  const { server, save, lose } = await startLossyServer(t);
  const open = nodesOf(t, server);
  const [owner, follower] = [await open("owner"), await open("follower")];
  await createLedgerStream(owner.link);
  await follower.log.follow();
  await owner.log.takeUp();
  const author = new RoundAuthor(2);
  await commitRounds(owner, author, 6);
  for (let cut = 0; cut < 3; cut++) {
    await save();
    await connected(owner, follower);
    await commitRounds(owner, author, 4 + cut);
    if (cut > 0) await assertSame(owner, follower);
    await lose();
    await commitRounds(owner, author, 3);
    await assertSame(owner, follower);
  }
  await assertFreshIsSame(open, owner);
  assert.ok(!eventsOf(owner).includes("ledger.fenced"));
  assert.ok(!eventsOf(follower).includes("ledger.forked"));
});

test("a stream that is deleted is made anew and filled from what the tables have", needsNats, async (t) => {
  const { server } = await startLossyServer(t);
  const open = nodesOf(t, server);
  const [owner, follower] = [await open("owner"), await open("follower")];
  const author = new RoundAuthor(3);
  // It need not even be there at the beginning.
  await follower.log.follow();
  await owner.log.takeUp();
  await commitRounds(owner, author, 8);
  await owner.link.manager.streams.delete(STREAM);
  await commitRounds(owner, author, 4);
  await assertSame(owner, follower);
  await assertFreshIsSame(open, owner);
});

test(
  "history that nobody remembers is said to be lost, and a table without it says that it has a gap",
  needsNats,
  async (t) => {
    const { server } = await startLossyServer(t);
    const open = nodesOf(t, server);
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() - 2 * CHANGES_KEPT_MS };
    const early = await open("owner", { clock });
    const author = new RoundAuthor(4);
    await createLedgerStream(early.link);
    await early.log.takeUp();
    await commitRounds(early, author, 30);
    const owner = await early.restarted();
    await owner.log.takeUp();
    await commitRounds(owner, author, 4);
    await owner.link.manager.streams.delete(STREAM);
    await commitRounds(owner, author, 20);
    assert.ok(eventsOf(owner).includes("ledger.history_lost"));

    const fresh = await open("fresh");
    await fresh.log.follow();
    assert.ok(eventsOf(fresh).includes("ledger.gap"));
    assert.notEqual(fresh.ledger.gapAtIndex(), null);
    assert.deepEqual(fresh.ledger.position(), owner.ledger.position());
    const due = fresh.ledger.due({ after: null, throughMs: Number.MAX_SAFE_INTEGER, limit: 99_999 });
    for (const { messageId, dueAtMs } of due) assert.equal(owner.ledger.get(messageId)?.dueAtMs, dueAtMs);
  },
);

test("after a fork the table is the stream's, and what only it knew was handed over", needsNats, async (t) => {
  const { server, save, lose } = await startLossyServer(t);
  const open = nodesOf(t, server);
  const [newer, older] = [await open("newer"), await open("older")];
  await createLedgerStream(newer.link);
  const author = new RoundAuthor(5);
  await newer.log.takeUp();
  await commitRounds(newer, author, 10);
  await older.log.follow();
  await assertSame(newer, older);
  await older.close();
  await save();
  await connected(newer);
  const unshared = new Set<string>();
  for (let round = 0; round < 6; round++) {
    const batch = author.batch(newer.ledger);
    for (const { messageId } of batch.created) unshared.add(messageId);
    for (const { record } of batch.updated) unshared.add(record.messageId);
    await newer.log.commit(batch);
  }
  const lost = new Map([...unshared].map((messageId) => [messageId, newer.ledger.get(messageId)]));
  await newer.close();
  await lose();
  const successor = await older.restarted();
  await successor.log.reconcile();
  await successor.log.takeUp();
  await commitRounds(successor, new RoundAuthor(50), 12);

  const handed: MessageRecord[] = [];
  const back = await newer.restarted({ onFork: (records) => void handed.push(...records) });
  await back.log.reconcile();
  await back.log.follow();
  await assertSame(successor, back);
  assert.deepEqual(new Map(handed.map((record) => [record.messageId, record])), lost);
  assert.equal(eventsOf(back).filter((event) => event === "ledger.forked").length, 1);
});

test("an owner that was fenced after a lost tail finds its fork when it follows", needsNats, async (t) => {
  const { server, save, lose } = await startLossyServer(t);
  const open = nodesOf(t, server);
  const older = await open("older");
  const handed: MessageRecord[] = [];
  const newer = await open("newer", { onFork: (records) => void handed.push(...records) });
  await createLedgerStream(newer.link);
  const author = new RoundAuthor(6);
  await newer.log.takeUp();
  await commitRounds(newer, author, 5);
  await older.log.follow();
  await older.close();
  await save();
  await connected(newer);
  await commitRounds(newer, author, 5, { created: 3, updated: 0 });
  await lose();
  const successor = await older.restarted();
  await successor.log.takeUp();
  await commitRounds(successor, new RoundAuthor(60), 2);
  await assert.rejects(commitRounds(newer, author, 1), { code: "ERR_PARTITION_FENCED" });
  newer.log.release();
  await newer.log.follow();
  await assertSame(successor, newer);
  assert.equal(new Set(handed.map(({ messageId }) => messageId)).size, 15);
});

test(
  "an entry that was stored before its owner ended, and never reached its table, is applied when it follows",
  needsNats,
  async (t) => {
    const { server } = await startLossyServer(t);
    const open = nodesOf(t, server);
    const owner = await open("owner");
    await createLedgerStream(owner.link);
    const author = new RoundAuthor(7);
    await owner.log.takeUp();
    await commitRounds(owner, author, 5);
    await owner.log.close();
    const failing = await open("failing", { ledger: failingOnce(owner.ledger, 3) });
    await failing.log.takeUp();
    await commitRounds(failing, author, 1);
    for (let attempt = 0; attempt < 2; attempt++) {
      await assert.rejects(commitRounds(failing, author, 1), { code: "ERR_LEDGER_WRITE" });
    }
    const before = owner.ledger.position().index;
    const back = await owner.restarted();
    await back.log.follow();
    assert.equal(back.ledger.position().index, before + 1);
    await assertFreshIsSame(open, back);
  },
);

test("a node that was gone while the stream was reconciled by another one finds its place", needsNats, async (t) => {
  const { server, save, lose } = await startLossyServer(t);
  const open = nodesOf(t, server);
  const [owner, absent] = [await open("owner"), await open("absent")];
  await createLedgerStream(owner.link);
  const author = new RoundAuthor(8);
  await owner.log.takeUp();
  await commitRounds(owner, author, 4);
  await save();
  await connected(owner, absent);
  await commitRounds(owner, author, 4);
  // Within what the catch-up entry will stand for.
  await absent.log.follow();
  await absent.close();
  await commitRounds(owner, author, 4);
  await lose();
  await commitRounds(owner, author, 4);
  const back = await absent.restarted();
  await back.log.reconcile();
  await back.log.follow();
  await assertSame(owner, back);
  assert.deepEqual(contentsOf(back.ledger), contentsOf(owner.ledger));
  assert.ok(!eventsOf(back).some((event) => event === "ledger.forked" || event === "ledger.gap"));
});

test("a sequence that the stream has again after a loss does not let an old owner in", needsNats, async (t) => {
  const { server, save, lose } = await startLossyServer(t);
  const open = nodesOf(t, server);
  const [old, successor] = [await open("old"), await open("successor")];
  await createLedgerStream(old.link);
  await save();
  await connected(old, successor);
  const author = new RoundAuthor(9);
  await successor.log.follow();
  await old.log.takeUp();
  await commitRounds(old, author, 1);
  await assertSame(old, successor);
  await lose();
  // Catch-up and take-up are two messages, as take-up and commit were.
  await successor.log.takeUp();
  await assert.rejects(commitRounds(old, author, 1), { code: "ERR_PARTITION_FENCED" });
  await commitRounds(successor, author, 2);
  old.log.release();
  await old.log.follow();
  await assertSame(successor, old);
});

test(
  "a stream in which an owner wrote behind another one's entries leaves all tables the same",
  needsNats,
  async (t) => {
    const { server } = await startLossyServer(t);
    const open = nodesOf(t, server);
    const [owner, early, late] = [await open("owner"), await open("early"), await open("late")];
    await createLedgerStream(owner.link);
    await owner.log.takeUp();
    const author = new RoundAuthor(10);
    await commitRounds(owner, author, 3);
    await early.log.follow();
    // What the next entries would have been for an owner that did not see the last two of them.
    for (let index = 3; index <= 7; index++) {
      const batch = author.batch(owner.ledger, { created: 2, updated: 4 });
      const [message] = encodeEntry(
        entryOf(batch, { index, term: termOf(77), baseTerm: termOf(index === 3 ? 76 : 77) }),
      );
      await owner.link.jetstream.publish("volley.ledger.3", message ?? "", { msgID: `foreign ${index}` });
    }
    await until("the follower has them", () => early.ledger.position().index === 7);
    await late.log.follow();
    await assert.rejects(commitRounds(owner, author, 1), { code: "ERR_PARTITION_FENCED" });
    owner.log.release();
    await owner.log.follow();
    await assertSame(early, late, owner);
    const again = await late.restarted();
    await again.log.takeUp();
    await commitRounds(again, author, 2);
    await assertSame(again, early, owner);
    for (const node of [early, again, owner]) assert.ok(!eventsOf(node).includes("ledger.forked"));
    assert.ok(eventsOf(early).includes("ledger.contradicted"));
  },
);

test("a sequence that a stream made anew has again does not let an old owner in", needsNats, async (t) => {
  const { server } = await startLossyServer(t);
  const open = nodesOf(t, server);
  const [old, successor] = [await open("old"), await open("successor")];
  await createLedgerStream(old.link);
  await successor.log.follow();
  const author = new RoundAuthor(11);
  await old.log.takeUp();
  await commitRounds(old, author, 1);
  await assertSame(old, successor);
  await old.link.manager.streams.delete(STREAM);
  await successor.log.takeUp();
  await assert.rejects(commitRounds(old, author, 1), { code: "ERR_PARTITION_FENCED" });
  await commitRounds(successor, author, 2);
});

test("an owner goes on when its server forgot the id of its last message", needsNats, async (t) => {
  const { server, save } = await startLossyServer(t);
  const open = nodesOf(t, server);
  const owner = await open("owner");
  const duplicateWindowMs = 200;
  await createLedgerStream(owner.link, 1e9, duplicateWindowMs);
  await owner.log.takeUp();
  const author = new RoundAuthor(12);
  await commitRounds(owner, author, 2);
  const storedMs = performance.now();
  await until("the window has passed", () => performance.now() - storedMs > 2 * duplicateWindowMs);
  await save();
  await commitRounds(owner, author, 3);
  await assertFreshIsSame(open, owner);
});

/** The same table, whose `failsAt`th apply fails as a failing disk does, and each later one. */
function failingOnce(ledger: Ledger, failsAt: number): Ledger {
  let applies = 0;
  return new Proxy(ledger, {
    get: (target, key) => {
      if (key === "apply") {
        applies += 1;
        if (applies >= failsAt) return () => Promise.reject(new EngineError("ERR_LEDGER_WRITE", "the disk failed"));
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
