// The buttons of a template or of a card. Only those that take a value have a component in the request.

import type { ButtonUse } from "../message/campaign.ts";
import { textHole } from "./request-body.ts";
import type { RequestPart } from "./request-body.ts";
import type { SlotForm } from "./slot.ts";
import type { PartPlace, SlotPlanner, Wanted } from "./slot-planner.ts";
import type { ButtonShape } from "./template-shape.ts";

/** One button of the template with what the campaign gives for it. */
interface Pressed {
  readonly index: number;
  readonly given: ButtonUse | undefined;
  /** `template.buttons[0]`; of a button that is not given `template.buttons`. */
  readonly path: string;
  /** `button 0`. */
  readonly place: string;
  /** The slot of the one-time code in the body; -1: none. */
  readonly code: number;
}

const TEXT: SlotForm = { kind: "text" };
/** Meta's own default for a flow that is given no token. */
const FLOW_TOKEN_DEFAULT = "unused";
/** Of one list, all sections together. */
const PRODUCTS_MAX = 30;
const SECTION_TITLE_LENGTH_MAX = 24;

/** @param code the slot of the body's one-time code; -1: none. */
export function planButtons(
  planner: SlotPlanner,
  shapes: readonly ButtonShape[],
  uses: readonly ButtonUse[],
  at: PartPlace & { readonly code: number },
): RequestPart[] {
  refuseUnknown(planner, shapes, uses, at);
  return shapes.flatMap((shape, index) => {
    const position = uses.findIndex((use) => use.index === index);
    const path = position === -1 ? `${at.path}.buttons` : `${at.path}.buttons[${position}]`;
    const pressed = { index, given: uses[position], path, place: `${at.prefix}button ${index}`, code: at.code };
    refuseForeignFields(planner, shape, pressed);
    return planButton(planner, shape, pressed);
  });
}

function refuseUnknown(
  planner: SlotPlanner,
  shapes: readonly ButtonShape[],
  uses: readonly ButtonUse[],
  at: PartPlace,
): void {
  const seen = new Set<number>();
  const count = shapes.length;
  for (const [position, { index }] of uses.entries()) {
    const path = `${at.path}.buttons[${position}].index`;
    const whose = at.prefix === "" ? "the template" : "the card";
    if (index >= count) {
      planner.refuse(path, `${index} does not exist: ${whose} has ${count} buttons, counted from 0`);
    }
    if (seen.has(index)) planner.refuse(path, `${index} is given twice`);
    seen.add(index);
  }
}

function refuseForeignFields(planner: SlotPlanner, shape: ButtonShape, { given, path, place }: Pressed): void {
  if (given?.data !== undefined && shape.kind !== "flow") planner.refuse(`${path}.data`, `${place} opens no flow`);
  if (given?.sections !== undefined && shape.kind !== "products") {
    planner.refuse(`${path}.sections`, `${place} opens no list of products`);
  }
}

function planButton(planner: SlotPlanner, shape: ButtonShape, pressed: Pressed): RequestPart[] {
  const { given, path, place } = pressed;
  switch (shape.kind) {
    case "static":
      if (given !== undefined) planner.refuse(`${path}.value`, `${place} (${shape.type}) takes no value`);
      return [];
    case "unsupported":
      planner.refuse(path, `${place} is of type ${shape.type}, which Volley cannot fill`);
      return [];
    case "quickReply": {
      if (given === undefined) return [];
      const payload = textHole(planner.add(wantedValue(pressed, { kind: "payload" }), given.value));
      return [component("quick_reply", pressed, { type: "payload", payload })];
    }
    case "url": {
      const form = { kind: "urlPart", prefix: shape.prefix, suffix: shape.suffix } as const;
      const text = value(planner, pressed, form, `needs what follows ${shape.prefix}`);
      return [component("url", pressed, { type: "text", text })];
    }
    case "copyCode": {
      const code = value(planner, pressed, { kind: "couponCode" }, "needs the code to copy");
      return [component("copy_code", pressed, { type: "coupon_code", coupon_code: code })];
    }
    case "oneTimeCode":
      return planOneTimeCode(planner, pressed);
    case "catalog": {
      const product = value(planner, pressed, TEXT, "needs the product whose picture is shown");
      return [actionComponent("catalog", pressed, { thumbnail_product_retailer_id: product })];
    }
    case "products":
      return planProducts(planner, pressed);
    case "flow":
      return planFlow(planner, pressed);
  }
}

/** The code comes from the body by itself; giving it once more is allowed, giving another is not. */
function planOneTimeCode(planner: SlotPlanner, pressed: Pressed): RequestPart[] {
  const code = planner.slots[pressed.code];
  if (code === undefined) return [];
  const again = pressed.given?.value;
  if (again !== undefined && again.replaceAll(/\s/g, "") !== code.expression.text.replaceAll(/\s/g, "")) {
    planner.refuse(`${pressed.path}.value`, "must be the body's code, which it gets by itself: leave it out");
  }
  return [component("url", pressed, { type: "text", text: textHole(pressed.code) })];
}

function planProducts(planner: SlotPlanner, pressed: Pressed): RequestPart[] {
  const picture = value(planner, pressed, TEXT, "needs the product whose picture is shown");
  const { given, path, place } = pressed;
  const sections = given?.sections ?? [];
  if (sections.length === 0) {
    planner.refuse(given === undefined ? path : `${path}.sections`, `${place} needs sections of products`);
  }
  const count = sections.reduce((sum, { products }) => sum + products.length, 0);
  if (count > PRODUCTS_MAX) planner.refuse(`${path}.sections`, `has ${count} products; WhatsApp takes ${PRODUCTS_MAX}`);
  const planned = sections.map(({ title, products }, section) => {
    const here = `${path}.sections[${section}]`;
    if (title.length > SECTION_TITLE_LENGTH_MAX) {
      planner.refuse(`${here}.title`, `is longer than ${SECTION_TITLE_LENGTH_MAX} characters`);
    }
    const items = products.map((product, item) => {
      const itemPlace = `${place} product ${section}.${item}`;
      const slot = planner.add({ path: `${here}.products[${item}]`, place: itemPlace, form: TEXT }, product);
      return { product_retailer_id: textHole(slot) };
    });
    return { title, product_items: items };
  });
  return [actionComponent("mpm", pressed, { thumbnail_product_retailer_id: picture, sections: planned })];
}

/** Also without token and data a flow's button is a part of the request: Meta refuses a flow template without it. */
function planFlow(planner: SlotPlanner, pressed: Pressed): RequestPart[] {
  const { given, path, place } = pressed;
  const token =
    given === undefined ? FLOW_TOKEN_DEFAULT : textHole(planner.add(wantedValue(pressed, TEXT), given.value));
  const data = Object.entries(given?.data ?? {}).map(([name, text]): [string, RequestPart] => {
    const slot = planner.add({ path: `${path}.data.${name}`, place: `${place} ${name}`, form: TEXT }, text);
    return [name, textHole(slot)];
  });
  const actionData = data.length === 0 ? {} : { flow_action_data: Object.fromEntries(data) };
  return [actionComponent("flow", pressed, { flow_token: token, ...actionData })];
}

function value(planner: SlotPlanner, pressed: Pressed, form: SlotForm, missing: string): RequestPart {
  const slot = planner.addOrMiss(wantedValue(pressed, form), pressed.given?.value, `${pressed.place} ${missing}`);
  return textHole(slot);
}

function wantedValue({ given, path, place }: Pressed, form: SlotForm): Wanted {
  return { path: given === undefined ? path : `${path}.value`, place, form };
}

function component(subType: string, { index }: Pressed, parameter: RequestPart): RequestPart {
  return { type: "button", sub_type: subType, index: String(index), parameters: [parameter] };
}

function actionComponent(subType: string, pressed: Pressed, action: RequestPart): RequestPart {
  return component(subType, pressed, { type: "action", action });
}
