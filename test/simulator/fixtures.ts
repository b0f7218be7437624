// Templates, senders and sends that the simulator's tests share.

import type { WhatsAppTemplate } from "../../engine/message/template.ts";

export const NUMBER_ID = "200000000000001";
export const WABA_ID = "300000000000001";
export const TOKEN = "test-token";

export const greeting: WhatsAppTemplate = {
  id: "1000000000000001",
  name: "greeting",
  language: "en",
  status: "APPROVED",
  category: "UTILITY",
  parameter_format: "POSITIONAL",
  components: [{ type: "BODY", text: "Hello {{1}}, parcel {{2}} waits. Bye {{1}}!" }],
};

const invoice: WhatsAppTemplate = {
  id: "1000000000000002",
  name: "invoice",
  language: "pt_BR",
  status: "APPROVED",
  category: "MARKETING",
  components: [
    { type: "HEADER", format: "DOCUMENT" },
    { type: "BODY", text: "Olá {{nome}}, segue a fatura {{fatura}}." },
    {
      type: "BUTTONS",
      buttons: [
        { type: "URL", text: "Pagar", url: "https://pay.example.com/{{1}}" },
        { type: "QUICK_REPLY", text: "Ajuda" },
        { type: "COPY_CODE", text: "Copiar" },
      ],
    },
  ],
};

const place: WhatsAppTemplate = {
  name: "place",
  language: "en",
  status: "APPROVED",
  category: "UTILITY",
  components: [
    { type: "header", format: "location" },
    { type: "body", text: "We meet here." },
  ],
};

const code: WhatsAppTemplate = {
  name: "code",
  language: "en",
  status: "APPROVED",
  category: "AUTHENTICATION",
  components: [
    { type: "BODY", text: "*{{1}}* is your code." },
    {
      type: "BUTTONS",
      buttons: [{ type: "URL", text: "Copy", url: "https://www.whatsapp.com/otp/code/?code=otp{{1}}" }],
    },
  ],
};

export const templates: readonly WhatsAppTemplate[] = [
  greeting,
  invoice,
  place,
  code,
  { ...greeting, name: "paused", status: "PAUSED" },
  { ...greeting, name: "disabled", status: "DISABLED" },
  { ...greeting, name: "pending", status: "PENDING" },
];

export const text = (value: string): object => ({ type: "text", text: value });
export const named = (name: string, value: string): object => ({
  type: "text",
  parameter_name: name,
  text: value,
});
export const body = (...parameters: object[]): object => ({ type: "body", parameters });
export const button = (subType: string, index: string | number, parameter: object): object => ({
  type: "button",
  sub_type: subType,
  index,
  parameters: [parameter],
});

/** The parts of a send that fits {@link invoice}. */
export const invoiceParts: Readonly<Record<"header" | "body" | "url" | "coupon", object>> = {
  header: { type: "header", parameters: [{ type: "document", document: { link: "https://cdn.example.com/1.pdf" } }] },
  body: body(named("fatura", "F-7"), named("nome", "João")),
  url: button("url", "0", text("F-7?k=1")),
  coupon: button("copy_code", 2, { type: "coupon_code", coupon_code: "VOLTE10" }),
};

/** A body for `POST …/messages` that fits {@link greeting}; `fields` replace its own. */
export function greetingSend(fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    messaging_product: "whatsapp",
    recipient_type: "individual",
    to: "+14155550100",
    type: "template",
    template: { name: "greeting", language: { code: "en" }, components: [body(text("Ana"), text("P-1"))] },
    biz_opaque_callback_data: "message-1",
    ...fields,
  };
}

/** What lies at a path of a parsed body; undefined where the path ends early. */
export function valueAt(value: unknown, ...path: readonly (string | number)[]): unknown {
  let found = value;
  for (const step of path) {
    if (typeof found !== "object" || found === null) return undefined;
    found = Reflect.get(found, step);
  }
  return found;
}
