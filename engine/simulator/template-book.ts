// The templates that the simulated accounts own: finds the one a send names, checks the send against it, and renders
// the text that the person would read.

import type { TemplateButton, WhatsAppTemplate } from "../message/template.ts";
import type { GraphFault } from "./graph-error.ts";
import type { SendRequest } from "./send-request.ts";
import { countDetails, fieldOf, fillPattern, parameterText, readPattern, type TextPattern } from "./text-pattern.ts";

export type TemplateCheck =
  | { readonly kind: "fits"; readonly text: string; readonly category: string }
  | { readonly kind: "faulty"; readonly fault: GraphFault };

interface BookedTemplate {
  readonly template: WhatsAppTemplate;
  readonly isNamed: boolean;
  readonly category: string;
  /** TEXT, IMAGE, VIDEO, DOCUMENT, LOCATION, or empty: no header. */
  readonly headerFormat: string;
  readonly header: TextPattern;
  readonly body: TextPattern;
  readonly buttons: readonly BookedButton[];
  /** Component types that are not checked, such as carousel. */
  readonly otherTypes: ReadonlySet<string>;
}

interface BookedButton {
  readonly type: string;
  readonly needsValue: boolean;
}

interface GivenComponents {
  readonly header: readonly unknown[];
  readonly body: readonly unknown[];
  readonly buttons: readonly unknown[];
}

const BODY_LENGTH_MAX = 1024;
const COUPON_CODE_LENGTH_MAX = 20;
const NO_PARAMETERS: readonly unknown[] = [];
const NO_PATTERN = readPattern("");
const MEDIA_FORMATS: ReadonlySet<string> = new Set(["IMAGE", "VIDEO", "DOCUMENT"]);

export class TemplateBook {
  readonly #booked = new Map<string, BookedTemplate>();

  constructor(templates: readonly WhatsAppTemplate[]) {
    for (const template of templates) this.#booked.set(keyOf(template.name, template.language), book(template));
  }

  /** @param apiVersion major version of the call. */
  check(request: SendRequest, apiVersion: number): TemplateCheck {
    const booked = this.#booked.get(keyOf(request.templateName, request.language));
    const fault = booked === undefined ? unknownTemplate(request) : statusFault(booked.template, request);
    if (booked === undefined || fault !== null) return { kind: "faulty", fault: fault ?? unknownTemplate(request) };
    const given = sortComponents(request.components, booked);
    if ("code" in given) return { kind: "faulty", fault: given };
    const otherFault = headerFault(booked, given.header, apiVersion) ?? buttonsFault(booked, given.buttons, apiVersion);
    if (otherFault !== null) return { kind: "faulty", fault: otherFault };
    return checkBody(booked, given.body, apiVersion);
  }
}

function book(template: WhatsAppTemplate): BookedTemplate {
  const component = (type: string) => template.components.find((one) => one.type.toUpperCase() === type);
  const header = component("HEADER");
  const body = readPattern(component("BODY")?.text ?? "");
  const known = new Set(["HEADER", "BODY", "FOOTER", "BUTTONS"]);
  const types = template.components.map((one) => one.type.toUpperCase());
  return {
    template,
    isNamed: template.parameter_format?.toUpperCase() === "NAMED" || body.names.some((name) => !/^\d+$/.test(name)),
    category: template.category.toLowerCase(),
    headerFormat: header === undefined ? "" : (header.format ?? "TEXT").toUpperCase(),
    header: header?.text === undefined ? NO_PATTERN : readPattern(header.text),
    body,
    buttons: (component("BUTTONS")?.buttons ?? []).map(bookButton),
    otherTypes: new Set(types.filter((type) => !known.has(type))),
  };
}

function bookButton(button: TemplateButton): BookedButton {
  const type = button.type.toUpperCase();
  const isVariableUrl = type === "URL" && readPattern(button.url ?? "").names.length > 0;
  return { type, needsValue: isVariableUrl || type === "COPY_CODE" || type === "OTP" };
}

function unknownTemplate(request: SendRequest): GraphFault {
  return {
    code: 132001,
    details: `template name (${request.templateName}) does not exist in ${request.language}`,
  };
}

function statusFault(template: WhatsAppTemplate, request: SendRequest): GraphFault | null {
  switch (template.status.toUpperCase()) {
    case "APPROVED":
      return null;
    case "PAUSED":
      return { code: 132015 };
    case "DISABLED":
      return { code: 132016 };
    default:
      return unknownTemplate(request);
  }
}

function sortComponents(components: readonly unknown[], booked: BookedTemplate): GivenComponents | GraphFault {
  let header = NO_PARAMETERS;
  let body = NO_PARAMETERS;
  const buttons: unknown[] = [];
  for (const component of components) {
    const type = typeOf(component, "type");
    const parameters = fieldOf(component, "parameters");
    const list = Array.isArray(parameters) ? parameters : NO_PARAMETERS;
    if (type === "HEADER") header = list;
    else if (type === "BODY") body = list;
    else if (type === "BUTTON") buttons.push(component);
    else if (!booked.otherTypes.has(type)) return { code: 132012, details: `Unexpected component of type ${type}` };
  }
  return { header, body, buttons };
}

function headerFault(booked: BookedTemplate, parameters: readonly unknown[], apiVersion: number): GraphFault | null {
  const { headerFormat } = booked;
  if (headerFormat === "" || headerFormat === "TEXT") {
    const { isNamed } = booked;
    const filled = fillPattern(booked.header, { label: "header", parameters, isNamed, apiVersion });
    return filled.kind === "faulty" ? filled.fault : null;
  }
  if (parameters.length !== 1) return { code: 132000, details: countDetails("header", parameters.length, 1) };
  const type = typeOf(parameters[0], "type");
  if (type !== headerFormat) {
    return {
      code: 132012,
      details: `header: Format mismatch, expected ${headerFormat}, received ${type || "UNKNOWN"}`,
    };
  }
  const value = fieldOf(parameters[0], type.toLowerCase());
  if (MEDIA_FORMATS.has(headerFormat)) return mediaFault(value, type);
  const isPlaced = isCoordinate(fieldOf(value, "latitude")) && isCoordinate(fieldOf(value, "longitude"));
  return isPlaced ? null : { code: 131008, details: "header: location requires latitude and longitude" };
}

function mediaFault(value: unknown, type: string): GraphFault | null {
  const id = fieldOf(value, "id");
  const link = fieldOf(value, "link");
  if (typeof id === "string" && id !== "") return null;
  if (typeof link === "string" && /^https?:\/\/\S+$/i.test(link)) return null;
  return { code: 131008, details: `header: ${type} requires an id or a link` };
}

function isCoordinate(value: unknown): boolean {
  return (typeof value === "number" || typeof value === "string") && value !== "" && Number.isFinite(Number(value));
}

function buttonsFault(booked: BookedTemplate, components: readonly unknown[], apiVersion: number): GraphFault | null {
  const given = new Set<number>();
  for (const component of components) {
    const index = Number(fieldOf(component, "index") ?? Number.NaN);
    const button = booked.buttons[index];
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
  for (const [index, button] of booked.buttons.entries()) {
    if (button.needsValue && !given.has(index)) return buttonWithoutValue(index, button.type);
  }
  return null;
}

function buttonFault(given: {
  readonly button: BookedButton;
  readonly index: number;
  readonly component: unknown;
  readonly apiVersion: number;
}): GraphFault | null {
  const { button, index } = given;
  const subType = typeOf(given.component, "sub_type");
  const expected = button.type === "OTP" ? "URL" : button.type;
  if (subType !== expected) {
    return {
      code: 132012,
      details: `buttons: Button at index ${index} is of type ${expected}, not ${subType || "UNKNOWN"}`,
    };
  }
  const parameters = fieldOf(given.component, "parameters");
  const parameter: unknown = Array.isArray(parameters) ? parameters[0] : undefined;
  if (subType === "QUICK_REPLY") {
    return isText(fieldOf(parameter, "payload")) ? null : buttonWithoutValue(index, subType);
  }
  if (subType === "COPY_CODE") return couponFault(fieldOf(parameter, "coupon_code"), index);
  if (subType !== "URL") return null;
  if (!button.needsValue) return { code: 132000, details: countDetails("buttons", 1, 0) };
  if (parameter === undefined) return buttonWithoutValue(index, subType);
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

function buttonWithoutValue(index: number, type: string): GraphFault {
  const name = type.charAt(0) + type.slice(1).toLowerCase();
  return {
    code: 131008,
    details: `buttons: Button at index ${index} of type ${name} requires a parameter`,
  };
}

function checkBody(booked: BookedTemplate, parameters: readonly unknown[], apiVersion: number): TemplateCheck {
  const { isNamed, category } = booked;
  const filled = fillPattern(booked.body, { label: "body", parameters, isNamed, apiVersion });
  if (filled.kind === "faulty") return filled;
  // Characters, not UTF-16 units; counted only when the units leave a doubt.
  if (filled.text.length > BODY_LENGTH_MAX && lengthOf(filled.text) > BODY_LENGTH_MAX) {
    const details = `body: text of ${lengthOf(filled.text)} characters is longer than ${BODY_LENGTH_MAX}`;
    return { kind: "faulty", fault: { code: 132005, details } };
  }
  return { kind: "fits", text: filled.text, category };
}

/** Meta takes types in either case. */
function typeOf(value: unknown, field: string): string {
  const type = fieldOf(value, field);
  return typeof type === "string" ? type.toUpperCase() : "";
}

function lengthOf(text: string): number {
  return Array.from(text).length;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function keyOf(name: string, language: string): string {
  return `${language}\n${name}`;
}
