// The body of `POST /{version}/{phone-number-id}/messages` and `…/marketing_messages`, checked field by field as the Graph API does before it
// looks at the template.

import type { GraphFault } from "./graph-error.ts";
import type { SendRoute } from "./send-route.ts";

export interface SendRequest {
  /** As sent. */
  readonly to: string;
  /** WhatsApp's id of the recipient: digits, as WhatsApp writes the number. */
  readonly waId: string;
  readonly templateName: string;
  readonly language: string;
  readonly components: readonly unknown[];
  /** `biz_opaque_callback_data`, or empty. */
  readonly callbackData: string;
  /** `product_policy` of marketing messages, or empty. */
  readonly productPolicy: string;
}

export type SendReading =
  | { readonly kind: "send"; readonly request: SendRequest }
  | { readonly kind: "refused"; readonly fault: GraphFault; readonly request: SendRequest };

const CALLBACK_DATA_LENGTH_MAX = 512;
const DIGITS_MIN = 7;
const DIGITS_MAX = 15;
const NO_COMPONENTS: readonly unknown[] = [];
const NO_FIELDS: Readonly<Record<string, unknown>> = {};

/** @returns also for a refused body what could be read of it, for the log. */
export function readSend(body: string, route: SendRoute = "messages"): SendReading {
  const fields = parseObject(body);
  const template = objectIn(fields["template"]);
  const to = textIn(fields["to"]);
  const request: SendRequest = {
    to,
    waId: waIdOf(to),
    templateName: textIn(template["name"]),
    language: textIn(objectIn(template["language"])["code"]),
    components: Array.isArray(template["components"]) ? template["components"] : NO_COMPONENTS,
    callbackData: textIn(fields["biz_opaque_callback_data"]),
    productPolicy: textIn(fields["product_policy"]),
  };
  const fault = faultOf(fields, template, request, route);
  return fault === null ? { kind: "send", request } : { kind: "refused", fault, request };
}

function faultOf(
  fields: Readonly<Record<string, unknown>>,
  template: Readonly<Record<string, unknown>>,
  request: SendRequest,
  route: SendRoute,
): GraphFault | null {
  if (fields["messaging_product"] === undefined) return missing("messaging_product");
  if (fields["messaging_product"] !== "whatsapp") {
    const got = JSON.stringify(fields["messaging_product"]);
    return {
      code: 100,
      message: `(#100) Param messaging_product must be one of {WHATSAPP} - got ${got}.`,
    };
  }
  if (fields["to"] === undefined) return missing("to");
  if (request.waId === "") return { code: 131009, details: "Parameter 'to' is not a valid WhatsApp phone number." };
  if (fields["type"] !== "template") {
    if (route === "marketing_messages") return { code: 100, details: "Message must be a template message." };
    return { code: 131051, details: "The simulator takes messages of type template only." };
  }
  if (fields["template"] === undefined) return missing("template");
  if (request.templateName === "") return missing("template['name']");
  if (request.language === "") return missing("template['language']");
  if (template["components"] !== undefined && !Array.isArray(template["components"])) {
    return { code: 100, message: "(#100) Param template['components'] must be an array." };
  }
  return callbackDataFault(fields["biz_opaque_callback_data"]);
}

function callbackDataFault(value: unknown): GraphFault | null {
  if (value === undefined) return null;
  if (typeof value !== "string")
    return { code: 100, message: "(#100) Param biz_opaque_callback_data must be a string." };
  if (value.length <= CALLBACK_DATA_LENGTH_MAX) return null;
  return {
    code: 100,
    message: `(#100) Param biz_opaque_callback_data must be at most ${CALLBACK_DATA_LENGTH_MAX} characters long.`,
  };
}

/**
 * WhatsApp takes `+ - ( )` and spaces. It writes some numbers otherwise than E.164 does: many Brazilian ones without
 * the ninth digit, Mexican ones with a 1. So nobody can rely on getting back the number that was sent.
 * @returns empty for what is no phone number.
 */
function waIdOf(to: string): string {
  const digits = /^\+?\d+$/.test(to) ? to.replace("+", "") : to.replaceAll(/[+\-() ]/g, "");
  if (digits.length < DIGITS_MIN || digits.length > DIGITS_MAX || !/^[1-9]\d*$/.test(digits)) return "";
  if (/^55[3-9]\d9\d{8}$/.test(digits)) return digits.slice(0, 4) + digits.slice(5);
  if (/^52[2-9]\d{9}$/.test(digits)) return `521${digits.slice(2)}`;
  return digits;
}

function missing(parameter: string): GraphFault {
  return { code: 100, message: `(#100) The parameter ${parameter} is required.` };
}

function parseObject(body: string): Readonly<Record<string, unknown>> {
  try {
    return objectIn(JSON.parse(body));
  } catch {
    // Graph takes an unreadable body for one without parameters.
    return NO_FIELDS;
  }
}

function objectIn(value: unknown): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : NO_FIELDS;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function textIn(value: unknown): string {
  return typeof value === "string" ? value : "";
}
