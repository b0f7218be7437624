// start and demo: the commands that compose an engine, as a newcomer runs them.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { stringify } from "yaml";

import { csvRows } from "../../engine/cli/csv-rows.ts";
import { startVolley, temporaryFolder, volley } from "./volley-process.ts";

const PATIENCE = { timeout: 90_000 };

test(
  "start without credentials prints what a newcomer needs, and its curl line works as printed",
  PATIENCE,
  async () => {
    const folder = temporaryFolder();
    cpSync("config", join(folder.path, "config"), { recursive: true });
    const sender = {
      phoneNumberId: "106540352242922",
      wabaId: "102290129340398",
      accessToken: "${WHATSAPP_ACCESS_TOKEN}",
    };
    const config = { server: { port: 0 }, dataDir: "./my data", senders: { main: sender } };
    writeFileSync(join(folder.path, "config", "volley.yaml"), stringify(config));
    const { child, ended } = startVolley(["start", "--log-level", "error"], { cwd: folder.path });
    try {
      const welcome = await textUntil(child, "curl -X POST .*\n");
      assert.match(welcome, /against the bundled simulator: no WhatsApp credentials are set/);
      const url = /console {4}(http:\S+)\/\n/.exec(welcome)?.[1] ?? "";
      assert.equal((await fetch(`${url}/readyz`)).status, 200);
      assert.match(welcome, /admin key {2}my data\/admin\.key\n/);
      const line = /curl -X POST .*/.exec(welcome)?.[0] ?? "";
      const answer = await promisify(execFile)("sh", ["-c", line.replace("curl", "curl -sS")], { cwd: folder.path });
      assert.equal(JSON.parse(answer.stdout).status, "accepted", answer.stdout);
      const doctor = await volley(["doctor", "--url", url], { cwd: folder.path });
      assert.equal(doctor.code, 0, doctor.out);
    } finally {
      child.kill("SIGTERM");
      const { code, err } = await ended;
      folder.remove();
      assert.equal(code, 0, err);
    }
  },
);

test("start says in one line why it cannot", async () => {
  const folder = temporaryFolder();
  const { code, err } = await volley(["start", "--config", "nope.yaml"], { cwd: folder.path });
  folder.remove();
  assert.equal(code, 1);
  assert.match(err, /^volley: nope\.yaml.*\n$/);
});

test("the demo loses nothing, tells so, and a second run starts from nothing", PATIENCE, async () => {
  const folder = temporaryFolder();
  // Credentials that happen to be set must not make the demo send to anyone.
  const environment = { WHATSAPP_ACCESS_TOKEN: "real", WHATSAPP_APP_SECRET: "real", WHATSAPP_VERIFY_TOKEN: "real" };
  const first = await volley(["demo", "--events", "300", "--seed", "1"], { cwd: folder.path, environment });
  assert.equal(first.code, 0, first.out + first.err);
  assert.match(first.out, /^accepted +300 /m);
  assert.match(first.out, /^ack +p50 [\d.]+ ms, p99 [\d.]+ ms$/m);
  assert.match(first.out, /^CSV +data\/demo\/order-confirmation\.csv, 300 rows$/m);
  assert.match(first.out, /^Nothing lost/m);

  const second = await volley(["demo", "--events", "50", "--json"], { cwd: folder.path });
  const summary = JSON.parse(second.out);
  assert.deepEqual([summary.accepted, summary.rows, summary.disagreements], [50, 50, []]);
  const csv = readFileSync(join(folder.path, "data", "demo", "order-confirmation.csv"), "utf8");
  const statuses = new Set([...csvRows(csv)].map((row) => row.get("status")));
  for (const status of statuses) assert.ok(["delivered", "read", "failed"].includes(status ?? ""), status);
  folder.remove();
});

test("the demo does not wipe a folder that is not its own", async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder.path, "precious"));
  writeFileSync(join(folder.path, "precious", "file"), "");
  const { code, err } = await volley(["demo", "--data-dir", "precious"], { cwd: folder.path });
  assert.equal(code, 2);
  assert.match(err, /holds something that is not the demo's/);
  assert.ok(existsSync(join(folder.path, "precious", "file")));
  folder.remove();
});

function textUntil(child: ReturnType<typeof startVolley>["child"], pattern: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (new RegExp(pattern).test(text)) resolve(text);
    });
    child.on("close", (code) => reject(new Error(`ended with ${code}: ${text}`)));
  });
}
