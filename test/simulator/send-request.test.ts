import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { readSend } from "../../engine/simulator/send-request.ts";
import { greetingSend } from "./fixtures.ts";

const faultOf = (fields: Readonly<Record<string, unknown>>): string => {
  const reading = readSend(JSON.stringify(greetingSend(fields)));
  return reading.kind === "refused" ? `${reading.fault.code} ${reading.fault.message ?? reading.fault.details}` : "";
};

const waIdOf = (to: unknown): string => readSend(JSON.stringify(greetingSend({ to }))).request.waId;

test("reads what a send says", () => {
  const reading = readSend(JSON.stringify(greetingSend()));
  assert.equal(reading.kind, "send");
  const { to, waId, templateName, language, callbackData } = reading.request;
  assert.deepEqual(
    [to, waId, templateName, language, callbackData],
    ["+14155550100", "14155550100", "greeting", "en", "message-1"],
  );
});

const required = (name: string): string => `100 (#100) The parameter ${name} is required.`;

test("names the parameter that is missing", () => {
  assert.equal(faultOf({ messaging_product: undefined }), required("messaging_product"));
  assert.equal(faultOf({ to: undefined }), required("to"));
  assert.equal(faultOf({ template: undefined }), required("template"));
  assert.equal(faultOf({ template: { language: { code: "en" } } }), required("template['name']"));
  assert.equal(faultOf({ template: { name: "x" } }), required("template['language']"));
  assert.match(faultOf({ messaging_product: "sms" }), /must be one of \{WHATSAPP\} - got "sms"/);
  assert.match(faultOf({ type: "text" }), /^131051/);
});

test("callback data has at most 512 characters", () => {
  assert.equal(faultOf({ biz_opaque_callback_data: "x".repeat(512) }), "");
  assert.match(faultOf({ biz_opaque_callback_data: "x".repeat(513) }), /^100 .*512/);
  assert.match(faultOf({ biz_opaque_callback_data: 7 }), /^100 .*string/);
});

test("takes numbers with signs and spaces, refuses what is none", () => {
  assert.equal(waIdOf("+1 (415) 555-0100"), "14155550100");
  assert.equal(waIdOf("14155550100"), "14155550100");
  for (const to of ["", "+", "12345", "+1415555010012345", "+0415555010", "anna", 14_155_550_100, null]) {
    assert.equal(waIdOf(to), "", JSON.stringify(to));
    assert.notEqual(faultOf({ to }), "");
  }
});

test("writes some Brazilian and Mexican numbers in WhatsApp's way", () => {
  assert.equal(waIdOf("+5531987654321"), "553187654321");
  assert.equal(waIdOf("+5511987654321"), "5511987654321");
  assert.equal(waIdOf("+525512345678"), "5215512345678");
});

test("no body makes it throw", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (body) => {
      assert.equal(readSend(body).kind, "refused");
    }),
  );
});
