// Checks a scenario from outside, completes it from its preset, and tells all faults at once, each with its place.

import { Ajv, type ErrorObject } from "ajv";

import type { Change } from "./change.ts";
import { CHANGE_SCHEMAS } from "./change-schema.ts";
import { scenarioSchema } from "./scenario-schema.ts";
import { PRESETS } from "./scenario-presets.ts";
import type { PresetName, Scenario } from "./scenario.ts";

export type ScenarioReading =
  | { readonly kind: "valid"; readonly scenario: Scenario }
  | { readonly kind: "invalid"; readonly faults: readonly string[] };

export type ChangesReading =
  | { readonly kind: "valid"; readonly changes: readonly Change[] }
  | { readonly kind: "invalid"; readonly faults: readonly string[] };

/** Changes in one event, or in one call. */
const CHANGES_MAX = 1000;

const ajv = new Ajv({ allErrors: true, strict: true, verbose: true, allowUnionTypes: true });
const validate = ajv.compile<Scenario>(scenarioSchema);
const changeValidators = new Map(
  Object.entries(CHANGE_SCHEMAS).map(([subject, schema]) => [subject, ajv.compile<Change>(schema)]),
);

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
  if (!validate(scenario)) return { kind: "invalid", faults: schemaFaults(validate.errors ?? [], "") };
  const faults = [...sumFaults(scenario), ...ruleFaults(scenario), ...eventFaults(scenario)];
  return faults.length > 0 ? { kind: "invalid", faults } : { kind: "valid", scenario };
}

/** One change, or a list of them. */
export function readChanges(input: unknown): ChangesReading {
  const list: readonly unknown[] = Array.isArray(input) ? input : [input];
  const faults = changesFaults(input, "");
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each was checked against the schema of its kind.
  return faults.length > 0 ? { kind: "invalid", faults } : { kind: "valid", changes: list as readonly Change[] };
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

function schemaFaults(errors: readonly ErrorObject[], place: string): string[] {
  return errors
    .filter((error) => !/\/anyOf\/\d/.test(error.schemaPath))
    .map((error) => {
      const where = place + error.instancePath || "the scenario";
      if (error.keyword === "anyOf") return `${where} ${String(error.parentSchema?.["description"] ?? error.message)}`;
      if (error.keyword === "additionalProperties") {
        return `${where} has no field ${String(error.params["additionalProperty"])}`;
      }
      const allowed: unknown = error.params["allowedValues"];
      const list = Array.isArray(allowed) ? ` (${allowed.join(", ")})` : "";
      return `${where} ${error.message ?? "is not valid"}${list}`;
    });
}

function sumFaults(scenario: Scenario): string[] {
  const { answers, failures } = scenario;
  const faults: string[] = [];
  const lost = [answers.cut, answers.silent, answers.garbled, answers.empty, answers.unreadable];
  const sums = [
    ["/failures", failures.reduce((sum, failure) => sum + failure.share, 0)],
    ["/answers", lost.reduce((sum, form) => sum + form.share, 0)],
  ] as const;
  for (const [place, sum] of sums) {
    if (sum > 1 + Number.EPSILON * failures.length)
      faults.push(`${place} has shares that add up to ${sum}, which is more than 1`);
  }
  return faults;
}

function ruleFaults(scenario: Scenario): string[] {
  const faults: string[] = [];
  for (const [index, rule] of scenario.recipients.entries()) {
    if (rule.outcome === "failed" && rule.code === undefined) faults.push(`/recipients/${index} needs a code`);
  }
  return faults;
}

function eventFaults(scenario: Scenario): string[] {
  return scenario.events.flatMap((event, index) => changesFaults(event.do, `/events/${index}/do`));
}

function changesFaults(input: unknown, place: string): string[] {
  if (!Array.isArray(input)) return changeFaults(input, place);
  if (input.length > CHANGES_MAX) return [`${place || "the list"} has more than ${CHANGES_MAX} changes`];
  return input.flatMap((change, index) => changeFaults(change, `${place}/${index}`));
}

/** The field that names its subject tells its kind. */
function changeFaults(input: unknown, place: string): string[] {
  const where = place || "the change";
  if (!isObject(input)) return [`${where} is an object`];
  const subjects = [...changeValidators.keys()].filter((subject) => Object.hasOwn(input, subject));
  const [subject = ""] = subjects;
  const check = changeValidators.get(subject);
  if (check === undefined || subjects.length > 1) {
    return [`${where} must name one of ${[...changeValidators.keys()].join(", ")}`];
  }
  return check(input) ? [] : schemaFaults(check.errors ?? [], where);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isPresetName(value: unknown): value is PresetName {
  return typeof value === "string" && Object.hasOwn(PRESETS, value);
}
