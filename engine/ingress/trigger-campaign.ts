// What the trigger doors need to know of a campaign. The compiled campaign and the registry satisfy it between them.

import type { Attributes } from "../message/event.ts";
import type { TriggerAuth, TriggerDefinition } from "../message/campaign.ts";

export interface TriggerCampaign {
  readonly id: string;
  /** Its number in message ids. */
  readonly number: number;
  readonly partition: number;
  /** False: paused, or not able to work. */
  readonly isActive: boolean;
  readonly auth: TriggerAuth;
  /** Of a campaign with `auth: urlToken`. */
  readonly urlToken: string | null;
  readonly dedupe?: TriggerDefinition["dedupe"] | undefined;
  /** False for events that the campaign's `when` filters out. */
  matches(payload: unknown): boolean;
  /** What `dedupe: { path }` reads. */
  dedupeValue(payload: unknown): string | undefined;
  extract(payload: unknown): Extraction;
  preview(contact: Contact): Preview;
}

interface Contact {
  /** E.164 with its plus sign. */
  readonly phoneNumber: string;
  readonly attributes: Attributes;
}

type Extraction =
  | (Contact & { readonly kind: "valid" })
  | { readonly kind: "invalid"; readonly faults: readonly PayloadFault[] };

/** One thing wrong with a payload, as the caller sees it. */
export interface PayloadFault {
  /** RFC 6901, into the event's own object. */
  readonly pointer: string;
  readonly attribute: string;
  /** required, wrong_type, invalid_phone_number, invalid_format or too_long. */
  readonly code: string;
  readonly message: string;
}

type Preview =
  | {
      readonly kind: "rendered";
      readonly message: string;
      readonly request: string;
      readonly changes: readonly string[];
    }
  | { readonly kind: "unrenderable"; readonly reason: string };
