// The machine's own time: the same in two processes, and never back.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { systemUptime, type Uptime } from "../../engine/runtime/boot-system.ts";

test("two processes of one boot read the same boot and one time that only grows", () => {
  const file = new URL("../../engine/runtime/boot-system.js", import.meta.url).href;
  const script = `import { systemUptime } from ${JSON.stringify(file)}; console.log(JSON.stringify(systemUptime()));`;
  const before = systemUptime();
  const text = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  const between: Uptime = JSON.parse(text);
  const after = systemUptime();
  assert.equal(between.boot, before.boot);
  assert.ok(before.ms < between.ms && between.ms < after.ms, `${before.ms} < ${between.ms} < ${after.ms}`);
});
