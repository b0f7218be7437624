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
  readonly template: TemplateUse;
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

/** How attributes fill the template. Expressions are Liquid. */
export interface TemplateUse {
  readonly name: string;
  readonly language: string;
  /** Positional templates take a list, named ones a map. */
  readonly body?: readonly string[] | Readonly<Record<string, string>>;
  readonly header?:
    | string
    | Readonly<Record<string, string>>
    | { readonly image: string }
    | { readonly video: string }
    | { readonly document: string; readonly filename?: string };
  readonly buttons?: readonly { readonly index: number; readonly value: string }[];
}

/** One thing that keeps a campaign from working. */
export interface CampaignFault {
  /** Where in the definition, as a dotted path. */
  readonly path: string;
  readonly message: string;
}
