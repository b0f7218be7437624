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
  /** Null: its events are sent at once, wait under no key and cancel nothing. */
  readonly timing: TriggerTiming | null;
  preview(contact: Contact): Preview;
}

export interface TriggerTiming {
  /** Which of the three the campaign has. */
  readonly uses: { readonly sendAt: boolean; readonly key: boolean; readonly cancels: boolean };
  /** @param nowMs epoch milliseconds of the acceptance. */
  schedule(payload: unknown, nowMs: number): Schedule;
}

export type Schedule =
  | {
      readonly kind: "valid";
      /** Epoch milliseconds; null: at once. */
      readonly sendAtMs: number | null;
      /** Null: cancelled by nothing. */
      readonly waitKey: string | null;
      readonly cancels: readonly CancelTarget[];
    }
  | { readonly kind: "invalid"; readonly faults: readonly PayloadFault[] };

/** The messages that wait under a key of some campaign that there is. */
export interface CancelTarget {
  readonly campaignId: string;
  readonly campaignNumber: number;
  readonly partition: number;
  readonly key: string;
}

interface Contact {
  /** E.164 with its plus sign. */
  readonly phoneNumber: string;
  readonly attributes: Attributes;
}

export type Extraction =
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
