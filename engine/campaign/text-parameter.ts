// The variables of a text, as the Cloud API takes them.

import { textHole } from "./request-body.ts";
import type { RequestPart } from "./request-body.ts";
import { isPositional } from "./template-text.ts";

/** Named templates want the name with each value; in positional ones the order says it. */
export function textParameters(variables: readonly string[], slots: readonly number[]): RequestPart[] {
  return variables.map((variable, index) => {
    const text = textHole(slots[index] ?? -1);
    return isPositional([variable]) ? { type: "text", text } : { type: "text", parameter_name: variable, text };
  });
}
