// What the ledger promised, after its process was killed in the middle of writing.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { openLedger } from "../../engine/ledger/lmdb-ledger.ts";
import { campaignPrefix } from "../../engine/message/ids.ts";

const WRITER = fileURLToPath(new URL("./ledger-writer-child.js", import.meta.url));
const ROWS_A_COMMIT = 128;

const folder = mkdtempSync(join(tmpdir(), "volley-ledger-crash-"));
after(() => rmSync(folder, { recursive: true, force: true }));

async function promisedCursor(path: string, commits: number): Promise<number> {
  const child = spawn(process.execPath, [WRITER, path], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  for await (const chunk of child.stdout) {
    text += String(chunk);
    if (text.split("\n").length > commits) child.kill("SIGKILL");
  }
  if (child.signalCode === null) await once(child, "exit");
  return Number(text.split("\n").at(-2));
}

test("after kill -9 every promised batch is there, and rows, counters, due entries and cursor agree", async () => {
  const path = join(folder, "ledger");
  for (let life = 1; life <= 4; life++) {
    const promised = await promisedCursor(path, life * 15);
    const ledger = openLedger({ path, readOnly: true });
    const cursor = ledger.cursor();
    const rows = ledger.records({ from: campaignPrefix(3, 1), to: campaignPrefix(3, 2), limit: 1_000_000 });
    assert.ok(cursor >= promised, `cursor ${cursor}, promised ${promised}`);
    assert.equal(rows.length, cursor * ROWS_A_COMMIT);
    assert.equal(ledger.campaignStates()[0]?.counters.accepted, rows.length);
    assert.equal(ledger.due({ after: null, throughMs: Number.MAX_SAFE_INTEGER, limit: 1_000_000 }).length, rows.length);
    assert.equal(ledger.marks({ from: "round/", to: "round0", limit: 1_000_000 }).length, cursor);
    const last = rows.at(-1);
    const window = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, limit: 9 };
    assert.deepEqual(ledger.idsOfPhone(last?.phoneNumber ?? "", window), [last?.messageId]);
    await ledger.close();
  }
});
