// A campaign as an operator wrote it → a complete CampaignDefinition, or everything that is wrong with it.
// One check for files and for API bodies; whether its template and sender exist is the registry's question.

import schema from "../../schemas/campaign.schema.json" with { type: "json" };
import type {
  AttributeDefinition,
  CampaignDefinition,
  CampaignFault,
  Lane,
  TriggerAuth,
  TriggerDefinition,
} from "../message/campaign.ts";
import { timingFaults } from "./campaign-timing.ts";
import { compileSchema, pathText } from "./schema-check.ts";
import type { SchemaCheck, SchemaFault } from "./schema-check.ts";

export type CampaignCheck =
  | { readonly kind: "valid"; readonly definition: CampaignDefinition }
  | { readonly kind: "invalid"; readonly faults: readonly CampaignFault[] };

/** After the schema: the keys of a CampaignDefinition, those with a default optional. */
export type CampaignDocument = Pick<CampaignDefinition, "id" | "sender" | "template"> &
  Partial<Omit<CampaignDefinition, "trigger" | "uncertain">> & {
    readonly uncertain?: Partial<CampaignDefinition["uncertain"]>;
    readonly trigger: Omit<TriggerDefinition, "auth"> & { readonly auth?: TriggerAuth };
  };

const DEFAULTS = { status: "paused", lane: "transactional", timeToLiveSeconds: 86_400 } as const;
const UNCERTAIN_WAIT_SECONDS = 600;

/** What a campaign has to look like, key by key. */
export const checkCampaignShape: SchemaCheck<CampaignDocument> = compileSchema(schema);

/**
 * The body of `PUT /api/campaigns/{id}` → a definition with its defaults. Environment references are not
 * replaced here: they are for those who may edit files.
 */
export function checkCampaign(body: unknown): CampaignCheck {
  const checked = checkCampaignShape(body);
  if (checked.kind === "misfits") return invalid(checked.faults);
  const faults = [...campaignFaults(checked.value), ...missingSecretFaults(checked.value)];
  return faults.length > 0 ? invalid(faults) : { kind: "valid", definition: completedCampaign(checked.value) };
}

/** What no single key shows: values that contradict each other. */
export function campaignFaults(document: CampaignDocument): SchemaFault[] {
  return [
    ...Object.entries(document.trigger.attributes).flatMap(([name, attribute]) => attributeFaults(name, attribute)),
    ...timingFaults(document),
    ...buttonFaults(document),
  ];
}

/** An hmac campaign without a secret would refuse everything. */
export function missingSecretFaults({ trigger: { auth } }: CampaignDocument): SchemaFault[] {
  if (auth?.type !== "hmac" || auth.secrets.length > 0) return [];
  const message = "expected a list of one secret, or of two while one is being replaced";
  return [{ path: ["trigger", "auth", "secrets"], concerns: "value", message }];
}

/** Fills in the defaults. What is not known for certain is not sent twice where that would only be advertising. */
export function completedCampaign(document: CampaignDocument): CampaignDefinition {
  const lane: Lane = document.lane ?? DEFAULTS.lane;
  const { auth = { type: "apiKey" }, ...trigger } = document.trigger;
  return {
    ...DEFAULTS,
    name: document.id,
    ...document,
    lane,
    uncertain: {
      waitSeconds: UNCERTAIN_WAIT_SECONDS,
      // oxlint-disable-next-line unicorn/no-thenable -- the operators' word; a definition is never awaited
      then: lane === "marketing" ? "fail" : "resend",
      ...document.uncertain,
    },
    trigger: { auth, ...trigger },
  };
}

function invalid(faults: readonly SchemaFault[]): CampaignCheck {
  return {
    kind: "invalid",
    faults: faults.map(({ path, message }) => ({ path: pathText(path), message })),
  };
}

function attributeFaults(name: string, attribute: AttributeDefinition): SchemaFault[] {
  const faults: SchemaFault[] = [];
  const add = (key: keyof AttributeDefinition, concerns: "key" | "value", message: string): void => {
    faults.push({ path: ["trigger", "attributes", name, key], concerns, message });
  };
  const { type } = attribute;
  if (name === "phoneNumber" && type !== "phone") add("type", "value", `expected phone, found "${type}"`);
  if (type !== "phone") {
    if (attribute.defaultRegion !== undefined)
      add("defaultRegion", "key", "only attributes of type phone have a region");
    if (attribute.regionPath !== undefined) add("regionPath", "key", "only attributes of type phone have a region");
  }
  if (attribute.default !== undefined && !fitsType(attribute.default, attribute)) {
    add("default", "value", `expected a value of type ${type}, found ${JSON.stringify(attribute.default)}`);
  }
  return faults;
}

function fitsType(value: string | number | boolean, { type }: AttributeDefinition): boolean {
  switch (type) {
    case "number":
      return typeof value === "number";
    case "integer":
      return Number.isSafeInteger(value);
    case "boolean":
      return typeof value === "boolean";
    case "string":
      return true;
    case "phone":
    case "date":
    case "email":
    case "url":
      return typeof value === "string";
  }
}

function buttonFaults({ template }: CampaignDocument): SchemaFault[] {
  const seen = new Set<number>();
  return (template.buttons ?? []).flatMap(({ index }, place): SchemaFault[] => {
    if (!seen.has(index)) {
      seen.add(index);
      return [];
    }
    const path = ["template", "buttons", place, "index"];
    return [{ path, concerns: "value", message: `expected each button once, found ${index} again` }];
  });
}
