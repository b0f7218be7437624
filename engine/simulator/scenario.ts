// What the simulated WhatsApp does with the messages it gets: how fast it answers, what fails, what gets lost, how its
// webhooks come, and what changes while time goes by. A scenario is a plain object (JSON or YAML); what it does not
// mention behaves as in its preset. docs/simulator.md is its manual.

import type { Change } from "./change.ts";
import type { Delay } from "./delay.ts";
import type { RecipientRule } from "./recipient-rule.ts";

export interface Scenario {
  readonly limits: {
    /** Whether `messagesPerSecond` of each number is enforced (130429). */
    readonly number: "enforced" | "ignored";
    readonly pair: "ignored" | { readonly periodSeconds: number; readonly burst: number };
    /** People that all numbers together may reach in 24 hours. */
    readonly dailyRecipients: number | "unlimited";
    /** What becomes of messages to more people. Meta documents no code. */
    readonly beyondDailyRecipients: { readonly code: number; readonly where: "answer" | "webhook" };
    /** Reads of templates and numbers, for each account (80008). */
    readonly managementCallsPerHour: number | "unlimited";
  };
  readonly answers: {
    /** From the arrival of the request to its answer. */
    readonly latency: Delay;
    /** This share of requests takes this long instead. */
    readonly slow: { readonly share: number; readonly latency: Delay };
    /** The connection is cut instead of an answer. */
    readonly cut: LostShare;
    /** No answer ever comes. */
    readonly silent: LostShare;
    /** A 502 page of HTML comes instead of the answer. */
    readonly garbled: LostShare;
    /** A 503 without a body. */
    readonly empty: LostShare;
    /** A 200 whose JSON breaks off. */
    readonly unreadable: LostShare;
  };
  /** Accepted as `held_for_quality_assessment`; later released, or dropped with 132015. */
  readonly held: {
    readonly share: number;
    readonly releaseAfter: Delay;
    readonly droppedShare: number;
  };
  /** In order; their shares add up to at most 1. */
  readonly failures: readonly Failure[];
  /** The first whose suffix ends the recipient's number decides; chance does not. */
  readonly recipients: readonly RecipientRule[];
  /** What changes, and when; counted from the moment at which the scenario was set. */
  readonly events: readonly ScenarioEvent[];
  readonly statuses: {
    /** From acceptance to `sent`, from there to `delivered`, from there to `read`. */
    readonly sentAfter: Delay;
    readonly deliveredAfter: Delay;
    readonly readAfter: Delay;
    /** Never delivered, and no webhook says so: the phone stayed off until the time to live ended. */
    readonly undeliveredShare: number;
    /** Of the delivered ones. */
    readonly readShare: number;
    /** Of the read ones: `read` comes without `delivered` before it. */
    readonly deliveredSkippedShare: number;
    /** Of the delivered and read ones: `failed` (131036) comes as well, from another device. */
    readonly alsoFailedShare: number;
    /** Of all updates: reported twice. */
    readonly duplicateShare: number;
    /** Of these: the second one names another second. */
    readonly duplicateOtherSecondShare: number;
    /** Of all updates: reported late by `reorderBy`, so that later ones overtake it. */
    readonly reorderShare: number;
    readonly reorderBy: Delay;
    /** Of all updates: its timestamp lies back by `oldBy`. */
    readonly oldShare: number;
    readonly oldBy: Delay;
    /** Of all messages: their statuses name no phone number, only the business-scoped user id. */
    readonly withoutPhoneShare: number;
    /** Of all messages: what `sent` says of the price, later statuses say otherwise. */
    readonly pricingChangesShare: number;
  };
  readonly webhooks: {
    readonly updatesPerPostMax: number;
    /** How many updates share one `changes[]` item. */
    readonly updatesPerChangeMax: number;
    readonly parallelPostsMax: number;
    /** After the first failed POST; doubles up to `retryAfterMsMax`. */
    readonly retryAfterMs: number;
    readonly retryAfterMsMax: number;
    /** Then the updates are lost, as with Meta. */
    readonly giveUpAfterMs: number;
    /** How they write a template's language: `en-US`, as Meta's samples, or `en_US`, as its API. */
    readonly language: "hyphen" | "underscore";
    /** The `field` of template quality updates: their own, or the wrong one of Meta's sample. */
    readonly qualityField: "message_template_quality_update" | "message_template_status_update";
    /** How they tell the portfolio's daily limit: 2000 or TIER_2K. */
    readonly dailyLimit: "number" | "tier";
  };
}

export interface LostShare {
  readonly share: number;
  /** Of these: how many the simulator accepted all the same. */
  readonly acceptedShare: number;
}

export interface Failure {
  /** Meta's error code. */
  readonly code: number;
  readonly share: number;
  /** Refused at once, or accepted and reported as `failed` later. */
  readonly where: "answer" | "webhook";
  /** Of the answer; default as Meta's page of errors has it. */
  readonly httpStatus?: number;
  /** `is_transient` of the answer. */
  readonly transient?: boolean;
}

export interface ScenarioEvent {
  readonly when: EventMoment;
  readonly do: Change | readonly Change[];
}

export type EventMoment =
  | { readonly atSeconds: number }
  /** After so many messages were taken, of this template and from this number. */
  | {
      readonly afterSends: number;
      /** Default 0. */
      readonly plusSeconds?: number;
      readonly template?: string;
      readonly number?: string;
    };

export type PresetName = "perfect" | "realistic" | "rough";

/** As a user writes it: sections and fields may be missing. */
export type ScenarioInput = {
  /** What is not mentioned behaves like this one. Default `perfect`. */
  readonly preset?: PresetName;
} & {
  readonly [Section in keyof Scenario]?: Scenario[Section] extends readonly unknown[]
    ? Scenario[Section]
    : Partial<Scenario[Section]>;
};
