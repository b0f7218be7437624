// Real nats-servers for tests: one node or a cluster, on 127.0.0.1 and free ports, each with a store of its own.
// They can be killed, frozen and started again on the same port and store, as tests of failures need it.
// None outlives the test process, and a server that does not start shows its log.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

/** A server on a busy machine may take its time; one that needs longer than this is broken. */
const READY_MS_MAX = 30_000;
const STOP_MS_MAX = 3_000;
/** Below the ports the kernel gives to outgoing connections: nobody else takes one of ours while its server is down. */
const PORT_MIN = 11_000;
const PORT_MAX = 31_000;
const SYSTEM_FOLDERS = ["/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin"];
/** Where scripts/nats-server.mjs keeps the one it fetched; tests run in the repository. */
const CACHE_FOLDERS = ["usr/sbin", "usr/bin"].map((folder) => resolve(".cache", "nats-server", folder));

export interface NatsServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly storeDir: string;
  /** Ends it and removes the store, unless the caller named the store. Safe twice. */
  stop(): Promise<void>;
  /** SIGKILL; the store stays. */
  kill(): Promise<void>;
  /** SIGSTOP: connections stay open, nothing is answered. */
  pause(): void;
  resume(): void;
  /** Again, on the same port and store. Resolves when it answers. */
  start(): Promise<void>;
}

export interface NatsCluster {
  readonly servers: readonly NatsServer[];
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

/** The server that tests use: the one the test command found (scripts/nats-server.mjs), or where it would have looked. */
function natsServerPath(): string | null {
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const folders = [...path, ...SYSTEM_FOLDERS, ...CACHE_FOLDERS].map((folder) => join(folder, "nats-server"));
  const named = process.env["VOLLEY_NATS_SERVER"] ?? "";
  return [...(named === "" ? [] : [named]), ...folders].find(isExecutable) ?? null;
}

/** Why tests that need a server are skipped; false when there is one. For node:test's `{ skip: withoutNats }`. */
export const withoutNats: string | false =
  natsServerPath() === null ? "no nats-server: none is on the PATH and none could be fetched" : false;

/** One server with JetStream, ready when it resolves. `config`: extra lines of its configuration; a `jetstream` block there replaces ours. */
export async function startNatsServer(
  options: { config?: string; storeDir?: string; port?: number } = {},
): Promise<NatsServer> {
  const port = options.port ?? (await freePort());
  const server = new ServerProcess({ ...options, port, name: `n${port}`, isAlone: true });
  await server.start();
  return server;
}

/** Servers that form one cluster; JetStream has a leader and places three replicas when it resolves. */
export async function startNatsCluster(size: 3 = 3): Promise<NatsCluster> {
  const name = `c${process.pid}`;
  const members = await Promise.all(
    Array.from({ length: size }, async () => ({ port: await freePort(), routePort: await freePort() })),
  );
  const routes = members.map((member) => `nats://127.0.0.1:${member.routePort}`).join(", ");
  const servers = members.map(
    ({ port, routePort }, index) =>
      new ServerProcess({
        port,
        name: `n${index + 1}-${port}`,
        isAlone: false,
        config: `cluster { name: ${name}, listen: "127.0.0.1:${routePort}", routes: [${routes}] }`,
      }),
  );
  const cluster = {
    servers,
    urls: servers.map((server) => server.url),
    stop: async () => void (await Promise.all(servers.map((server) => server.stop()))),
  };
  try {
    await Promise.all(servers.map((server) => server.start()));
    await untilReplicated(cluster.urls, size);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

interface ProcessOptions {
  readonly port: number;
  readonly name: string;
  /** Alone it answers JetStream requests at once; a member of a cluster has to wait for the others. */
  readonly isAlone: boolean;
  readonly config?: string;
  readonly storeDir?: string;
}

class ServerProcess implements NatsServer {
  readonly url: string;
  readonly port: number;
  readonly storeDir: string;
  readonly #folder: string;
  readonly #options: ProcessOptions;
  #child: ChildProcess | null = null;

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.port = options.port;
    this.url = `nats://127.0.0.1:${options.port}`;
    this.#folder = mkdtempSync(join(tmpdir(), "volley-nats-"));
    this.storeDir = options.storeDir ?? join(this.#folder, "store");
    const extra = options.config ?? "";
    const jetstream = "jetstream { max_file: 100GB, max_mem: 1GB }";
    writeFileSync(
      join(this.#folder, "server.conf"),
      `server_name: ${options.name}\n${/^\s*jetstream\b/m.test(extra) ? "" : jetstream}\n${extra}\n`,
    );
  }

  get pid(): number {
    return this.#child?.pid ?? Number.NaN;
  }

  async start(): Promise<void> {
    if (this.#child !== null) throw new Error(`nats-server on port ${this.port} runs already`);
    const path = natsServerPath();
    if (path === null) throw new Error("no nats-server: mark the test with { skip: withoutNats }");
    const log = openSync(join(this.#folder, "server.log"), "a");
    const parameters = ["-c", join(this.#folder, "server.conf"), "-a", "127.0.0.1", "-p", String(this.port)];
    const child = spawn(path, [...parameters, "-sd", this.storeDir], { stdio: ["ignore", log, log] });
    this.#child = child;
    leftOver.add(child);
    child.once("exit", () => leftOver.delete(child));
    child.once("error", () => leftOver.delete(child));
    try {
      await this.#untilReady(child);
    } catch (error) {
      const text = readFileSync(join(this.#folder, "server.log"), "utf8").slice(-4_000);
      await this.stop();
      throw new Error(`nats-server on port ${this.port} did not start:\n${text}`, { cause: error });
    }
  }

  async #untilReady(child: ChildProcess): Promise<void> {
    const deadline = performance.now() + READY_MS_MAX;
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended with ${child.exitCode}`);
      const info = await greeting(this.port).catch(() => null);
      // With credentials or TLS only the caller could ask more.
      if (info !== null && (!this.#options.isAlone || info["auth_required"] === true || info["tls_required"] === true))
        return;
      if (info !== null && (await answersJetStream(this.url))) return;
      if (performance.now() > deadline) throw new Error(`it was not ready within ${READY_MS_MAX} ms`);
      await pause(20);
    }
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
    rmSync(this.#folder, { recursive: true, force: true });
  }

  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  pause(): void {
    process.kill(this.pid, "SIGSTOP");
  }

  resume(): void {
    process.kill(this.pid, "SIGCONT");
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#child = null;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    // A frozen process takes SIGTERM only once it goes on.
    child.kill("SIGCONT");
    const forced = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
    await ended;
    clearTimeout(forced);
  }
}

const leftOver = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of leftOver) child.kill("SIGKILL");
});
// The test runner ends a hanging file with SIGTERM, which alone would not run the line above.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, () => process.exit(1));

/** The INFO line with which a server greets whoever connects. */
function greeting(port: number): Promise<Record<string, unknown>> {
  return new Promise((done, failed) => {
    let text = "";
    const socket = createConnection({ host: "127.0.0.1", port }).setEncoding("utf8").setTimeout(1_000);
    socket.on("timeout", () => socket.destroy(new Error("no greeting")));
    socket.on("error", failed);
    socket.on("close", () => failed(new Error("closed before its greeting")));
    socket.on("data", (chunk) => {
      text += String(chunk);
      const line = /^INFO (\{.*\})\s*\r\n/.exec(text)?.[1];
      if (line === undefined) return;
      done(JSON.parse(line) as Record<string, unknown>);
      socket.destroy();
    });
  });
}

async function answersJetStream(url: string): Promise<boolean> {
  try {
    const connection = await connect({ servers: url, reconnect: false, timeout: 1_000 });
    try {
      await (await jetstreamManager(connection, { timeout: 1_000 })).getAccountInfo();
      return true;
    } finally {
      await connection.close();
    }
  } catch {
    return false;
  }
}

async function untilReplicated(urls: readonly string[], replicas: number): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
  const stream = "VOLLEY_TEST_READY";
  const connection = await connect({ servers: [...urls], timeout: READY_MS_MAX });
  try {
    for (;;) {
      try {
        const manager = await jetstreamManager(connection, { timeout: 2_000 });
        await manager.streams.add({ name: stream, subjects: [stream], num_replicas: replicas });
        await manager.streams.delete(stream);
        return;
      } catch (error) {
        if (performance.now() > deadline) throw new Error("the cluster elected no leader", { cause: error });
        await pause(50);
      }
    }
  } finally {
    await connection.close();
  }
}

async function freePort(): Promise<number> {
  for (;;) {
    const port = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    const server = createServer().listen({ host: "127.0.0.1", port });
    const isFree = await Promise.race([
      once(server, "listening").then(() => true),
      once(server, "error").then(() => false),
    ]).catch(() => false);
    if (!isFree) continue;
    await new Promise((done) => server.close(done));
    return port;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
