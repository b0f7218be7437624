// From an event's payload to a contact's attributes: where each value lies, what it must be, and everything that is
// wrong with a payload at once. Compiled when the campaign is deployed; a payload meets only compiled readers and
// one compiled schema.

import type { AttributeDefinition, AttributeType, CampaignFault, TriggerDefinition } from "../message/campaign.ts";
import { parsePaths } from "./attribute-path.ts";
import { compileReader, firstValue, pointerOfFirst } from "./attribute-reader.ts";
import type { AttributeReader } from "./attribute-reader.ts";
import { mappingFaults, RECIPIENT } from "./mapping-check.ts";
import { compileValidator } from "./payload-schema.ts";
import type { ExtractionValidator, ValidExtraction } from "./payload-schema.ts";

export type PayloadFaultCode = "required" | "wrong_type" | "invalid_phone_number" | "invalid_format" | "too_long";

export interface PayloadFault {
  /** RFC 6901: where the value was read, or was looked for first. */
  readonly pointer: string;
  readonly attribute: string;
  readonly code: PayloadFaultCode;
  /** A sentence that does not repeat the value. */
  readonly message: string;
}

export type Extraction = ValidExtraction | { readonly kind: "invalid"; readonly faults: readonly PayloadFault[] };

export interface Mapping {
  extract(payload: unknown): Extraction;
  /** False for events that `when` filters out. */
  matches(payload: unknown): boolean;
  /** What `dedupe: { path }` reads; undefined when the campaign has none, or the payload has not. */
  dedupeValue(payload: unknown): string | undefined;
}

export type CompiledMapping =
  | { readonly kind: "compiled"; readonly mapping: Mapping }
  | { readonly kind: "refused"; readonly faults: readonly CampaignFault[] };

/** @param needed attributes without which the template cannot be filled: required, whatever the definition says. */
export function compileMapping(trigger: TriggerDefinition, needed: ReadonlySet<string>): CompiledMapping {
  const faults = mappingFaults(trigger);
  const readers = Object.entries(trigger.attributes).map(([name, definition]) => {
    const place = `trigger.attributes.${name}`;
    const paths = parsePaths(`${place}.path`, definition.path, faults);
    const [regionPath] = parsePaths(`${place}.regionPath`, definition.regionPath, faults);
    return compileReader({ name, definition, paths, regionPath });
  });
  const whenPaths = parsePaths("trigger.when.path", trigger.when?.path, faults);
  const dedupePath = trigger.dedupe !== undefined && "path" in trigger.dedupe ? trigger.dedupe.path : undefined;
  const dedupePaths = parsePaths("trigger.dedupe.path", dedupePath, faults);
  if (faults.length > 0) return { kind: "refused", faults };

  const wanted = new Set((trigger.when?.in ?? []).map(String));
  return {
    kind: "compiled",
    mapping: {
      extract: compileExtract(trigger.attributes, readers, needed),
      matches: (payload) => trigger.when === undefined || isWanted(firstValue(payload, whenPaths), wanted),
      dedupeValue: (payload) => scalarText(firstValue(payload, dedupePaths)),
    },
  };
}

function compileExtract(
  attributes: Readonly<Record<string, AttributeDefinition>>,
  readers: readonly AttributeReader[],
  needed: ReadonlySet<string>,
): (payload: unknown) => Extraction {
  const names = readers.map(({ name }) => name);
  const required = names.filter((name) => attributes[name]?.required === true || needed.has(name));
  const validate = compileValidator(attributes, required);
  const recipient = readers.find(({ name }) => name === RECIPIENT);
  const others = readers.filter(({ name }) => name !== RECIPIENT);
  return (payload) => {
    const values: Record<string, unknown> = {};
    for (const reader of others) {
      const value = reader.read(payload);
      if (value !== undefined) values[reader.name] = value;
    }
    const extraction: unknown = {
      kind: "valid",
      phoneNumber: recipient?.read(payload),
      attributes: values,
    };
    if (validate(extraction)) return extraction;
    return { kind: "invalid", faults: faultsOf(payload, readers, validate) };
  };
}

/** Only a refused payload pays for finding out where its values came from. */
function faultsOf(
  payload: unknown,
  readers: readonly AttributeReader[],
  validate: ExtractionValidator,
): PayloadFault[] {
  const faults = new Map<string, PayloadFault>();
  for (const { keyword, params, instancePath } of validate.errors ?? []) {
    const name = keyword === "required" ? String(params["missingProperty"]) : (instancePath.split("/").at(-1) ?? "");
    const reader = readers.find((candidate) => candidate.name === name);
    // One fault a value: what is too long and of the wrong form is first of all of the wrong form.
    if (reader === undefined || (keyword === "maxLength" && faults.has(name))) continue;
    const pointer = pointerOfFirst(payload, reader.paths);
    const fault = schemaFault({ reader, keyword, limit: params["limit"] });
    faults.set(name, { pointer, attribute: name, ...fault, ...reader.explain(payload) });
  }
  return readers.flatMap(({ name }) => faults.get(name) ?? []);
}

const TYPE_WORDS: Readonly<Record<AttributeType, string>> = {
  phone: "a phone number",
  string: "text",
  number: "a number",
  integer: "a whole number",
  boolean: "true or false",
  date: "a date such as 2026-11-23 or 2026-11-23T10:00:00Z",
  email: "an e-mail address",
  url: "an http or https URL",
};

function schemaFault(error: {
  readonly reader: AttributeReader;
  readonly keyword: string;
  readonly limit: unknown;
}): Pick<PayloadFault, "code" | "message"> {
  const { name, type, paths } = error.reader;
  switch (error.keyword) {
    case "required": {
      const looked = paths.map(({ text }) => text).join(", ");
      return {
        code: "required",
        message: `${name} is required, but there is nothing at ${looked}`,
      };
    }
    case "maxLength":
      return {
        code: "too_long",
        message: `${name} is longer than ${String(error.limit)} characters`,
      };
    case "format":
      return { code: "invalid_format", message: `${name} must be ${TYPE_WORDS[type]}` };
    default:
      return { code: "wrong_type", message: `${name} must be ${TYPE_WORDS[type]}` };
  }
}

function isWanted(value: unknown, wanted: ReadonlySet<string>): boolean {
  if (Array.isArray(value)) return value.some((element) => isWanted(element, wanted));
  const text = scalarText(value);
  return text !== undefined && wanted.has(text);
}

function scalarText(value: unknown): string | undefined {
  const isScalar = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
  return isScalar ? String(value) : undefined;
}
