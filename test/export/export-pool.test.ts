// Exports through a real thread from real ledgers, while they are written.

import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { createExportPool, type ExportPool, type ExportSink } from "../../engine/export-pool.ts";
import { type Ledger, openLedger } from "../../engine/ledger/lmdb-ledger.ts";
import { csvRecord, idOf, NOON_MS, parseCsv } from "./fixtures.ts";

const ROWS = 20_000;
const PARTITION = 3;

const folder = mkdtempSync(join(tmpdir(), "volley-export-"));
const ledgerPaths = [0, 1, 2, PARTITION].map((partition) => join(folder, String(partition)));
let ledger: Ledger;
let pool: ExportPool;

before(async () => {
  ledger = openLedger({ path: ledgerPaths[PARTITION] ?? "", readOnly: false });
  pool = createExportPool({ ledgerPaths, threads: 1 });
  await store(0, ROWS);
});

after(async () => {
  await pool.close();
  await ledger.close();
  rmSync(folder, { recursive: true, force: true });
});

function store(first: number, count: number): Promise<void> {
  const created = Array.from({ length: count }, (_, index) => ({
    ...csvRecord(first + index),
    attributes: "{}",
    dueAtMs: 0,
    sendAtMs: 0,
    waitKey: "",
    pricingAtMs: 0,
    closedAttempts: 0,
    timeline: [],
  }));
  return ledger.commit({ created, updated: [], cursor: null, campaigns: [], lastDispatchAtMs: null, marks: [] });
}

function collector(
  onChunk: (chunks: number) => boolean | Promise<boolean> = () => true,
): ExportSink & { text(): string } {
  const chunks: Uint8Array[] = [];
  return {
    write: async (chunk) => {
      chunks.push(chunk);
      return onChunk(chunks.length);
    },
    text: () => Buffer.concat(chunks).toString(),
  };
}

describe("an export", () => {
  test("hands on every message, whole, while new ones are written", async () => {
    const stop = new AbortController();
    const writing = (async () => {
      for (let first = ROWS; !stop.signal.aborted; first += 100) await store(first, 100);
    })();
    const sink = collector();
    const result = await pool.exportCsv({ campaignNumber: 1, toMs: NOON_MS + ROWS }, sink);
    stop.abort();
    await writing;
    assert.deepEqual(result, { rows: ROWS, isComplete: true });
    assert.deepEqual(
      parseCsv(sink.text())
        .slice(1)
        .map(([id]) => id),
      Array.from({ length: ROWS }, (_, number) => idOf(number)),
    );
  });

  test("stops when nobody reads any more, and the thread takes the next one", async () => {
    const result = await pool.exportCsv(
      { campaignNumber: 1 },
      collector((chunks) => chunks < 3),
    );
    assert.equal(result.isComplete, false);
    assert.ok(result.rows > 0 && result.rows < ROWS);
    const next = await pool.exportCsv({ campaignNumber: 99 }, collector());
    assert.deepEqual(next, { rows: 0, isComplete: true });
  });

  test("keeps to the pace of a slow reader and loses nothing", async () => {
    const sink = collector(() => new Promise((resolve) => setImmediate(() => resolve(true))));
    const result = await pool.exportCsv({ campaignNumber: 1, toMs: NOON_MS + ROWS }, sink);
    assert.equal(result.rows, ROWS);
  });

  test("fails with the sink's own error, and frees its thread", async () => {
    const broken = collector(() => Promise.reject(new Error("socket gone")));
    await assert.rejects(pool.exportCsv({ campaignNumber: 1 }, broken), /socket gone/);
    assert.equal((await pool.exportCsv({ campaignNumber: 99 }, collector())).isComplete, true);
  });

  test("fails with ERR_EXPORT_FAILED when its ledger cannot be opened", async () => {
    const file = join(folder, "a-file");
    writeFileSync(file, "");
    const other = createExportPool({ ledgerPaths: [join(file, "ledger")], threads: 1 });
    await assert.rejects(other.exportCsv({ campaignNumber: 1 }, collector()), { code: "ERR_EXPORT_FAILED" });
    await other.close();
  });

  test("fails when the pool closes, also while its reader stalls, and none begins after that", async () => {
    const other = createExportPool({ ledgerPaths, threads: 1 });
    const stall = new EventEmitter();
    const stalled = once(stall, "end");
    const reached = once(stall, "reached");
    const sink = collector(async () => {
      stall.emit("reached");
      await stalled;
      return true;
    });
    const refused = assert.rejects(other.exportCsv({ campaignNumber: 1 }, sink), { code: "ERR_EXPORT_FAILED" });
    await reached;
    await other.close();
    stall.emit("end");
    await refused;
    await assert.rejects(other.exportCsv({ campaignNumber: 1 }, collector()), { code: "ERR_EXPORT_FAILED" });
  });
});
