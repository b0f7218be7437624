// A real engine in a process of its own, to be killed and frozen. None outlives the test process.

import { type ChildProcess, spawn } from "node:child_process";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { until } from "./until.ts";
import type { Workspace } from "./workspace.ts";

/** One line of the engine's log. */
export interface LogLine {
  readonly event: string;
  readonly level: string;
  /** Epoch milliseconds, as the engine wrote it. */
  readonly atMs: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface EngineProcessOptions {
  /** Beside this process's own; asked at each start. */
  environment?(): Readonly<Record<string, string>>;
  /** What runs the engine's command line, such as `unshare -m …`. It has to `exec` it: the process is what gets killed. */
  readonly launcher?: readonly string[];
  onLine?(line: LogLine): void;
  /** The process ended although nobody asked it to. */
  onDeath?(how: number | string | null): void;
}

/** Where the build lies; tests of a build elsewhere name it. */
const CLI = join(process.env["VOLLEY_DIST"] ?? "dist", "engine", "cli", "main.js");
const OUTPUT_CHARACTERS_MAX = 100_000;
const READY_ANSWER_MS = 2_000;

export class EngineProcess {
  readonly #workspace: Workspace;
  readonly #options: EngineProcessOptions;
  #child: ChildProcess | null = null;
  output = "";

  constructor(workspace: Workspace, options: EngineProcessOptions = {}) {
    this.#workspace = workspace;
    this.#options = options;
  }

  get adminKey(): string {
    return readFileSync(join(this.#workspace.dataDir, "admin.key"), "utf8").trim();
  }

  get pid(): number {
    return this.#child?.pid ?? Number.NaN;
  }

  /** Resolves once `/readyz` answers 200, at most `deadlineMs` later; by default a minute. */
  async start(deadlineMs?: number): Promise<void> {
    const engine = ["--enable-source-maps", CLI, "start", "--config", this.#workspace.configFile];
    const [program = "", ...parameters] = [...(this.#options.launcher ?? []), process.execPath, ...engine];
    const env = { ...process.env, ...this.#options.environment?.() };
    const child = spawn(program, parameters, { stdio: ["ignore", "pipe", "pipe"], env });
    this.#child = child;
    leftOver.add(child);
    child.once("exit", (code, signal) => {
      leftOver.delete(child);
      if (this.#child === child) this.#options.onDeath?.(code ?? signal);
    });
    const lines = new LogLines((line) => this.#options.onLine?.(line));
    child.stdout.on("data", (chunk: Buffer) => {
      this.#keep(chunk);
      lines.read(chunk.toString());
    });
    child.stderr.on("data", (chunk: Buffer) => this.#keep(chunk));
    let lastAnswer = "";
    const isReady = async (): Promise<boolean> => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the engine ended with ${child.exitCode ?? child.signalCode}:\n${this.output}`);
      const signal = AbortSignal.timeout(READY_ANSWER_MS);
      const answer = await fetch(`${this.#workspace.url}/readyz`, { signal }).catch((error: unknown) => {
        lastAnswer = String(error);
        return null;
      });
      if (answer !== null) lastAnswer = `${answer.status} ${await answer.text().catch(String)}`;
      return answer?.status === 200;
    };
    try {
      await until("the engine is ready", isReady, deadlineMs);
    } catch (error) {
      throw new Error(`the engine did not start (${lastAnswer}):\n${this.output.slice(-8_000)}`, { cause: error });
    }
  }

  #keep(chunk: Buffer): void {
    this.output = (this.output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
    appendFileSync(`${this.#workspace.folder}.log`, chunk);
  }

  /** Resident memory of the process. */
  memoryMb(): number {
    const status = readFileSync(`/proc/${this.#child?.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024;
  }

  /** SIGSTOP: its connections stay open, nothing is answered. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** @returns The exit code, or the signal's name. */
  async end(signal: NodeJS.Signals): Promise<number | string | null> {
    const child = this.#child;
    if (child === null || child.exitCode !== null) return child?.exitCode ?? null;
    if (child.signalCode !== null) return child.signalCode;
    const ended = new Promise<number | string | null>((resolve) =>
      child.once("exit", (code, name) => resolve(code ?? name)),
    );
    this.#child = null;
    child.kill(signal);
    // A frozen process takes any other signal only once it goes on.
    child.kill("SIGCONT");
    return ended;
  }
}

const leftOver = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of leftOver) child.kill("SIGKILL");
});
// The test runner ends a hanging file with SIGTERM, which alone would not run the lines above.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, () => process.exit(1));

/** Finds the JSON lines in what comes piece by piece. */
class LogLines {
  readonly #onLine: (line: LogLine) => void;
  #rest = "";

  constructor(onLine: (line: LogLine) => void) {
    this.#onLine = onLine;
  }

  read(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("{")) continue;
      const { event, level, time, ...fields } = JSON.parse(line) as Record<string, unknown>;
      this.#onLine({ event: String(event), level: String(level), atMs: Date.parse(String(time)), fields });
    }
  }
}
