// The ledger against real files: what a commit stores, how it is found, and who sees it when.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Worker } from "node:worker_threads";

import * as fc from "fast-check";

import type { CampaignState } from "../../engine/ledger/campaign-state.ts";
import type { LedgerMark, LedgerRange } from "../../engine/ledger/ledger-reader.ts";
import { emptyCounters } from "../../engine/ledger/counters.ts";
import { type Ledger, type LedgerBatch, openLedger } from "../../engine/ledger/lmdb-ledger.ts";
import { campaignPrefix } from "../../engine/message/ids.ts";
import { idOf, NOON_MS, recordOf } from "./fixtures.ts";

const DAY_MS = 24 * 3_600_000;

const folder = mkdtempSync(join(tmpdir(), "volley-ledger-"));
after(() => rmSync(folder, { recursive: true, force: true }));

let folders = 0;
const freshPath = (): string => join(folder, `ledger-${(folders += 1)}`);
const open = (path = freshPath()): Ledger => openLedger({ path, readOnly: false });

const batchOf = (changes: Partial<LedgerBatch>): LedgerBatch => ({
  created: [],
  updated: [],
  cursor: null,
  campaigns: [],
  lastDispatchAtMs: null,
  marks: [],
  ...changes,
});

const CAMPAIGN = { from: campaignPrefix(3, 1), to: campaignPrefix(3, 2) };

describe("a ledger", () => {
  test("gives back a record by its id, and nothing for an unknown one", async () => {
    const ledger = open();
    const record = recordOf(idOf(1), {
      message: "Grüße 👋",
      timeline: [{ atMs: NOON_MS, status: "queued", attempt: 0, errorCode: null, detail: "" }],
    });
    await ledger.commit(batchOf({ created: [record] }));
    assert.deepEqual(ledger.get(record.messageId), record);
    assert.equal(ledger.get(idOf(2)), undefined);
    await ledger.close();
  });

  test("reads ranges from their start inclusive to their end exclusive, both ways", async () => {
    const ledger = open();
    await ledger.commit(batchOf({ created: [5, 1, 3, 2, 4].map((number) => recordOf(idOf(number))) }));
    const range = { from: idOf(2), to: idOf(4) };
    assert.deepEqual(
      ledger.records({ ...range, limit: 9 }).map(({ messageId }) => messageId),
      [idOf(2), idOf(3)],
    );
    assert.deepEqual(
      ledger.records({ ...range, limit: 9, reverse: true }).map(({ messageId }) => messageId),
      [idOf(3), idOf(2)],
    );
    assert.deepEqual(
      ledger.summaries({ ...CAMPAIGN, limit: 2, reverse: true }).map(({ messageId }) => messageId),
      [idOf(5), idOf(4)],
    );
    await ledger.close();
  });

  test("keeps campaigns apart", async () => {
    const ledger = open();
    const other = idOf(1, { campaignNumber: 2 });
    await ledger.commit(batchOf({ created: [recordOf(idOf(1)), recordOf(other)] }));
    assert.deepEqual(
      ledger.summaries({ ...CAMPAIGN, limit: 9 }).map(({ messageId }) => messageId),
      [idOf(1)],
    );
    await ledger.close();
  });
});

describe("a ledger's side tables", () => {
  test("finds waiting rows by the time they wait for, also after that time was moved or ended", async () => {
    const ledger = open();
    const waiting = [1, 2, 3].map((number) => recordOf(idOf(number), { dueAtMs: NOON_MS + number }));
    await ledger.commit(batchOf({ created: [...waiting, recordOf(idOf(4))] }));
    assert.deepEqual(ledger.due({ after: null, throughMs: NOON_MS + 2, limit: 9 }), [
      { dueAtMs: NOON_MS + 1, messageId: idOf(1) },
      { dueAtMs: NOON_MS + 2, messageId: idOf(2) },
    ]);
    assert.equal(ledger.due({ after: null, throughMs: NOON_MS + 9, limit: 1 }).length, 1);

    const changes = [
      { record: recordOf(idOf(1), { dueAtMs: 0 }), previousDueAtMs: NOON_MS + 1 },
      { record: recordOf(idOf(2), { dueAtMs: NOON_MS + 99 }), previousDueAtMs: NOON_MS + 2 },
      { record: recordOf(idOf(3), { dueAtMs: NOON_MS + 3 }), previousDueAtMs: NOON_MS + 3 },
      { record: recordOf(idOf(4), { dueAtMs: NOON_MS + 50 }), previousDueAtMs: 0 },
    ];
    await ledger.commit(batchOf({ updated: changes }));
    assert.deepEqual(
      ledger.due({ after: null, throughMs: NOON_MS + 100, limit: 9 }).map(({ messageId }) => messageId),
      [idOf(3), idOf(4), idOf(2)],
    );
    await ledger.close();
  });

  test("keeps cursor, last dispatch and campaign states, also across a restart", async () => {
    const path = freshPath();
    const first = open(path);
    assert.deepEqual([first.cursor(), first.lastDispatchAt(), first.campaignStates()], [0, 0, []]);
    const counts = { byStatus: { sent: 2, failed: 1 }, byError: { "131026": 1 }, doubleSends: 1 };
    const counters = { ...emptyCounters(), accepted: 3, ...counts };
    const state: CampaignState = { campaignNumber: 300, headId: idOf(1), diskFromId: "", tailId: idOf(9), counters };
    await first.commit(batchOf({ cursor: 7, lastDispatchAtMs: NOON_MS, campaigns: [state] }));
    await first.commit(batchOf({ campaigns: [{ ...state, campaignNumber: 2 }] }));
    await first.close();

    const second = open(path);
    assert.deepEqual([second.cursor(), second.lastDispatchAt()], [7, NOON_MS]);
    assert.deepEqual(second.campaignStates(), [{ ...state, campaignNumber: 2 }, state]);
    await second.close();
  });

  test("stores states as they are when commit is called", async () => {
    const ledger = open();
    const counters = emptyCounters();
    const state: CampaignState = { campaignNumber: 1, headId: "", diskFromId: "", tailId: "", counters };
    const commit = ledger.commit(batchOf({ campaigns: [state] }));
    counters.accepted = 99;
    await commit;
    assert.equal(ledger.campaignStates()[0]?.counters.accepted, 0);
    await ledger.close();
  });
});

describe("a ledger's marks", () => {
  const bytesOf = (text: string): Buffer => Buffer.from(text);
  const set = (key: string, value: string): LedgerMark => ({ key, value: bytesOf(value) });

  test("are read by their key and in the order of their keys, both ways, also after a restart", async () => {
    const path = freshPath();
    const first = open(path);
    await first.commit(batchOf({ marks: [set("trail/2", "two"), set("key/é", "e"), set("trail/1", "one")] }));
    await first.commit(batchOf({ marks: [set("trail/3", ""), set("trail/2", "again"), set("trail/2", "at last")] }));
    await first.close();
    const ledger = open(path);
    assert.deepEqual(Buffer.from(ledger.mark("trail/2") ?? "?"), bytesOf("at last"));
    assert.deepEqual([ledger.mark("trail/3")?.length, ledger.mark("trail/4")], [0, undefined]);
    const range = { from: "trail/", to: "trail0" };
    assert.deepEqual(
      ledger.marks({ ...range, limit: 9 }).map(({ key, value }) => [key, Buffer.from(value).toString()]),
      [
        ["trail/1", "one"],
        ["trail/2", "at last"],
        ["trail/3", ""],
      ],
    );
    const keys = (from: LedgerRange): string[] => ledger.marks(from).map(({ key }) => key);
    assert.deepEqual(keys({ ...range, limit: 2, reverse: true }), ["trail/3", "trail/2"]);
    assert.deepEqual(keys({ from: "trail/1", to: "trail/3", limit: 9 }), ["trail/1", "trail/2"]);
    assert.deepEqual(keys({ from: "trail/1", to: "trail/3", limit: 9, reverse: true }), ["trail/2", "trail/1"]);
    assert.deepEqual(keys({ from: "", to: "~", limit: 1 }), ["key/é"]);
    await ledger.close();
  });

  test("end with a null, also one that was set in the same batch, and one that was never there", async () => {
    const ledger = open();
    await ledger.commit(batchOf({ marks: [set("a", "1"), set("b", "1")] }));
    const gone = { key: "b", value: null };
    await ledger.commit(
      batchOf({ marks: [{ key: "a", value: null }, set("b", "2"), gone, { key: "c", value: null }] }),
    );
    assert.deepEqual(ledger.marks({ from: "a", to: "z", limit: 9 }), []);
    await ledger.close();
  });

  test("are there with their batch or not at all: a key that does not fit stores nothing of it", async () => {
    const ledger = open();
    const created = [recordOf(idOf(1))];
    for (const key of ["", "x".repeat(1_025), "é".repeat(513)]) {
      await assert.rejects(ledger.commit(batchOf({ created, marks: [set("fits", "1"), set(key, "1")] })), RangeError);
    }
    assert.deepEqual([ledger.get(idOf(1)), ledger.mark("fits")], [undefined, undefined]);
    await ledger.commit(batchOf({ created, marks: [set("é".repeat(512), "1")] }));
    assert.ok(ledger.mark("é".repeat(512)));
    await ledger.close();
  });

  test("come back as they were, whatever text their keys are", async () => {
    const ledger = open();
    const key = fc.string({ unit: "binary", minLength: 1, maxLength: 60 });
    const marks = fc.uniqueArray(fc.tuple(key, fc.uint8Array({ maxLength: 20 })), { selector: ([text]) => text });
    await fc.assert(
      fc.asyncProperty(marks, async (drawn) => {
        await ledger.clear();
        await ledger.commit(batchOf({ marks: drawn.map(([text, value]) => ({ key: `k/${text}`, value })) }));
        const expected = drawn
          .map(([text, value]) => [Buffer.from(`k/${text}`), [...value]] as const)
          .toSorted(([a], [b]) => Buffer.compare(a, b));
        const found = ledger.marks({ from: "k/", to: "k0", limit: 999 });
        assert.deepEqual(
          found.map(({ key: text, value }) => [Buffer.from(text), [...value]]),
          expected,
        );
      }),
      { numRuns: 40 },
    );
    await ledger.close();
  });
});

describe("the phone index", () => {
  const ada = "+14155550100";
  const bob = "+14155550101";

  test("finds a number's messages of all campaigns, newest first, across segments and restarts", async () => {
    const path = freshPath();
    for (let life = 0; life < 2; life++) {
      const ledger = open(path);
      const created = Array.from({ length: 6_000 }, (_, index) => {
        const number = life * 6_000 + index;
        const phoneNumber = index % 1_000 === 0 ? ada : `+1415${5_560_000 + index}`;
        return recordOf(idOf(number), { phoneNumber, acceptedAtMs: NOON_MS + number });
      });
      await ledger.commit(batchOf({ created }));
      await ledger.close();
    }
    const ledger = open(path);
    const expected = Array.from({ length: 12 }, (_, index) => idOf((11 - index) * 1_000));
    const always = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER };
    assert.deepEqual(ledger.idsOfPhone(ada, { ...always, limit: 99 }), expected);
    assert.deepEqual(ledger.idsOfPhone(ada, { ...always, limit: 3 }), expected.slice(0, 3));
    assert.deepEqual(ledger.idsOfPhone("+19999999999", { ...always, limit: 99 }), []);
    await ledger.close();
  });

  test("keeps to the window of time, also over days", async () => {
    const ledger = open();
    for (let day = 0; day < 9; day++) {
      const acceptedAtMs = NOON_MS + day * DAY_MS;
      const created = [ada, bob].map((phoneNumber, index) =>
        recordOf(idOf(day * 2 + index), { phoneNumber, acceptedAtMs }),
      );
      await ledger.commit(batchOf({ created }));
    }
    const window = { fromMs: NOON_MS + 2 * DAY_MS, toMs: NOON_MS + 4 * DAY_MS, limit: 9 };
    assert.deepEqual(ledger.idsOfPhone(ada, window), [idOf(6), idOf(4)]);
    assert.deepEqual(
      ledger.idsOfPhone(bob, { ...window, fromMs: 0 }),
      [7, 5, 3, 1].map((number) => idOf(number)),
    );
    await ledger.close();
  });
});

describe("a ledger that is read only", () => {
  test("sees each commit as soon as it resolved, whichever of the two opened first", async () => {
    const path = freshPath();
    const reader = openLedger({ path, readOnly: true });
    const writer = open(path);
    assert.deepEqual(reader.records({ ...CAMPAIGN, limit: 9 }), []);
    for (let number = 1; number <= 3; number++) {
      await writer.commit(batchOf({ created: [recordOf(idOf(number))], cursor: number }));
      assert.equal(reader.records({ ...CAMPAIGN, limit: 9 }).length, number);
      assert.equal(reader.cursor(), number);
      assert.ok(reader.get(idOf(number)));
    }
    await reader.close();
    await writer.close();
  });

  test("refuses to commit", async () => {
    const reader = openLedger({ path: freshPath(), readOnly: true });
    assert.ok("commit" in reader && typeof reader.commit === "function");
    await assert.rejects(reader.commit(batchOf({ cursor: 1 })), { code: "ERR_LEDGER_WRITE" });
    await reader.close();
  });

  test("reads in one thread what another one writes, and outlives that thread", async () => {
    const path = freshPath();
    const reader = openLedger({ path, readOnly: true });
    const writer = new Worker(new URL("./ledger-writer-child.js", import.meta.url), { argv: [path], stdout: true });
    let text = "";
    for await (const chunk of writer.stdout) {
      text += String(chunk);
      if (text.split("\n").length > 10) break;
    }
    await writer.terminate();
    const cursor = reader.cursor();
    assert.ok(cursor > 0);
    assert.equal(reader.summaries({ ...CAMPAIGN, limit: 1_000_000 }).length, cursor * 128);

    const successor = open(path);
    await successor.commit(batchOf({ cursor: cursor + 1 }));
    assert.equal(reader.cursor(), cursor + 1);
    await successor.close();
    await reader.close();
  });

  test("has files for the owner only", async () => {
    const path = freshPath();
    const ledger = open(path);
    assert.equal(statSync(join(path, "data.mdb")).mode & 0o777, 0o600);
    await ledger.close();
    await ledger.close();
  });
});
