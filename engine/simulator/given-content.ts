// The components that a send brings, sorted by what they are for.

import type { GivenContent } from "./template-check.ts";
import { fieldOf, typeOf } from "./text-pattern.ts";

export interface SortedContent extends GivenContent {
  /** The whole components, or undefined. */
  readonly carousel: unknown;
  readonly offer: unknown;
  /** The type of the first one of another kind; empty: none. */
  readonly other: string;
}

const NO_PARAMETERS: readonly unknown[] = [];

/** @param allowed further types that may come, and are not looked at. */
export function sortContent(components: readonly unknown[], allowed: ReadonlySet<string> = new Set()): SortedContent {
  let header = NO_PARAMETERS;
  let body = NO_PARAMETERS;
  let carousel: unknown;
  let offer: unknown;
  let other = "";
  const buttons: unknown[] = [];
  for (const component of components) {
    const type = typeOf(component, "type");
    const parameters = fieldOf(component, "parameters");
    const list: readonly unknown[] = Array.isArray(parameters) ? parameters : NO_PARAMETERS;
    if (type === "HEADER") header = list;
    else if (type === "BODY") body = list;
    else if (type === "BUTTON") buttons.push(component);
    else if (type === "CAROUSEL") carousel = component;
    else if (type === "LIMITED_TIME_OFFER") offer = component;
    else if (other === "" && !allowed.has(type)) other = type || "UNKNOWN";
  }
  return { header, body, buttons, carousel, offer, other };
}
