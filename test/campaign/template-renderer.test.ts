import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import type { TemplateUse } from "../../engine/message/campaign.ts";
import { BODY_LENGTH_MAX } from "../../engine/campaign/text-budget.ts";
import {
  campaignOf,
  compiled,
  componentsOf,
  MESSAGE_ID,
  ORDER_BODY,
  rendered,
  templateOf,
  unrenderableReason,
} from "./campaign-fixture.ts";

const order = compiled(campaignOf({ template: { body: ORDER_BODY } }), templateOf());

test("renders a positional template to the text and to the request", () => {
  const { message, request, changes } = rendered(order, {
    firstName: "Zoë",
    orderName: "#1001",
    total: "67.80",
  });
  assert.equal(message, "Hi Zoë, thank you for order #1001 of 67.80.");
  assert.deepEqual(JSON.parse(request), {
    messaging_product: "whatsapp",
    recipient_type: "individual",
    to: "+14155552671",
    type: "template",
    template: {
      name: "order_confirmation",
      language: { code: "en_US" },
      components: [
        {
          type: "body",
          parameters: [
            { type: "text", text: "Zoë" },
            { type: "text", text: "#1001" },
            { type: "text", text: "67.80" },
          ],
        },
      ],
    },
    biz_opaque_callback_data: MESSAGE_ID,
  });
  assert.deepEqual(changes, []);
});

test("names the attempt in the callback data from the second on", () => {
  const rendering = order.render({
    messageId: MESSAGE_ID,
    attempt: 3,
    phoneNumber: "+14155552671",
    attributes: { firstName: "Zoë", orderName: "#1001" },
  });
  assert.ok(
    rendering.kind === "rendered" && rendering.request.includes(`"biz_opaque_callback_data":"${MESSAGE_ID}.3"`),
  );
});

test("renders a named template with a name for each value, in the template's order", () => {
  const campaign = compiled(
    campaignOf({
      template: {
        body: { total: "{{ total }}", first_name: "{{ firstName }}" },
        header: { first_name: "{{ firstName }}" },
      },
    }),
    templateOf({
      parameter_format: "NAMED",
      header: { format: "TEXT", text: "Thanks, {{first_name}}!" },
      body: "{{first_name}}, your total is {{total}}. Bye, {{first_name}}!",
    }),
  );
  const { message, request } = rendered(campaign, {
    firstName: "Zoë",
    orderName: "#1",
    total: "5",
  });
  assert.equal(message, "Zoë, your total is 5. Bye, Zoë!");
  assert.deepEqual(componentsOf(request), [
    { type: "header", parameters: [{ type: "text", parameter_name: "first_name", text: "Zoë" }] },
    {
      type: "body",
      parameters: [
        { type: "text", parameter_name: "first_name", text: "Zoë" },
        { type: "text", parameter_name: "total", text: "5" },
      ],
    },
  ]);
});

test("a payload's own placeholders and quotes are data", () => {
  const attributes = {
    firstName: '{{2}} {{ orderName }} {% if x %} "\\',
    orderName: "\u0000hole:0\u0000{{1}}",
  };
  const { message, request } = rendered(order, attributes);
  assert.equal(message, 'Hi {{2}} {{ orderName }} {% if x %} "\\, thank you for order hole:0{{1}} of see your e-mail.');
  assert.doesNotThrow(() => JSON.parse(request));
});

test("makes values fit and says what it changed", () => {
  const { message, changes } = rendered(order, {
    firstName: "Zoë\r\nof\tNowhere",
    orderName: "a     b\u0007\uD800",
  });
  assert.equal(message, "Hi Zoë of Nowhere, thank you for order a   b\uFFFD of see your e-mail.");
  assert.deepEqual(changes, [
    "body {{1}}: line breaks replaced by spaces",
    "body {{1}}: tabs replaced by spaces",
    "body {{2}}: control characters removed",
    "body {{2}}: runs of spaces shortened to three",
    "body {{2}}: broken characters replaced",
  ]);
});

test("an empty value is unrenderable, in a sentence that names it", () => {
  assert.equal(
    unrenderableReason(order, { firstName: "Zoë" }),
    "The template's body {{2}} is empty, which WhatsApp refuses: orderName has no value, and the campaign gives no default.",
  );
  assert.match(unrenderableReason(order, { firstName: " \n ", orderName: "#1" }), /body \{\{1\}\} is empty/);
});

test("keeps the body to its length by shortening the longest value between characters", () => {
  const family = "👨‍👩‍👧‍👦";
  const { message, changes } = rendered(order, {
    firstName: "Zoë",
    orderName: family.repeat(200),
    total: "67.80",
  });
  assert.ok(
    message.length <= BODY_LENGTH_MAX && message.length > BODY_LENGTH_MAX - family.length - 1,
    String(message.length),
  );
  assert.match(message, new RegExp(`order (${family})+… of 67.80\\.$`, "u"));
  assert.match(
    changes.join(),
    /^body \{\{2\}\}: shortened from 2200 to \d+ characters, so that the body keeps to 1024$/,
  );
});

test("keeps a text header to 60 characters", () => {
  const campaign = compiled(
    campaignOf({ template: { header: "{{ orderName }}", body: ORDER_BODY } }),
    templateOf({ header: { format: "TEXT", text: "Order {{1}} confirmed" } }),
  );
  const { request, changes } = rendered(campaign, { firstName: "Zoë", orderName: "x".repeat(100) });
  assert.ok(request.includes(`{"type":"header","parameters":[{"type":"text","text":"${"x".repeat(43)}…"}]}`), request);
  assert.match(changes.join(), /header \{\{1\}\}: shortened from 100 to 44/);
});

const URL_BUTTON = [
  { type: "URL", text: "View", url: "https://shop.example.com/o/{{1}}" },
  { type: "QUICK_REPLY", text: "Help" },
];

function buttonValue(given: string): string {
  const campaign = compiled(
    campaignOf({
      template: { body: ORDER_BODY, buttons: [{ index: 0, value: "{{ orderName }}" }] },
    }),
    templateOf({ buttons: URL_BUTTON }),
  );
  const rendering = campaign.render({
    messageId: MESSAGE_ID,
    attempt: 1,
    phoneNumber: "+14155552671",
    attributes: { firstName: "Zoë", orderName: given },
  });
  if (rendering.kind === "unrenderable") return rendering.reason;
  return (
    /"sub_type":"url","index":"0","parameters":\[\{"type":"text","text":"([^"]*)"/.exec(rendering.request)?.[1] ?? ""
  );
}

test("fills a URL button with what follows the template's fixed part", () => {
  assert.equal(buttonValue("1001?key=abc"), "1001?key=abc");
  assert.equal(buttonValue("https://shop.example.com/o/1001?key=abc"), "1001?key=abc");
  assert.equal(buttonValue("http://shop.example.com/o/1001"), "1001");
  assert.equal(buttonValue("a b/ü%20c&d#e"), "a%20b/%C3%BC%20c&d#e");
  assert.match(buttonValue("https://other.example.com/o/1001"), /button 0 is a link that does not begin with/);
  assert.match(buttonValue("https://shop.example.com/o/"), /says nothing beyond/);
  assert.match(buttonValue("x".repeat(2001)), /more than 2000 characters/);
});

test("hands a redirector the whole link, encoded", () => {
  const campaign = compiled(
    campaignOf({
      template: { body: ORDER_BODY, buttons: [{ index: 0, value: "{{ orderName }}" }] },
    }),
    templateOf({ buttons: [{ type: "URL", text: "Go", url: "https://r.example.com/?to={{1}}" }] }),
  );
  const { request } = rendered(campaign, {
    firstName: "Zoë",
    orderName: "https://a.example/b?c=d&e=f g",
  });
  assert.ok(request.includes('"https%3A%2F%2Fa.example%2Fb%3Fc%3Dd%26e%3Df%20g"'), request);
});

test("fills quick replies and codes to copy", () => {
  const campaign = compiled(
    campaignOf({
      template: {
        body: ORDER_BODY,
        buttons: [
          { index: 0, value: "help:{{ orderName }}" },
          { index: 2, value: "{{ total }}" },
        ],
      },
    }),
    templateOf({
      buttons: [
        { type: "QUICK_REPLY", text: "Help" },
        { type: "QUICK_REPLY", text: "Stop" },
        { type: "COPY_CODE", text: "Copy" },
        { type: "PHONE_NUMBER", text: "Call", phone_number: "+15550051310" },
      ],
    }),
  );
  const { request } = rendered(campaign, { firstName: "Zoë", orderName: "#1", total: "VUELVE10" });
  assert.deepEqual(componentsOf(request).slice(1), [
    {
      type: "button",
      sub_type: "quick_reply",
      index: "0",
      parameters: [{ type: "payload", payload: "help:#1" }],
    },
    {
      type: "button",
      sub_type: "copy_code",
      index: "2",
      parameters: [{ type: "coupon_code", coupon_code: "VUELVE10" }],
    },
  ]);
  assert.match(
    unrenderableReason(campaign, { firstName: "Zoë", orderName: "#1", total: "x".repeat(21) }),
    /longer than 20/,
  );
});

const OTP_TEMPLATE = templateOf({
  category: "AUTHENTICATION",
  body: "*{{1}}* is your verification code.",
  buttons: [
    {
      type: "URL",
      text: "Copy code",
      url: "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{{1}}",
    },
  ],
});

test("sends a one-time code twice, as Meta demands", () => {
  const campaign = compiled(campaignOf({ template: { body: ["{{ orderName }}"] } }), OTP_TEMPLATE);
  assert.deepEqual(componentsOf(rendered(campaign, { orderName: "J$FpnYnP" }).request), [
    { type: "body", parameters: [{ type: "text", text: "J$FpnYnP" }] },
    {
      type: "button",
      sub_type: "url",
      index: "0",
      parameters: [{ type: "text", text: "J$FpnYnP" }],
    },
  ]);
  assert.match(unrenderableReason(campaign, { orderName: "1".repeat(16) }), /longer than 15/);
  assert.match(unrenderableReason(campaign, { orderName: "1😀" }), /emoji/);
});

function headerOf(
  header: NonNullable<TemplateUse["header"]>,
  format: string,
  attributes: Record<string, string> = {},
): unknown {
  const campaign = compiled(campaignOf({ template: { header, body: ORDER_BODY } }), templateOf({ header: { format } }));
  const components = componentsOf(rendered(campaign, { firstName: "Zoë", orderName: "#1", ...attributes }).request);
  return components[0]?.parameters[0];
}

test("fills media headers with a link or with an uploaded media's id", () => {
  assert.deepEqual(headerOf({ image: "https://cdn.example.com/p.png" }, "IMAGE"), {
    type: "image",
    image: { link: "https://cdn.example.com/p.png" },
  });
  assert.deepEqual(headerOf({ video: "2871834006348767" }, "video"), {
    type: "video",
    video: { id: "2871834006348767" },
  });
  assert.deepEqual(
    headerOf({ document: "{{ total }}", filename: "{{ orderName }}.pdf" }, "DOCUMENT", {
      total: "https://cdn.example.com/1.pdf",
    }),
    {
      type: "document",
      document: { link: "https://cdn.example.com/1.pdf", filename: "#1.pdf" },
    },
  );
  const campaign = compiled(
    campaignOf({ template: { header: { image: "{{ total }}" }, body: ORDER_BODY } }),
    templateOf({ header: { format: "IMAGE" } }),
  );
  assert.match(
    unrenderableReason(campaign, { firstName: "Zoë", orderName: "#1", total: "p.png" }),
    /neither an http\(s\) link nor a media id/,
  );
});

test("fills a location header", () => {
  const header = {
    latitude: "37.483307",
    longitude: "-122.148981",
    name: "{{ firstName }}",
    address: "1 Hacker Way",
  };
  assert.deepEqual(headerOf(header, "LOCATION"), {
    type: "location",
    location: {
      latitude: "37.483307",
      longitude: "-122.148981",
      name: "Zoë",
      address: "1 Hacker Way",
    },
  });
});

test("a template without variables is sent as it is", () => {
  const campaign = compiled(campaignOf(), templateOf({ body: "Welcome!" }));
  const { message, request } = rendered(campaign, { orderName: "#1" });
  assert.equal(message, "Welcome!");
  assert.deepEqual(componentsOf(request), []);
});

test("a filter that cannot work on a contact's value makes that message unrenderable, not a crash", () => {
  const campaign = compiled(
    campaignOf({
      template: {
        body: ["{{ firstName }}", "{{ orderName }}", "{{ total | repeat_it }}"]
          .slice(0, 2)
          .concat("{{ total | divided_by: 0 | append: 'x' }}"),
      },
    }),
    templateOf(),
  );
  const rendering = campaign.render({
    messageId: MESSAGE_ID,
    attempt: 1,
    phoneNumber: "+14155552671",
    attributes: { firstName: "a", orderName: "b", total: "5" },
  });
  assert.ok(rendering.kind === "rendered" || rendering.reason.startsWith("The template's body {{3}}"));
});

test("whatever the values, the request is JSON that carries no line break and keeps to its length", () => {
  const text = fc.string({
    unit: fc.oneof(fc.constantFrom(...Array.from('\n\t\r \u2028{}"\\%')), fc.string({ unit: "binary", maxLength: 2 })),
    maxLength: 900,
  });
  fc.assert(
    fc.property(text, text, text, (firstName, orderName, total) => {
      const rendering = order.render({
        messageId: MESSAGE_ID,
        attempt: 1,
        phoneNumber: "+14155552671",
        attributes: { firstName, orderName, total },
      });
      if (rendering.kind === "unrenderable") return assert.match(rendering.reason, /is empty/);
      assert.ok(rendering.message.length <= BODY_LENGTH_MAX);
      assert.doesNotMatch(rendering.message, /[\n\r\t\u2028]| {4}/);
      const [body] = componentsOf(rendering.request);
      const [first, second, third] = body?.parameters.map((parameter) => parameter.text) ?? [];
      assert.equal(rendering.message, `Hi ${first}, thank you for order ${second} of ${third}.`);
    }),
    { numRuns: 500 },
  );
});
