// What the simulated WhatsApp does with the messages it gets: how fast it answers, what fails, what gets lost, how its
// webhooks come. A scenario is a plain object (JSON or YAML); what it does not mention behaves as in its preset.
// docs/simulator.md is its manual.

import { Ajv, type ErrorObject } from "ajv";

import type { Delay } from "./delay.ts";
import { scenarioSchema } from "./scenario-schema.ts";

export interface Scenario {
  readonly limits: {
    /** Whether `messagesPerSecond` of each number is enforced (130429). */
    readonly number: "enforced" | "ignored";
    readonly pair: "ignored" | { readonly periodSeconds: number; readonly burst: number };
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
    /** Of all updates: reported twice. */
    readonly duplicateShare: number;
    /** Of all updates: reported late by `reorderBy`, so that later ones overtake it. */
    readonly reorderShare: number;
    readonly reorderBy: Delay;
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
}

type Outcome = "sent" | "delivered" | "read" | "failed" | "held" | "dropped" | "slow" | "cut" | "silent" | "garbled";

export interface RecipientRule {
  /** Digits that the number ends with. */
  readonly suffix: string;
  readonly outcome: Outcome;
  /** Of `failed`: Meta's error code. */
  readonly code?: number;
  /** Of `failed`; default `webhook`. */
  readonly where?: "answer" | "webhook";
  /** Of `cut`, `silent`, `garbled`: whether the message is accepted all the same. Default true. */
  readonly accepted?: boolean;
  /** Only the first so many sends to each such recipient; default all. */
  readonly times?: number;
}

type PresetName = "perfect" | "realistic" | "rough";

/** As a user writes it: sections and fields may be missing. */
export type ScenarioInput = {
  /** What is not mentioned behaves like this one. Default `perfect`. */
  readonly preset?: PresetName;
} & {
  readonly [Section in keyof Scenario]?: Scenario[Section] extends readonly unknown[]
    ? Scenario[Section]
    : Partial<Scenario[Section]>;
};

export type ScenarioReading =
  | { readonly kind: "valid"; readonly scenario: Scenario }
  | { readonly kind: "invalid"; readonly faults: readonly string[] };

const HOUR_MS = 3_600_000;
const NEVER_LOST: LostShare = { share: 0, acceptedShare: 1 };

const PERFECT: Scenario = {
  limits: { number: "enforced", pair: { periodSeconds: 6, burst: 45 } },
  answers: {
    latency: 0,
    slow: { share: 0, latency: { minMs: 2000, maxMs: 8000 } },
    cut: NEVER_LOST,
    silent: NEVER_LOST,
    garbled: NEVER_LOST,
  },
  held: { share: 0, releaseAfter: { minMs: 500, maxMs: 3000 }, droppedShare: 0 },
  failures: [],
  recipients: [],
  statuses: {
    sentAfter: 0,
    deliveredAfter: 0,
    readAfter: 0,
    undeliveredShare: 0,
    readShare: 0,
    deliveredSkippedShare: 0,
    duplicateShare: 0,
    reorderShare: 0,
    reorderBy: { minMs: 50, maxMs: 500 },
  },
  webhooks: {
    updatesPerPostMax: 1000,
    updatesPerChangeMax: 50,
    parallelPostsMax: 4,
    retryAfterMs: 200,
    retryAfterMsMax: 5000,
    giveUpAfterMs: 36 * HOUR_MS,
  },
};

// Shares as operators report them: some percent of numbers are not on WhatsApp, few messages run into anything else.
const REALISTIC: Scenario = {
  ...PERFECT,
  answers: { ...PERFECT.answers, latency: { medianMs: 60, p99Ms: 250 } },
  failures: [
    { code: 131026, share: 0.02, where: "webhook" },
    { code: 131049, share: 0.005, where: "webhook" },
    { code: 131000, share: 0.002, where: "answer" },
  ],
  statuses: {
    ...PERFECT.statuses,
    sentAfter: { medianMs: 100, p99Ms: 500 },
    deliveredAfter: { medianMs: 300, p99Ms: 2000 },
    readAfter: { medianMs: 800, p99Ms: 4000 },
    readShare: 0.7,
    duplicateShare: 0.01,
    reorderShare: 0.02,
  },
};

const ROUGH: Scenario = {
  ...REALISTIC,
  answers: {
    latency: { medianMs: 60, p99Ms: 800 },
    slow: { share: 0.01, latency: { minMs: 1000, maxMs: 4000 } },
    cut: { share: 0.01, acceptedShare: 0.7 },
    silent: { share: 0.002, acceptedShare: 0.7 },
    garbled: { share: 0.005, acceptedShare: 0.5 },
  },
  held: { share: 0.02, releaseAfter: { minMs: 500, maxMs: 3000 }, droppedShare: 0.1 },
  failures: [
    { code: 131026, share: 0.03, where: "webhook" },
    { code: 131049, share: 0.01, where: "webhook" },
    { code: 130472, share: 0.005, where: "webhook" },
    { code: 131000, share: 0.01, where: "answer" },
    { code: 131016, share: 0.01, where: "answer" },
    { code: 2, share: 0.005, where: "answer" },
  ],
  statuses: {
    ...REALISTIC.statuses,
    undeliveredShare: 0.01,
    deliveredSkippedShare: 0.05,
    duplicateShare: 0.1,
    reorderShare: 0.1,
    reorderBy: { minMs: 50, maxMs: 1500 },
  },
};

const PRESETS: Readonly<Record<PresetName, Scenario>> = {
  perfect: PERFECT,
  realistic: REALISTIC,
  rough: ROUGH,
};

const validate = new Ajv({ allErrors: true, strict: true, verbose: true }).compile<Scenario>(scenarioSchema);

/** Checks a scenario from outside and completes it from its preset; tells all faults at once. */
export function readScenario(input: unknown): ScenarioReading {
  if (!isObject(input)) return { kind: "invalid", faults: ["a scenario is an object"] };
  const { preset = "perfect", ...sections } = input;
  if (!isPresetName(preset)) {
    return {
      kind: "invalid",
      faults: [`/preset must be one of ${Object.keys(PRESETS).join(", ")}`],
    };
  }
  const scenario: unknown = merge(PRESETS[preset], sections);
  if (!validate(scenario)) return { kind: "invalid", faults: schemaFaults(validate.errors ?? []) };
  const faults = sumFaults(scenario);
  return faults.length > 0 ? { kind: "invalid", faults } : { kind: "valid", scenario };
}

/** Two levels: sections, then their fields; a field is replaced whole. */
function merge(base: Scenario, sections: Record<string, unknown>): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [name, section] of Object.entries(sections)) {
    const ground = merged[name];
    merged[name] = isObject(ground) && isObject(section) ? { ...ground, ...section } : section;
  }
  return merged;
}

function schemaFaults(errors: readonly ErrorObject[]): string[] {
  return errors
    .filter((error) => !/\/anyOf\/\d/.test(error.schemaPath))
    .map((error) => {
      const place = error.instancePath === "" ? "the scenario" : error.instancePath;
      if (error.keyword === "anyOf") return `${place} ${String(error.parentSchema?.["description"] ?? error.message)}`;
      if (error.keyword === "additionalProperties") {
        return `${place} has no field ${String(error.params["additionalProperty"])}`;
      }
      const allowed: unknown = error.params["allowedValues"];
      const list = Array.isArray(allowed) ? ` (${allowed.join(", ")})` : "";
      return `${place} ${error.message ?? "is not valid"}${list}`;
    });
}

function sumFaults(scenario: Scenario): string[] {
  const { answers, failures } = scenario;
  const faults: string[] = [];
  const sums = [
    ["/failures", failures.reduce((sum, failure) => sum + failure.share, 0)],
    ["/answers", answers.cut.share + answers.silent.share + answers.garbled.share],
  ] as const;
  for (const [place, sum] of sums) {
    if (sum > 1 + Number.EPSILON * failures.length)
      faults.push(`${place} has shares that add up to ${sum}, which is more than 1`);
  }
  for (const [index, rule] of scenario.recipients.entries()) {
    if (rule.outcome === "failed" && rule.code === undefined) faults.push(`/recipients/${index} needs a code`);
  }
  return faults;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPresetName(value: unknown): value is PresetName {
  return typeof value === "string" && Object.hasOwn(PRESETS, value);
}
