// What the tests of NATS share: the smallest `stream` settings, and a log that can be read.

import type { StreamConfig } from "../../engine/runtime/config.ts";
import { connectNats } from "../../engine/runtime/jetstream-connection.ts";
import type { NatsLink } from "../../engine/runtime/jetstream-connection.ts";
import type { Log, LogFields } from "../../engine/runtime/log.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import type { NatsServer } from "../support/nats-server.ts";

export interface LogLine {
  readonly event: string;
  readonly fields: LogFields;
}

export function keptLog(): { readonly log: Log; readonly lines: readonly LogLine[] } {
  const lines: LogLine[] = [];
  const keep = (event: string, fields: LogFields = {}): void => void lines.push({ event, fields });
  return { log: { info: keep, warn: keep, error: keep }, lines };
}

export function streamConfig(url: string, settings: Partial<StreamConfig> = {}): StreamConfig {
  return {
    driver: "jetstream",
    servers: [url],
    replicas: 1,
    name: "volley",
    eventsMaxBytes: 1024 * 1024,
    ledgerMaxBytes: 2 * 1024 * 1024,
    ledgerMaxAgeDays: 30,
    ...settings,
  };
}

export interface Connecting {
  readonly server: Pick<NatsServer, "url">;
  readonly settings?: Partial<StreamConfig>;
  readonly log?: Log;
  readonly connectTimeoutMs?: number;
}

export function connectTo({ server, settings, log = keptLog().log, ...rest }: Connecting): Promise<NatsLink> {
  return connectNats({ config: streamConfig(server.url, settings), name: "test", log, clock: systemClock, ...rest });
}
