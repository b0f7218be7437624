// The test command: installs, builds, runs the whole suite on what was built, and ends with one plain line.
// `npm test -- actor ledger` runs the test files whose path holds one of the words.

import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";

import { findNatsServer } from "./nats-server.mjs";
import { prepareProject, root } from "./prepare-project.mjs";

prepareProject();

const nats = findNatsServer();
if (nats.path === null) process.stderr.write(`Tests that need a nats-server are skipped: ${nats.reason}.\n`);

/** A test that hangs must fail and say so; the longest takes half a minute. */
const TIMEOUT = "--test-timeout=300000";

const wanted = process.argv.slice(2);
const files = readdirSync(join(root, "dist", "test"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".test.js"))
  .filter((name) => wanted.length === 0 || wanted.some((word) => name.includes(word)))
  .map((name) => join("dist", "test", name))
  .toSorted();

if (files.length === 0) {
  process.stderr.write(`No test file matches ${wanted.join(" ")}.\n`);
  process.exit(1);
}

const runner = spawn(process.execPath, ["--enable-source-maps", "--test", TIMEOUT, "--test-reporter=spec", ...files], {
  cwd: root,
  env: { ...process.env, VOLLEY_NATS_SERVER: nats.path ?? "" },
  stdio: ["ignore", "pipe", "inherit"],
});

let tail = "";
runner.stdout.on("data", (chunk) => {
  process.stdout.write(chunk);
  tail = (tail + chunk).slice(-1_000_000);
});

/** One of the runner's closing figures. */
function count(name) {
  return Number(tail.match(new RegExp(`^ℹ ${name} (\\d+)$`, "m"))?.[1] ?? Number.NaN);
}

runner.on("close", (code) => {
  const failed = count("fail") + count("cancelled");
  process.stdout.write(`\n${count("pass")} passed, ${failed} failed, ${count("skipped") + count("todo")} skipped\n`);
  process.exit(code === 0 && failed === 0 && count("pass") > 0 ? 0 : 1);
});
