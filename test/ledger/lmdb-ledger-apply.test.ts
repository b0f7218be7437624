// A table that is filled from entries: the same as one that was committed to, with its place in the log beside it.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import type { LedgerEntry } from "../../engine/ledger/ledger-entry.ts";
import type { LedgerMark } from "../../engine/ledger/ledger-reader.ts";
import { CHANGES_KEPT_MS, CHANGES_MAX } from "../../engine/ledger/lmdb-ledger-history.ts";
import { type Ledger, openLedger } from "../../engine/ledger/lmdb-ledger.ts";
import { idOf, NOON_MS, recordOf } from "./fixtures.ts";
import { contentsOf, entryOf, RoundAuthor, termOf } from "./table-world.ts";

const folder = mkdtempSync(join(tmpdir(), "volley-apply-"));
after(() => rmSync(folder, { recursive: true, force: true }));

let folders = 0;
const open = (name = `ledger-${(folders += 1)}`): Ledger => openLedger({ path: join(folder, name), readOnly: false });

const NOTHING = { created: [], updated: [], cursor: null, campaigns: [], lastDispatchAtMs: null, marks: [] };

/** Commits `rounds` rounds, and answers with the entries they would be. */
async function committed(ledger: Ledger, rounds: number, author = new RoundAuthor(7)): Promise<LedgerEntry[]> {
  const entries: LedgerEntry[] = [];
  for (let index = 1; index <= rounds; index++) {
    const batch = author.batch(ledger);
    entries.push(entryOf(batch, { index }));
    await ledger.commit(batch);
  }
  return entries;
}

test("a table filled from entries shows what a table that was committed to shows, however many at once", async () => {
  const owner = open();
  const entries = await committed(owner, 60);
  for (const atOnce of [1, 7, 60]) {
    const ledger = open();
    for (let from = 0; from < entries.length; from += atOnce) await ledger.apply(entries.slice(from, from + atOnce));
    assert.deepEqual(contentsOf(ledger), contentsOf(owner));
    assert.deepEqual(ledger.position(), { index: 60, term: termOf(1) });
    assert.equal(ledger.gapAtIndex(), null);
    await ledger.close();
  }
  await owner.close();
});

test("a commit alone moves no position and remembers no changes", async () => {
  const ledger = open();
  await committed(ledger, 3);
  assert.deepEqual(ledger.position(), { index: 0, term: "" });
  const nothing = { messageIds: new Set(), campaignNumbers: new Set(), markKeys: new Set() };
  assert.deepEqual(ledger.changesAfter(0), { baseIndex: 0, ...nothing });
  await ledger.close();
});

test("position, terms and what changed survive a restart", async () => {
  const ledger = open("restarted");
  const created = [1, 2, 3].map((number) => recordOf(idOf(number)));
  const markOf = (number: number): LedgerMark => ({ key: `mark/${number}`, value: null });
  const batches = created.map((record, at) => ({ ...NOTHING, created: [record], marks: [markOf(at)] }));
  const entries = batches.map((batch, at) => entryOf(batch, { index: at + 1, term: termOf(at === 2 ? 9 : 1) }));
  await ledger.apply(entries);
  await ledger.close();
  const again = open("restarted");
  assert.deepEqual(again.position(), { index: 3, term: termOf(9) });
  assert.deepEqual(
    [0, 1, 2, 3, 99].map((index) => again.termAt(index)),
    ["", termOf(1), termOf(1), termOf(9), termOf(9)],
  );
  assert.deepEqual(again.termsFrom(2), [
    [2, termOf(1)],
    [3, termOf(9)],
  ]);
  assert.deepEqual(again.changesAfter(1), {
    baseIndex: 1,
    messageIds: new Set([idOf(2), idOf(3)]),
    campaignNumbers: new Set(),
    markKeys: new Set(["mark/1", "mark/2"]),
  });
  await again.close();
});

test("changes are remembered for ten minutes, and so many at most; the answer says how far they reach", async () => {
  const ledger = open();
  const at = (index: number, atMs: number): LedgerEntry =>
    entryOf({ ...NOTHING, created: [recordOf(idOf(index))] }, { index, atMs });
  await ledger.apply([at(1, NOON_MS), at(2, NOON_MS + 5), at(3, NOON_MS + 10)]);
  await ledger.apply([at(4, NOON_MS + CHANGES_KEPT_MS + 5)]);
  assert.equal(ledger.changesAfter(0).baseIndex, 1);
  assert.equal(ledger.changesAfter(3).messageIds.size, 1);
  assert.equal(ledger.changesAfter(4).baseIndex, 4);

  const late = { term: termOf(1), atMs: NOON_MS + CHANGES_KEPT_MS + 6 };
  await ledger.apply([{ ...entryOf(NOTHING, { index: CHANGES_MAX + 3, ...late }), baseIndex: 4 }]);
  assert.equal(ledger.changesAfter(0).baseIndex, 3);
  await ledger.close();
});

test("a catch-up entry brings a table that has some of it, or none of it, to the same rows", async () => {
  const owner = open();
  const entries = await committed(owner, 40);
  const source = open();
  await source.apply(entries);
  const changes = source.changesAfter(10);
  assert.equal(changes.baseIndex, 10);
  const rows = [...changes.messageIds].map((messageId) => {
    const row = source.row(messageId);
    assert.ok(row !== undefined);
    return row;
  });
  const catchUp: LedgerEntry = {
    ...entryOf(NOTHING, { index: 40 }),
    baseIndex: 10,
    rows,
    campaigns: entries.flatMap(({ campaigns }) => campaigns),
    marks: [...changes.markKeys].map((key) => [key, source.mark(key) ?? null] as const),
    cursor: source.cursor(),
    cursorId: source.cursorPosition().id,
    lastDispatchAtMs: source.lastDispatchAt(),
    terms: source.termsFrom(11),
  };
  for (const held of [10, 11, 25, 39]) {
    const ledger = open();
    await ledger.apply(entries.slice(0, held));
    await ledger.apply([catchUp]);
    assert.deepEqual(contentsOf(ledger), contentsOf(owner), `from ${held}`);
    assert.equal(ledger.gapAtIndex(), null);
    await ledger.close();
  }
  await source.close();
  await owner.close();
});

test("behind a gap rows are looked up: what changed unseen leaves no stale due entry, phone entries are whole", async () => {
  const owner = open();
  const entries = await committed(owner, 60);
  const ledger = open("gap");
  await ledger.apply(entries.slice(0, 20));
  await ledger.apply(entries.slice(30, 45));
  assert.equal(ledger.gapAtIndex(), 31);
  assert.equal(ledger.termAt(25), termOf(1));
  await ledger.close();
  const again = open("gap");
  for (const entry of entries.slice(45)) await again.apply([entry]);
  const due = again.due({ after: null, throughMs: Number.MAX_SAFE_INTEGER, limit: 99_999 });
  for (const { messageId, dueAtMs } of due) assert.equal(again.get(messageId)?.dueAtMs, dueAtMs);
  const touched = new Set(entries.slice(30).flatMap(({ rows }) => rows.map(([messageId]) => messageId)));
  for (const messageId of touched) {
    const record = owner.get(messageId);
    assert.deepEqual(again.get(messageId), record);
    const window = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, limit: 99_999 };
    assert.equal(again.idsOfPhone(record?.phoneNumber ?? "", window).filter((id) => id === messageId).length, 1);
  }
  await again.close();
  await owner.close();
});

test("a gap of another term leaves what is between unknown", async () => {
  const ledger = open();
  await ledger.apply([entryOf(NOTHING, { index: 1 })]);
  await ledger.apply([entryOf(NOTHING, { index: 9, term: termOf(2) })]);
  assert.deepEqual(
    [1, 2, 8, 9].map((index) => ledger.termAt(index)),
    [termOf(1), "", "", termOf(2)],
  );
  await ledger.close();
});

test("a cleared table is empty and can be filled anew", async () => {
  const ledger = open("cleared");
  const created = Array.from({ length: 25_000 }, (_, number) => recordOf(idOf(number), { dueAtMs: NOON_MS }));
  const marks = [{ key: "mark", value: Buffer.from("kept") }];
  await ledger.apply([
    entryOf({ ...NOTHING, created, marks, cursor: 9, cursorId: "nine" }, { index: 5, baseIndex: 3 }),
  ]);
  const empty = open();
  await ledger.clear();
  assert.deepEqual(contentsOf(ledger), contentsOf(empty));
  assert.deepEqual(ledger.position(), { index: 0, term: "" });
  assert.deepEqual([ledger.isClearing(), ledger.gapAtIndex(), ledger.termAt(9)], [false, null, ""]);
  await ledger.apply([entryOf({ ...NOTHING, created: [recordOf(idOf(1))] }, { index: 1 })]);
  assert.equal(ledger.position().index, 1);
  await ledger.close();
  await empty.close();
});
