// What a template wants from a send, read from Meta's JSON. Types come in any case, the parameter format may be
// missing (then the placeholders tell), and unknown kinds are let pass: Meta adds to them.

import type { TemplateButton, TemplateComponent, WhatsAppTemplate } from "../message/template.ts";
import { isPositional, parseTemplateText } from "./template-text.ts";
import type { TemplateText } from "./template-text.ts";

export type Medium = "image" | "video" | "document";

export type HeaderShape =
  | { readonly kind: "none" }
  | { readonly kind: "text"; readonly text: TemplateText }
  | { readonly kind: "media"; readonly medium: Medium }
  | { readonly kind: "location" }
  /** A product of the catalogue. */
  | { readonly kind: "product" };

export type ButtonShape =
  /** Takes no value. */
  | { readonly kind: "static"; readonly type: string }
  /** The value is appended to `prefix`. */
  | { readonly kind: "url"; readonly prefix: string; readonly suffix: string }
  /** May have a payload that comes back when it is pressed. */
  | { readonly kind: "quickReply" }
  | { readonly kind: "copyCode" }
  /** Copies a one-time code: takes the code of the body once more (Meta: else 131008). */
  | { readonly kind: "oneTimeCode" }
  /** Opens the catalogue; shows the picture of one product. */
  | { readonly kind: "catalog" }
  /** Opens a list of up to 30 products. */
  | { readonly kind: "products" }
  /** Opens a flow, which may be given a token and data. */
  | { readonly kind: "flow" }
  | { readonly kind: "unsupported"; readonly type: string };

/** The message itself, or one card of its carousel. */
export interface PartShape {
  readonly header: HeaderShape;
  readonly body: TemplateText;
  readonly buttons: readonly ButtonShape[];
}

export interface TemplateShape extends PartShape {
  readonly name: string;
  readonly language: string;
  /** Upper case, as is `category`. */
  readonly status: string;
  readonly category: string;
  readonly isPositional: boolean;
  /** Empty: no carousel. */
  readonly cards: readonly PartShape[];
  /** Of a limited-time offer; `expiring` ones are told when they end. */
  readonly offer: "none" | "lasting" | "expiring";
}

const MEDIA: Readonly<Record<string, Medium>> = {
  IMAGE: "image",
  VIDEO: "video",
  DOCUMENT: "document",
};
const BUTTONS: ReadonlyMap<string, ButtonShape> = new Map<string, ButtonShape>([
  ["OTP", { kind: "oneTimeCode" }],
  ["QUICK_REPLY", { kind: "quickReply" }],
  ["COPY_CODE", { kind: "copyCode" }],
  ["CATALOG", { kind: "catalog" }],
  ["MPM", { kind: "products" }],
  ["FLOW", { kind: "flow" }],
  // The whole order, with taxes and payment: more than attributes can say.
  ["ORDER_DETAILS", { kind: "unsupported", type: "ORDER_DETAILS" }],
]);
/** Where Meta's GET shows the URL of a one-time-code button that was created with type OTP. */
const OTP_URL = /^https:\/\/www\.whatsapp\.com\/otp\//i;

export function readShape(template: WhatsAppTemplate): TemplateShape {
  const category = template.category.toUpperCase();
  const message = partShape(template.components, category);
  const carousel = componentOf(template.components, "CAROUSEL");
  const cards = listOf(carousel?.["cards"]).map((card) =>
    partShape(listOf(fieldOf(card, "components")).filter(isComponent), category),
  );
  const names = [message, ...cards].flatMap(namesOf);
  return {
    ...message,
    name: template.name,
    language: template.language,
    status: template.status.toUpperCase(),
    category,
    // The placeholders decide: older answers lack `parameter_format`, and a template without variables has no format.
    isPositional: isPositional(names) && (names.length > 0 || template.parameter_format?.toUpperCase() !== "NAMED"),
    cards,
    offer: offerOf(componentOf(template.components, "LIMITED_TIME_OFFER")),
  };
}

function partShape(components: readonly TemplateComponent[], category: string): PartShape {
  return {
    header: headerShape(componentOf(components, "HEADER")),
    body: parseTemplateText(componentOf(components, "BODY")?.text ?? ""),
    buttons: (componentOf(components, "BUTTONS")?.buttons ?? []).map((button) => buttonShape(button, category)),
  };
}

function componentOf(components: readonly TemplateComponent[], type: string): TemplateComponent | undefined {
  return components.find((component) => component.type.toUpperCase() === type);
}

function namesOf({ header, body }: PartShape): readonly string[] {
  return header.kind === "text" ? [...body.names, ...header.text.names] : body.names;
}

function headerShape(component: TemplateComponent | undefined): HeaderShape {
  if (component === undefined) return { kind: "none" };
  const format = (component.format ?? "TEXT").toUpperCase();
  const medium = MEDIA[format];
  if (medium !== undefined) return { kind: "media", medium };
  if (format === "LOCATION") return { kind: "location" };
  if (format === "PRODUCT") return { kind: "product" };
  return { kind: "text", text: parseTemplateText(component.text ?? "") };
}

function buttonShape(button: TemplateButton, category: string): ButtonShape {
  const type = button.type.toUpperCase();
  const known = BUTTONS.get(type);
  if (known !== undefined) return known;
  const url = parseTemplateText(type === "URL" ? (button.url ?? "") : "");
  if (url.names.length === 0) return { kind: "static", type };
  const isOneTimeCode = category === "AUTHENTICATION" && OTP_URL.test(button.url ?? "");
  if (isOneTimeCode) return { kind: "oneTimeCode" };
  return { kind: "url", prefix: url.pieces[0] ?? "", suffix: url.pieces[1] ?? "" };
}

function offerOf(component: TemplateComponent | undefined): TemplateShape["offer"] {
  if (component === undefined) return "none";
  return fieldOf(component["limited_time_offer"], "has_expiration") === true ? "expiring" : "lasting";
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Object.entries(value).find(([key]) => key === name)?.[1] : null;
}

function isComponent(value: unknown): value is TemplateComponent {
  return typeof fieldOf(value, "type") === "string";
}
