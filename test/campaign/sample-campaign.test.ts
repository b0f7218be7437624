// The campaigns of config/ with the payloads they are made for: what a newcomer sees first has to be right.

import assert from "node:assert/strict";
import { test } from "node:test";

import { compileCampaign } from "../../engine/campaign/compiled-campaign.ts";
import type { CompiledCampaign } from "../../engine/campaign/compiled-campaign.ts";
import { compileQuietHours } from "../../engine/campaign/quiet-hours.ts";
import { loadCampaignFile } from "../../engine/runtime/campaign-file.ts";
import { loadTemplateFolder } from "../../engine/runtime/template-file.ts";

const { templates } = loadTemplateFolder("config/templates");

function sample(id: string): CompiledCampaign {
  const file = loadCampaignFile(`config/campaigns/${id}.yaml`, {});
  assert(file.kind === "loaded", JSON.stringify(file.faults));
  const { definition } = file;
  const template = templates.find(({ name }) => name === definition.template.name);
  const compilation = compileCampaign(definition, template);
  assert(compilation.kind === "compiled", JSON.stringify(compilation));
  return compilation.campaign;
}

interface Sent {
  readonly phoneNumber: string;
  readonly message: string;
  readonly request: string;
}

function sent(campaign: CompiledCampaign, payload: unknown): Sent {
  assert.equal(campaign.matches(payload), true);
  const extraction = campaign.extract(payload);
  assert(extraction.kind === "valid", JSON.stringify(extraction));
  const { phoneNumber, attributes } = extraction;
  const rendering = campaign.render({ messageId: "m", attempt: 1, phoneNumber, attributes });
  assert(rendering.kind === "rendered", JSON.stringify(rendering));
  return { phoneNumber, message: rendering.message, request: rendering.request };
}

const ORDER = {
  id: "5000000000000000001",
  name: "#1001",
  phone: null,
  financial_status: "paid",
  total_price: "48.90",
  customer: { first_name: "Amara", phone: "" },
  shipping_address: { phone: "(415) 555-2671", country_code: "US" },
};

const FULFILLMENT = {
  id: 255858046,
  name: "#1001.1",
  tracking_company: "UPS",
  tracking_number: null,
  tracking_numbers: ["1Z 999 AA1"],
  destination: { first_name: "Amara", phone: "020 7946 0018", country_code: "GB" },
};

const CHECKOUT = {
  token: "2a1ace52255252df566af0faaedfbfa7",
  created_at: "2026-11-23T09:00:00-05:00",
  updated_at: "2026-11-23T09:20:00-05:00",
  buyer_accepts_marketing: true,
  abandoned_checkout_url: "https://shop.example.com/checkouts/2a1ace52255252df566af0faaedfbfa7/recover?key=k",
  phone: "+4915112345678",
  total_price: "48.90",
  presentment_currency: "EUR",
  line_items: [{ title: "Enamel teapot" }, { title: "Cup" }],
  customer: { first_name: "Amara" },
};

test("a paid order is confirmed", () => {
  const { phoneNumber, message } = sent(sample("order-confirmation"), ORDER);
  assert.equal(phoneNumber, "+14155552671");
  assert.match(message, /^Hello Amara, .* order #1001\. Total: 48\.90\./);
});

test("an order without name and total still reads well", () => {
  const { message } = sent(sample("order-confirmation"), { ...ORDER, customer: null, total_price: null });
  assert.match(message, /^Hello there, .* Total: see your e-mail\./);
});

test("an unpaid order is ignored", () => {
  assert.equal(sample("order-confirmation").matches({ ...ORDER, financial_status: "pending" }), false);
});

test("a parcel is announced with the order's name, and its button leads to its tracking number", () => {
  const { phoneNumber, message, request } = sent(sample("shipping-update"), FULFILLMENT);
  assert.equal(phoneNumber, "+442079460018");
  assert.match(message, /order #1001 to UPS today/);
  assert.match(request, /"sub_type":"url","index":"0","parameters":\[\{"type":"text","text":"1Z%20999%20AA1"\}\]/);
});

test("a parcel is announced once, however often it is updated", () => {
  assert.equal(sample("shipping-update").dedupeValue(FULFILLMENT), "255858046");
});

test("a parcel without a tracking number is refused for that", () => {
  const extraction = sample("shipping-update").extract({ ...FULFILLMENT, tracking_numbers: [] });
  assert(extraction.kind === "invalid");
  assert.deepEqual(
    extraction.faults.map(({ attribute, code }) => [attribute, code]),
    [["trackingCode", "required"]],
  );
});

test("a left cart is recalled with its first item, and the button's value is the token, not the address", () => {
  const { message, request } = sent(sample("abandoned-cart"), CHECKOUT);
  assert.match(message, /your cart with Enamel teapot is still here \(48\.90 EUR in all\)/);
  assert.match(request, /"parameters":\[\{"type":"text","text":"2a1ace52255252df566af0faaedfbfa7"\}\]/);
});

test("a left cart is recalled an hour later, and an order of the same checkout ends that", () => {
  const nowMs = Date.parse("2026-11-23T14:20:05Z");
  const reminder = sample("abandoned-cart").timing?.schedule(CHECKOUT, nowMs);
  assert(reminder?.kind === "valid");
  assert.equal(new Date(reminder.sendAtMs ?? 0).toISOString(), "2026-11-23T15:20:00.000Z");
  assert.equal(reminder.waitKey, CHECKOUT.token);
  const order = sample("order-confirmation").timing?.schedule({ ...ORDER, checkout_token: CHECKOUT.token }, nowMs);
  assert(order?.kind === "valid");
  assert.deepEqual(order, {
    kind: "valid",
    sendAtMs: null,
    waitKey: null,
    cancels: [{ campaignId: "abandoned-cart", key: reminder.waitKey }],
  });
});

test("an order without a checkout cancels nothing", () => {
  const schedule = sample("order-confirmation").timing?.schedule(ORDER, 0);
  assert(schedule?.kind === "valid");
  assert.deepEqual(schedule.cancels, []);
});

test("a left cart is recalled once, however often it is updated, and never at night", () => {
  const campaign = sample("abandoned-cart");
  assert.equal(campaign.dedupeValue(CHECKOUT), CHECKOUT.token);
  const quiet = compileQuietHours(campaign.definition);
  assert.deepEqual(quiet, { fromMinute: 21 * 60, toMinute: 9 * 60, timeZone: null });
  const nightSeconds = 12 * 3600;
  assert.ok(campaign.definition.timeToLiveSeconds > nightSeconds, "what falls due at nine in the evening would expire");
});

test("whoever did not ask for marketing gets none", () => {
  assert.equal(sample("abandoned-cart").matches({ ...CHECKOUT, buyer_accepts_marketing: false }), false);
  assert.equal(sample("abandoned-cart").matches({ ...CHECKOUT, buyer_accepts_marketing: null }), false);
});
