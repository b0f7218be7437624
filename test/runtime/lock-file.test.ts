// One engine a data directory, whatever the last one left behind.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { takeLockFile } from "../../engine/runtime/lock-file.ts";

function lockIn(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "volley-lock-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "engine.lock");
}

test("a lock that is held is refused, and can be taken once it was given back", (context) => {
  const path = lockIn(context);
  const giveBack = takeLockFile(path);
  assert.throws(() => takeLockFile(path), { code: "ERR_DATA_LOCKED" });
  assert.deepEqual(readdirSync(join(path, "..")), ["engine.lock"]);
  giveBack();
  assert.ok(!existsSync(path));
  takeLockFile(path)();
});

for (const [what, text] of [
  ["that a power cut left empty", ""],
  ["with anything else in it", "\0\0\0\0"],
  ["of a process that is gone", "4194305 1"],
  ["of a process whose number another one has now", `${process.pid} 1`],
] as const) {
  test(`a lock ${what} is taken over`, (context) => {
    const path = lockIn(context);
    writeFileSync(path, text);
    takeLockFile(path)();
  });
}
