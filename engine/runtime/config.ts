// The shape of the configuration, as config-file.ts hands it on: checked, complete, frozen.

export interface EngineConfig {
  readonly server: { readonly host: string; readonly port: number };
  /** Absolute path. */
  readonly dataDir: string;
  readonly stream: StreamConfig;
  /** Actor threads; `auto` in the file is already resolved. */
  readonly workers: number;
  readonly whatsapp: {
    /** Without a trailing slash. */
    readonly baseUrl: string;
    readonly apiVersion: string;
    readonly appSecret: string;
    /** Still taken while the secret is changed; absent or empty: none. */
    readonly appSecretBefore?: string;
    readonly verifyToken: string;
  };
  readonly senders: Readonly<Record<string, SenderConfig>>;
  readonly limits: { readonly triggersPerSecondPerKey: number; readonly backlogMax: number };
  readonly consent: ConsentConfig;
}

/** What marketing may not do. The campaigns' quiet hours are the campaigns' own. */
export interface ConsentConfig {
  /** Texts and buttons that end marketing, beside those that every engine knows (consent/stop-words.ts). */
  readonly extraStopWords: readonly string[];
  /** That take it up again. */
  readonly extraResumeWords: readonly string[];
  /** Of the words that every engine knows: those that mean something else to this business. */
  readonly ignoredWords: readonly string[];
  /** Marketing messages to one person in any so many hours; null: no cap. */
  readonly frequencyCap: { readonly messages: number; readonly hours: number } | null;
  /** Whether marketing to numbers of the United States is tried at all. */
  readonly unitedStates: "send" | "suppress";
}

export interface StreamConfig {
  readonly driver: "embedded" | "jetstream";
  /** Addresses without credentials; `tls://` insists on encryption. */
  readonly servers: readonly string[];
  readonly replicas: number;
  /** What every subject, stream and bucket begins with. */
  readonly name: string;
  /** With `password`. A secret that is empty counts as absent, as does this. */
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** The private seed of an NKEY (`SU…`). */
  readonly nkeySeed?: string;
  /** Absolute path of a `.creds` file. */
  readonly credentialsFile?: string;
  /** Absolute paths of PEM files. */
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string };
  /** Largest size of one partition's stream of events, in bytes. */
  readonly eventsMaxBytes: number;
  /** Largest size of one partition's stream of ledger entries, in bytes. */
  readonly ledgerMaxBytes: number;
  readonly ledgerMaxAgeDays: number;
  /** nats-server's monitoring, such as `http://127.0.0.1:8222`. */
  readonly monitoring?: string;
}

export interface SenderConfig {
  /** The key under `senders:`. */
  readonly id: string;
  readonly phoneNumberId: string;
  readonly wabaId: string;
  readonly accessToken: string;
  /** Senders of one portfolio share what Meta lets it reach in 24 hours. Default: the account. */
  readonly portfolio: string;
  /** In force; with `auto` what Meta granted, as far as that is known. */
  readonly messagesPerSecond: number;
  readonly pairLimit: { readonly periodSeconds: number; readonly burst: number };
  /** In force; with `auto` what Meta grants the portfolio, as far as that is known. */
  readonly dailyRecipients: number | "unlimited";
  /** As the file has it. */
  readonly configured: {
    readonly messagesPerSecond: number | "auto";
    readonly dailyRecipients: number | "auto" | "unlimited";
  };
}
