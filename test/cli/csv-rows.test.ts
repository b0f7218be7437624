import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { csvRows, RowCounter } from "../../engine/cli/csv-rows.ts";

const quoted = (cell: string): string => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
const cell = fc.string({ unit: fc.constantFrom("a", "é", ",", '"', "\r", "\n", " ", "1") });
const table = fc.array(fc.tuple(cell, cell), { maxLength: 20 });

test("whatever was written as CSV is read back, and its rows are counted in any chunks", () => {
  fc.assert(
    fc.property(table, fc.integer({ min: 1, max: 7 }), (rows, chunkBytes) => {
      const text = `x,y\r\n${rows.map((cells) => `${cells.map(quoted).join(",")}\r\n`).join("")}`;
      const read = [...csvRows(text)].map((row) => [row.get("x"), row.get("y")]);
      assert.deepEqual(read, rows);
      const counter = new RowCounter();
      const bytes = Buffer.from(text);
      for (let start = 0; start < bytes.length; start += chunkBytes)
        counter.add(bytes.subarray(start, start + chunkBytes));
      assert.equal(counter.rows, rows.length + 1);
      assert.ok(counter.isComplete);
    }),
  );
});

test("a row that was cut short is noticed", () => {
  const counter = new RowCounter();
  counter.add(Buffer.from('x\r\n"open\r\n'));
  assert.equal(counter.rows, 1);
  assert.equal(counter.isComplete, false);
});
