// A KV bucket with compare-and-set whose tail can be lost, as NATS loses it in a power cut.

import type { StoredKey } from "../../engine/cluster/bucket-view.ts";
import type { WriteResult } from "../../engine/cluster/membership-core.ts";

interface Written {
  readonly atMs: number;
  readonly stored: StoredKey;
}

export class SimulatedBucket {
  isUp: boolean = true;
  /** A planted fault: takes every write. */
  isBlind: boolean = false;
  #revision = 0;
  #log: Written[] = [];
  #keys = new Map<string, StoredKey>();

  all(): StoredKey[] {
    return [...this.#keys.values()];
  }

  get(key: string): StoredKey | null {
    return this.#keys.get(key) ?? null;
  }

  put(write: { key: string; text: string; expectedRevision: number }, atMs: number): WriteResult {
    const { key, text, expectedRevision } = write;
    if (!this.isBlind && (this.#keys.get(key)?.revision ?? 0) !== expectedRevision) return { kind: "conflict" };
    const stored = { key, text, revision: ++this.#revision };
    this.#log.push({ atMs, stored });
    this.#keys.set(key, stored);
    return { kind: "stored", revision: stored.revision };
  }

  /** Forgets what was written after `sinceMs`. A key shows its older value, or nothing: that one was deleted already. */
  loseTail(sinceMs: number, random: () => number): void {
    const before = this.#keys;
    this.#log = this.#log.filter(({ atMs }) => atMs <= sinceMs);
    this.#revision = this.#log.at(-1)?.stored.revision ?? 0;
    this.#keys = new Map(this.#log.map(({ stored }) => [stored.key, stored]));
    for (const [key, { revision }] of this.#keys) {
      if (before.get(key)?.revision !== revision && random() < 0.3) this.#keys.delete(key);
    }
  }
}
