import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

import { openOptOutsReader } from "../../engine/consent/lmdb-opt-outs-reader.ts";
import { openOptOuts } from "../../engine/consent/lmdb-opt-outs.ts";
import { firstLine } from "../cli/volley-process.ts";
import { optOutOf } from "./signals.ts";

const CHILD = fileURLToPath(new URL("./webhook-child.js", import.meta.url));
const READER = new URL("../../engine/consent/lmdb-opt-outs-reader.js", import.meta.url).href;
const SECRET = "app-secret";
const CALLS = 20;

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "volley-opt-outs-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "opt-outs");
}

function stopCall(waId: string): string {
  const messages = [{ from: waId, timestamp: "1795000001", type: "text", text: { body: "Stop!" } }];
  return JSON.stringify({ entry: [{ changes: [{ field: "messages", value: { messages } }] }] });
}

test("an opt-out whose call was answered with 200 outlives a kill at any moment after", async (context) => {
  const path = folderOf(context);
  for (let round = 0; round < 3; round++) {
    const child = spawn(process.execPath, [CHILD, path, SECRET], { stdio: ["ignore", "pipe", "inherit"] });
    const url = await firstLine(child);
    const promised: string[] = [];
    const calls = Array.from({ length: CALLS }, async (_, index) => {
      const waId = String(49_151_000_000 + round * CALLS + index);
      const body = stopCall(waId);
      const signature = `sha256=${createHmac("sha256", SECRET).update(body).digest("hex")}`;
      const response = await fetch(url, { method: "POST", body, headers: { "x-hub-signature-256": signature } });
      assert.equal(response.status, 200);
      promised.push(waId);
      // While others are on their way.
      if (promised.length === CALLS / 2) child.kill("SIGKILL");
    });
    await Promise.allSettled(calls);
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    assert.ok(promised.length >= CALLS / 2);
    const store = openOptOuts({ path });
    for (const waId of promised) assert.equal(store.get(waId)?.words, "Stop!", waId);
    await store.close();
  }
});

test("a thread that has begun to read sees what is kept later, also within one long turn", async (context) => {
  const path = folderOf(context);
  const store = openOptOuts({ path });
  const code = `
    const { parentPort, workerData } = require("node:worker_threads");
    const { setTimeout: pause } = require("node:timers/promises");
    import(workerData.module).then(async ({ openOptOutsReader }) => {
      const reader = openOptOutsReader({ path: workerData.path });
      const before = reader.find("+14155552671", 1);
      parentPort.postMessage({ before });
      // One turn: it does not give the event loop back until it sees it, or a second passed.
      const endMs = Date.now() + 5000;
      let nowMs = 2;
      let found;
      while (found === undefined && Date.now() < endMs) found = reader.find("+14155552671", nowMs++);
      parentPort.postMessage({ found });
      await reader.close();
    });`;
  const worker = new Worker(code, { eval: true, workerData: { module: READER, path } });
  const [first] = (await once(worker, "message")) as [{ before?: unknown }];
  assert.equal(first.before, undefined);
  await store.keep(new Map([["14155552671", optOutOf("+14155552671")]]));
  const [second] = (await once(worker, "message")) as [{ found?: unknown }];
  assert.deepEqual(second.found, optOutOf("+14155552671"));
  await once(worker, "exit");
  await store.close();
});

test("what cannot be written is told, and nothing of it is kept", async (context) => {
  const path = folderOf(context);
  const store = openOptOuts({ path });
  await store.keep(new Map([["1", optOutOf("+1")]]));
  const tooLong = "9".repeat(5_000);
  await assert.rejects(
    store.keep(
      new Map([
        ["2", optOutOf("+2")],
        [tooLong, optOutOf("+3")],
      ]),
    ),
  );
  const reader = openOptOutsReader({ path });
  assert.equal(reader.get("2"), undefined);
  assert.ok(reader.get("1"));
  await reader.close();
});
