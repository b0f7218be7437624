// The header of a template or of a card: a text with one variable, a medium, a place on the map, or a product.

import type { HeaderUse } from "../message/campaign.ts";
import { mediaHole, textHole } from "./request-body.ts";
import type { RequestPart } from "./request-body.ts";
import type { SlotForm } from "./slot.ts";
import type { PartPlace, SlotPlanner, Wanted } from "./slot-planner.ts";
import type { HeaderShape, Medium } from "./template-shape.ts";
import { textParameters } from "./text-parameter.ts";
import type { TemplateText } from "./template-text.ts";
import { HEADER_LENGTH_MAX } from "./text-budget.ts";

interface Field {
  readonly name: string;
  readonly form: SlotForm;
  readonly isOptional?: true;
}

/** What a campaign gives for one field, and where. */
interface GivenField {
  readonly path: string;
  readonly text: string;
  /** Of a medium that says which of the two it is. */
  readonly by?: "link" | "id";
}

const TEXT: SlotForm = { kind: "text" };
const LOCATION: readonly Field[] = [
  { name: "latitude", form: { kind: "coordinate", degreesMax: 90 } },
  { name: "longitude", form: { kind: "coordinate", degreesMax: 180 } },
  { name: "name", form: TEXT },
  { name: "address", form: TEXT },
];
const PRODUCT: readonly Field[] = [
  { name: "product", form: TEXT },
  { name: "catalog", form: TEXT },
];

/** @returns the header's component, or nothing when it needs none. */
export function planHeader(
  planner: SlotPlanner,
  shape: HeaderShape,
  given: HeaderUse | undefined,
  at: PartPlace,
): RequestPart[] {
  const parameters = parametersOf(planner, shape, given, at);
  return parameters.length === 0 ? [] : [{ type: "header", parameters }];
}

function parametersOf(
  planner: SlotPlanner,
  shape: HeaderShape,
  given: HeaderUse | undefined,
  at: PartPlace,
): RequestPart[] {
  switch (shape.kind) {
    case "none":
      if (given !== undefined) planner.refuse(`${at.path}.header`, "is given, but the template has no header");
      return [];
    case "text":
      return planText(planner, shape.text, given, at);
    case "media":
      return [planMedia(planner, shape.medium, given, at)];
    case "location":
      return [
        { type: "location", location: planFields(planner, LOCATION, given, { ...at, what: "a location" }).holes },
      ];
    case "product": {
      const { product = "", catalog = "" } = planFields(planner, PRODUCT, given, { ...at, what: "a product" }).holes;
      return [{ type: "product", product: { product_retailer_id: product, catalog_id: catalog } }];
    }
  }
}

function planText(
  planner: SlotPlanner,
  text: TemplateText,
  given: HeaderUse | undefined,
  at: PartPlace,
): RequestPart[] {
  const path = `${at.path}.header`;
  const [only] = text.variables;
  if (only === undefined) {
    if (given !== undefined) planner.refuse(path, "is given, but the template's header has no variable");
    return [];
  }
  const wanted = (variable: string, where: string): Wanted => ({
    path: where,
    place: `${at.prefix}header {{${variable}}}`,
    form: TEXT,
  });
  const slots =
    given === undefined || typeof given === "string"
      ? [planner.addOrMiss(wanted(only, path), given, `is missing: the template's header has the variable {{${only}}}`)]
      : planner.addNamed(path, onlyTexts(planner, given, path), text.variables, wanted);
  planner.texts.push({ path, name: `${at.prefix}header`, text, lengthMax: HEADER_LENGTH_MAX, slots });
  return textParameters(text.variables, slots);
}

function onlyTexts(
  planner: SlotPlanner,
  given: Exclude<HeaderUse, string>,
  path: string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(given).filter((entry): entry is [string, string] => {
      const isText = typeof entry[1] === "string";
      if (!isText) planner.refuse(`${path}.${entry[0]}`, "must be text: the template's header is a text");
      return isText;
    }),
  );
}

function planMedia(planner: SlotPlanner, medium: Medium, given: HeaderUse | undefined, at: PartPlace): RequestPart {
  const fields: Field[] = [{ name: medium, form: { kind: "media", by: "either" } }];
  if (medium === "document") fields.push({ name: "filename", form: TEXT, isOptional: true });
  const article = medium === "image" ? "an" : "a";
  const { slots } = planFields(planner, fields, given, { ...at, what: `${article} ${medium}` });
  return { type: medium, [medium]: mediaHole(slots.get(medium) ?? -1, slots.get("filename") ?? -1) };
}

interface PlannedFields {
  readonly slots: ReadonlyMap<string, number>;
  readonly holes: Readonly<Record<string, RequestPart>>;
}

function planFields(
  planner: SlotPlanner,
  fields: readonly Field[],
  given: HeaderUse | undefined,
  at: PartPlace & { readonly what: string },
): PlannedFields {
  const path = `${at.path}.header`;
  const is = `the template's header is ${at.what}`;
  if (given === undefined || typeof given === "string") {
    const required = fields.filter((field) => field.isOptional !== true);
    planner.refuse(path, `must be { ${required.map(({ name }) => `${name}: …`).join(", ")} }: ${is}`);
    return { slots: new Map(), holes: {} };
  }
  const found = fieldsIn(planner, given, path);
  for (const [name, field] of found) {
    if (!fields.some((known) => known.name === name)) planner.refuse(field.path, `does not belong here: ${is}`);
  }
  const slots = new Map<string, number>();
  for (const { name, form, isOptional } of fields) {
    const field = found.get(name);
    if (field === undefined) {
      if (isOptional !== true) planner.refuse(`${path}.${name}`, `is missing: ${is}`);
      continue;
    }
    const formHere: SlotForm = form.kind === "media" ? { ...form, by: field.by ?? "either" } : form;
    const wanted = { path: field.path, place: `${at.prefix}header ${name}`, form: formHere };
    slots.set(name, planner.add(wanted, field.text));
  }
  return { slots, holes: Object.fromEntries([...slots].map(([name, slot]) => [name, textHole(slot)])) };
}

/** `{ image: { id: … } }` and `{ location: { … } }` are as good as what they hold. */
function fieldsIn(planner: SlotPlanner, given: Exclude<HeaderUse, string>, path: string): Map<string, GivenField> {
  const found = new Map<string, GivenField>();
  for (const [name, value] of Object.entries(given)) {
    const here = `${path}.${name}`;
    if (typeof value === "string") found.set(name, { path: here, text: value });
    else if (name === "location") {
      for (const [field, text] of Object.entries(value)) found.set(field, { path: `${here}.${field}`, text });
    } else {
      const { link, id, ...others } = value;
      const text = link ?? id;
      if (text === undefined || (link !== undefined && id !== undefined) || Object.keys(others).length > 0) {
        planner.refuse(here, "must be text, { link: … } or { id: … }");
      }
      const by = link === undefined ? "id" : "link";
      found.set(name, { path: `${here}.${by}`, text: text ?? "", by });
    }
  }
  return found;
}
