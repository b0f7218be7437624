// One Ajv schema a campaign: the last word on whether a payload's values are what the campaign declares.
// Derived from the mapping, never taken from a client.

import { Ajv } from "ajv";
import type { ValidateFunction } from "ajv";
import addFormats from "ajv-formats";

import type { AttributeDefinition } from "../message/campaign.ts";
import type { Attributes } from "../message/event.ts";
import { attributeSchema } from "./attribute-value.ts";
import { isIsoDate } from "./date-text.ts";

export interface ValidExtraction {
  readonly kind: "valid";
  /** E.164 with its plus sign. */
  readonly phoneNumber: string;
  /** All but `phoneNumber`. */
  readonly attributes: Attributes;
}

export type ExtractionValidator = ValidateFunction<ValidExtraction>;

/** Validators kept for campaigns of the same shape; a schema costs about 1 ms to compile, campaigns come in thousands. */
const VALIDATORS_MAX = 512;

// A memo of a pure function: the same schema always gives the same validator.
const validators = new Map<string, ExtractionValidator>();

/** @param required names of attributes that a valid payload has. */
export function compileValidator(
  attributes: Readonly<Record<string, AttributeDefinition>>,
  required: readonly string[],
): ExtractionValidator {
  const key = JSON.stringify([attributeSchemas(attributes), [...required].toSorted()]);
  const known = validators.get(key);
  if (known !== undefined) return known;
  const validator = newAjv().compile<ValidExtraction>(extractionSchema(attributes, required));
  const [oldest] = validators.keys();
  if (validators.size >= VALIDATORS_MAX && oldest !== undefined) validators.delete(oldest);
  validators.set(key, validator);
  return validator;
}

function attributeSchemas(attributes: Readonly<Record<string, AttributeDefinition>>): Record<string, unknown> {
  const entries = Object.entries(attributes).filter(([name]) => name !== "phoneNumber");
  return Object.fromEntries(entries.map(([name, definition]) => [name, attributeSchema(definition)]));
}

function extractionSchema(
  attributes: Readonly<Record<string, AttributeDefinition>>,
  required: readonly string[],
): Record<string, unknown> {
  return {
    type: "object",
    required: ["phoneNumber"],
    properties: {
      phoneNumber: { type: "string" },
      attributes: {
        type: "object",
        properties: attributeSchemas(attributes),
        required: required.filter((name) => name !== "phoneNumber"),
      },
    },
  };
}

/** An Ajv for one schema: it keeps every schema it ever saw, which a redeployed campaign must not leak into. */
function newAjv(): Ajv {
  const ajv = new Ajv({
    allErrors: true,
    allowUnionTypes: true,
    validateSchema: false,
    addUsedSchema: false,
  });
  addFormats.default(ajv, ["email"]);
  ajv.addFormat("date-or-time", isIsoDate);
  ajv.addFormat("web-url", isWebUrl);
  return ajv;
}

function isWebUrl(text: string): boolean {
  return /^https?:\/\/[^\s/?#]+/i.test(text) && !/\s/.test(text) && URL.canParse(text);
}
