// The templates that the simulated accounts own: finds the one a send names, checks the send against it, and renders
// the text that the person would read. What Meta does to a template changes it here.

import type { WhatsAppTemplate } from "../message/template.ts";
import { bookTemplate, calmMood, type BookedTemplate } from "./booked-template.ts";
import type { GraphFault } from "./graph-error.ts";
import { sortContent, type SortedContent } from "./given-content.ts";
import type { SendRequest } from "./send-request.ts";
import { checkCards } from "./template-cards.ts";
import { checkContent } from "./template-check.ts";
import { fieldOf } from "./text-pattern.ts";

export type TemplateCheck =
  | {
      readonly kind: "fits";
      readonly text: string;
      /** Of the cards of a carousel, in order. */
      readonly cards: readonly string[];
      readonly booked: BookedTemplate;
    }
  | { readonly kind: "faulty"; readonly fault: GraphFault };

const BODY_LENGTH_MAX = 1024;
const NO_CARDS: readonly string[] = [];
/** Ids that Meta would give begin with enough digits to be none of these. */
const ID_BASE = 1_000_000_000_000_000;

export class TemplateBook {
  readonly #booked = new Map<string, BookedTemplate>();

  constructor(templates: readonly WhatsAppTemplate[]) {
    for (const template of templates) this.#add({ ...template, id: template.id ?? idOf(template) });
  }

  /** As they are now, in the order in which they came. */
  templates(): readonly WhatsAppTemplate[] {
    return [...this.#booked.values()].map(({ template }) => template);
  }

  /** Those of that name, and language if there is one. */
  named(name: string | null, language: string | undefined): readonly BookedTemplate[] {
    return [...this.#booked.values()].filter(
      ({ template }) =>
        (name === null || template.name === name) && (language === undefined || template.language === language),
    );
  }

  /** Replaces some of its fields; what Meta has against it stays. */
  change(booked: BookedTemplate, fields: Partial<WhatsAppTemplate>): void {
    const template = { ...booked.template, ...fields };
    this.#booked.set(keyOf(template.name, template.language), bookTemplate(template, booked.mood));
  }

  /** @param apiVersion major version of the call. */
  check(request: SendRequest, apiVersion: number): TemplateCheck {
    const booked = this.#booked.get(keyOf(request.templateName, request.language));
    const fault = booked === undefined ? unknownTemplate(request) : statusFault(booked.template, request);
    if (booked === undefined || fault !== null) return { kind: "faulty", fault: fault ?? unknownTemplate(request) };
    const given = sortContent(request.components, booked.otherTypes);
    const kindFault = unexpectedFault(booked, given);
    if (kindFault !== null) return { kind: "faulty", fault: kindFault };
    const { isNamed } = booked;
    const rules = { isNamed, apiVersion, place: "", bodyLengthMax: BODY_LENGTH_MAX };
    const content = checkContent(booked.content, given, rules);
    if (content.kind === "faulty") return content;
    const lackingFault = offerFault(booked, given.offer);
    if (lackingFault !== null) return { kind: "faulty", fault: lackingFault };
    if (booked.cards === null) return { kind: "fits", text: content.text, cards: NO_CARDS, booked };
    const cards = checkCards(booked.cards, given.carousel, { isNamed, apiVersion });
    return cards.kind === "faulty" ? cards : { kind: "fits", text: content.text, cards: cards.texts, booked };
  }

  #add(template: WhatsAppTemplate): void {
    this.#booked.set(keyOf(template.name, template.language), bookTemplate(template, calmMood()));
  }
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

function unexpectedFault(booked: BookedTemplate, given: SortedContent): GraphFault | null {
  const hasCarousel = given.carousel !== undefined && booked.cards === null;
  const hasOffer = given.offer !== undefined && booked.offer === "none";
  const type = hasCarousel ? "CAROUSEL" : hasOffer ? "LIMITED_TIME_OFFER" : given.other;
  return type === "" ? null : { code: 132012, details: `Unexpected component of type ${type}` };
}

/** An offer that expires needs the moment at which it does. */
function offerFault(booked: BookedTemplate, offer: unknown): GraphFault | null {
  if (booked.offer !== "expiring") return null;
  const parameters = fieldOf(offer, "parameters");
  const parameter: unknown = Array.isArray(parameters) ? parameters[0] : undefined;
  const expiresAt = fieldOf(fieldOf(parameter, "limited_time_offer"), "expiration_time_ms");
  if (expiresAt === undefined) {
    return { code: 131008, details: "limited_time_offer: expiration_time_ms is required" };
  }
  const isTime = typeof expiresAt === "number" && Number.isSafeInteger(expiresAt) && expiresAt > 0;
  return isTime ? null : { code: 131009, details: "limited_time_offer: expiration_time_ms is not a time" };
}

/** A numeric id for a template that came without: the same for the same name and language. */
function idOf(template: WhatsAppTemplate): string {
  let hash = 0x811c9dc5;
  for (const character of keyOf(template.name, template.language)) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  }
  return String(ID_BASE + (hash >>> 0));
}

function keyOf(name: string, language: string): string {
  return `${language}\n${name}`;
}
