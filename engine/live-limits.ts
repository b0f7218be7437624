// What of the settings may change while the engine runs: the limits of volley.yaml (a saved file applies within a second,
// on every node of a cluster the newest saved one), its secrets, and what Meta granted a number where the file says
// `auto`. What else is in the file is read at the start only.

import { statSync } from "node:fs";

import type { EngineConfig, SenderConfig } from "./runtime/config.ts";
import { EngineError, messageOf } from "./runtime/errors.ts";
import { effectiveLimits, type Granted } from "./runtime/granted-limits.ts";
import type { Log } from "./runtime/log.ts";
import { secretsOf, withSecrets } from "./runtime/live-secrets.ts";
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
  /** False while the simulator stands in: its secrets are not the file's. */
  readonly hasOwnSecrets: boolean;
  readonly log: Log;
}

export class LiveLimits {
  readonly #options: LiveLimitsOptions;
  /** As the files say, with the limits in force. */
  #config: EngineConfig;
  /** With what Meta granted. */
  #senders: Readonly<Record<string, SenderConfig>>;
  #own: SharedLimits;
  readonly #granted = new Map<string, Granted>();
  readonly #listeners: ((change: LiveChange) => void)[] = [];

  constructor(options: LiveLimitsOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#senders = options.config.senders;
    this.#own = limitsOf(options.config);
    options.desk.onChange(() => {
      this.apply().catch((error: unknown) => this.#options.log.error("limits.unread", { reason: messageOf(error) }));
    });
  }

  /** Called when something else is in force. */
  onChange(call: (change: LiveChange) => void): void {
    this.#listeners.push(call);
  }

  get limits(): EngineConfig["limits"] {
    return this.#config.limits;
  }

  get consent(): EngineConfig["consent"] {
    return this.#config.consent;
  }

  /** With the secrets as they are now. */
  get whatsapp(): EngineConfig["whatsapp"] {
    return this.#config.whatsapp;
  }

  get senders(): readonly SenderConfig[] {
    return Object.values(this.#senders);
  }

  sender(id: string): SenderConfig | undefined {
    return this.#senders[id];
  }

  grantedTo(senderId: string): Granted | null {
    return this.#granted.get(senderId) ?? null;
  }

  /** Meta said what it grants the number. */
  setGranted(senderId: string, { messagesPerSecond, dailyRecipients }: Granted): void {
    const before = this.#granted.get(senderId);
    if (before?.messagesPerSecond === messagesPerSecond && before.dailyRecipients === dailyRecipients) return;
    this.#granted.set(senderId, { messagesPerSecond, dailyRecipients });
    const configured = this.#senders[senderId]?.configured.messagesPerSecond;
    if (typeof configured === "number" && messagesPerSecond !== null && configured > messagesPerSecond) {
      const message = "the file asks for a higher rate than Meta grants the number";
      this.#options.log.warn("sender.rate_above_granted", {
        senderId,
        configured,
        granted: messagesPerSecond,
        message,
      });
    }
    this.#put(this.#config);
  }

  /** Reads the file again. One with a fault changes nothing. @throws EngineError ERR_STORE_WRITE: the cluster does not answer. */
  async reload(): Promise<void> {
    const fresh = this.#reloaded();
    if (fresh === null) return;
    this.#own = limitsOf(fresh);
    this.#takeSecrets(fresh);
    await this.apply();
  }

  /** Reads the file again for its secrets alone: they may stand in files of their own. */
  reloadSecrets(): void {
    const fresh = this.#reloaded();
    if (fresh !== null) this.#takeSecrets(fresh);
  }

  /** Puts the newest limits in force. @throws EngineError ERR_STORE_WRITE. */
  async apply(): Promise<void> {
    const { configFile, desk, log } = this.#options;
    const own = { limits: this.#own, savedAtMs: statSync(configFile).mtimeMs };
    const next = withLimits(this.#config, await desk.inForce(own));
    if (JSON.stringify(limitsOf(next)) === JSON.stringify(limitsOf(this.#config))) return;
    log.info("limits.applied", { ...limitsOf(next) });
    this.#put(next);
  }

  #reloaded(): EngineConfig | null {
    try {
      return this.#options.reload();
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.#options.log.error("config.refused", { code: error.code, reason: error.message });
      return null;
    }
  }

  #takeSecrets(fresh: EngineConfig): void {
    if (!this.#options.hasOwnSecrets) return;
    const next = withSecrets(this.#config, secretsOf(fresh));
    if (next.changed.length === 0) return;
    this.#options.log.info("secrets.applied", { changed: next.changed });
    this.#put(next.config);
  }

  #put(config: EngineConfig): void {
    const before = this.#senders;
    this.#config = config;
    this.#senders = Object.fromEntries(
      Object.entries(config.senders).map(([id, sender]) => {
        return [id, { ...sender, ...effectiveLimits(sender.configured, this.grantedTo(id)) }];
      }),
    );
    const hasNewTokens = this.senders.some(({ id, accessToken }) => before[id]?.accessToken !== accessToken);
    for (const listener of this.#listeners) listener({ hasNewTokens });
  }
}

export interface LiveChange {
  /** Of a sender at least. */
  readonly hasNewTokens: boolean;
}
