// Finds the nats-server that the tests talk to, and fetches one when there is none: Debian's package, unpacked into the
// repository's cache folder. Needs no root and changes nothing outside that folder; apt checks the package's signature.
// Plain JavaScript without dependencies, like everything that runs before the project is built.

import { spawnSync } from "node:child_process";
import { accessSync, constants, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";

import { root } from "./prepare-project.mjs";

const cache = join(root, ".cache", "nats-server");
/** Debian puts it where the PATH of a common user does not lead. */
const SYSTEM_FOLDERS = ["/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin"];
const COMMAND_MS_MAX = 120_000;
const MISSING =
  "no nats-server: none is on the PATH, and none could be fetched. Install nats-server 2.9 or newer (on Debian: apt-get install nats-server)";

/** `{ path }` of a server, or `{ path: null, reason }` in a plain sentence. */
export function findNatsServer() {
  const path = installedServer() ?? cachedServer();
  return path === null ? fetchNatsServer() : { path };
}

function installedServer() {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return [...folders, ...SYSTEM_FOLDERS].map((folder) => join(folder, "nats-server")).find(isExecutable) ?? null;
}

function cachedServer() {
  return ["usr/sbin", "usr/bin"].map((folder) => join(cache, folder, "nats-server")).find(isExecutable) ?? null;
}

function fetchNatsServer() {
  process.stderr.write("Fetching nats-server (once) …\n");
  // Another test run may do the same at this moment: each works in a folder of its own, the last one's result stays.
  const work = `${cache}-${process.pid}`;
  try {
    unpackPackage(work);
    rmSync(cache, { recursive: true, force: true });
    renameSync(join(work, "unpacked"), cache);
  } catch (error) {
    return { path: null, reason: `${MISSING}. The reason: ${error instanceof Error ? error.message : String(error)}` };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const path = cachedServer();
  return path === null ? { path, reason: `${MISSING}. The reason: the package holds none` } : { path };
}

function unpackPackage(work) {
  for (const folder of ["lists/partial", "archives/partial", "download"])
    mkdirSync(join(work, folder), { recursive: true });
  const apt = Object.entries({
    "Dir::State::lists": join(work, "lists"),
    "Dir::Cache": work,
    "Dir::Cache::archives": join(work, "archives"),
    "Dir::Log": work,
    "Acquire::Languages": "none",
    "APT::Update::Error-Mode": "any",
    "Acquire::Retries": "2",
    "Acquire::http::Timeout": "20",
    "Acquire::https::Timeout": "20",
    // The folder belongs to whoever runs the tests; apt's own user could not write into it.
    "APT::Sandbox::User": "root",
  }).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  const updated = tryRun("apt-get", [...apt, "-qq", "update"], work);
  try {
    run("apt-get", [...apt, "-qq", "download", "nats-server"], join(work, "download"));
  } catch (error) {
    // One list that cannot be had fails the whole update, and mostly is not ours. Now it is the better explanation.
    throw updated ?? error;
  }
  const archive = readdirSync(join(work, "download")).find((name) => name.endsWith(".deb"));
  if (archive === undefined) throw new Error("apt-get download left no package behind");
  run("dpkg-deb", ["-x", join(work, "download", archive), join(work, "unpacked")], work);
}

function run(command, parameters, folder) {
  const failure = tryRun(command, parameters, folder);
  if (failure !== null) throw failure;
}

/** Null when it went well. */
function tryRun(command, parameters, folder) {
  const done = spawnSync(command, parameters, { cwd: folder, encoding: "utf8", timeout: COMMAND_MS_MAX });
  if (done.status === 0) return null;
  if (done.error !== undefined && done.error.code === "ENOENT") return new Error(`there is no ${command} here`);
  const said = done.stderr?.trim().split("\n")[0] ?? "";
  return new Error(`${command} failed: ${done.error?.message ?? (said || `status ${done.status}`)}`);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const found = findNatsServer();
  process.stdout.write(`${found.path ?? found.reason}\n`);
  process.exit(found.path === null ? 1 : 0);
}
