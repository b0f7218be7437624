// A trigger campaign as operators write it (YAML file or API object): which events it takes, how payload
// fields become contact attributes, and which approved template they fill.

export type Lane = "transactional" | "marketing";

export type CampaignStatus = "active" | "paused";

export interface CampaignDefinition {
  readonly id: string;
  readonly name: string;
  /** A key of `senders:` in volley.yaml. */
  readonly sender: string;
  readonly status: CampaignStatus;
  readonly lane: Lane;
  /** Below the sender's own limit; absent: the sender's. */
  readonly messagesPerSecond?: number;
  readonly timeToLiveSeconds: number;
  readonly uncertain: { readonly waitSeconds: number; readonly then: "resend" | "fail" };
  readonly trigger: TriggerDefinition;
  /** When to send; absent: at once. `timeToLiveSeconds` counts from then. */
  readonly sendAt?: SendAtDefinition;
  /** What its waiting messages can be cancelled by; absent: by nothing. */
  readonly key?: KeyDefinition;
  /** What each accepted event ends elsewhere: waiting messages of that campaign under the same key. Its own id: older ones. */
  readonly cancels?: readonly { readonly campaign: string; readonly key: KeyDefinition }[];
  /** Marketing only: nothing is sent then. */
  readonly quietHours?: QuietHoursDefinition;
  readonly template: TemplateUse;
}

/** How far after its acceptance a message may be sent at the latest: 60 days. */
export const SEND_AHEAD_MS_MAX: number = 60 * 86_400_000;

export interface SendAtDefinition {
  /** A time in the payload, or several places tried in order. Absent: the moment of acceptance. */
  readonly path?: string | readonly string[];
  /** Added to that time: seconds, or text such as `30m`, `-2h`, `1d 12h`. Default 0. */
  readonly offset?: number | string;
  /** IANA; of times that are written without a zone. Default UTC. */
  readonly timeZone?: string;
  /** Without a time an event is refused; default: its message is sent at once. */
  readonly required?: boolean;
}

export interface KeyDefinition {
  readonly path: string | readonly string[];
}

export interface QuietHoursDefinition {
  /** `HH:MM`. */
  readonly from: string;
  /** `HH:MM`, exclusive; before `from`: of the next day. */
  readonly to: string;
  /** IANA; absent: the recipient's own. */
  readonly timeZone?: string;
}

export interface TriggerDefinition {
  readonly auth: TriggerAuth;
  readonly dedupe?: { readonly header: string } | { readonly path: string };
  /** Other events are ignored. */
  readonly when?: { readonly path: string | readonly string[]; readonly in: readonly (string | number | boolean)[] };
  /** Contact attribute → where it comes from. Always has `phoneNumber`. */
  readonly attributes: Readonly<Record<string, AttributeDefinition>>;
}

export type TriggerAuth =
  | { readonly type: "apiKey" }
  | {
      readonly type: "hmac";
      readonly header: string;
      readonly encoding: "base64" | "hex";
      /** Text before the digest in the header, such as `sha256=`. Default none. */
      readonly prefix?: string;
      readonly algorithm?: "sha256" | "sha1" | "sha512";
      /** One, or two while one is being replaced. */
      readonly secrets: readonly string[];
    }
  | { readonly type: "urlToken"; readonly token?: string };

export type AttributeType = "phone" | "string" | "number" | "integer" | "boolean" | "date" | "email" | "url";

export interface AttributeDefinition {
  /** One path or several tried in order: `customer.phone`, `line_items[0].title`, `["odd.key"].x`. */
  readonly path: string | readonly string[];
  readonly type: AttributeType;
  readonly required?: boolean;
  readonly default?: string | number | boolean;
  readonly maxLength?: number;
  /** Phones only: ISO 3166 alpha-2 region of a number written without its country code. */
  readonly defaultRegion?: string;
  /** Phones only: where the payload names that region; goes before `defaultRegion`. */
  readonly regionPath?: string;
}

/** How attributes fill the template. Expressions are Liquid. docs/templates.md shows each element. */
export interface TemplateUse extends TemplatePartUse {
  readonly name: string;
  readonly language: string;
  /** When a limited-time offer ends: ISO 8601 (without a zone: UTC), or seconds or milliseconds since 1970. */
  readonly limitedTimeOffer?: { readonly expiresAt: string };
  /** Of a carousel: as many as the template has, in its order. */
  readonly cards?: readonly TemplatePartUse[];
}

/** The message itself, or one card of its carousel. */
export interface TemplatePartUse {
  /** Positional templates take a list, named ones a map. */
  readonly body?: readonly string[] | Readonly<Record<string, string>>;
  readonly header?: HeaderUse;
  readonly buttons?: readonly ButtonUse[];
}

/**
 * The value of a text header, or a map: `{ first_name: … }` of a named one, `{ image: … }`, `{ video: … }`,
 * `{ document: …, filename: … }`, `{ location: { latitude, longitude, name, address } }`, `{ product: …, catalog: … }`.
 * A medium is an https link or an upload's id, told apart by their looks, or `{ link: … }` or `{ id: … }`.
 */
export type HeaderUse = string | Readonly<Record<string, string | Readonly<Record<string, string>>>>;

export interface ButtonUse {
  /** Its place among the buttons of the template, or of the card, from 0. */
  readonly index: number;
  /** End of a URL, payload of a quick reply, code to copy, product whose picture is shown, or token of a flow. */
  readonly value: string;
  /** Of a flow: what its first screen is given. */
  readonly data?: Readonly<Record<string, string>>;
  /** Of a list of products. */
  readonly sections?: readonly { readonly title: string; readonly products: readonly string[] }[];
}

/** One thing that keeps a campaign from working. */
export interface CampaignFault {
  /** Where in the definition, as a dotted path. */
  readonly path: string;
  readonly message: string;
}
