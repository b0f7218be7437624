// A nats-server whose disk can be set back to what it held before, as a power cut does to one that does not sync.

import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

import { type NatsServer, startNatsServer } from "../support/nats-server.ts";

export interface LossyServer {
  readonly server: NatsServer;
  /** What the disk has now. */
  save(): Promise<void>;
  /** A power cut: what came after `save` never was. */
  lose(): Promise<void>;
}

export async function startLossyServer(t: TestContext): Promise<LossyServer> {
  const folder = mkdtempSync(join(tmpdir(), "volley-loss-"));
  const storeDir = join(folder, "store");
  const copy = join(folder, "copy");
  const server = await startNatsServer({ storeDir });
  t.after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    server,
    save: async () => {
      await server.kill();
      rmSync(copy, { recursive: true, force: true });
      cpSync(storeDir, copy, { recursive: true });
      await server.start();
    },
    lose: async () => {
      await server.kill();
      rmSync(storeDir, { recursive: true, force: true });
      cpSync(copy, storeDir, { recursive: true });
      await server.start();
    },
  };
}
