// Every element of a template that takes a value, in the shape that Meta's pages show for it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { parse } from "yaml";

import type { CampaignDefinition, TemplateUse } from "../../engine/message/campaign.ts";
import type { TemplateComponent } from "../../engine/message/template.ts";
import {
  campaignOf,
  compiled,
  componentsOf,
  faultsOf,
  rendered,
  templateOf,
  unrenderableReason,
} from "./campaign-fixture.ts";

const ATTRIBUTES = { firstName: "Zoë", orderName: "#1001", total: "67.80" };

interface Case {
  readonly components: readonly TemplateComponent[];
  readonly use: Partial<TemplateUse>;
  readonly category?: string;
}

function campaignFor({ components, use, category = "UTILITY" }: Case): ReturnType<typeof compiled> {
  const lane: CampaignDefinition["lane"] = category === "MARKETING" ? "marketing" : "transactional";
  return compiled(campaignOf({ lane, template: use }), templateOf({ components, category }));
}

function sent(one: Case, attributes: Readonly<Record<string, string>> = ATTRIBUTES): readonly unknown[] {
  return componentsOf(rendered(campaignFor(one), attributes).request);
}

const BODY = { type: "BODY", text: "Hello!" };

test("a header's medium goes out by the id or the link that it is given by", () => {
  const components = [{ type: "HEADER", format: "DOCUMENT" }, BODY];
  const byId = { header: { document: { id: "2871834006348767" }, filename: "{{ orderName }}.pdf" } };
  assert.deepEqual(sent({ components, use: byId }), [
    {
      type: "header",
      parameters: [{ type: "document", document: { id: "2871834006348767", filename: "#1001.pdf" } }],
    },
  ]);
  const byLink = { header: { document: { link: "https://cdn.example.com/{{ total }}.pdf" } } };
  assert.deepEqual(sent({ components, use: byLink }), [
    { type: "header", parameters: [{ type: "document", document: { link: "https://cdn.example.com/67.80.pdf" } }] },
  ]);
});

test("a location in a mapping of its own is the header's location", () => {
  const location = { latitude: "47.4", longitude: "-8.5", name: "{{ firstName }}", address: "Main Street 1" };
  assert.deepEqual(
    sent({ components: [{ type: "HEADER", format: "LOCATION" }, BODY], use: { header: { location } } }),
    [
      {
        type: "header",
        parameters: [{ type: "location", location: { ...location, name: "Zoë" } }],
      },
    ],
  );
});

test("a product header names product and catalogue", () => {
  const use = { header: { product: "sku-{{ total }}", catalog: "194836987003835" } };
  const buttons = [{ type: "SPM", text: "View" }];
  assert.deepEqual(
    sent({ components: [{ type: "HEADER", format: "PRODUCT" }, BODY, { type: "BUTTONS", buttons }], use }),
    [
      {
        type: "header",
        parameters: [{ type: "product", product: { product_retailer_id: "sku-67.80", catalog_id: "194836987003835" } }],
      },
    ],
  );
});

function sentButtons(buttons: readonly object[], uses: NonNullable<TemplateUse["buttons"]>): readonly unknown[] {
  const typed = buttons.map((button) => ({ type: "", text: "Press", ...button }));
  return sent({ components: [BODY, { type: "BUTTONS", buttons: typed }], use: { buttons: uses } });
}

function action(subType: string, index: string, values: object): object {
  return { type: "button", sub_type: subType, index, parameters: [{ type: "action", action: values }] };
}

test("a catalogue's button shows a product", () => {
  assert.deepEqual(sentButtons([{ type: "CATALOG" }], [{ index: 0, value: "sku-{{ total }}" }]), [
    action("catalog", "0", { thumbnail_product_retailer_id: "sku-67.80" }),
  ]);
});

test("a button for several products lists them in sections", () => {
  const sections = [
    { title: "Popular", products: ["sku-1", "sku-{{ total }}"] },
    { title: "New", products: ["sku-3"] },
  ];
  assert.deepEqual(sentButtons([{ type: "MPM" }], [{ index: 0, value: "sku-1", sections }]), [
    action("mpm", "0", {
      thumbnail_product_retailer_id: "sku-1",
      sections: [
        { title: "Popular", product_items: [{ product_retailer_id: "sku-1" }, { product_retailer_id: "sku-67.80" }] },
        { title: "New", product_items: [{ product_retailer_id: "sku-3" }] },
      ],
    }),
  ]);
});

test("a flow's button is always sent, with its token and what its first screen is given", () => {
  const buttons = [{ type: "QUICK_REPLY" }, { type: "FLOW" }];
  assert.deepEqual(sentButtons(buttons, []), [action("flow", "1", { flow_token: "unused" })]);
  const use = { index: 1, value: "{{ orderName }}", data: { name: "{{ firstName }}", step: "2" } };
  assert.deepEqual(sentButtons(buttons, [use]), [
    action("flow", "1", { flow_token: "#1001", flow_action_data: { name: "Zoë", step: "2" } }),
  ]);
});

test("a call's and a phone's button take nothing", () => {
  assert.deepEqual(
    sentButtons([{ type: "VOICE_CALL" }, { type: "PHONE_NUMBER" }, { type: "URL", url: "https://a.example" }], []),
    [],
  );
});

const OFFER = {
  components: [
    { type: "HEADER", format: "IMAGE" },
    { type: "BODY", text: "Hi {{1}}!" },
    { type: "LIMITED_TIME_OFFER", limited_time_offer: { text: "Offer!", has_expiration: true } },
    {
      type: "BUTTONS",
      buttons: [
        { type: "COPY_CODE", text: "Copy" },
        { type: "URL", text: "Book", url: "https://shop.example.com/{{1}}" },
      ],
    },
  ],
  use: {
    header: { image: "1602186516975000" },
    body: ["{{ firstName }}"],
    limitedTimeOffer: { expiresAt: "{{ total }}" },
    buttons: [
      { index: 0, value: "CARIBE25" },
      { index: 1, value: "n3mtql" },
    ],
  },
  category: "MARKETING",
};

test("a limited-time offer tells its end in milliseconds, wherever the time comes from", () => {
  const times: readonly (readonly [string, number])[] = [
    ["2026-12-24T18:00:00+01:00", Date.UTC(2026, 11, 24, 17)],
    ["2026-12-24T18:00:00", Date.UTC(2026, 11, 24, 18)],
    ["2026-12-24", Date.UTC(2026, 11, 24)],
    ["1798131600", 1_798_131_600_000],
    ["1798131600000", 1_798_131_600_000],
  ];
  for (const [total, expiration_time_ms] of times) {
    const components = sent(OFFER, { ...ATTRIBUTES, total });
    assert.deepEqual(components[2], {
      type: "limited_time_offer",
      parameters: [{ type: "limited_time_offer", limited_time_offer: { expiration_time_ms } }],
    });
    assert.equal(components.length, 5);
  }
  assert.match(
    unrenderableReason(campaignFor(OFFER), { ...ATTRIBUTES, total: "soon" }),
    /^The template's offer's expiry is no time that Volley can read\.$/,
  );
});

test("an expression can reckon the end of an offer from a time of the event", () => {
  const use = { ...OFFER.use, limitedTimeOffer: { expiresAt: "{{ total | date: '%s' | plus: 172800 }}" } };
  const components = sent({ ...OFFER, use }, { ...ATTRIBUTES, total: "2026-12-24T18:00:00+01:00" });
  assert.ok(JSON.stringify(components).includes(`"expiration_time_ms":${Date.UTC(2026, 11, 26, 17)}`));
});

function card(text?: string): object {
  const body = text === undefined ? [] : [{ type: "BODY", text }];
  const buttons = [
    { type: "QUICK_REPLY", text: "More" },
    { type: "URL", text: "Buy", url: "https://shop.example.com/{{1}}" },
  ];
  return { components: [{ type: "HEADER", format: "IMAGE" }, ...body, { type: "BUTTONS", buttons }] };
}

function cardUse(image: string, body: readonly string[], url: string): NonNullable<TemplateUse["cards"]>[number] {
  const buttons = [
    { index: 0, value: `more-${url}` },
    { index: 1, value: url },
  ];
  return { header: { image }, body, buttons };
}

const CAROUSEL = {
  components: [
    { type: "BODY", text: "Hi {{1}}!" },
    { type: "CAROUSEL", cards: [card("{{1}} for {{2}}"), card()] },
  ],
  use: {
    body: ["{{ firstName }}"],
    cards: [
      cardUse("1558081531584829", ["{{ orderName }}", "{{ total }}"], "aloe"),
      cardUse("https://cdn.example.com/2.png", [], "ivy"),
    ],
  },
  category: "MARKETING",
};

test("a carousel's cards carry their own header, body and buttons", () => {
  const cardButtons = (url: string): object[] => [
    { type: "button", sub_type: "quick_reply", index: "0", parameters: [{ type: "payload", payload: `more-${url}` }] },
    { type: "button", sub_type: "url", index: "1", parameters: [{ type: "text", text: url }] },
  ];
  const header = (image: object): object => ({ type: "header", parameters: [{ type: "image", image }] });
  const [first, second] = ["#1001", "67.80"].map((text) => ({ type: "text", text }));
  assert.deepEqual(sent(CAROUSEL), [
    { type: "body", parameters: [{ type: "text", text: "Zoë" }] },
    {
      type: "carousel",
      cards: [
        {
          card_index: 0,
          components: [
            header({ id: "1558081531584829" }),
            { type: "body", parameters: [first, second] },
            ...cardButtons("aloe"),
          ],
        },
        { card_index: 1, components: [header({ link: "https://cdn.example.com/2.png" }), ...cardButtons("ivy")] },
      ],
    },
  ]);
});

test("a card's body keeps to 160 characters with its values, and the message's body to its own limit", () => {
  const { request, changes, message } = rendered(campaignFor(CAROUSEL), { ...ATTRIBUTES, orderName: "x".repeat(300) });
  assert.ok(request.includes(`{"type":"text","text":"${"x".repeat(149)}…"}`), request);
  assert.deepEqual(changes, [
    "card 0 body {{1}}: shortened from 300 to 150 characters, so that the card 0 body keeps to 160",
  ]);
  assert.equal(message, "Hi Zoë!");
});

test("an empty value in a card is unrenderable, in a sentence that names the card", () => {
  const reason = unrenderableReason(campaignFor(CAROUSEL), { firstName: "Zoë", orderName: "#1" });
  assert.match(reason, /^The template's card 0 body \{\{2\}\} is empty/);
});

test("the carousel of docs/templates.md is a campaign that works", () => {
  const [, example = ""] =
    /```yaml\n(template:\n[^`]*cards:[^`]*)```/.exec(readFileSync("docs/templates.md", "utf8")) ?? [];
  const { template } = parse(example);
  const names = ["firstName", ...[1, 2].flatMap((n) => [`image${n}`, `plant${n}`, `price${n}`, `sku${n}`])];
  const paths = names.map((name) => [name, { path: name, type: "string", required: true }] as const);
  const attributes = { phoneNumber: { path: "phone", type: "phone" } as const, ...Object.fromEntries(paths) };
  const { name, language } = template;
  const two = { type: "CAROUSEL", cards: [card("{{1}} for {{2}}"), card("{{1}} for {{2}}")] };
  const components = [{ type: "BODY", text: "Hi {{1}}!" }, two];
  const meta = templateOf({ name, language, category: "MARKETING", components });
  assert.deepEqual(faultsOf(campaignOf({ lane: "marketing", template, attributes }), meta), []);
});

test("a named carousel names the values in its cards", () => {
  const components = [
    { type: "BODY", text: "Hi {{name}}!" },
    { type: "CAROUSEL", cards: [card("From {{price}}")] },
  ];
  const use = {
    body: { name: "{{ firstName }}" },
    cards: [{ ...cardUse("12345", [], "a"), body: { price: "{{ total }}" } }],
  };
  const request = rendered(campaignFor({ components, use, category: "MARKETING" }), ATTRIBUTES).request;
  assert.ok(request.includes('{"type":"text","parameter_name":"price","text":"67.80"}'), request);
});
