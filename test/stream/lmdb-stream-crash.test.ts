// What the embedded stream promised, after its process died or its disk was full.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { openLmdbStream } from "../../engine/stream/lmdb-stream.ts";
import { openLmdbStreamReader } from "../../engine/stream/lmdb-stream-reader.ts";

const WRITER = fileURLToPath(new URL("./stream-writer-child.js", import.meta.url));
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

const folder = mkdtempSync(join(tmpdir(), "volley-stream-crash-"));
after(() => rmSync(folder, { recursive: true, force: true }));

async function linesUntil(child: ChildProcess, isEnough: (lines: readonly string[]) => boolean): Promise<string[]> {
  let text = "";
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    if (isEnough(text.split("\n"))) child.kill("SIGKILL");
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return text.split("\n").slice(0, -1);
}

test("every append that resolved is there after kill -9, in order and without gaps, five times over", async () => {
  const path = join(folder, "killed");
  let promised = 0;
  for (let life = 1; life <= 5; life++) {
    const child = spawn(process.execPath, [WRITER, path], { stdio: ["ignore", "pipe", "inherit"] });
    const lines = await linesUntil(child, (soFar) => soFar.length > 40 * life);
    promised = Math.max(promised, Number(/1:(\d+) \d+$/.exec(lines.at(-1) ?? "")?.[1]));

    const stream = openLmdbStream({ path, log: quiet });
    const reader = openLmdbStreamReader({ path });
    const stored = reader.read(1, 0, { itemsMax: 1_000_000, bytesMax: 1e9 });
    assert.ok(stored.length >= promised, `${stored.length} stored, ${promised} promised`);
    assert.deepEqual(
      stored.map(({ sequence }) => sequence),
      stored.map((_, index) => index + 1),
    );
    assert.equal(stream.lastSequence(1), stored.length);
    // Each batch put two envelopes here and one there, so a torn batch would show.
    assert.equal(stream.lastSequence(2) * 2, stored.length);
    await reader.close();
    await stream.close();
  }
});

test("a write cut short fails the append with ERR_STREAM_WRITE, latches, and loses nothing that was promised", async () => {
  const path = join(folder, "short");
  // A limit on file size stands in for the full disk: both cut a write short. Only a full disk has no space left,
  // so this one counts as broken.
  const limited = `trap '' XFSZ; ulimit -f 4096; exec "$0" "$@"`;
  const child = spawn("sh", ["-c", limited, process.execPath, WRITER, path, "20000"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const lines = await linesUntil(child, () => false);
  assert.equal(child.exitCode, 0, "no unhandled rejection, no abort");
  assert.deepEqual(JSON.parse(lines.at(-1) ?? ""), {
    code: "ERR_STREAM_WRITE",
    failure: "broken",
    later: ["rejected", "rejected"],
  });

  const stream = openLmdbStream({ path, log: quiet });
  assert.equal(stream.lastSequence(1), Number(/1:(\d+) \d+$/.exec(lines.at(-2) ?? "")?.[1]));
  const [position] = await stream.append([{ partition: 1, bytes: Buffer.from("again"), claims: [] }]);
  assert.equal(position?.sequence, stream.lastSequence(1));
  await stream.close();
});
