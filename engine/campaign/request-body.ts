// The JSON that the Cloud API is sent for one message. All of it but the values is the same for every message of a
// campaign, so it is serialised once into static pieces; a send only puts the values between them.

import assert from "node:assert/strict";

import { isMediaId } from "./slot.ts";
import type { Slot } from "./slot.ts";
import type { TemplateShape } from "./template-shape.ts";

export interface RequestValues {
  /** E.164 with its plus: without it Meta may prepend the business's own country code. */
  readonly to: string;
  /** Comes back in every status webhook. */
  readonly callbackData: string;
  /** One a slot, in their order. */
  readonly values: readonly string[];
}

export type RequestBody = (values: RequestValues) => string;

/** Writes what stands in a hole, as JSON. */
type Hole = (values: RequestValues) => string;

/** Stands for a hole while the body is serialised; no JSON that Meta or an operator wrote holds a NUL. */
const MARK = /"\\u0000hole:(\d+)\\u0000"/;

export function compileRequestBody(shape: TemplateShape, slots: readonly Slot[]): RequestBody {
  const holes: Hole[] = [];
  const mark = (hole: Hole): string => `\u0000hole:${holes.push(hole) - 1}\u0000`;
  const markSlot = (slot: Slot): string => {
    const index = slots.indexOf(slot);
    return mark(({ values }) => JSON.stringify(values[index]));
  };
  const components = [
    ...headerComponent(slots, mark, markSlot),
    ...bodyComponent(shape, slots, markSlot),
    ...buttonComponents(slots, markSlot),
  ];
  const body = {
    messaging_product: "whatsapp",
    recipient_type: "individual",
    to: mark(({ to }) => JSON.stringify(to)),
    type: "template",
    template: { name: shape.name, language: { code: shape.language }, components },
    biz_opaque_callback_data: mark(({ callbackData }) => JSON.stringify(callbackData)),
  };
  return compilePieces(JSON.stringify(body), holes);
}

function compilePieces(json: string, holes: readonly Hole[]): RequestBody {
  const parts = json.split(MARK);
  const head = parts[0] ?? "";
  // After the first piece, hole numbers and pieces take turns.
  const rest = parts.slice(1).flatMap((part, index, all) => {
    const hole = index % 2 === 0 ? holes[Number(part)] : undefined;
    return hole === undefined ? [] : [{ hole, piece: all[index + 1] ?? "" }];
  });
  return (values) => {
    let text = head;
    for (const { hole, piece } of rest) text += hole(values) + piece;
    return text;
  };
}

function headerComponent(
  slots: readonly Slot[],
  mark: (hole: Hole) => string,
  markSlot: (slot: Slot) => string,
): unknown[] {
  const own = slots.filter((slot) => slot.role.kind.startsWith("header"));
  const [first] = own;
  if (first === undefined) return [];
  return [{ type: "header", parameters: [headerParameter(first, own, { slots, mark, markSlot })] }];
}

interface Marking {
  readonly slots: readonly Slot[];
  mark(hole: Hole): string;
  markSlot(slot: Slot): string;
}

function headerParameter(first: Slot, own: readonly Slot[], marking: Marking): unknown {
  switch (first.role.kind) {
    case "headerText":
      return textParameter(first.role.variable, marking.markSlot(first));
    case "headerMedia": {
      const { medium } = first.role;
      const media = marking.slots.indexOf(first);
      const filename = marking.slots.findIndex((slot) => slot.role.kind === "headerFilename");
      return {
        type: medium,
        [medium]: marking.mark(({ values }) => mediaJson(values[media], values[filename])),
      };
    }
    case "headerLocation": {
      const location = own.flatMap((slot) =>
        slot.role.kind === "headerLocation" ? [[slot.role.field, marking.markSlot(slot)]] : [],
      );
      return { type: "location", location: Object.fromEntries(location) };
    }
    case "headerFilename":
    case "body":
    case "button":
      return assert.fail(`${first.place} does not begin a header`);
  }
}

function mediaJson(media = "", filename?: string): string {
  return JSON.stringify({
    ...(isMediaId(media) ? { id: media } : { link: media }),
    ...(filename && { filename }),
  });
}

function bodyComponent(shape: TemplateShape, slots: readonly Slot[], markSlot: (slot: Slot) => string): unknown[] {
  const parameters = slots.flatMap((slot) =>
    slot.role.kind === "body" ? [textParameter(shape.isPositional ? "" : slot.role.variable, markSlot(slot))] : [],
  );
  return parameters.length === 0 ? [] : [{ type: "body", parameters }];
}

/** Named templates want the name with each value; in positional ones the order says it. */
function textParameter(name: string, text: string): unknown {
  const isNamed = name !== "" && !/^\d+$/.test(name);
  return isNamed ? { type: "text", parameter_name: name, text } : { type: "text", text };
}

function buttonComponents(slots: readonly Slot[], markSlot: (slot: Slot) => string): unknown[] {
  return slots.flatMap((slot) => {
    if (slot.role.kind !== "button") return [];
    const { index, subType } = slot.role;
    const value = markSlot(slot);
    const parameter = {
      url: { type: "text", text: value },
      quick_reply: { type: "payload", payload: value },
      copy_code: { type: "coupon_code", coupon_code: value },
    }[subType];
    return [{ type: "button", sub_type: subType, index: String(index), parameters: [parameter] }];
  });
}
