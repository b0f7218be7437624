// A nats-server of the demo's own, for `--stream jetstream`: on a free port of this machine, its store in the demo's
// folder, ended with the demo.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdirSync, openSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { EngineError } from "../runtime/errors.ts";

export interface DemoNatsServer {
  readonly url: string;
  stop(): Promise<void>;
}

const START_MS_MAX = 10_000;
const LOOK_EVERY_MS = 50;
/** A server that does not end when asked is killed. */
const STOP_MS_MAX = 5_000;

/** @throws EngineError ERR_NATS_CONNECT when there is no nats-server, or it does not start. */
export async function startDemoNatsServer(
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<DemoNatsServer> {
  const program = programIn(environment);
  if (program === undefined) {
    const message = "there is no nats-server: install one (apt install nats-server), or name it in VOLLEY_NATS_SERVER";
    throw new EngineError("ERR_NATS_CONNECT", message);
  }
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const logFile = join(folder, "nats-server.log");
  const log = openSync(logFile, "w");
  const parameters = ["-js", "-sd", join(folder, "store"), "-a", "127.0.0.1", "-p", String(port)];
  const server = spawn(program, parameters, { stdio: ["ignore", log, log] });
  const ended = once(server, "exit");
  const hasEnded = (): boolean => server.exitCode !== null || server.signalCode !== null;
  const stop = async (): Promise<void> => {
    if (hasEnded()) return;
    server.kill("SIGTERM");
    await Promise.race([ended, sleep(STOP_MS_MAX, undefined, { ref: false })]);
    if (!hasEnded()) server.kill("SIGKILL");
  };
  const endMs = performance.now() + START_MS_MAX;
  while (!(await answers(port))) {
    if (hasEnded() || performance.now() > endMs) {
      await stop();
      throw new EngineError("ERR_NATS_CONNECT", `nats-server did not start:\n${readFileSync(logFile, "utf8").trim()}`);
    }
    await sleep(LOOK_EVERY_MS);
  }
  return { url: `nats://127.0.0.1:${port}`, stop };
}

function programIn(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const named = environment["VOLLEY_NATS_SERVER"] ?? "";
  if (named !== "") return named;
  const folders = (environment["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, "nats-server")).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "data");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
