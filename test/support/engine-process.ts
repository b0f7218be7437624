// A real engine in a process of its own, to be killed.

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { until } from "./until.ts";
import type { Workspace } from "./workspace.ts";

/** Where the build lies; tests of a build elsewhere name it. */
const CLI = join(process.env["VOLLEY_DIST"] ?? "dist", "engine", "cli", "main.js");

export class EngineProcess {
  readonly #workspace: Workspace;
  #child: ChildProcess | null = null;
  output = "";

  constructor(workspace: Workspace) {
    this.#workspace = workspace;
  }

  get adminKey(): string {
    return readFileSync(join(this.#workspace.dataDir, "admin.key"), "utf8").trim();
  }

  /** Resolves once `/readyz` answers 200. */
  async start(): Promise<void> {
    const child = spawn(
      process.execPath,
      ["--enable-source-maps", CLI, "start", "--config", this.#workspace.configFile],
      {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env },
      },
    );
    this.#child = child;
    child.stdout.on("data", (chunk: Buffer) => (this.output = (this.output + chunk.toString()).slice(-100_000)));
    child.stderr.on("data", (chunk: Buffer) => (this.output = (this.output + chunk.toString()).slice(-100_000)));
    await until("the engine is ready", async () => {
      if (child.exitCode !== null) throw new Error(`the engine ended with ${child.exitCode}:\n${this.output}`);
      const answer = await fetch(`${this.#workspace.url}/readyz`).catch(() => null);
      return answer?.status === 200;
    });
  }

  /** Resident memory of the process. */
  memoryMb(): number {
    const status = readFileSync(`/proc/${this.#child?.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024;
  }

  /** @returns The exit code, or the signal's name. */
  async end(signal: NodeJS.Signals): Promise<number | string | null> {
    const child = this.#child;
    if (child === null || child.exitCode !== null) return child?.exitCode ?? null;
    const ended = new Promise<number | string | null>((resolve) =>
      child.once("exit", (code, name) => resolve(code ?? name)),
    );
    child.kill(signal);
    this.#child = null;
    return ended;
  }
}
