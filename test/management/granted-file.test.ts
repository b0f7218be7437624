import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { GrantedFile } from "../../engine/granted-file.ts";
import { memoryLog } from "../ingress/server-kit.ts";

function pathOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "volley-granted-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "numbers.json");
}

test("what was granted is there after a restart", (context) => {
  const path = pathOf(context);
  const file = new GrantedFile(path, memoryLog());
  file.set("106", { messagesPerSecond: 1000, dailyRecipients: "unlimited" });
  file.set("107", { messagesPerSecond: null, dailyRecipients: 2000 });
  const again = new GrantedFile(path, memoryLog());
  assert.deepEqual(again.of("106"), { messagesPerSecond: 1000, dailyRecipients: "unlimited" });
  assert.deepEqual(again.of("107"), { messagesPerSecond: null, dailyRecipients: 2000 });
  assert.equal(again.of("108"), null);
});

test("a damaged file is one that says nothing, and one that cannot be written costs nothing", (context) => {
  const path = pathOf(context);
  for (const text of ["", "{", "[]", "7", '{"106":7}', '{"106":null}']) {
    writeFileSync(path, text);
    assert.equal(new GrantedFile(path, memoryLog()).of("106"), null, text);
  }
  writeFileSync(path, '{"106":{"messagesPerSecond":-1,"dailyRecipients":"many","x":1}}');
  assert.deepEqual(new GrantedFile(path, memoryLog()).of("106"), { messagesPerSecond: null, dailyRecipients: null });
  const nowhere = new GrantedFile(join(path, "below", "a", "file"), memoryLog());
  nowhere.set("106", { messagesPerSecond: 80, dailyRecipients: 250 });
  assert.equal(nowhere.of("106")?.dailyRecipients, 250);
});
