// Payloads and templates as platforms really send them: our own fixtures of the same shapes, and the shared samples
// where they lie beside the repository.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import type { AttributeDefinition, TemplateUse } from "../../engine/message/campaign.ts";
import type { WhatsAppTemplate } from "../../engine/message/template.ts";
import { campaignOf, compiled, componentsOf, faultsOf, rendered, templateOf } from "./campaign-fixture.ts";

const PAYLOADS = "../shared/samples/payloads";
const TEMPLATES = "../shared/samples/templates";
const hasSamples = existsSync(PAYLOADS) && existsSync(TEMPLATES);

type Attributes = Readonly<Record<string, AttributeDefinition>>;

const text = (...path: string[]): AttributeDefinition => ({ path, type: "string" });
const phone = (defaultRegion: string, regionPath: string | null, ...path: string[]): AttributeDefinition => ({
  path,
  type: "phone",
  required: true,
  defaultRegion,
  ...(regionPath !== null && { regionPath }),
});

/** What a payload comes to: the attributes with the number, or the faults as `attribute code pointer`. */
function extracted(attributes: Attributes, payload: unknown): unknown {
  const template = templateOf({ body: "Hello!" });
  const extraction = compiled(campaignOf({ attributes }), template).extract(payload);
  return extraction.kind === "valid"
    ? { phoneNumber: extraction.phoneNumber, ...extraction.attributes }
    : extraction.faults.map(({ attribute, code, pointer }) => `${attribute} ${code} ${pointer}`);
}

test("a Shopify order: null phones, big ids, free-text numbers in the address", () => {
  const attributes = {
    phoneNumber: phone("US", "shipping_address.country_code", "phone", "customer.phone", "shipping_address.phone"),
    order: text("name"),
    orderId: text("id"),
    firstItem: text("line_items[0].title"),
    total: { path: "total_price", type: "number" },
  } satisfies Attributes;
  const payload = {
    id: "820982911946154508",
    name: "#9999",
    phone: null,
    customer: { phone: "" },
    total_price: "414.95",
    line_items: [{ title: "Aviator &amp; sunglasses" }],
    shipping_address: { phone: "+1(502)-459-2181", country_code: "US" },
  };
  assert.deepEqual(extracted(attributes, payload), {
    phoneNumber: "+15024592181",
    order: "#9999",
    orderId: "820982911946154508",
    firstItem: "Aviator & sunglasses",
    total: 414.95,
  });
  const refused = { ...payload, shipping_address: { phone: "555-555-SHIP", country_code: "US" } };
  assert.deepEqual(extracted(attributes, refused), ["phoneNumber invalid_phone_number /shipping_address/phone"]);
});

test("a WooCommerce order, a Stripe session, a Magento order keyed by number, a Zapier form, a Calendly invitee", () => {
  assert.deepEqual(
    extracted(
      { phoneNumber: phone("US", "billing.country", "billing.phone"), order: text("number") },
      { number: "727", billing: { phone: "(212) 555-0142", country: "US" } },
    ),
    { phoneNumber: "+12125550142", order: "727" },
  );
  assert.deepEqual(
    extracted(
      {
        phoneNumber: phone("US", "data.object.customer_details.address.country", "data.object.customer_details.phone"),
        amount: { path: "data.object.amount_total", type: "integer" },
      },
      {
        data: {
          object: {
            amount_total: 100_000,
            customer_details: { phone: null, address: { country: "SG" } },
          },
        },
      },
    ),
    ["phoneNumber required /data/object/customer_details/phone"],
  );
  assert.deepEqual(
    extracted(
      { phoneNumber: phone("US", "addresses[0].country_id", "addresses[0].telephone") },
      { addresses: { "1": { telephone: "0410 999 888", country_id: "AU" } } },
    ),
    { phoneNumber: "+61410999888" },
  );
  assert.deepEqual(
    extracted(
      {
        phoneNumber: phone("US", null, "phone"),
        age: { path: "age", type: "integer" },
        isVip: { path: "vip", type: "boolean" },
      },
      { phone: " 15024592181", age: "27", vip: "true" },
    ),
    { phoneNumber: "+15024592181", age: 27, isVip: true },
  );
  assert.deepEqual(
    extracted(
      {
        phoneNumber: phone("US", null, "payload.text_reminder_number"),
        at: { path: "payload.start", type: "date" },
      },
      {
        payload: { text_reminder_number: "+1 404-555-1234", start: "2021-12-31T19:00:00.123456Z" },
      },
    ),
    { phoneNumber: "+14045551234", at: "2021-12-31T19:00:00.123456Z" },
  );
});

/** Shared payload → mapping, and what must come of it. */
const SAMPLES: readonly (readonly [string, Attributes, unknown])[] = [
  [
    "shopify.orders-create.json",
    {
      phoneNumber: phone("US", "shipping_address.country_code", "phone", "customer.phone", "shipping_address.phone"),
      order: text("name"),
    },
    ["phoneNumber invalid_phone_number /shipping_address/phone"],
  ],
  ["shopify.orders-create.json", { phoneNumber: phone("US", null, "phone") }, ["phoneNumber required /phone"]],
  [
    "shopify.fulfillments-create.json",
    { phoneNumber: phone("US", "destination.country_code", "destination.phone") },
    ["phoneNumber invalid_phone_number /destination/phone"],
  ],
  [
    "shopify.checkouts-update.json",
    { phoneNumber: phone("US", null, "phone", "sms_marketing_phone", "billing_address.phone") },
    ["phoneNumber invalid_phone_number /billing_address/phone"],
  ],
  [
    "shopify.customers-create.json",
    { phoneNumber: phone("US", "default_address.country_code", "phone", "default_address.phone") },
    ["phoneNumber invalid_phone_number /default_address/phone"],
  ],
  [
    "shopify.rest-customer-sdk-fixture.json",
    { phoneNumber: phone("US", null, "phone"), name: text("first_name") },
    { phoneNumber: "+16136120707", name: "Bob" },
  ],
  [
    "woocommerce.order-created.json",
    { phoneNumber: phone("US", "billing.country", "billing.phone") },
    ["phoneNumber invalid_phone_number /billing/phone"],
  ],
  [
    "bigcommerce.rest-v2-order.json",
    { phoneNumber: phone("US", "billing_address.country_iso2", "billing_address.phone") },
    ["phoneNumber invalid_phone_number /billing_address/phone"],
  ],
  [
    "bigcommerce.webhook.store_order_created.json",
    { phoneNumber: phone("US", null, "phone") },
    ["phoneNumber required /phone"],
  ],
  [
    "stripe.checkout-session-completed.event.json",
    { phoneNumber: phone("US", null, "data.object.customer_details.phone") },
    ["phoneNumber required /data/object/customer_details/phone"],
  ],
  [
    "calendly.invitee-created.doc-example.json",
    { phoneNumber: phone("US", null, "payload.text_reminder_number") },
    ["phoneNumber required /payload/text_reminder_number"],
  ],
  [
    "adobe-commerce.webhook.shipment-estimation.json",
    { phoneNumber: phone("US", "address.country_id", "address.telephone") },
    ["phoneNumber invalid_phone_number /address/telephone"],
  ],
  [
    "zapier.post-json.json",
    { phoneNumber: phone("US", null, "phone"), age: { path: "age", type: "integer" } },
    ["phoneNumber required /phone"],
  ],
  [
    "zendesk.trigger-body-template.json",
    { phoneNumber: phone("US", null, "requester_phone") },
    ["phoneNumber invalid_phone_number /requester_phone"],
  ],
];

test(
  "the shared payloads give the right number, the right attributes, or the right refusal",
  { skip: !hasSamples },
  () => {
    for (const [file, attributes, expected] of SAMPLES) {
      assert.deepEqual(extracted(attributes, JSON.parse(readFileSync(join(PAYLOADS, file), "utf8"))), expected, file);
    }
  },
);

test("no shared payload makes an extraction fail otherwise than by faults", { skip: !hasSamples }, () => {
  const attributes = {
    phoneNumber: phone(
      "US",
      "shipping_address.country_code",
      "phone",
      "customer.phone",
      "billing.phone",
      "addresses[0].telephone",
    ),
    a: { path: "id", type: "integer" },
    b: { path: ["line_items", "items[0].name", "data"], type: "string" },
    c: { path: ["created_at", "date_created"], type: "date" },
  } satisfies Attributes;
  const campaign = compiled(campaignOf({ attributes }), templateOf({ body: "Hello!" }));
  for (const file of readdirSync(PAYLOADS).filter((name) => name.endsWith(".json"))) {
    const extraction = campaign.extract(JSON.parse(readFileSync(join(PAYLOADS, file), "utf8")));
    assert.ok(extraction.kind === "valid" || extraction.faults.length > 0, file);
  }
});

/** How a campaign would use each shared template, with the values of Meta's own examples. */
const USES: Readonly<Record<string, Partial<TemplateUse>>> = {
  "order_confirmation.positional.en_US": {
    header: "#1001",
    body: ["Maria", "#1001", "November 23", "$59.90"],
    buttons: [{ index: 0, value: "1001?key=abc" }],
  },
  "order_confirmation.named.en": {
    header: { first_name: "Maria" },
    body: {
      order_number: "#1001",
      order_total: "EUR 59.90",
      items_summary: "2 x T-shirt, 1 x Mug",
      delivery_date: "27 Nov",
    },
  },
  "abandoned_cart.url-button.named.en_US": {
    header: { image: "https://cdn.example.com/p/ipod.png" },
    body: {
      first_name: "Maria",
      product_title: "IPod Nano - 8GB",
      cart_total: "$421.88",
      expiry_date: "Nov 30",
    },
    buttons: [
      {
        index: 0,
        value: "https://shop.example.com/checkouts/2a1ace52255252df566af0faaedfbfa7/recover",
      },
    ],
  },
  "delivery_update.meta-doc-verbatim.en_US": {
    header: {
      latitude: "37.483307",
      longitude: "-122.148981",
      name: "Pablo Morales",
      address: "1 Hacker Way, Menlo Park, CA 94025",
    },
    body: ["Pablo", "566701"],
  },
  "authentication.copy-code.en_US": { body: ["J$FpnYnP"] },
  onboarding_no_variables: {},
};

function sampleTemplate(name: string): WhatsAppTemplate {
  return JSON.parse(readFileSync(join(TEMPLATES, `${name}.json`), "utf8"));
}

test("the shared templates, filled with Meta's examples, give the shared send bodies", { skip: !hasSamples }, () => {
  const examples = JSON.parse(readFileSync(join(TEMPLATES, "_send-examples.json"), "utf8"));
  let compared = 0;
  for (const [key, use] of Object.entries(USES)) {
    const name = key.startsWith("onboarding") ? "onboarding_no_variables.en_US" : key;
    const template = sampleTemplate(name);
    const lane = template.category === "MARKETING" ? "marketing" : "transactional";
    const campaign = compiled(
      campaignOf({
        lane,
        template: { ...use, name: template.name, language: template.language },
      }),
      template,
    );
    assert.deepEqual(componentsOf(rendered(campaign, {}).request), examples[name].template.components, name);
    compared += 1;
  }
  assert.equal(compared, Object.keys(examples).length);
});

test(
  "of all shared templates, only those that must not be sent are refused for their standing",
  { skip: !hasSamples },
  () => {
    for (const file of readdirSync(TEMPLATES).filter((name) => name.endsWith(".json") && !name.startsWith("_"))) {
      const template = sampleTemplate(file.replace(/\.json$/, ""));
      const definition = campaignOf({
        template: { name: template.name, language: template.language },
      });
      const standing = faultsOf(definition, template).filter((line) =>
        /sends only APPROVED|must be marketing/.test(line),
      );
      assert.equal(standing.length > 0, template.status !== "APPROVED" || template.category === "MARKETING", file);
    }
  },
);
