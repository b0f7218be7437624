// Meta's own request samples, where they lie beside the repository: each can be made by some campaign definition.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import type { TemplateUse } from "../../engine/message/campaign.ts";
import type { TemplateComponent } from "../../engine/message/template.ts";
import { campaignOf, compiled, rendered, templateOf } from "./campaign-fixture.ts";

const SAMPLES = "../shared/samples/whatsapp";
const ATTRIBUTES = { orderName: "#1001" };

/** A template that would want the sample, and the campaign that gives it. */
interface Case {
  readonly components: readonly TemplateComponent[];
  readonly use: Partial<TemplateUse>;
  readonly category?: string;
}

const URL_BUTTON = { type: "URL", text: "Go", url: "https://shop.example.com/{{1}}" };
const REPLY = { type: "QUICK_REPLY", text: "Reply" };
const IMAGE = { type: "HEADER", format: "IMAGE" };
const body = (text: string): TemplateComponent => ({ type: "BODY", text });
const buttons = (...list: readonly { type: string }[]): TemplateComponent => ({ type: "BUTTONS", buttons: list });
/** Currency and date are texts in Volley: what the recipient sees is the sample's own fallback. */
const CURRENCY_AND_DATE = { body: ["text-string", "$100.99", "February 25, 1977"] };
const LINK = "https://cdn.example.com/image.png";
const LINKED_IMAGE = { header: { image: LINK } };

function card(): object {
  return { components: [IMAGE, buttons(REPLY, URL_BUTTON)] };
}

const META: Readonly<Record<string, Case>> = {
  "authentication-otp": {
    components: [body("*{{1}}* is your code."), buttons({ type: "OTP" })],
    use: { body: ["J$FpnYnP"] },
    category: "AUTHENTICATION",
  },
  carousel: {
    components: [body("Hi {{1}}, {{2}} with {{3}}."), { type: "CAROUSEL", cards: [card(), card(), card()] }],
    category: "MARKETING",
    use: {
      body: ["Pablo", "20%", "20OFF"],
      cards: [
        ["1558081531584829", "more-aloes", "blue-elf"],
        ["861236878885705", "more-crassulas", "buddhas-temple"],
        ["1587064918516321", "more-echeverias", "black-prince"],
      ].map(([image = "", payload = "", url = ""]) => ({
        header: { image },
        buttons: [
          { index: 0, value: payload },
          { index: 1, value: url },
        ],
      })),
    },
  },
  catalog: {
    components: [body("{{1}} {{2}} {{3}}"), buttons({ type: "CATALOG" })],
    use: { body: ["100", "400", "3"], buttons: [{ index: 0, value: "2lc20305pt" }] },
  },
  "coupon-copy-code": {
    components: [body("{{1}} for {{2}}"), buttons(REPLY, { type: "COPY_CODE" })],
    use: { body: ["25OFF", "25%"], buttons: [{ index: 1, value: "25OFF" }] },
  },
  flow: {
    components: [body("Hello"), buttons({ type: "FLOW" })],
    use: { buttons: [{ index: 0, value: "<FLOW_TOKEN>", data: { "<CUSTOM_KEY>": "<CUSTOM_VALUE>" } }] },
  },
  "interactive-buttons": {
    components: [IMAGE, body("{{1}} {{2}} {{3}}"), buttons(REPLY, REPLY)],
    use: {
      ...LINKED_IMAGE,
      ...CURRENCY_AND_DATE,
      buttons: [
        { index: 0, value: "aGlzIHRoaXMgaXMgY29v" },
        { index: 1, value: "9rwnB8RbYmPF5t2Mn09x4h" },
      ],
    },
  },
  "limited-time-offer": {
    components: [
      IMAGE,
      body("{{1}} {{2}}"),
      { type: "LIMITED_TIME_OFFER", limited_time_offer: { text: "Offer", has_expiration: true } },
      buttons({ type: "COPY_CODE" }, URL_BUTTON),
    ],
    use: {
      header: { image: { id: "1602186516975000" } },
      body: ["Pablo", "CARIBE25"],
      limitedTimeOffer: { expiresAt: "1970-01-15T00:00:00Z" },
      buttons: [
        { index: 0, value: "CARIBE25" },
        { index: 1, value: "n3mtql" },
      ],
    },
  },
  "marketing-named": {
    components: [IMAGE, body("{{first_name}} {{discount_code}} {{discount_amount}}")],
    use: {
      header: { image: "1339522734477770" },
      body: { first_name: "Jessica", discount_code: "WELCOME25", discount_amount: "25%" },
    },
  },
  "media-header-currency-datetime": {
    components: [IMAGE, body("{{1}} {{2}} {{3}}")],
    use: { ...LINKED_IMAGE, ...CURRENCY_AND_DATE },
  },
  "policy-deterministic": {
    components: [body("Hi {{1}}"), buttons(REPLY, REPLY)],
    use: {
      body: ["*Mr. Jones*"],
      buttons: [
        { index: 0, value: "true" },
        { index: 1, value: "false" },
      ],
    },
  },
  "shipping-sample": { components: [body("{{1}} {{2}} {{3}}")], use: CURRENCY_AND_DATE },
  "text-currency-datetime": { components: [body("{{1}} {{2}} {{3}}")], use: CURRENCY_AND_DATE },
  "utility-named-image-header": {
    components: [IMAGE, body("{{number_of_guests}} {{day}} {{date}} {{time}}")],
    use: {
      header: { image: "2871834006348767" },
      body: { number_of_guests: "4", day: "Saturday", date: "August 30th, 2025", time: "7:30 pm" },
    },
  },
};

type JsonObject = { readonly [key: string]: Json };
type Json = string | number | boolean | null | readonly Json[] | JsonObject;

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Meta's samples write the same thing in several ways: button types in capitals, indexes as numbers, payloads as texts
 * that are not even strings, and money and dates as types whose fallback is what is shown.
 */
function likeOurs(value: Json): Json {
  if (Array.isArray(value)) return value.map(likeOurs);
  if (!isObject(value)) return value;
  const fields = Object.fromEntries(Object.entries(value).map(([key, field]) => [key, likeOurs(field)]));
  const typed = fields["currency"] ?? fields["date_time"];
  if (typeof typed === "object" && typed !== null && "fallback_value" in typed) {
    return { type: "text", text: typed["fallback_value"] ?? "" };
  }
  if (typeof fields["text"] === "boolean") return { type: "payload", payload: String(fields["text"]) };
  if (typeof fields["sub_type"] !== "string") return fields;
  return { ...fields, sub_type: fields["sub_type"].toLowerCase(), index: String(fields["index"]) };
}

function metaSample(file: string): { readonly [field: string]: Json } {
  // Placeholders that stand where no engine would send anything but a link.
  const text = readFileSync(join(SAMPLES, file), "utf8").replaceAll("http(s)://the-image-url", LINK);
  return JSON.parse(text);
}

function made(name: string, language: string, { components, use, category = "UTILITY" }: Case): Json {
  const template = templateOf({ name, language, components, category });
  const definition = campaignOf({ lane: "marketing", template: { ...use, name, language } });
  return JSON.parse(rendered(compiled(definition, template), ATTRIBUTES).request);
}

test("each of Meta's request samples can be made by a campaign", { skip: !existsSync(SAMPLES) }, () => {
  const pattern = /^send-request-template-(.*)\.json$/;
  const names = readdirSync(SAMPLES).flatMap((file) => pattern.exec(file)?.[1] ?? []);
  assert.deepEqual(names.toSorted(), Object.keys(META).toSorted());
  for (const [name, one] of Object.entries(META)) {
    const { template } = metaSample(`send-request-template-${name}.json`);
    const expected = componentsIn({ template: likeOurs(template ?? null) });
    // The order of components says nothing.
    assert.deepEqual(new Set(componentsIn(made("sample", "en_US", one))), new Set(expected), name);
  }
});

function componentsIn(request: Json): readonly Json[] {
  assert.ok(isObject(request) && isObject(request["template"]));
  const { components } = request["template"];
  assert.ok(Array.isArray(components));
  return components;
}

test("a request for the marketing door is the same body", { skip: !existsSync(SAMPLES) }, () => {
  const sample = metaSample("marketing-messages-request-parameterized.json");
  const one = { components: [body("{{1}}: {{2}}")], use: { body: ["John Doe", "$25.00"] } };
  const request = made("promotional_offer", "en", one);
  assert.ok(isObject(request));
  assert.deepEqual(request["template"], likeOurs(sample["template"] ?? null));
  for (const field of ["messaging_product", "recipient_type", "type"]) assert.equal(request[field], sample[field]);
});
