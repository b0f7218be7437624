import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as fc from "fast-check";

import { CSV_HEADER, type CsvRecord, csvRow } from "../../engine/export/csv-row.ts";
import { csvRecord, parseCsv } from "./fixtures.ts";

const cellsOf = (record: CsvRecord): readonly string[] => parseCsv(csvRow(record))[0] ?? [];

describe("a CSV row", () => {
  test("has the columns of the contract, in their order", () => {
    assert.equal(
      CSV_HEADER,
      "message_id,campaign_id,phone_number,template_name,template_language,message,status,error_code,error_reason," +
        "attempts,wamid,accepted_at,dispatched_at,sent_at,delivered_at,read_at,failed_at,pricing_category\r\n",
    );
  });

  test("shows a message with ISO times, and empty cells for what was not reached", () => {
    assert.equal(
      csvRow(csvRecord(1)),
      "0c00000101m0fgnpg100000001,order-confirmation,+14155550100,order_confirmation,en_US,Hi Ada,delivered,,,1,wamid.1," +
        "2026-08-20T12:00:00.001Z,2026-08-20T12:00:00.042Z,2026-08-20T12:00:01.000Z,2026-08-20T12:00:59.999Z,,,utility\r\n",
    );
  });

  test("quotes commas, quotes and line breaks, and doubles the quotes", () => {
    const row = csvRow({ ...csvRecord(1), message: 'One,\r\n"two"', errorReason: "a,b" });
    assert.ok(row.includes(',"One,\r\n""two""",'));
    assert.ok(row.includes(',"a,b",'));
  });

  test("makes every formula inert, and leaves the phone number and a plus further in alone", () => {
    for (const start of ["=", "+", "-", "@", "\t", "\r"]) {
      const text = `${start}HYPERLINK("x")`;
      const cells = cellsOf({ ...csvRecord(1), message: text, wamid: text, templateName: text, campaignId: text });
      for (const column of [1, 3, 5, 10]) assert.equal(cells[column], `'${text}`);
    }
    const cells = cellsOf({ ...csvRecord(1), message: "1+1" });
    assert.equal(cells[5], "1+1");
    assert.equal(cells[2], "+14155550100");
  });

  test("read back by RFC 4180 is what was written, whatever the text", () => {
    const text = fc.string({
      unit: fc.constantFrom("a", '"', ",", "\r", "\n", "=", "+", "-", "@", "\t", "é", "👋", " "),
    });
    fc.assert(
      fc.property(text, text, (message, errorReason) => {
        const cells = cellsOf({ ...csvRecord(1), message, errorReason });
        assert.equal(cells.length, 18);
        for (const [column, written] of [
          [5, message],
          [8, errorReason],
        ] as const) {
          assert.equal(cells[column], /^[=+\-@\t\r]/.test(written) ? `'${written}` : written);
        }
      }),
    );
  });

  test("gives every time as JavaScript's own ISO text", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4_102_444_800_000 }), (atMs) => {
        assert.equal(cellsOf({ ...csvRecord(1), readAtMs: atMs })[15], new Date(atMs).toISOString());
      }),
    );
  });
});
