// What a campaign's template part does with a contact's attributes, seen in the request that would be sent.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import type { WhatsAppTemplate } from "../../engine/message/template.ts";
import { type RunningEngine, runEngine } from "../support/running-engine.ts";
import { GREETING, greetingCampaign } from "../support/workspace.ts";
import { adminOf, assertProblem, type Client, type ProblemBody } from "./contract-kit.ts";

interface DryRun {
  readonly message: string;
  readonly phoneNumber: string;
  readonly request: { readonly template: { readonly components: unknown } };
}

const NAMED: WhatsAppTemplate = {
  ...GREETING,
  name: "named",
  parameter_format: "NAMED",
  components: [
    { type: "HEADER", format: "TEXT", text: "Order {{order_name}}" },
    { type: "BODY", text: "Hi {{first_name}}, {{order_name}} is here." },
    { type: "FOOTER", text: "Reply STOP to stop" },
    {
      type: "BUTTONS",
      buttons: [
        { type: "URL", text: "Track", url: "https://shop.example/track/{{1}}" },
        { type: "QUICK_REPLY", text: "Thanks" },
      ],
    },
  ],
};
const PICTURE: WhatsAppTemplate = {
  ...GREETING,
  name: "picture",
  components: [
    { type: "HEADER", format: "IMAGE" },
    { type: "BODY", text: "Look, {{1}}!" },
  ],
};

let engine: RunningEngine;
let admin: Client;

const attributes = {
  phoneNumber: {
    path: ["phone", "customer.phone", "shipping_address.phone"],
    type: "phone",
    required: true,
    defaultRegion: "US",
    regionPath: "shipping_address.country_code",
  },
  firstName: { path: ["customer.first_name", "first_name"], type: "string", default: "there" },
  orderName: { path: "name", type: "string" },
  total: { path: "total_price", type: "number" },
  title: { path: "line_items[0].title", type: "string" },
  code: { path: '["odd.key"].x', type: "string" },
  gift: { path: "gift", type: "boolean" },
};

function campaign(id: string, template: object): { id: string } {
  return greetingCampaign(id, { trigger: { attributes }, template: { language: "en_US", ...template } });
}

before(async () => {
  const greeting = (first: string, second: string): object => ({ name: "greeting", body: [first, second] });
  const campaigns = [
    campaign("positional", greeting("{{ firstName }}", "{{ orderName | default: 'see your e-mail' }}")),
    campaign(
      "liquid",
      greeting("{{ firstName | upcase }}", "{% if gift %}a gift{% else %}{{ total | times: 2 }}{% endif %}"),
    ),
    campaign(
      "mixed",
      greeting("{{firstName}} & co", "{{ title | default: \"nothing\" }} ({{ code | default: 'no code' }})"),
    ),
    campaign("named", {
      name: "named",
      header: "{{ orderName }}",
      body: { first_name: "{{ firstName }}", order_name: "{{ orderName }}" },
      buttons: [
        { index: 0, value: "{{ code }}" },
        { index: 1, value: "thanks-{{ orderName }}" },
      ],
    }),
    campaign("picture", {
      name: "picture",
      header: { image: "https://cdn.example/{{ code }}.png" },
      body: ["{{ firstName }}"],
    }),
  ];
  engine = await runEngine({ campaigns, templates: [GREETING, NAMED, PICTURE] });
  admin = adminOf(engine);
});

after(async () => engine.stop());

async function rehearse(campaignId: string, event: object): Promise<DryRun> {
  const answer = await admin.trigger<DryRun>(
    campaignId,
    { phone: "+14155552671", ...event },
    { query: "?dryRun=true" },
  );
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
}

test("fills numbered variables in order, with defaults for what is absent, null or blank", async () => {
  const full = await rehearse("positional", { customer: { first_name: "Ana" }, name: "#7" });
  assert.equal(full.message, "Hello Ana, your order #7 is on its way.");
  assert.deepEqual(full.request.template.components, [
    {
      type: "body",
      parameters: [
        { type: "text", text: "Ana" },
        { type: "text", text: "#7" },
      ],
    },
  ]);
  for (const event of [
    {},
    { customer: null, first_name: "", name: null },
    { customer: { first_name: "  " }, name: " " },
  ]) {
    assert.equal(
      (await rehearse("positional", event)).message,
      "Hello there, your order see your e-mail is on its way.",
    );
  }
  assert.equal(
    (await rehearse("positional", { customer: { first_name: "" }, first_name: "Bea" })).message.slice(0, 9),
    "Hello Bea",
  );
});

test("reads arrays, odd keys, HTML entities and Liquid", async () => {
  const event = {
    customer: { first_name: "Ana" },
    line_items: [{ title: "Ship &ndash; Blue &amp; red" }],
    "odd.key": { x: "c1" },
  };
  assert.equal(
    (await rehearse("mixed", event)).message,
    "Hello Ana & co, your order Ship – Blue & red (c1) is on its way.",
  );
  assert.equal(
    (await rehearse("liquid", { first_name: "Ana", total_price: "21" })).message,
    "Hello ANA, your order 42 is on its way.",
  );
  assert.equal((await rehearse("liquid", { gift: "true" })).message, "Hello THERE, your order a gift is on its way.");
});

test("takes a payload's own braces as data, and what JSON must escape as text", async () => {
  const names = [
    "{{ orderName }}",
    "{% assign x = 1 %}{{ x }}",
    "{{1}} {{2}}",
    '"},{"x":"\\',
    "\u0000hole:0\u0000 \u2028",
    "$& $1 %s",
  ];
  for (const first_name of names) {
    const { message, request } = await rehearse("positional", { first_name, name: "#7" });
    const expected = first_name.replaceAll("\u0000", "").replaceAll("\u2028", " ").trim();
    const [body] = request.template.components as [{ parameters: { text: string }[] }];
    assert.equal(body.parameters[0]?.text.replaceAll(/\s+/g, " ").trim(), expected.replaceAll(/\s+/g, " ").trim());
    assert.equal(body.parameters[1]?.text, "#7");
    assert.ok(message.endsWith(", your order #7 is on its way."));
  }
});

test("sends no line break, tab or long run of spaces in a value, and no text beyond 1,024 characters", async () => {
  const { message } = await rehearse("positional", { first_name: "A\nb\tc\r\nd          e", name: "x".repeat(2000) });
  assert.doesNotMatch(message, /[\n\r\t]| {5}/);
  assert.ok(message.length <= 1024, `${message.length}`);
});

test("fills named templates by name, the header, the URL's suffix and quick replies", async () => {
  const { message, request } = await rehearse("named", { first_name: "Ana", name: "#7", "odd.key": { x: "T 1/ä" } });
  assert.equal(message, "Hi Ana, #7 is here.");
  assert.deepEqual(request.template.components, [
    { type: "header", parameters: [{ type: "text", parameter_name: "order_name", text: "#7" }] },
    {
      type: "body",
      parameters: [
        { type: "text", parameter_name: "first_name", text: "Ana" },
        { type: "text", parameter_name: "order_name", text: "#7" },
      ],
    },
    { type: "button", sub_type: "url", index: "0", parameters: [{ type: "text", text: "T%201/%C3%A4" }] },
    { type: "button", sub_type: "quick_reply", index: "1", parameters: [{ type: "payload", payload: "thanks-#7" }] },
  ]);
});

test("fills a header's image, and refuses an event without a value that has no default", async () => {
  const { request } = await rehearse("picture", { first_name: "Ana", "odd.key": { x: "7" } });
  assert.deepEqual(request.template.components, [
    { type: "header", parameters: [{ type: "image", image: { link: "https://cdn.example/7.png" } }] },
    { type: "body", parameters: [{ type: "text", text: "Ana" }] },
  ]);
  const refused = await admin.trigger<ProblemBody>("named", { phone: "+14155552671", name: "#7" });
  assertProblem(refused, 422, "invalid_payload");
  assert.deepEqual(
    refused.body.errors.map(({ attribute, code }) => [attribute, code]),
    [["code", "required"]],
  );
});

test("finds the phone number along its paths, in the payload's region or the default one", async () => {
  const number = async (event: object): Promise<string> =>
    (await rehearse("positional", { phone: null, ...event })).phoneNumber;
  assert.equal(await number({ customer: { phone: "(415) 555-2671" } }), "+14155552671");
  assert.equal(
    await number({ phone: "", shipping_address: { phone: "020 7946 0018", country_code: "GB" } }),
    "+442079460018",
  );
  assert.equal(await number({ phone: "555-555-SHIP", customer: { phone: "+1(502)-459-2181" } }), "+15024592181");
  assert.equal(await number({ phone: 14155552671 }), "+14155552671");
});

test("sends to WhatsApp exactly what the rehearsal showed", async () => {
  const event = { phone: "+14155552671", first_name: "Zoë", name: "#7", "odd.key": { x: "7" } };
  for (const id of ["positional", "named", "picture", "mixed"]) {
    const { message } = await rehearse(id, event);
    const accepted = await admin.trigger(id, event);
    assert.equal(accepted.status, 202);
    await engine.untilNothingWaits([id]);
    const sent = (await engine.simulator.received()).find(
      (send) => send.bizOpaqueCallbackData === accepted.body.messageId,
    );
    assert.deepEqual([sent?.text, sent?.answer.kind], [message, "accepted"]);
    assert.equal((await engine.csv(id)).at(-1)?.["message"], message);
  }
});
