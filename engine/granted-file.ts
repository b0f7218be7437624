// What Meta granted each number when it was last read, kept over a restart: until Meta answers again a backlog must not
// leave as if nothing were known. A file that cannot be read is one that is not there.

import { readFileSync } from "node:fs";

import { writeDurably } from "./runtime/durable-file.ts";
import { messageOf } from "./runtime/errors.ts";
import type { Granted } from "./runtime/granted-limits.ts";
import type { Log } from "./runtime/log.ts";

export class GrantedFile {
  readonly #path: string;
  readonly #log: Log;
  readonly #granted: Map<string, Granted>;

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    this.#granted = readGranted(path);
  }

  /** By Meta's id of the number, which a sender's name may be given to another of. */
  of(phoneNumberId: string): Granted | null {
    return this.#granted.get(phoneNumberId) ?? null;
  }

  set(phoneNumberId: string, { messagesPerSecond, dailyRecipients }: Granted): void {
    const known = this.#granted.get(phoneNumberId);
    if (known?.messagesPerSecond === messagesPerSecond && known.dailyRecipients === dailyRecipients) return;
    this.#granted.set(phoneNumberId, { messagesPerSecond, dailyRecipients });
    try {
      writeDurably(this.#path, JSON.stringify(Object.fromEntries(this.#granted)));
    } catch (error) {
      this.#log.warn("numbers.unwritten", { reason: messageOf(error) });
    }
  }
}

function readGranted(path: string): Map<string, Granted> {
  const granted = new Map<string, Granted>();
  try {
    const file: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof file !== "object" || file === null) return granted;
    for (const [phoneNumberId, value] of Object.entries(file)) {
      const one = grantedOf(value);
      if (one !== null) granted.set(phoneNumberId, one);
    }
  } catch {
    granted.clear();
  }
  return granted;
}

function grantedOf(value: unknown): Granted | null {
  if (typeof value !== "object" || value === null) return null;
  const { messagesPerSecond = null, dailyRecipients = null }: Partial<Record<string, unknown>> = { ...value };
  return {
    messagesPerSecond: positive(messagesPerSecond),
    dailyRecipients: dailyRecipients === "unlimited" ? dailyRecipients : positive(dailyRecipients),
  };
}

function positive(value: unknown): number | null {
  return typeof value === "number" && value > 0 ? value : null;
}
