// One engine a data directory: two writers in one LMDB environment, or two engines on one number, would break
// promises that nothing later could mend. The lock names its process, so that a crash leaves no lock behind.

import { linkSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";

import { EngineError } from "./errors.ts";

const ATTEMPTS_MAX = 3;

/**
 * Takes the lock, or says who holds it.
 * @returns The function that gives it back.
 * @throws EngineError ERR_DATA_LOCKED
 */
export function takeLockFile(path: string): () => void {
  const own = `${process.pid} ${startOf(process.pid)}\n`;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    if (createExclusively(path, own)) return () => unlinkSync(path);
    const holder = readHolder(path);
    if (holder !== null && isAlive(holder)) {
      throw new EngineError("ERR_DATA_LOCKED", `process ${holder.pid} already works in this data directory (${path})`);
    }
    unlinkIfThere(path);
  }
  throw new EngineError("ERR_DATA_LOCKED", `another process keeps taking the lock ${path}`);
}

interface Holder {
  readonly pid: number;
  readonly start: string;
}

/** Linked into place, so that the lock of a process that lives is never seen empty. */
function createExclusively(path: string, text: string): boolean {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, text, { mode: 0o600 });
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  } finally {
    unlinkIfThere(draft);
  }
}

/** Null also for a lock that a power cut left empty. */
function readHolder(path: string): Holder | null {
  try {
    const [pid, start = ""] = readFileSync(path, "utf8").trim().split(" ");
    return Number(pid) > 0 ? { pid: Number(pid), start } : null;
  } catch {
    return null;
  }
}

/** A recycled process number is told from the holder by its start time. */
function isAlive(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
  return startOf(holder.pid) === holder.start;
}

/** When the process started, in kernel ticks; empty where the system does not tell. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
    throw error;
  }
}
