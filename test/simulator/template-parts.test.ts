import assert from "node:assert/strict";
import { test } from "node:test";

import type { TemplateComponent, WhatsAppTemplate } from "../../engine/message/template.ts";
import { readSend } from "../../engine/simulator/send-request.ts";
import { TemplateBook } from "../../engine/simulator/template-book.ts";
import { body, button, greetingSend, text } from "./fixtures.ts";

const shop = (at: string): object => ({ type: "url", text: "Shop", url: `https://shop.example.com/${at}{{1}}` });
const card = (words: string): object => ({
  components: [
    { type: "header", format: "image" },
    { type: "body", text: words },
    { type: "buttons", buttons: [{ type: "quick_reply", text: "More" }, shop("")] },
  ],
});
const of = (name: string, ...components: TemplateComponent[]): WhatsAppTemplate => ({
  name,
  language: "en",
  status: "APPROVED",
  category: "MARKETING",
  components,
});

const book = new TemplateBook([
  of(
    "cards",
    { type: "BODY", text: "For you, {{1}}:" },
    { type: "CAROUSEL", cards: [card("Only {{1}}"), card("Fresh")] },
  ),
  of(
    "offer",
    { type: "BODY", text: "Hi {{1}}" },
    { type: "LIMITED_TIME_OFFER", limited_time_offer: { text: "Ends soon", has_expiration: true } },
  ),
  of(
    "buttons",
    { type: "BODY", text: "Choose" },
    {
      type: "BUTTONS",
      buttons: [{ type: "CATALOG" }, { type: "MPM" }, { type: "FLOW" }, { type: "PHONE_NUMBER" }],
    },
  ),
  of("place", { type: "HEADER", format: "LOCATION" }, { type: "BODY", text: "Here" }),
]);

/** Text and cards, or `code: details`. */
function check(name: string, ...components: object[]): string {
  const reading = readSend(JSON.stringify(greetingSend({ template: { name, language: { code: "en" }, components } })));
  const result = book.check(reading.request, 26);
  if (result.kind === "fits") return [result.text, ...result.cards].join(" | ");
  return `${result.fault.code}: ${result.fault.details ?? ""}`;
}

const image = { type: "header", parameters: [{ type: "image", image: { id: "1" } }] };
const given = (index: number, ...values: object[]): object => ({
  card_index: index,
  components: [image, body(...values), button("url", 1, text("x"))],
});
const cards = (...list: object[]): string => check("cards", body(text("Ana")), { type: "carousel", cards: list });

test("a carousel is sent with every card of its template, in any order, and each is rendered", () => {
  assert.equal(cards(given(1), given(0, text("€5"))), "For you, Ana: | Only €5 | Fresh");
  assert.match(cards(given(0, text("€5"))), /^132000: carousel: number of cards \(1\).* \(2\)/);
  assert.match(cards(given(0, text("€5")), given(0, text("€5"))), /^132012: carousel: card_index 0/);
  assert.match(cards(given(0, text("€5")), given(7)), /^132012: carousel: card_index 7/);
  assert.match(check("cards", body(text("Ana"))), /^132000: carousel: number of cards \(0\)/);
});

test("each card's own values are checked, and its text has at most 160 characters", () => {
  assert.match(cards(given(0), given(1)), /^132000: carousel: card 0 body: .*\(0\).*\(1\)/);
  assert.match(cards(given(0, text("x".repeat(156))), given(1)), /^132005: carousel: card 0 body: text of 161/);
  const bare = { card_index: 1, components: [image] };
  assert.match(cards(given(0, text("a")), bare), /^131008: buttons: Button at index 1/);
  const odd = { card_index: 1, components: [image, { type: "footer" }] };
  assert.match(cards(given(0, text("a")), odd), /^132012: carousel: Unexpected component of type FOOTER/);
  assert.match(check("offer", body(text("a")), { type: "carousel", cards: [] }), /^132012: .*CAROUSEL/);
});

const offer = (expiresAt: unknown): string =>
  check("offer", body(text("Ana")), {
    type: "limited_time_offer",
    parameters: [{ type: "limited_time_offer", limited_time_offer: { expiration_time_ms: expiresAt } }],
  });

test("an offer that expires needs the time at which it does", () => {
  assert.equal(offer(1_795_000_000_000), "Hi Ana");
  assert.match(check("offer", body(text("Ana"))), /^131008: limited_time_offer: expiration_time_ms is required/);
  assert.match(offer("soon"), /^131009: limited_time_offer/);
  assert.match(check("place", { type: "limited_time_offer" }), /^132012: .*LIMITED_TIME_OFFER/);
});

test("catalogues and flows may come without an action, a list of products may not, a phone number takes none", () => {
  const products = { sections: [{ title: "All", product_items: [{ product_retailer_id: "1" }] }] };
  const list = button("mpm", 1, { type: "action", action: products });
  assert.equal(check("buttons", list), "Choose");
  assert.match(check("buttons"), /^131008: buttons: Button at index 1 of type Mpm/);
  assert.match(check("buttons", button("mpm", 1, { type: "action", action: { sections: [] } })), /^131008/);
  const catalog = button("CATALOG", 0, { type: "action", action: { thumbnail_product_retailer_id: "1" } });
  const flow = button("flow", "2", { type: "action", action: { flow_token: "t" } });
  assert.equal(check("buttons", list, catalog, flow), "Choose");
  assert.match(check("buttons", list, button("phone_number", 3, text("1"))), /^132000: buttons/);
});

test("a location lies on the earth", () => {
  const at = (latitude: unknown, longitude: unknown): string =>
    check("place", { type: "header", parameters: [{ type: "location", location: { latitude, longitude } }] });
  assert.equal(at(-33.9, "151.2"), "Here");
  assert.match(at(91, 0), /^131009: header/);
  assert.match(at(0, -181), /^131009: header/);
});
