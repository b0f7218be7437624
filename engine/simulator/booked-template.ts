// A template as the simulator keeps it: its texts read once, what each of its parts needs from a send, and what Meta has
// against it at the moment.

import type { TemplateButton, TemplateComponent, WhatsAppTemplate } from "../message/template.ts";
import type { Mood } from "./change.ts";
import { readPattern, type TextPattern } from "./text-pattern.ts";

export interface BookedTemplate {
  readonly template: WhatsAppTemplate;
  readonly isNamed: boolean;
  /** Lower case. */
  readonly category: string;
  readonly content: BookedContent;
  /** Of a carousel, in order; null: it is none. */
  readonly cards: readonly BookedContent[] | null;
  readonly offer: "none" | "withoutExpiry" | "expiring";
  /** Component types that are not checked. */
  readonly otherTypes: ReadonlySet<string>;
  /** Outlives changes of the template itself. */
  readonly mood: TemplateMood;
}

/** Header, body and buttons: of a message, or of one card. */
export interface BookedContent {
  /** TEXT, IMAGE, VIDEO, DOCUMENT, LOCATION, PRODUCT, or empty: no header. */
  readonly headerFormat: string;
  readonly header: TextPattern;
  readonly body: TextPattern;
  readonly buttons: readonly BookedButton[];
}

export interface BookedButton {
  readonly type: string;
  readonly needsValue: boolean;
}

export interface TemplateMood {
  fails: Mood | null;
  /** Sends are held until its pacing ends. */
  isHolding: boolean;
  /** How often it was paused. */
  pauses: number;
}

const NO_PATTERN = readPattern("");
const CHECKED_TYPES: ReadonlySet<string> = new Set([
  "HEADER",
  "BODY",
  "FOOTER",
  "BUTTONS",
  "CAROUSEL",
  "LIMITED_TIME_OFFER",
]);
/** Buttons that a send has to bring a value for; of a URL only one with a variable. */
const VALUED_BUTTONS: ReadonlySet<string> = new Set(["COPY_CODE", "OTP", "MPM"]);

/** A template that nothing is held against. */
export function calmMood(): TemplateMood {
  return { fails: null, isHolding: false, pauses: 0 };
}

export function bookTemplate(template: WhatsAppTemplate, mood: TemplateMood): BookedTemplate {
  const types = template.components.map(typeOf);
  const content = bookContent(template.components);
  const hasNames = content.body.names.some((name) => !/^\d+$/.test(name));
  return {
    template,
    isNamed: template.parameter_format?.toUpperCase() === "NAMED" || hasNames,
    category: template.category.toLowerCase(),
    content,
    cards: bookCards(template.components),
    offer: bookOffer(template.components),
    otherTypes: new Set(types.filter((type) => !CHECKED_TYPES.has(type))),
    mood,
  };
}

function bookContent(components: readonly TemplateComponent[]): BookedContent {
  const header = componentOf(components, "HEADER");
  return {
    headerFormat: header === undefined ? "" : (header.format ?? "TEXT").toUpperCase(),
    header: header?.text === undefined ? NO_PATTERN : readPattern(header.text),
    body: readPattern(componentOf(components, "BODY")?.text ?? ""),
    buttons: (componentOf(components, "BUTTONS")?.buttons ?? []).map(bookButton),
  };
}

function bookButton(button: TemplateButton): BookedButton {
  const type = button.type.toUpperCase();
  const isVariableUrl = type === "URL" && readPattern(button.url ?? "").names.length > 0;
  return { type, needsValue: isVariableUrl || VALUED_BUTTONS.has(type) };
}

function bookCards(components: readonly TemplateComponent[]): readonly BookedContent[] | null {
  const cards = componentOf(components, "CAROUSEL")?.["cards"];
  if (!Array.isArray(cards)) return null;
  return cards.map((card: { readonly components?: readonly TemplateComponent[] }) =>
    bookContent(card.components ?? []),
  );
}

function bookOffer(components: readonly TemplateComponent[]): BookedTemplate["offer"] {
  const offer = componentOf(components, "LIMITED_TIME_OFFER");
  if (offer === undefined) return "none";
  const settings = offer["limited_time_offer"];
  const hasExpiration = typeof settings === "object" && settings !== null && Reflect.get(settings, "has_expiration");
  return hasExpiration === true ? "expiring" : "withoutExpiry";
}

function componentOf(components: readonly TemplateComponent[], type: string): TemplateComponent | undefined {
  return components.find((one) => typeOf(one) === type);
}

function typeOf(component: TemplateComponent): string {
  return component.type.toUpperCase();
}
