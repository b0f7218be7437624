// The JSON that the Cloud API is sent for one message. All of it but the values is the same for every message of a
// campaign, so it is serialised once into static pieces; a send only puts the values between them.

import { isMediaId } from "./slot.ts";
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

/** Writes what stands in one place of the request, as JSON. */
export type Hole = (values: RequestValues) => string;

/** A piece of the request: JSON with holes where values go. */
export type RequestPart = string | number | Hole | readonly RequestPart[] | { readonly [field: string]: RequestPart };

/** Stands for a hole while the body is serialised; no JSON that Meta or an operator wrote holds a NUL. */
const MARK = /"\\u0000hole:(\d+)\\u0000"/;

export function compileRequestBody(shape: TemplateShape, components: readonly RequestPart[]): RequestBody {
  const holes: Hole[] = [];
  const body: RequestPart = {
    messaging_product: "whatsapp",
    recipient_type: "individual",
    to: ({ to }) => JSON.stringify(to),
    type: "template",
    template: { name: shape.name, language: { code: shape.language }, components },
    biz_opaque_callback_data: ({ callbackData }) => JSON.stringify(callbackData),
  };
  const json = JSON.stringify(body, (_key, part: RequestPart) =>
    typeof part === "function" ? `\u0000hole:${holes.push(part) - 1}\u0000` : part,
  );
  return compilePieces(json, holes);
}

/** The value of a slot, as text. */
export function textHole(slot: number): Hole {
  return ({ values }) => JSON.stringify(values[slot]);
}

/** The value of a slot that is formed to digits, as a number. */
export function numberHole(slot: number): Hole {
  return ({ values }) => values[slot] ?? "null";
}

/** What is uploaded is named by its id, everything else by its link. @param filename a slot, or -1. */
export function mediaHole(slot: number, filename: number): Hole {
  return ({ values }) => {
    const medium = values[slot] ?? "";
    const name = values[filename];
    return JSON.stringify({
      ...(isMediaId(medium) ? { id: medium } : { link: medium }),
      ...(name !== undefined && { filename: name }),
    });
  };
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
