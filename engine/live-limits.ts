// The limits of volley.yaml while the engine runs: a saved file applies within a second, on every node of a cluster the
// newest saved one. What else is in the file is read at the start only.

import { statSync } from "node:fs";

import type { EngineConfig, SenderConfig } from "./runtime/config.ts";
import { EngineError, messageOf } from "./runtime/errors.ts";
import type { Log } from "./runtime/log.ts";
import { limitsOf, type PublishedLimits, type SharedLimits, withLimits } from "./runtime/shared-limits.ts";

/** Which limits count: this node's own, or those that another node saved later. */
export interface LimitsDesk {
  /** Makes the own ones known to the others if they are the newest. */
  inForce(own: PublishedLimits): Promise<SharedLimits>;
  /** Another node saved newer ones. */
  onChange(call: () => void): void;
}

export const OWN_LIMITS: LimitsDesk = {
  inForce: async ({ limits }) => limits,
  onChange: () => undefined,
};

export interface LiveLimitsOptions {
  readonly config: EngineConfig;
  readonly configFile: string;
  readonly desk: LimitsDesk;
  /** The file as it is now. @throws EngineError when it has a fault. */
  reload(): EngineConfig;
  readonly log: Log;
}

export class LiveLimits {
  readonly #options: LiveLimitsOptions;
  #config: EngineConfig;
  #own: SharedLimits;
  readonly #listeners: (() => void)[] = [];

  constructor(options: LiveLimitsOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#own = limitsOf(options.config);
    options.desk.onChange(() => {
      this.apply().catch((error: unknown) => this.#options.log.error("limits.unread", { reason: messageOf(error) }));
    });
  }

  /** Called when other limits are in force. */
  onChange(call: () => void): void {
    this.#listeners.push(call);
  }

  get limits(): EngineConfig["limits"] {
    return this.#config.limits;
  }

  get senders(): readonly SenderConfig[] {
    return Object.values(this.#config.senders);
  }

  sender(id: string): SenderConfig | undefined {
    return this.#config.senders[id];
  }

  /** Reads the file again. One with a fault changes nothing. @throws EngineError ERR_STORE_WRITE: the cluster does not answer. */
  async reload(): Promise<void> {
    try {
      this.#own = limitsOf(this.#options.reload());
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.#options.log.error("config.refused", { code: error.code, reason: error.message });
      return;
    }
    await this.apply();
  }

  /** Puts the newest limits in force. @throws EngineError ERR_STORE_WRITE. */
  async apply(): Promise<void> {
    const { configFile, desk, log } = this.#options;
    const own = { limits: this.#own, savedAtMs: statSync(configFile).mtimeMs };
    const next = withLimits(this.#config, await desk.inForce(own));
    if (JSON.stringify(limitsOf(next)) === JSON.stringify(limitsOf(this.#config))) return;
    this.#config = next;
    log.info("limits.applied", { ...limitsOf(next) });
    for (const listener of this.#listeners) listener();
  }
}
