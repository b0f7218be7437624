// One message: the campaign's expressions over one contact's attributes, made fit for WhatsApp, as the text that the
// CSV shows and the JSON that is sent. What had to be changed on the way is said in words.

import assert from "node:assert/strict";

import { messageOf } from "../runtime/errors.ts";
import type { Contact } from "./expression.ts";
import { compileRequestBody } from "./request-body.ts";
import { isSendable, sanitise } from "./sanitise.ts";
import { formValue } from "./slot.ts";
import type { Slot } from "./slot.ts";
import type { SlotPlan } from "./slot-plan.ts";
import type { LimitedText } from "./slot-planner.ts";
import type { TemplateShape } from "./template-shape.ts";
import { fillTemplateText } from "./template-text.ts";
import { fitValues } from "./text-budget.ts";

export type Rendering =
  | {
      readonly kind: "rendered";
      /** The body's text with its values, as the recipient reads it. */
      readonly message: string;
      /** JSON for the Cloud API. */
      readonly request: string;
      /** What had to be changed, such as `body {{2}}: line breaks replaced by spaces`. Nearly always empty. */
      readonly changes: readonly string[];
    }
  /** Sending it would be refused by WhatsApp; `reason` is a sentence. */
  | { readonly kind: "unrenderable"; readonly reason: string };

export interface RenderInput extends Contact {
  /** Goes out as `biz_opaque_callback_data`. */
  readonly callbackData: string;
}

type Valued =
  | { readonly kind: "valued"; readonly value: string }
  | { readonly kind: "unrenderable"; readonly reason: string };

/** A text that has variables, and how often each stands in it. */
interface CountedText extends LimitedText {
  readonly occurrences: readonly number[];
}

export function compileRenderer(shape: TemplateShape, plan: SlotPlan): (input: RenderInput) => Rendering {
  const { slots, body } = plan;
  const requestBody = compileRequestBody(shape, plan.components);
  const texts = plan.texts.filter(({ text }) => text.variables.length > 0).map(countedText);
  const slotOf = new Map(body.text.variables.map((variable, index) => [variable, body.slots[index] ?? -1]));
  return (input) => {
    const changes: string[] = [];
    const values: string[] = [];
    for (const slot of slots) {
      const valued = valueOf(slot, input, changes);
      if (valued.kind === "unrenderable") return valued;
      values.push(valued.value);
    }
    for (const text of texts) keepToLength(text, values, changes);
    return {
      kind: "rendered",
      message: fillTemplateText(body.text, (name) => values[slotOf.get(name) ?? -1] ?? ""),
      request: requestBody({ to: input.phoneNumber, callbackData: input.callbackData, values }),
      changes,
    };
  };
}

function countedText(limited: LimitedText): CountedText {
  const { variables, names } = limited.text;
  return { ...limited, occurrences: variables.map((variable) => names.filter((name) => name === variable).length) };
}

function valueOf(slot: Slot, contact: Contact, changes: string[]): Valued {
  let text: string;
  try {
    text = slot.expression.evaluate(contact);
  } catch (error) {
    // Filters throw on values they cannot work on: the contact's data, not a broken engine.
    return unrenderable(slot, `cannot be computed: ${messageOf(error).split("\n", 1)[0] ?? ""}`);
  }
  if (!isSendable(text)) {
    const sanitised = sanitise(text);
    text = sanitised.text;
    for (const change of sanitised.changes) changes.push(`${slot.place}: ${change}`);
  }
  if (text.trim() === "") return unrenderable(slot, `is empty, which WhatsApp refuses: ${emptyReason(slot)}`);
  if (slot.form.kind === "text") return { kind: "valued", value: text };
  const formed = formValue(slot.form, text);
  return formed.kind === "formed" ? { kind: "valued", value: formed.value } : unrenderable(slot, formed.reason);
}

function emptyReason({ expression }: Slot): string {
  const names = expression.references.join(", ");
  return names === "" ? "it names no attribute" : `${names} has no value, and the campaign gives no default`;
}

function unrenderable({ place }: Slot, reason: string): Valued {
  return { kind: "unrenderable", reason: `The template's ${place} ${reason}.` };
}

/** Shortens values in place where the text would be too long. */
function keepToLength(limited: CountedText, values: string[], changes: string[]): void {
  const { text, slots, occurrences, lengthMax, name } = limited;
  let length = text.fixedLength;
  for (const [index, slot] of slots.entries()) length += (values[slot]?.length ?? 0) * (occurrences[index] ?? 1);
  if (length <= lengthMax) return;
  const own = slots.map((slot) => values[slot] ?? "");
  const fitted = fitValues({ budget: lengthMax - text.fixedLength, values: own, occurrences });
  assert(fitted !== null, "preflight lets no template pass that leaves its values no room");
  for (const [index, slot] of slots.entries()) {
    const [before, after] = [own[index] ?? "", fitted[index] ?? ""];
    if (before === after) continue;
    values[slot] = after;
    const variable = text.variables[index] ?? "";
    changes.push(
      `${name} {{${variable}}}: shortened from ${before.length} to ${after.length} characters, so that the ${name} keeps to ${lengthMax}`,
    );
  }
}
