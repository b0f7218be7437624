// Pairs what a template wants with what the campaign gives: every variable gets exactly one expression, or a fault
// says what is missing, what is too much, and what to write instead.

import type { CampaignFault, TemplatePartUse, TemplateUse } from "../message/campaign.ts";
import { planButtons } from "./button-plan.ts";
import { planHeader } from "./header-plan.ts";
import { numberHole } from "./request-body.ts";
import type { RequestPart } from "./request-body.ts";
import type { Slot, SlotForm } from "./slot.ts";
import { SlotPlanner } from "./slot-planner.ts";
import type { LimitedText, PartPlace, Wanted } from "./slot-planner.ts";
import type { PartShape, TemplateShape } from "./template-shape.ts";
import { BODY_LENGTH_MAX, CARD_BODY_LENGTH_MAX } from "./text-budget.ts";
import { textParameters } from "./text-parameter.ts";

export interface SlotPlan {
  /** Header first, then the body's variables in order, the offer, the buttons by index, and the cards alike. */
  readonly slots: readonly Slot[];
  /** Of the request, with holes for the slots' values. */
  readonly components: readonly RequestPart[];
  /** Every text that has variables, and the body in any case. */
  readonly texts: readonly LimitedText[];
  readonly body: LimitedText;
  readonly faults: readonly CampaignFault[];
}

interface PlannedPart {
  readonly header: readonly RequestPart[];
  readonly body: readonly RequestPart[];
  readonly text: LimitedText;
}

export function planSlots(use: TemplateUse, shape: TemplateShape): SlotPlan {
  const planner = new SlotPlanner(shape.language);
  const { isPositional, category } = shape;
  const at = { path: "template", prefix: "", isPositional, category, bodyLengthMax: BODY_LENGTH_MAX };
  const { header, body, text } = planTexts(planner, use, shape, at);
  const offer = planOffer(planner, use, shape);
  const buttons = planButtonsOf(planner, { use, shape, at, text });
  const cards = planCards(planner, use, shape);
  const { slots, texts, faults } = planner;
  return { slots, components: [...header, ...body, ...offer, ...buttons, ...cards], texts, body: text, faults };
}

function planTexts(planner: SlotPlanner, use: TemplatePartUse, shape: PartShape, at: PartPlace): PlannedPart {
  const header = planHeader(planner, shape.header, use.header, at);
  const slots = planBody(planner, use.body ?? [], shape, at);
  const { variables } = shape.body;
  const path = `${at.path}.body`;
  const text = { path, name: `${at.prefix}body`, text: shape.body, lengthMax: at.bodyLengthMax, slots };
  planner.texts.push(text);
  const parameters = textParameters(variables, slots);
  return { header, body: parameters.length === 0 ? [] : [{ type: "body", parameters }], text };
}

interface PartButtons {
  readonly use: TemplatePartUse;
  readonly shape: PartShape;
  readonly at: PartPlace;
  readonly text: LimitedText;
}

function planButtonsOf(planner: SlotPlanner, { use, shape, at, text }: PartButtons): RequestPart[] {
  return planButtons(planner, shape.buttons, use.buttons ?? [], { ...at, code: text.slots[0] ?? -1 });
}

/** @returns a slot for each variable of the body, in their order. */
function planBody(
  planner: SlotPlanner,
  given: NonNullable<TemplatePartUse["body"]>,
  shape: PartShape,
  at: PartPlace,
): readonly number[] {
  const { variables } = shape.body;
  const path = `${at.path}.body`;
  const isCode = at.category === "AUTHENTICATION" || shape.buttons.some(({ kind }) => kind === "oneTimeCode");
  const form: SlotForm = { kind: isCode ? "oneTimeCode" : "text" };
  const wanted = (variable: string, where: string): Wanted => ({
    path: where,
    place: `${at.prefix}body {{${variable}}}`,
    form,
  });
  if (isList(given)) return planBodyList(planner, given, { variables, path, isPositional: at.isPositional, wanted });
  if (at.isPositional && variables.length > 0) {
    planner.refuse(path, `must be a list of ${variables.length}: the template's variables are numbered`);
    return [];
  }
  return planner.addNamed(path, given, variables, wanted);
}

interface BodyList {
  readonly variables: readonly string[];
  readonly path: string;
  readonly isPositional: boolean;
  readonly wanted: (variable: string, path: string) => Wanted;
}

function planBodyList(
  planner: SlotPlanner,
  given: readonly string[],
  { variables, path, isPositional, wanted }: BodyList,
): readonly number[] {
  if (!isPositional && variables.length > 0) {
    planner.refuse(path, `must be a map with the names ${variables.join(", ")}: the template's variables are named`);
    return [];
  }
  if (given.length !== variables.length) {
    const needs = variables.length === 0 ? "takes none" : `needs ${variables.length} ({{${variables.join("}}, {{")}}})`;
    planner.refuse(path, `has ${given.length} values, but the template ${needs}`);
  }
  // Also where the number is wrong: what cannot be read in those that are there is told at once.
  return given.map((text, index) =>
    planner.add(wanted(variables[index] ?? String(index + 1), `${path}[${index}]`), text),
  );
}

function planOffer(
  planner: SlotPlanner,
  { limitedTimeOffer: given }: TemplateUse,
  shape: TemplateShape,
): RequestPart[] {
  const path = "template.limitedTimeOffer";
  if (shape.offer !== "expiring") {
    const why = shape.offer === "none" ? "has no limited-time offer" : "has an offer that does not expire";
    if (given !== undefined) planner.refuse(path, `is given, but the template ${why}`);
    return [];
  }
  const wanted: Wanted = { path: `${path}.expiresAt`, place: "offer's expiry", form: { kind: "moment" } };
  const slot = planner.addOrMiss(wanted, given?.expiresAt, "is missing: the template's offer has an end");
  const offer = { expiration_time_ms: numberHole(slot) };
  const parameter = { type: "limited_time_offer", limited_time_offer: offer };
  return [{ type: "limited_time_offer", parameters: [parameter] }];
}

function planCards(planner: SlotPlanner, { cards: given }: TemplateUse, shape: TemplateShape): RequestPart[] {
  const count = shape.cards.length;
  const path = "template.cards";
  if (count === 0) {
    if (given !== undefined) planner.refuse(path, "is given, but the template has no carousel");
    return [];
  }
  if (given === undefined) {
    planner.refuse(path, `is missing: the template is a carousel of ${count} cards`);
    return [];
  }
  if (given.length !== count) planner.refuse(path, `has ${given.length} cards, but the template has ${count}`);
  const { isPositional, category } = shape;
  const cards = shape.cards.slice(0, given.length).map((card, index) => {
    const place = { path: `${path}[${index}]`, prefix: `card ${index} `, isPositional, category };
    const at = { ...place, bodyLengthMax: CARD_BODY_LENGTH_MAX };
    const use = given[index] ?? {};
    const { header, body, text } = planTexts(planner, use, card, at);
    const buttons = planButtonsOf(planner, { use, shape: card, at, text });
    return { card_index: index, components: [...header, ...body, ...buttons] };
  });
  return [{ type: "carousel", cards }];
}

function isList(body: NonNullable<TemplatePartUse["body"]>): body is readonly string[] {
  return Array.isArray(body);
}
