// How long the machine has been running, and since which start of it: a time that no setting of the clock changes, and
// that two processes read alike as long as the machine was not started anew between them.

import { readFileSync } from "node:fs";

export interface Uptime {
  /** Changes with each start of the machine. */
  readonly boot: string;
  readonly ms: number;
}

/** Linux names each start of the kernel; every container of a machine reads the same. */
const BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id";
const NANOSECONDS_PER_MS = 1e6;

const boot = bootId();

export function systemUptime(): Uptime {
  return { boot, ms: Number(process.hrtime.bigint()) / NANOSECONDS_PER_MS };
}

/** Where no such name is known, none is the same: then only the wall clock tells how long ago another run was. */
function bootId(): string {
  try {
    return readFileSync(BOOT_ID_FILE, "utf8").trim();
  } catch {
    return `unknown ${Date.now()} ${process.pid}`;
  }
}
