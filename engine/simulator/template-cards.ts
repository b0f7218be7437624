// The cards of a carousel, checked: as many as the template has, each once, each with what its own parts need.

import type { BookedContent } from "./booked-template.ts";
import type { GraphFault } from "./graph-error.ts";
import { sortContent } from "./given-content.ts";
import { checkContent, type ContentRules } from "./template-check.ts";
import { fieldOf } from "./text-pattern.ts";

export type CardsCheck =
  | { readonly kind: "fits"; readonly texts: readonly string[] }
  | { readonly kind: "faulty"; readonly fault: GraphFault };

const CARD_BODY_LENGTH_MAX = 160;

export function checkCards(
  cards: readonly BookedContent[],
  carousel: unknown,
  rules: Pick<ContentRules, "isNamed" | "apiVersion">,
): CardsCheck {
  const list = fieldOf(carousel, "cards");
  const given: readonly unknown[] = Array.isArray(list) ? list : [];
  if (given.length !== cards.length) {
    const details = `carousel: number of cards (${given.length}) does not match the expected number of cards (${cards.length})`;
    return faulty(132000, details);
  }
  const texts: string[] = Array.from(cards, () => "");
  const seen = new Set<number>();
  for (const card of given) {
    const index = Number(fieldOf(card, "card_index") ?? Number.NaN);
    const booked = cards[index];
    if (booked === undefined || seen.has(index)) {
      return faulty(132012, `carousel: card_index ${index} does not exist in the template, or is given twice`);
    }
    seen.add(index);
    const components = fieldOf(card, "components");
    const content = sortContent(Array.isArray(components) ? components : []);
    if (content.other !== "")
      return faulty(132012, `carousel: Unexpected component of type ${content.other} in a card`);
    const place = `carousel: card ${index} `;
    const check = checkContent(booked, content, { ...rules, place, bodyLengthMax: CARD_BODY_LENGTH_MAX });
    if (check.kind === "faulty") return check;
    texts[index] = check.text;
  }
  return { kind: "fits", texts };
}

function faulty(code: number, details: string): CardsCheck {
  return { kind: "faulty", fault: { code, details } };
}
