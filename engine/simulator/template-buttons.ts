// The values that a send brings for a template's buttons, checked: index, kind, and what each kind needs.

import type { BookedButton } from "./booked-template.ts";
import type { GraphFault } from "./graph-error.ts";
import { countDetails, fieldOf, parameterText, typeOf } from "./text-pattern.ts";

const COUPON_CODE_LENGTH_MAX = 20;
/** How a send names a button: not always as the template does. */
const SUB_TYPES: Readonly<Record<string, string>> = { OTP: "URL" };

export function buttonsFault(
  buttons: readonly BookedButton[],
  components: readonly unknown[],
  apiVersion: number,
): GraphFault | null {
  const given = new Set<number>();
  for (const component of components) {
    const index = Number(fieldOf(component, "index") ?? Number.NaN);
    const button = buttons[index];
    if (button === undefined) {
      return {
        code: 132012,
        details: `buttons: Button at index ${index} does not exist in the template`,
      };
    }
    const fault = buttonFault({ button, index, component, apiVersion });
    if (fault !== null) return fault;
    given.add(index);
  }
  for (const [index, button] of buttons.entries()) {
    if (button.needsValue && !given.has(index)) return buttonWithoutValue(index, button.type);
  }
  return null;
}

interface GivenButton {
  readonly button: BookedButton;
  readonly index: number;
  readonly component: unknown;
  readonly apiVersion: number;
}

function buttonFault(given: GivenButton): GraphFault | null {
  const { button, index } = given;
  const subType = typeOf(given.component, "sub_type");
  const expected = SUB_TYPES[button.type] ?? button.type;
  if (subType !== expected) {
    return {
      code: 132012,
      details: `buttons: Button at index ${index} is of type ${expected}, not ${subType || "UNKNOWN"}`,
    };
  }
  const parameters = fieldOf(given.component, "parameters");
  const parameter: unknown = Array.isArray(parameters) ? parameters[0] : undefined;
  switch (subType) {
    case "QUICK_REPLY":
      return isText(fieldOf(parameter, "payload")) ? null : buttonWithoutValue(index, subType);
    case "COPY_CODE":
      return couponFault(fieldOf(parameter, "coupon_code"), index);
    case "URL":
      return urlFault(given, parameter);
    case "MPM":
      return productsFault(fieldOf(parameter, "action"), index);
    case "PHONE_NUMBER":
    case "VOICE_CALL":
      return { code: 132000, details: countDetails("buttons", 1, 0) };
    default:
      // Catalogues, flows and the kinds to come: an action that may be left out.
      return null;
  }
}

function urlFault(given: GivenButton, parameter: unknown): GraphFault | null {
  const { button, index } = given;
  if (!button.needsValue) return { code: 132000, details: countDetails("buttons", 1, 0) };
  if (parameter === undefined) return buttonWithoutValue(index, "URL");
  const reading = parameterText(parameter, given.apiVersion);
  return reading.kind === "faulty" ? reading.fault : null;
}

function couponFault(code: unknown, index: number): GraphFault | null {
  if (!isText(code)) return buttonWithoutValue(index, "COPY_CODE");
  if (code.length <= COUPON_CODE_LENGTH_MAX) return null;
  return {
    code: 131009,
    details: `buttons: coupon_code is longer than ${COUPON_CODE_LENGTH_MAX} characters`,
  };
}

/** A list of products names its sections, each with products. */
function productsFault(action: unknown, index: number): GraphFault | null {
  const sections = fieldOf(action, "sections");
  return Array.isArray(sections) && sections.length > 0 && sections.every(hasProducts)
    ? null
    : buttonWithoutValue(index, "MPM");
}

function hasProducts(section: unknown): boolean {
  const items = fieldOf(section, "product_items");
  return Array.isArray(items) && items.length > 0;
}

function buttonWithoutValue(index: number, type: string): GraphFault {
  const name = type.charAt(0) + type.slice(1).toLowerCase();
  return {
    code: 131008,
    details: `buttons: Button at index ${index} of type ${name} requires a parameter`,
  };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
