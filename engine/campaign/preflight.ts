// Everything that can be known about a campaign before its first event. A campaign that cannot work is refused here,
// with the reason in words; it does not fail once for every message.

import { distance } from "fastest-levenshtein";

import type { CampaignDefinition, CampaignFault } from "../message/campaign.ts";
import type { WhatsAppTemplate } from "../message/template.ts";
import { RECIPIENT } from "./mapping-check.ts";
import { formValue } from "./slot.ts";
import type { Slot } from "./slot.ts";
import { planSlots } from "./slot-plan.ts";
import type { SlotPlan } from "./slot-plan.ts";
import type { LimitedText } from "./slot-planner.ts";
import { readShape } from "./template-shape.ts";
import type { TemplateShape } from "./template-shape.ts";

export type Preflight =
  | { readonly kind: "cleared"; readonly shape: TemplateShape; readonly plan: SlotPlan }
  | { readonly kind: "refused"; readonly faults: readonly CampaignFault[] };

const SUGGESTION_DISTANCE_MAX = 3;

export function preflight(definition: CampaignDefinition, template: WhatsAppTemplate | undefined): Preflight {
  const { name, language } = definition.template;
  if (template === undefined) {
    const message = `${name} (${language}) does not exist on the sender's WhatsApp account`;
    return { kind: "refused", faults: [{ path: "template.name", message }] };
  }
  const shape = readShape(template);
  const plan = planSlots(definition.template, shape);
  const faults = [
    ...identityFaults(definition, shape),
    ...standingFaults(definition, template, shape),
    ...textFaults(shape, plan),
    ...plan.faults,
    ...plan.slots.flatMap((slot) => slotFaults(slot, Object.keys(definition.trigger.attributes))),
  ];
  return faults.length > 0 ? { kind: "refused", faults } : { kind: "cleared", shape, plan };
}

function identityFaults(definition: CampaignDefinition, shape: TemplateShape): CampaignFault[] {
  const faults: CampaignFault[] = [];
  const { name, language } = definition.template;
  if (name !== shape.name)
    faults.push({
      path: "template.name",
      message: `is ${name}, but the template is ${shape.name}`,
    });
  if (canonicalLanguage(language) !== canonicalLanguage(shape.language)) {
    const message = `is ${language}, but the template is in ${shape.language}; WhatsApp falls back to no other language`;
    faults.push({ path: "template.language", message });
  }
  return faults;
}

/** `en-US` and `en_US` are written for the same thing. */
function canonicalLanguage(language: string): string {
  return language.replaceAll("-", "_").toLowerCase();
}

function standingFaults(
  definition: CampaignDefinition,
  template: WhatsAppTemplate,
  shape: TemplateShape,
): CampaignFault[] {
  const faults: CampaignFault[] = [];
  if (shape.status !== "APPROVED") {
    const rejected = template["rejected_reason"];
    const reason = typeof rejected === "string" && rejected !== "NONE" ? ` (${rejected})` : "";
    faults.push({
      path: "template.name",
      message: `${shape.name} is ${shape.status}${reason}; WhatsApp sends only APPROVED templates`,
    });
  }
  if (shape.category === "MARKETING" && definition.lane === "transactional") {
    const previous = template["previous_category"];
    const moved = typeof previous === "string" ? `, since Meta moved it from ${previous}` : "";
    const advice = "set lane: marketing, or ask Meta to review the category";
    const message = `must be marketing: ${shape.name} is a MARKETING template${moved}; ${advice}`;
    faults.push({ path: "lane", message });
  }
  return faults;
}

function textFaults(shape: TemplateShape, plan: SlotPlan): CampaignFault[] {
  const { fixedLength, variables } = shape.body;
  const isEmpty = fixedLength === 0 && variables.length === 0;
  const faults = isEmpty ? [{ path: "template.name", message: `${shape.name} has no body text` }] : [];
  return [...faults, ...plan.texts.flatMap(roomFaults)];
}

/** Values are shortened to fit, but each needs one character. */
function roomFaults({ path, text, lengthMax }: LimitedText): CampaignFault[] {
  const room = lengthMax - text.fixedLength;
  if (text.names.length === 0 || room >= text.names.length) return [];
  const message = `has room for ${Math.max(0, room)} of ${lengthMax} characters, but ${text.names.length} values to hold`;
  return [{ path, message }];
}

function slotFaults(slot: Slot, attributes: readonly string[]): CampaignFault[] {
  const { path, place, expression } = slot;
  const unknown = expression.references.filter((name) => name !== RECIPIENT && !attributes.includes(name));
  const faults = unknown.map((name) => ({
    path,
    message: `uses ${name}, which is no attribute${suggestion(name, attributes)}`,
  }));
  if (expression.literal === null) return faults;
  if (expression.literal.trim() === "")
    return [{ path, message: `${place} is always empty; WhatsApp refuses empty values` }];
  const formed = formValue(slot.form, expression.literal);
  return formed.kind === "formed" ? faults : [{ path, message: `${place} ${formed.reason}` }];
}

function suggestion(name: string, attributes: readonly string[]): string {
  const nearest = attributes
    .map((attribute) => ({ attribute, steps: distance(name, attribute) }))
    .toSorted((left, right) => left.steps - right.steps)
    .at(0);
  return nearest !== undefined && nearest.steps <= SUGGESTION_DISTANCE_MAX
    ? `; did you mean ${nearest.attribute}?`
    : "";
}
