// A change of what Meta's side knows and does: of a template, a number, an account, a country, the portfolio, a token, a
// person, or the webhooks. The same objects stand in a scenario's events (`do`), are put to /simulator/state, and are what
// it tells: one language. A change that Meta would tell by a webhook is told by that webhook.

/** Sends that it concerns meet this error. */
export interface Mood {
  /** Meta's error code. */
  readonly code: number;
  /** Of the sends; default 1. */
  readonly share?: number;
  /** Refused at once, or accepted and reported as `failed` later. Default `answer`. */
  readonly where?: "answer" | "webhook";
  /** Of the answer; default as Meta's page of errors has it. */
  readonly httpStatus?: number;
}

interface AnyChange {
  /** Whether Meta keeps it to itself: no webhook tells it. Default false. */
  readonly quiet?: boolean;
}

export interface TemplateChange extends AnyChange {
  /** Name, or `*`: all. */
  readonly template: string;
  /** Default all languages of that name. */
  readonly language?: string;
  /** APPROVED, PAUSED, DISABLED, …; held messages of a template that is neither approved nor pending are dropped (132015). */
  readonly status?: string;
  readonly category?: string;
  /** Meta announces that it will recategorise. */
  readonly correctCategory?: string;
  /** GREEN, YELLOW, RED, UNKNOWN. */
  readonly quality?: string;
  /** `hold`: sends are held for quality assessment from now on; `off`: those held are released. */
  readonly pacing?: "hold" | "off";
  /** A new text of the body. */
  readonly text?: string;
  readonly fails?: Mood | null;
}

export interface NumberChange extends AnyChange {
  /** phone_number_id, or `*`: all. */
  readonly number: string;
  /** What Meta grants; from 1,000 on its level is HIGH. */
  readonly messagesPerSecond?: number;
  /** What it takes in truth, whatever it grants; null: as granted. */
  readonly trueMessagesPerSecond?: number | null;
  /** How more than that is refused: at once, or accepted and reported as `failed`. Default `answer`. */
  readonly throttles?: "answer" | "webhook";
  /** GREEN, YELLOW, RED, UNKNOWN. */
  readonly quality?: string;
  /** CONNECTED, FLAGGED, RESTRICTED, BANNED, …; only told. */
  readonly status?: string;
  readonly fails?: Mood | null;
}

export interface AccountChange extends AnyChange {
  /** WABA id, or `*`: all. */
  readonly account: string;
  /** Whether `/messages` takes marketing templates (else 131063). */
  readonly marketingOnMessages?: boolean;
  /** Whether the account may use `/marketing_messages`: `off` refuses with 134102 unless the send allows the Cloud API instead. */
  readonly marketingMessages?: "on" | "off";
  readonly fails?: Mood | null;
}

export interface CountryChange extends AnyChange {
  /** Digits that the recipient's number begins with. */
  readonly callingCode: string;
  readonly fails: Mood | null;
}

export interface PortfolioChange extends AnyChange {
  /** People that all numbers together may reach in 24 hours. */
  readonly dailyRecipients: number | "unlimited";
}

export interface TokenChange extends AnyChange {
  /** Or `*`: every one that is known or was used so far. */
  readonly token: string;
  readonly valid: boolean;
}

export interface PersonChange extends AnyChange {
  /** Phone number. */
  readonly person: string;
  /** `stopped`: marketing templates to this person fail with 131050. */
  readonly marketing: "stopped" | "allowed";
}

export interface WebhookChange extends AnyChange {
  /** `held`: gathered; `released`: posted, in order; `shuffled`: posted at once, in any order. */
  readonly webhooks: "held" | "released" | "shuffled";
}

export type Change =
  | TemplateChange
  | NumberChange
  | AccountChange
  | CountryChange
  | PortfolioChange
  | TokenChange
  | PersonChange
  | WebhookChange;

/** Stands for every template, number, account, token. */
export const ALL = "*";
