import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { type Ledger, openLedger } from "../../engine/ledger/lmdb-ledger.ts";
import { type MessageQuery, SCANNED_ROWS_MAX, searchMessages } from "../../engine/ledger/message-search.ts";
import type { MessageId } from "../../engine/message/ids.ts";
import type { MessageRecord } from "../../engine/message/message-record.ts";
import { idOf, NOON_MS, recordOf } from "./fixtures.ts";

const ADA = "+14155550100";
const folder = mkdtempSync(join(tmpdir(), "volley-search-"));
const ledgers: Ledger[] = [];

const store = (ledger: Ledger | undefined, created: readonly MessageRecord[]) =>
  ledger?.commit({ created, updated: [], cursor: null, campaigns: [], lastDispatchAtMs: null, marks: [] });

before(async () => {
  for (let partition = 0; partition < 3; partition++) {
    ledgers.push(openLedger({ path: join(folder, String(partition)), readOnly: false }));
  }
  // Campaign 1: 900 messages, by turns in partitions 0 and 2, every third failed, every hundredth to Ada.
  const rows = Array.from({ length: 900 }, (_, number) =>
    recordOf(idOf(number, { partition: partitionOf(number) }), {
      acceptedAtMs: NOON_MS + number,
      status: number % 3 === 0 ? "failed" : "sent",
      phoneNumber: number % 100 === 0 ? ADA : `+1415${5_560_000 + number}`,
    }),
  );
  await store(
    ledgers[0],
    rows.filter((_, number) => partitionOf(number) === 0),
  );
  await store(
    ledgers[2],
    rows.filter((_, number) => partitionOf(number) === 2),
  );
  await store(ledgers[1], [recordOf(idOf(5, { partition: 1, campaignNumber: 2 }), { phoneNumber: ADA })]);
});

after(async () => {
  await Promise.all(ledgers.map((ledger) => ledger.close()));
  rmSync(folder, { recursive: true, force: true });
});

function partitionOf(number: number): number {
  return number % 2 === 0 ? 0 : 2;
}

const idsOf = (...numbers: number[]): MessageId[] =>
  numbers.map((number) => idOf(number, { partition: partitionOf(number) }));

function everyPage(query: MessageQuery): MessageId[] {
  const ids: MessageId[] = [];
  let cursor: string | null = null;
  do {
    const page = searchMessages(ledgers, cursor === null ? query : { ...query, cursor });
    ids.push(...page.items.map(({ messageId }) => messageId));
    cursor = page.cursor;
  } while (cursor !== null);
  return ids;
}

describe("the log search", () => {
  test("gives the newest first, across partitions", () => {
    const page = searchMessages(ledgers, { campaignNumber: 1, limit: 4 });
    assert.deepEqual(
      page.items.map(({ messageId }) => messageId),
      idsOf(899, 898, 897, 896),
    );
  });

  test("gives every message once, page by page", () => {
    const expected = idsOf(...Array.from({ length: 900 }, (_, index) => 899 - index));
    assert.deepEqual(everyPage({ campaignNumber: 1, limit: 7 }), expected);
    assert.deepEqual(everyPage({ campaignNumber: 1, limit: 1_000 }), expected);
  });

  test("keeps to a status, a number and a window of time, also all at once", () => {
    assert.equal(everyPage({ campaignNumber: 1, status: "failed", limit: 50 }).length, 300);
    assert.deepEqual(
      everyPage({ campaignNumber: 1, phone: ADA, limit: 4 }),
      idsOf(800, 700, 600, 500, 400, 300, 200, 100, 0),
    );
    const window = { fromMs: NOON_MS + 300, toMs: NOON_MS + 601 };
    assert.deepEqual(
      everyPage({ campaignNumber: 1, phone: ADA, status: "failed", ...window, limit: 1 }),
      idsOf(600, 300),
    );
    assert.equal(everyPage({ campaignNumber: 1, ...window, limit: 100 }).length, 301);
  });

  test("finds nothing for another campaign, a strange number or a cursor of nobody's making", () => {
    assert.deepEqual(searchMessages(ledgers, { campaignNumber: 9, limit: 9 }), { items: [], cursor: null });
    assert.deepEqual(everyPage({ campaignNumber: 1, phone: "+1", limit: 9 }), []);
    assert.deepEqual(searchMessages(ledgers, { campaignNumber: 1, limit: 9, cursor: "../etc" }), {
      items: [],
      cursor: null,
    });
  });

  test("stops after a bounded number of rows, with a cursor to go on from", async () => {
    const path = join(folder, "large");
    const ledger = openLedger({ path, readOnly: false });
    const rows = Array.from({ length: SCANNED_ROWS_MAX + 10 }, (_, number) =>
      recordOf(idOf(number, { partition: 0 }), { status: number === 3 ? "failed" : "sent" }),
    );
    await store(ledger, rows);
    const first = searchMessages([ledger], { campaignNumber: 1, status: "failed", limit: 9 });
    assert.deepEqual(first.items, []);
    const second = searchMessages([ledger], {
      campaignNumber: 1,
      status: "failed",
      limit: 9,
      cursor: first.cursor ?? "",
    });
    assert.deepEqual(
      second.items.map(({ messageId }) => messageId),
      [rows[3]?.messageId],
    );
    assert.equal(second.cursor, null);
    await ledger.close();
  });
});
