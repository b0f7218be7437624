import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { type CsvLedger, csvJob, type CsvQuery } from "../../engine/export/csv-job.ts";
import { CSV_HEADER, type CsvRecord } from "../../engine/export/csv-row.ts";
import { csvRecord, idOf, ledgerOf, NOON_MS, parseCsv } from "./fixtures.ts";

const ALL: CsvQuery = { campaignNumber: 1 };
const numbers = (count: number): number[] => Array.from({ length: count }, (_, number) => number);

function textOf(ledgers: readonly CsvLedger[], query: CsvQuery): string {
  return [...csvJob(ledgers, query)].map(({ bytes }) => Buffer.from(bytes).toString()).join("");
}

const idsOf = (text: string): string[] =>
  parseCsv(text)
    .slice(1)
    .map(([id]) => id ?? "");

/** Two partitions at first; then one of them is left for a third. */
function partitionOf(number: number): number {
  if (number % 5 < 2) return 1;
  return number < 6_000 ? 3 : 7;
}

describe("a CSV job", () => {
  test("of a campaign without messages is the header alone", () => {
    assert.equal(textOf([ledgerOf(3, [])], ALL), CSV_HEADER);
  });

  test("gives every row once, in order of acceptance, over many pages and chunks", () => {
    const rows = numbers(5_001).map((number) => csvRecord(number));
    const chunks = [...csvJob([ledgerOf(3, rows)], ALL)];
    const text = chunks.map(({ bytes }) => Buffer.from(bytes).toString()).join("");
    assert.deepEqual(
      idsOf(text),
      rows.map(({ messageId }) => messageId),
    );
    assert.equal(
      chunks.reduce((sum, chunk) => sum + chunk.rows, 0),
      rows.length,
    );
    assert.ok(chunks.length > 5 && chunks.every(({ bytes }) => bytes.length < 70_000));
  });

  test("ends at the rows that were there when it began, however fast new ones come", () => {
    const rows: CsvRecord[] = numbers(10).map((number) => csvRecord(number));
    const ledger = ledgerOf(3, rows);
    let next = 10;
    const growing: CsvLedger = {
      partition: 3,
      summaries: (range) => {
        const found = ledger.summaries(range);
        for (let count = 0; count < 3_000; count++) rows.push(csvRecord((next += 1)));
        return found;
      },
    };
    assert.equal(idsOf(textOf([growing], ALL)).length, 10);
  });
});

describe("a CSV job of several partitions or with filters", () => {
  test("merges partitions in order of acceptance", () => {
    const rows = numbers(9_000).map((number) => csvRecord(number, { messageId: idOf(number, partitionOf(number)) }));
    const ledgers = [1, 3, 5, 7].map((partition) =>
      ledgerOf(
        partition,
        rows.filter((_, number) => partitionOf(number) === partition),
      ),
    );
    assert.deepEqual(
      idsOf(textOf(ledgers, ALL)),
      rows.map(({ messageId }) => messageId),
    );
  });

  test("keeps to a status, a number and a window of time", () => {
    const rows = numbers(100).map((number) =>
      csvRecord(number, { status: number % 2 === 0 ? "failed" : "read", phoneNumber: `+1415555010${number % 10}` }),
    );
    const ledger = ledgerOf(3, rows);
    const query: CsvQuery = {
      ...ALL,
      status: "failed",
      phone: "+14155550104",
      fromMs: NOON_MS + 14,
      toMs: NOON_MS + 84,
    };
    assert.deepEqual(
      idsOf(textOf([ledger], query)),
      [14, 24, 34, 44, 54, 64, 74].map((number) => idOf(number)),
    );
  });

  test("pauses every so many pages when a filter finds nothing, so that it can be stopped", () => {
    const ledger = ledgerOf(3, []);
    let page = 0;
    const endless: CsvLedger = {
      partition: 3,
      summaries: ({ limit }) => {
        page += 1;
        return numbers(limit).map((number) => csvRecord(page * limit + number));
      },
    };
    const job = csvJob([ledger, endless], { ...ALL, status: "expired" });
    assert.equal(Buffer.from(job.next().value?.bytes ?? []).toString(), CSV_HEADER);
    assert.deepEqual(job.next().value, { bytes: new Uint8Array(0), rows: 0 });
    job.return();
  });
});
