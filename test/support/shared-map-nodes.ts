// Several nodes in one process, each with a connection and a folder of its own, on one real nats-server.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

import type { StreamConfig } from "../../engine/runtime/config.ts";
import { connectNats, type NatsLink } from "../../engine/runtime/jetstream-connection.ts";
import { openSharedMap, type SharedMapOptions } from "../../engine/runtime/jetstream-shared-map.ts";
import type { Log, LogFields } from "../../engine/runtime/log.ts";
import type { SharedMap } from "../../engine/runtime/shared-map.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { type NatsServer, startNatsServer } from "./nats-server.ts";

export interface RecordedLog extends Log {
  readonly lines: { readonly event: string; readonly fields: LogFields }[];
}

export function recordedLog(): RecordedLog {
  const lines: RecordedLog["lines"] = [];
  const record = (event: string, fields: LogFields = {}): void => void lines.push({ event, fields });
  return { lines, info: record, warn: record, error: record };
}

export interface MapNode<Value, Note> {
  readonly map: SharedMap<Value, Note>;
  readonly link: NatsLink;
  readonly log: RecordedLog;
  /** As a process that ended; what it has in its folder stays. */
  leave(): Promise<void>;
}

export interface Site {
  readonly server: NatsServer;
  /** Removed at the end. */
  readonly folder: string;
  link(servers?: readonly string[]): Promise<NatsLink>;
  /** A node of this name: the first time new, then with what it had. */
  join<Value = string, Note = never>(
    name: string,
    timing?: SharedMapOptions["timing"],
    bucket?: string,
  ): Promise<MapNode<Value, Note>>;
}

export function streamConfig(servers: readonly string[], replicas = 1): StreamConfig {
  return {
    driver: "jetstream",
    servers,
    replicas,
    name: "volley",
    eventsMaxBytes: 1024 ** 2,
    ledgerMaxBytes: 1024 ** 2,
    ledgerMaxAgeDays: 1,
  };
}

export async function openSite(context: TestContext, options: { storeDir?: string } = {}): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "volley-site-"));
  const server = await startNatsServer(options);
  const leaving: (() => Promise<void>)[] = [];
  context.after(async () => {
    for (const leave of leaving.toReversed()) await leave();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const link = async (servers: readonly string[] = [server.url], log = recordedLog()): Promise<NatsLink> => {
    const opened = await connectNats({ config: streamConfig(servers), name: "test", log, clock: systemClock });
    leaving.push(() => opened.close());
    return opened;
  };
  return {
    server,
    folder,
    link,
    join: async <Value, Note>(name: string, timing: SharedMapOptions["timing"] = {}, bucket = "volley_test") => {
      const log = recordedLog();
      const opened = await link([server.url], log);
      const map = await openSharedMap<Value, Note>({
        link: opened,
        bucket,
        path: join(folder, name),
        nodeId: name,
        log,
        clock: systemClock,
        timing,
      });
      const leave = async (): Promise<void> => {
        await map.close();
        await opened.close();
      };
      leaving.push(leave);
      return { map, link: opened, log, leave };
    },
  };
}
