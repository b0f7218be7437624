// volley opt-outs, against a real HTTP server.

import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";

import { NOW_MS, optOutBook } from "../api/in-memory-engine.ts";
import { startApiServer } from "./api-server.ts";
import { temporaryFolder, volley, type Ended } from "./volley-process.ts";

const folder = temporaryFolder();
const server = await startApiServer();

beforeEach(() => {
  server.engine.optOuts = optOutBook();
});
after(async () => {
  folder.remove();
  await server.close();
});

function run(...words: string[]): Promise<Ended> {
  return volley(["opt-outs", ...words], { cwd: folder.path, environment: server.environment });
}

function write(name: string, text: string): void {
  writeFileSync(join(folder.path, name), text);
}

test("add, list, look up, remove", async () => {
  const added = await run("add", "07400 123456", "+14155552671", "--region", "GB", "--since", "2026-11-20");
  assert.deepEqual([added.code, added.out], [0, "2 added, 0 known already\n"]);
  const { out } = await run("list");
  assert.match(out, /^PHONE +SINCE +SOURCE +WORDS$/m);
  assert.match(out, /^\+447400123456 +2026-11-20T00:00:00\.000Z +cli$/m);
  const found = JSON.parse((await run("list", "--phone", "+1 415 555 2671", "--json")).out);
  assert.equal(found.items[0].phone, "+14155552671");
  assert.equal((await run("remove", "+14155552671")).out, "+14155552671 may get marketing again\n");
  const gone = await run("list", "--phone", "+14155552671");
  assert.match(gone.err, /is not opted out/);
  const missing = await run("remove", "+14155552671");
  assert.deepEqual([missing.code, missing.err], [1, 'volley: "+14155552671" is not opted out.\n']);
});

test("a number that cannot be read with certainty is refused before anything is sent", async () => {
  const { code, err } = await run("add", "07400 123456");
  assert.equal(code, 2);
  assert.match(err, /"07400 123456" has no country code/);
});

test("imports another provider's file, and says which lines it cannot read", async () => {
  write(
    "contacts.csv",
    '\uFEFFName,Phone Number,Unsubscribed At\r\n"Doe, Jane",+14155552671,2026-11-01\r\n' +
      "Max,0151 12345678,\r\nNobody,none,\r\n,,\r\nLate,+491511234567,2031-01-01\r\nApostrophe,'+447400123456,\r\n",
  );
  const { code, out, err } = await run("import", "contacts.csv", "--region", "DE");
  assert.equal(code, 1);
  assert.equal(out, "3 added, 0 known already, 2 refused\n");
  assert.match(err, /^contacts\.csv:4: "none" /m);
  assert.match(err, /^contacts\.csv:6: "2031-01-01" is no time in the past/m);
  const { optOuts } = server.engine;
  assert.equal(optOuts.find("+14155552671")?.sinceMs, Date.UTC(2026, 10, 1));
  assert.equal(optOuts.find("+4915112345678")?.source, "contacts.csv");
  assert.equal(optOuts.find("+447400123456")?.sinceMs, NOW_MS);
});

test("takes a bare list of numbers, wa_ids without a plus, and any column by name", async () => {
  write("bare.csv", "+14155552671\n+447400123456\n");
  assert.equal((await run("import", "bare.csv")).out, "2 added, 0 known already, 0 refused\n");
  write("ids.csv", "wa_id\n5215512345678\n14155552671\n");
  assert.equal((await run("import", "ids.csv", "--international")).out, "1 added, 1 known already, 0 refused\n");
  assert.ok(server.engine.optOuts.find("+525512345678"));
  write("odd.csv", "Kunde;x,Handy\nA,+4915112345678\n");
  assert.equal((await run("import", "odd.csv", "--column", "Handy")).code, 0);
  const unknown = await run("import", "odd.csv");
  assert.equal(unknown.code, 2);
  assert.match(unknown.err, /no column named phone, but "Kunde;x", "Handy"/);
  assert.match((await run("import", "nowhere.csv")).err, /nowhere\.csv cannot be imported: ENOENT/);
});

test("many rows go in several calls; --json has the counts and each fault", async () => {
  const numbers = Array.from({ length: 5_000 }, (_, index) => `+${49_151_100_000_000 + index}`);
  write("many.csv", `phone\n${numbers.join("\n")}\nbroken\n`);
  const { code, out } = await run("import", "many.csv", "--json");
  const result = JSON.parse(out);
  assert.deepEqual([code, result.added, result.known, result.refused], [1, 5_000, 0, 1]);
  assert.equal(result.errors[0].line, 5_002);
});

test("what is exported is imported back", async () => {
  await run("add", "+14155552671", "--source", '=quoted, "formula"', "--since", "2026-11-20T10:00:00Z");
  await run("add", "+447400123456");
  const exported = await run("export", "--out", "all.csv", "--json");
  assert.deepEqual(JSON.parse(exported.out), { file: "all.csv", rows: 2 });
  assert.ok(!existsSync(join(folder.path, "all.csv.part")));
  const text = readFileSync(join(folder.path, "all.csv"), "utf8");
  assert.match(text, /^phone,user_id,since,source,words\r\n/);
  assert.match(text, /^\+14155552671,,2026-11-20T10:00:00\.000Z,"'=quoted, ""formula""",\r$/m);
  server.engine.optOuts = optOutBook();
  assert.equal((await run("import", "all.csv")).out, "2 added, 0 known already, 0 refused\n");
  assert.equal(server.engine.optOuts.find("+14155552671")?.sinceMs, Date.parse("2026-11-20T10:00:00Z"));
  assert.equal(server.engine.optOuts.find("+14155552671")?.source, '=quoted, "formula"');
  assert.equal((await run("export")).out, text);
});

test("every command explains itself", async () => {
  for (const name of ["list", "add", "remove", "import", "export"]) {
    const { code, out } = await run(name, "--help");
    assert.equal(code, 0);
    assert.match(out, new RegExp(`Usage: volley opt-outs ${name}`));
  }
});
