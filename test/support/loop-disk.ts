// A disk in a file, to cut its power: ext4 on a loop device. What its programs wrote without fsync is in the kernel's
// memory and not yet in the file, so a copy of the file is what a machine would find after a power cut.

import { execFile, execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** Takes no more than what is written to it. */
const DISK_BYTES = 2 * 1024 * 1024 * 1024;
const PROBE_BYTES = 16 * 1024 * 1024;
const UNMOUNT_TRIES_MAX = 50;
const UNMOUNT_PAUSE_SECONDS = "0.1";

export class LoopDisk {
  /** Where it is mounted; stays the same over power cuts. */
  readonly mountPoint: string;
  readonly #folder: string;
  #image: string;
  #cuts = 0;
  #isMounted = false;

  private constructor(bytes: number) {
    this.#folder = mkdtempSync(join(tmpdir(), "volley-disk-"));
    this.mountPoint = join(this.#folder, "mounted");
    this.#image = join(this.#folder, "disk-0.img");
    mkdirSync(this.mountPoint);
    const file = openSync(this.#image, "w");
    ftruncateSync(file, bytes);
    closeSync(file);
    run("mkfs.ext4", ["-q", "-F", this.#image]);
  }

  static create(bytes: number = DISK_BYTES): LoopDisk {
    const disk = new LoopDisk(bytes);
    leftOver.add(disk);
    disk.#mount();
    return disk;
  }

  /** Writes everything to the disk, as the kernel does by itself now and then. */
  async sync(): Promise<void> {
    await promisify(execFile)("sync", ["-f", this.mountPoint]);
  }

  /**
   * Keeps what has reached the disk by now. All who write have to be stopped before; they are of no use afterwards and
   * have to be gone before {@link LoopDisk.powerOn}.
   */
  powerOff(): void {
    this.#cuts++;
    const copy = join(this.#folder, `disk-${this.#cuts}.img`);
    run("cp", ["--sparse=always", this.#image, copy]);
  }

  powerOn(): void {
    this.#unmount();
    rmSync(this.#image);
    this.#image = join(this.#folder, `disk-${this.#cuts}.img`);
    this.#mount();
  }

  /** Safe twice. */
  remove(): void {
    if (this.#isMounted) this.#unmount();
    leftOver.delete(this);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #mount(): void {
    run("mount", ["-o", "loop", this.#image, this.mountPoint]);
    this.#isMounted = true;
  }

  #unmount(): void {
    for (let attempt = 1; ; attempt++) {
      try {
        run("umount", [this.mountPoint]);
        this.#isMounted = false;
        return;
      } catch (error) {
        // A process that was killed keeps its files open for a moment.
        if (attempt === UNMOUNT_TRIES_MAX) throw error;
        run("sleep", [UNMOUNT_PAUSE_SECONDS]);
      }
    }
  }
}

const leftOver = new Set<LoopDisk>();
process.on("exit", () => {
  for (const disk of leftOver) disk.remove();
});

function run(program: string, parameters: readonly string[]): void {
  execFileSync(program, parameters, { stdio: ["ignore", "ignore", "pipe"] });
}

/** Why tests that cut the power are skipped; false when they can. */
export const withoutLoopDisks: string | false = reason();

function reason(): string | false {
  if (process.getuid?.() !== 0) return "no loop-mounted disk: that needs root";
  try {
    LoopDisk.create(PROBE_BYTES).remove();
    return false;
  } catch (error) {
    const [line = ""] = (error instanceof Error ? error.message : String(error)).split("\n").slice(-2);
    return `no loop-mounted disk: ${line}`;
  }
}
