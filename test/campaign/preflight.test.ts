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
  assertFault(faults({ body: ORDER_BODY }, template), /^lane: must be marketing: .*since Meta moved it from UTILITY$/);
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
    /^template\.header: must be \{ image: … \}: the template's header is a image$/,
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

test("components that Volley cannot fill are refused by name", () => {
  const carousel = templateOf();
  const template = {
    ...carousel,
    components: [...carousel.components, { type: "carousel", cards: [] }],
  };
  assertFault(faults({ body: ORDER_BODY }, template), /has a CAROUSEL component/);
  assertFault(
    faults({ body: ORDER_BODY }, templateOf({ buttons: [{ type: "FLOW", text: "Start" }] })),
    /button 0 is of type FLOW/,
  );
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
