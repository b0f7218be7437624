// A data directory belongs to the stream driver it was made with: campaign numbers, which are in every message id, and
// the events that wait are kept elsewhere by each. Mixing them would lose both, silently.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import type { StreamConfig } from "./runtime/config.ts";
import { writeDurably } from "./runtime/durable-file.ts";
import { EngineError } from "./runtime/errors.ts";

const MARK = "stream-driver";

/** @throws EngineError ERR_CONFIG_INVALID when the directory was made with another driver. */
export function claimDataFolder(dataDir: string, driver: StreamConfig["driver"]): void {
  const file = join(dataDir, MARK);
  const known = existsSync(file) ? readFileSync(file, "utf8").trim() : unmarked(dataDir);
  if (known === null) {
    writeDurably(file, `${driver}\n`);
    return;
  }
  if (known === driver) return;
  const message = `dataDir ${dataDir} was made with stream.driver ${known} and cannot be used with ${driver}: name another dataDir`;
  throw new EngineError("ERR_CONFIG_INVALID", message);
}

/** Releases without the mark knew one driver only. */
function unmarked(dataDir: string): string | null {
  return existsSync(join(dataDir, "ledger")) ? "embedded" : null;
}
