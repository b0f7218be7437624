// The shape of the configuration, as config-file.ts hands it on: checked, complete, frozen.

export interface EngineConfig {
  readonly server: { readonly host: string; readonly port: number };
  /** Absolute path. */
  readonly dataDir: string;
  readonly stream: {
    readonly driver: "embedded" | "jetstream";
    readonly servers: readonly string[];
    readonly replicas: number;
  };
  /** Actor threads; `auto` in the file is already resolved. */
  readonly workers: number;
  readonly whatsapp: {
    /** Without a trailing slash. */
    readonly baseUrl: string;
    readonly apiVersion: string;
    readonly appSecret: string;
    readonly verifyToken: string;
  };
  readonly senders: Readonly<Record<string, SenderConfig>>;
  readonly limits: { readonly triggersPerSecondPerKey: number; readonly backlogMax: number };
}

export interface SenderConfig {
  /** The key under `senders:`. */
  readonly id: string;
  readonly phoneNumberId: string;
  readonly wabaId: string;
  readonly accessToken: string;
  readonly messagesPerSecond: number;
  readonly pairLimit: { readonly periodSeconds: number; readonly burst: number };
  readonly dailyRecipients: number | "unlimited";
}
