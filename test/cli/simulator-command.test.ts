import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { stringify } from "yaml";

import { firstLine, startVolley, temporaryFolder } from "./volley-process.ts";

test("the simulator runs until a signal, with the configuration's senders", { timeout: 30_000 }, async () => {
  const folder = temporaryFolder();
  const file = join(folder.path, "volley.yaml");
  const sender = {
    phoneNumberId: "106540352242922",
    wabaId: "102290129340398",
    accessToken: "t",
    messagesPerSecond: 20,
  };
  writeFileSync(file, stringify({ senders: { main: sender } }));
  const words = ["simulator", "--port", "0", "--config", file, "--seed", "7", "--json"];
  const { child, ended } = startVolley(words, { cwd: folder.path });
  try {
    const { url, seed } = JSON.parse(await firstLine(child));
    assert.equal(seed, 7);
    const response = await fetch(`${url}/v26.0/106540352242922?fields=throughput`, {
      headers: { authorization: "Bearer any" },
    });
    assert.equal(response.status, 200);
    assert.equal((await fetch(`${url}/simulator/stats`)).status, 200);
  } finally {
    child.kill("SIGTERM");
    const { code, err } = await ended;
    folder.remove();
    assert.equal(code, 0, err);
  }
});

test("a scenario that is not there, or not valid, is refused before anything starts", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder.path, "volley.yaml"), "{}");
  writeFileSync(join(folder.path, "scenario.yaml"), "preset: dreamlike");
  const words = ["simulator", "--config", "volley.yaml", "--port", "0", "--scenario"];
  const missing = await startVolley([...words, "nope.yaml"], { cwd: folder.path }).ended;
  assert.equal(missing.code, 1);
  assert.match(missing.err, /^volley: nope\.yaml: /);
  const invalid = await startVolley([...words, "scenario.yaml"], { cwd: folder.path }).ended;
  assert.equal(invalid.code, 1);
  assert.match(invalid.err, /^volley: scenario\.yaml: .*preset/);
  folder.remove();
});
