// Installs and builds what is missing, and only that: a fresh clone becomes runnable, a second run costs nothing.
// Plain JavaScript without dependencies, because nothing is installed yet when it runs.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const NODE_MINIMUM = [20, 19];
const SOURCES = ["engine", "schemas", "test", "bench", "tsconfig.json"];

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const installedStamp = join(root, "node_modules", ".volley-installed");
const builtStamp = join(root, "dist", ".volley-built");

export function prepareProject() {
  requireNode();
  const lock = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  if (stampOf(installedStamp) !== lock) {
    say("Installing dependencies (once) …");
    // Not `npm ci`: it insists that the lockfile names the optional binaries of all platforms, and a registry that keeps
    // only some platforms' binaries makes such a lockfile impossible. Versions and hashes still come from the lockfile.
    run("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"]);
    writeFileSync(installedStamp, lock);
  }
  const sources = `${process.versions.node.split(".")[0]} ${lock} ${newestChange()}`;
  if (stampOf(builtStamp) !== sources) {
    say("Building …");
    run(process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", root]);
    mkdirSync(dirname(builtStamp), { recursive: true });
    writeFileSync(builtStamp, sources);
  }
}

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > NODE_MINIMUM[0] || (major === NODE_MINIMUM[0] && minor >= NODE_MINIMUM[1])) return;
  process.stderr.write(`Volley needs Node.js ${NODE_MINIMUM.join(".")} or newer; this is ${process.versions.node}.\n`);
  process.exit(1);
}

/** The newest change below the sources, and how many files there are: a deleted file counts as a change too. */
function newestChange() {
  let newestMs = 0;
  let files = 0;
  const visit = (path) => {
    const state = statSync(path);
    if (state.isDirectory()) {
      for (const name of readdirSync(path)) visit(join(path, name));
      return;
    }
    files += 1;
    newestMs = Math.max(newestMs, state.mtimeMs);
  };
  for (const name of SOURCES) if (existsSync(join(root, name))) visit(join(root, name));
  return `${files} ${newestMs}`;
}

function stampOf(file) {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

/** Progress goes to standard error: `volley … --json` must stay readable by programs. */
function say(text) {
  process.stderr.write(`${text}\n`);
}

function run(command, parameters) {
  const done = spawnSync(command, parameters, { cwd: root, stdio: ["ignore", 2, 2] });
  if (done.status === 0) return;
  process.stderr.write(`${command} ${parameters.join(" ")} failed${done.error ? `: ${done.error.message}` : ""}.\n`);
  process.exit(done.status ?? 1);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) prepareProject();
