// What can be wrong with a campaign's attributes beyond what the JSON schema of the file sees.

import type { AttributeDefinition, CampaignFault, TriggerDefinition } from "../message/campaign.ts";
import { coerce } from "./attribute-value.ts";
import { compileValidator } from "./payload-schema.ts";
import { readPhone } from "./phone.ts";
import { regionOf } from "./region.ts";

/** The attribute that says whom the message goes to. */
export const RECIPIENT = "phoneNumber";

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

/** More attributes than any template has variables; each is read from every payload. */
const ATTRIBUTES_MAX = 100;

export function mappingFaults(trigger: TriggerDefinition): CampaignFault[] {
  const entries = Object.entries(trigger.attributes);
  const faults = entries.flatMap(([name, definition]) => attributeFaults(name, definition));
  const recipient = Object.hasOwn(trigger.attributes, RECIPIENT) ? trigger.attributes[RECIPIENT] : undefined;
  const place = `trigger.attributes.${RECIPIENT}`;
  if (recipient === undefined) {
    faults.push({ path: place, message: `is missing: it says which number the message goes to` });
  } else if (recipient.type !== "phone") {
    faults.push({ path: `${place}.type`, message: `must be phone, not ${recipient.type}` });
  } else if (recipient.default !== undefined) {
    faults.push({
      path: `${place}.default`,
      message: "would send every event without a number to one person",
    });
  }
  faults.push(...filterFaults(trigger.when?.in ?? []));
  if (entries.length > ATTRIBUTES_MAX) {
    faults.push({
      path: "trigger.attributes",
      message: `are ${entries.length}; at most ${ATTRIBUTES_MAX} are possible`,
    });
  }
  return faults;
}

/** An id beyond 2^53 has lost its last digits by the time it gets here, and would let nothing through. */
function filterFaults(wanted: readonly (string | number | boolean)[]): CampaignFault[] {
  return wanted.flatMap((value, index) =>
    Number.isInteger(value) && !Number.isSafeInteger(value)
      ? [{ path: `trigger.when.in[${index}]`, message: "is too large for a number: write its digits in quotes" }]
      : [],
  );
}

function attributeFaults(name: string, definition: AttributeDefinition): CampaignFault[] {
  const place = `trigger.attributes.${name}`;
  const faults: CampaignFault[] = [];
  // Names become Liquid variables and object keys: nothing that an object inherits.
  if (!NAME.test(name) || name in {}) {
    faults.push({
      path: place,
      message: "is no usable name: letters, digits and underscores, beginning with a letter",
    });
  }
  if ([definition.path].flat().length === 0) faults.push({ path: `${place}.path`, message: "names no path" });
  if (definition.defaultRegion !== undefined && regionOf(definition.defaultRegion) === undefined) {
    const message = `"${definition.defaultRegion}" is no ISO 3166 alpha-2 country code such as US`;
    faults.push({ path: `${place}.defaultRegion`, message });
  }
  if (definition.type !== "phone" && (definition.defaultRegion ?? definition.regionPath) !== undefined) {
    faults.push({ path: place, message: `has a region, which only attributes of type phone use` });
  }
  if (!isDefaultUsable(definition)) {
    faults.push({
      path: `${place}.default`,
      message: `${JSON.stringify(definition.default)} is no ${definition.type}`,
    });
  }
  return faults;
}

function isDefaultUsable(definition: AttributeDefinition): boolean {
  const { type, default: fallback } = definition;
  if (fallback === undefined) return true;
  if (type === "phone") return readPhone(String(fallback), regionOf(definition.defaultRegion)).kind === "valid";
  const value = coerce(type, fallback);
  const validate = compileValidator({ value: definition }, []);
  return value === undefined || validate({ kind: "valid", phoneNumber: "+", attributes: { value } });
}
