import assert from "node:assert/strict";
import { test } from "node:test";

import type { TemplateUse } from "../../engine/message/campaign.ts";
import type { WhatsAppTemplate } from "../../engine/message/template.ts";
import { campaignOf, compiled, faultsOf, ORDER_BODY, templateOf } from "./campaign-fixture.ts";

function faults(template: Partial<TemplateUse>, of: WhatsAppTemplate | undefined = templateOf()): string[] {
  return faultsOf(campaignOf({ template }), of);
}

function assertFault(found: readonly string[], expected: RegExp): void {
  assert.ok(
    found.some((line) => expected.test(line)),
    `${expected.source} not in:\n${found.join("\n")}`,
  );
}

test("clears a campaign that can work", () => {
  assert.deepEqual(faults({ body: ORDER_BODY }), []);
});

test("a template that is not there is the whole fault", () => {
  assert.deepEqual(faultsOf(campaignOf({ template: { body: ORDER_BODY } }), undefined), [
    "template.name: order_confirmation (en_US) does not exist on the sender's WhatsApp account",
  ]);
});

test("only approved templates can be sent", () => {
  for (const status of ["PAUSED", "PENDING", "DISABLED", "IN_APPEAL", "ARCHIVED"]) {
    assertFault(
      faults({ body: ORDER_BODY }, templateOf({ status })),
      new RegExp(`^template\\.name: order_confirmation is ${status}`),
    );
  }
  assertFault(
    faults({ body: ORDER_BODY }, templateOf({ status: "REJECTED", rejected_reason: "PROMOTIONAL" })),
    /REJECTED \(PROMOTIONAL\)/,
  );
  assert.deepEqual(faults({ body: ORDER_BODY }, templateOf({ status: "approved" })), []);
});

test("a marketing template has no place on the transactional lane", () => {
  const template = templateOf({ category: "MARKETING", previous_category: "UTILITY" });
  assertFault(
    faults({ body: ORDER_BODY }, template),
    /^lane: must be marketing: .*since Meta moved it from UTILITY; set lane/,
  );
  assert.deepEqual(faultsOf(campaignOf({ lane: "marketing", template: { body: ORDER_BODY } }), template), []);
  assert.deepEqual(faultsOf(campaignOf({ lane: "marketing", template: { body: ORDER_BODY } }), templateOf()), []);
});

test("name and language are the template's, in either spelling", () => {
  assert.deepEqual(faults({ body: ORDER_BODY, language: "en-US" }), []);
  assertFault(faults({ body: ORDER_BODY, language: "en" }), /^template\.language: is en, but the template is in en_US/);
  assertFault(faults({ body: ORDER_BODY, name: "other" }), /^template\.name: is other/);
});

test("counts the values of a positional body", () => {
  assertFault(
    faults({ body: ORDER_BODY.slice(0, 2) }),
    /^template\.body: has 2 values, but the template needs 3 \(\{\{1\}\}, \{\{2\}\}, \{\{3\}\}\)$/,
  );
  assertFault(faults({}), /^template\.body: has 0 values/);
  assertFault(
    faults({ body: ORDER_BODY }, templateOf({ body: "Welcome!" })),
    /has 3 values, but the template takes none/,
  );
  assertFault(faults({ body: { a: "x" } }), /must be a list of 3/);
});

test("compares the names of a named body", () => {
  const named = templateOf({ body: "Hi {{first_name}}, {{order}}." });
  assert.deepEqual(faults({ body: { first_name: "{{ firstName }}", order: "{{ orderName }}" } }, named), []);
  const found = faults({ body: { firstname: "x", order: "y" } }, named);
  assertFault(
    found,
    /^template\.body\.firstname: is no variable of the template; its variables are: first_name, order$/,
  );
  assertFault(found, /^template\.body\.first_name: is missing/);
  assertFault(faults({ body: ["a", "b"] }, named), /must be a map with the names first_name, order/);
});

test("tells the parameter format from the placeholders when Meta does not say it", () => {
  assert.deepEqual(faults({ body: { "2nd": "x" } }, templateOf({ body: "The {{2nd}}." })), []);
  assert.deepEqual(faults({ body: ["a", "b"] }, templateOf({ body: "{{2}} before {{1}}, and {{2}} again." })), []);
});

test("headers get what they want, and nothing else", () => {
  const text = templateOf({ header: { format: "TEXT", text: "Order {{1}}" } });
  assertFault(faults({ body: ORDER_BODY }, text), /^template\.header: is missing: .*\{\{1\}\}/);
  assert.deepEqual(faults({ body: ORDER_BODY, header: "{{ orderName }}" }, text), []);
  assertFault(faults({ body: ORDER_BODY, header: "x" }), /the template has no header/);
  assertFault(
    faults({ body: ORDER_BODY, header: "x" }, templateOf({ header: { format: "TEXT", text: "Hello" } })),
    /header has no variable/,
  );
  const image = templateOf({ header: { format: "IMAGE" } });
  assertFault(
    faults({ body: ORDER_BODY }, image),
    /^template\.header: must be \{ image: … \}: the template's header is an image$/,
  );
  assertFault(
    faults({ body: ORDER_BODY, header: { video: "https://x.example/a" } }, image),
    /^template\.header\.video: does not belong here/,
  );
  assertFault(faults({ body: ORDER_BODY, header: { image: "p.png" } }, image), /neither an http\(s\) link/);
  const location = templateOf({ header: { format: "LOCATION" } });
  const found = faults({ body: ORDER_BODY, header: { latitude: "91", longitude: "8.5", name: "Shop" } }, location);
  assertFault(found, /^template\.header\.address: is missing/);
  assertFault(found, /^template\.header\.latitude: header latitude is no number of degrees/);
});

test("buttons that need a value get one, the others none", () => {
  const template = templateOf({
    buttons: [
      { type: "URL", text: "Track", url: "https://t.example/{{1}}" },
      { type: "PHONE_NUMBER", text: "Call", phone_number: "+1" },
      { type: "QUICK_REPLY", text: "Help" },
      { type: "COPY_CODE", text: "Copy" },
    ],
  });
  const found = faults(
    {
      body: ORDER_BODY,
      buttons: [
        { index: 1, value: "x" },
        { index: 1, value: "y" },
        { index: 7, value: "z" },
      ],
    },
    template,
  );
  assertFault(found, /^template\.buttons: button 0 needs what follows https:\/\/t\.example\/$/);
  assertFault(found, /^template\.buttons\[0\]\.value: button 1 \(PHONE_NUMBER\) takes no value$/);
  assertFault(found, /^template\.buttons\[1\]\.index: 1 is given twice$/);
  assertFault(found, /^template\.buttons\[2\]\.index: 7 does not exist: the template has 4 buttons/);
  assertFault(found, /^template\.buttons: button 3 needs the code to copy$/);
  assertFault(
    faults({ body: ORDER_BODY, buttons: [{ index: 0, value: "https://other.example/x" }] }, template),
    /button 0 is a link that does not begin with/,
  );
});

test("a one-time code's button fills itself, and accepts no other code", () => {
  const template = templateOf({
    category: "AUTHENTICATION",
    body: "{{1}} is your code.",
    buttons: [{ type: "OTP", otp_type: "COPY_CODE", text: "Copy" }],
  });
  assert.deepEqual(faults({ body: ["{{ total }}"] }, template), []);
  assert.deepEqual(faults({ body: ["{{ total }}"], buttons: [{ index: 0, value: "{{total}}" }] }, template), []);
  assertFault(
    faults({ body: ["{{ total }}"], buttons: [{ index: 0, value: "{{ orderName }}" }] }, template),
    /must be the body's code/,
  );
});

test("names attributes that do not exist, and the likely one", () => {
  const found = faults({ body: ["{{ firstNam }}", "{{ ordername | upcase }}", "{{ weather }}"] });
  assert.deepEqual(found, [
    "template.body[0]: uses firstNam, which is no attribute; did you mean firstName?",
    "template.body[1]: uses ordername, which is no attribute; did you mean orderName?",
    "template.body[2]: uses weather, which is no attribute",
  ]);
});

test("says where an expression cannot be read, and what is always empty", () => {
  const found = faults({ body: ["{{ firstName | shout }}", "", "{{ total"] });
  assertFault(found, /^template\.body\[0\]: cannot be read as Liquid: undefined filter: shout/);
  assertFault(found, /^template\.body\[1\]: body \{\{2\}\} is always empty/);
  assertFault(found, /^template\.body\[2\]: cannot be read as Liquid/);
});

test("a template whose own text leaves no room for values is refused", () => {
  const long = templateOf({ body: `${"x".repeat(1022)}{{1}}{{2}}{{3}}` });
  assertFault(
    faults({ body: ORDER_BODY }, long),
    /^template\.body: has room for 2 of 1024 characters, but 3 values to hold$/,
  );
});

test("a header that leaves no room for its value is refused", () => {
  const full = templateOf({ header: { format: "TEXT", text: `${"x".repeat(60)}{{1}}` } });
  assertFault(faults({ body: ORDER_BODY, header: "{{ orderName }}" }, full), /^template\.header: has room for 0 of 60/);
});

test("buttons that Volley cannot fill are refused by type", () => {
  assertFault(
    faults({ body: ORDER_BODY }, templateOf({ buttons: [{ type: "ORDER_DETAILS", text: "Review and pay" }] })),
    /^template\.buttons: button 0 is of type ORDER_DETAILS, which Volley cannot fill$/,
  );
  assert.deepEqual(
    faults({ body: ORDER_BODY }, templateOf({ buttons: [{ type: "VOICE_CALL", text: "Call us" }] })),
    [],
  );
});

test("a medium is a link or an id, and not both", () => {
  const image = templateOf({ header: { format: "IMAGE" } });
  const faultsOfImage = (header: TemplateUse["header"]): string[] =>
    faults({ body: ORDER_BODY, ...(header !== undefined && { header }) }, image);
  assert.deepEqual(faultsOfImage({ image: { id: "1339522734477770" } }), []);
  assert.deepEqual(faultsOfImage({ image: { link: "https://cdn.example.com/p.png" } }), []);
  assertFault(faultsOfImage({ image: { id: "p.png" } }), /^template\.header\.image\.id: header image is no media id$/);
  assertFault(
    faultsOfImage({ image: { link: "12345" } }),
    /^template\.header\.image\.link: header image is no http\(s\) link$/,
  );
  for (const both of [{ id: "12345", link: "https://x.example/" }, { url: "https://x.example/" }]) {
    assertFault(
      faultsOfImage({ image: both }),
      /^template\.header\.image: must be text, \{ link: … \} or \{ id: … \}$/,
    );
  }
});

test("a location may stand in a mapping of its own, and nothing else beside it", () => {
  const template = templateOf({ header: { format: "LOCATION" } });
  const place = { latitude: "47.4", longitude: "8.5", name: "Shop", address: "Main Street 1" };
  assert.deepEqual(faults({ body: ORDER_BODY, header: { location: place } }, template), []);
  assert.deepEqual(faults({ body: ORDER_BODY, header: place }, template), []);
  const found = faults({ body: ORDER_BODY, header: { location: { ...place, latitude: "95" }, zoom: "3" } }, template);
  assertFault(found, /^template\.header\.location\.latitude: header latitude is no number of degrees/);
  assertFault(found, /^template\.header\.zoom: does not belong here/);
});

test("a text header takes no mapping in a mapping", () => {
  const named = templateOf({ header: { format: "TEXT", text: "Hi {{first_name}}" }, body: "Welcome!" });
  assertFault(faults({ header: { first_name: { id: "1" } } }, named), /^template\.header\.first_name: must be text/);
});

const CARD = {
  components: [
    { type: "HEADER", format: "IMAGE" },
    { type: "BODY", text: "{{1}}, from our garden" },
    { type: "BUTTONS", buttons: [{ type: "URL", text: "Buy", url: "https://shop.example.com/{{1}}" }] },
  ],
};
const CAROUSEL = templateOf({
  category: "MARKETING",
  components: [
    { type: "BODY", text: "Hi {{1}}!" },
    { type: "CAROUSEL", cards: [CARD, CARD] },
  ],
});
const CARD_USE = {
  header: { image: "https://cdn.example.com/p.png" },
  body: ["{{ orderName }}"],
  buttons: [{ index: 0, value: "aloe" }],
};

function carouselFaults(template: Partial<TemplateUse>): string[] {
  return faultsOf(campaignOf({ lane: "marketing", template: { body: ["{{ firstName }}"], ...template } }), CAROUSEL);
}

test("a carousel needs exactly the template's cards, and each card its own values", () => {
  assert.deepEqual(carouselFaults({ cards: [CARD_USE, CARD_USE] }), []);
  assert.deepEqual(carouselFaults({}), ["template.cards: is missing: the template is a carousel of 2 cards"]);
  assert.deepEqual(carouselFaults({ cards: [CARD_USE] }), ["template.cards: has 1 cards, but the template has 2"]);
  const found = carouselFaults({
    cards: [CARD_USE, { body: ["a", "b"], buttons: [{ index: 3, value: "x" }] }, CARD_USE],
  });
  assertFault(found, /^template\.cards: has 3 cards, but the template has 2$/);
  assertFault(found, /^template\.cards\[1\]\.header: must be \{ image: … \}/);
  assertFault(found, /^template\.cards\[1\]\.body: has 2 values, but the template needs 1/);
  assertFault(
    found,
    /^template\.cards\[1\]\.buttons: card 1 button 0 needs what follows https:\/\/shop\.example\.com\/$/,
  );
  assertFault(found, /^template\.cards\[1\]\.buttons\[0\]\.index: 3 does not exist: the card has 1 buttons/);
  const unknown = carouselFaults({ cards: [CARD_USE, { ...CARD_USE, body: ["{{ ordrName }}"] }] });
  assertFault(
    unknown,
    /^template\.cards\[1\]\.body\[0\]: uses ordrName, which is no attribute; did you mean orderName\?$/,
  );
  assertFault(
    faults({ body: ORDER_BODY, cards: [CARD_USE] }),
    /^template\.cards: is given, but the template has no carousel$/,
  );
});

test("a card whose own text leaves no room for its values is refused", () => {
  const full = { components: [{ type: "BODY", text: `${"x".repeat(160)}{{1}}` }] };
  const components = [
    { type: "BODY", text: "Hi!" },
    { type: "CAROUSEL", cards: [full] },
  ];
  const found = faults({ cards: [{ body: ["{{ firstName }}"] }] }, templateOf({ components }));
  assertFault(found, /^template\.cards\[0\]\.body: has room for 0 of 160 characters, but 1 values to hold$/);
});

function offerTemplate(offer: object): WhatsAppTemplate {
  const components = [
    { type: "BODY", text: "Hi!" },
    { type: "limited_time_offer", limited_time_offer: offer },
  ];
  return templateOf({ components });
}

test("an offer that ends is told when, and no other is", () => {
  const ending = offerTemplate({ text: "Today only", has_expiration: true });
  assert.deepEqual(faults({ limitedTimeOffer: { expiresAt: "{{ total }}" } }, ending), []);
  assertFault(
    faults({}, ending),
    /^template\.limitedTimeOffer\.expiresAt: is missing: the template's offer has an end$/,
  );
  assertFault(
    faults({ limitedTimeOffer: { expiresAt: "tomorrow" } }, ending),
    /^template\.limitedTimeOffer\.expiresAt: offer's expiry is no time that Volley can read$/,
  );
  const lasting = offerTemplate({ text: "Ever", has_expiration: false });
  const given = { limitedTimeOffer: { expiresAt: "2026-12-31" } };
  assertFault(
    faults(given, lasting),
    /^template\.limitedTimeOffer: is given, but the template has an offer that does not/,
  );
  assertFault(faults({ ...given, body: ORDER_BODY }), /is given, but the template has no limited-time offer$/);
});

test("buttons for products and flows get what they open, and only they", () => {
  const buttons = [
    { type: "MPM", text: "View items" },
    { type: "CATALOG", text: "View catalogue" },
    { type: "FLOW", text: "Book" },
    { type: "QUICK_REPLY", text: "Stop" },
  ];
  const template = templateOf({ buttons });
  const sections = [{ title: "New", products: ["sku-1", "{{ orderName }}"] }];
  const mpm = { index: 0, value: "sku-1", sections };
  const catalog = { index: 1, value: "sku-1" };
  assert.deepEqual(faults({ body: ORDER_BODY, buttons: [mpm, catalog] }, template), []);
  const missing = faults({ body: ORDER_BODY }, template);
  assertFault(missing, /^template\.buttons: button 0 needs the product whose picture is shown$/);
  assertFault(missing, /^template\.buttons: button 0 needs sections of products$/);
  assertFault(missing, /^template\.buttons: button 1 needs the product/);
  const many = { title: "x".repeat(25), products: Array<string>(20).fill("sku") };
  const wrong = faults(
    {
      body: ORDER_BODY,
      buttons: [{ ...mpm, sections: [many, many], data: { a: "b" } }, catalog, { index: 3, value: "stop", sections }],
    },
    template,
  );
  assertFault(wrong, /^template\.buttons\[0\]\.sections: has 40 products; WhatsApp takes 30$/);
  assertFault(wrong, /^template\.buttons\[0\]\.sections\[0\]\.title: is longer than 24 characters$/);
  assertFault(wrong, /^template\.buttons\[0\]\.data: button 0 opens no flow$/);
  assertFault(wrong, /^template\.buttons\[2\]\.sections: button 3 opens no list of products$/);
});

test("tells the faults of mapping and template together", () => {
  const definition = campaignOf({
    template: { body: ["a"] },
    attributes: { phoneNumber: { path: "a..b", type: "phone" } },
  });
  const found = faultsOf(definition, templateOf());
  assertFault(found, /^template\.body: has 1 values/);
  assertFault(found, /^trigger\.attributes\.phoneNumber\.path/);
});

test("an optional attribute that a variable cannot do without becomes required at the door", () => {
  const campaign = compiled(
    campaignOf({ template: { body: ["{{ firstName }}", "{{ orderName }}", "{{ total }}"] } }),
    templateOf(),
  );
  const extraction = campaign.extract({ phone: "+12125550142", name: "#1" });
  assert.ok(extraction.kind === "invalid");
  assert.deepEqual(
    extraction.faults.map(({ attribute, code }) => [attribute, code]),
    [["total", "required"]],
  );
});
