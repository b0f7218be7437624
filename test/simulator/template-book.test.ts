/* oxlint-disable typescript/no-unsafe-type-assertion -- what is parsed here was written by the code under test. */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import type { WhatsAppTemplate } from "../../engine/message/template.ts";
import { readSend } from "../../engine/simulator/send-request.ts";
import { TemplateBook } from "../../engine/simulator/template-book.ts";
import { body, button, greetingSend, invoiceParts, named, templates, text } from "./fixtures.ts";

const SAMPLES = "../shared/samples/templates";
const book = new TemplateBook(templates);

/** The rendered text, or `code: details`. */
function check(name: string, language: string, components: readonly object[], apiVersion = 26): string {
  const send = greetingSend({ template: { name, language: { code: language }, components } });
  const reading = readSend(JSON.stringify(send));
  assert.equal(reading.kind, "send");
  const result = book.check(reading.request, apiVersion);
  return result.kind === "fits" ? result.text : `${result.fault.code}: ${result.fault.details ?? ""}`;
}

const greet = (...parameters: object[]): string => check("greeting", "en", [body(...parameters)]);
const bill = (...parts: object[]): string => check("invoice", "pt_BR", parts);

test("renders positional and named variables, also one that appears twice", () => {
  assert.equal(greet(text("Ana"), text("P-1")), "Hello Ana, parcel P-1 waits. Bye Ana!");
  const { header, url, coupon } = invoiceParts;
  assert.equal(bill(header, invoiceParts.body, url, coupon), "Olá João, segue a fatura F-7.");
});

test("shows the fallback of currency and date_time", () => {
  const price = { type: "currency", currency: { fallback_value: "€5", code: "EUR", amount_1000: 5000 } };
  const date = { type: "date_time", date_time: { fallback_value: "May 4" } };
  assert.equal(greet(price, date), "Hello €5, parcel May 4 waits. Bye €5!");
});

test("a value that looks like a variable or a pattern stays as it is", () => {
  assert.equal(greet(text("{{2}}"), text("$& $1")), "Hello {{2}}, parcel $& $1 waits. Bye {{2}}!");
});

test("a template must exist in that very language and be approved", () => {
  const values = [body(text("Ana"), text("P-1"))];
  assert.equal(check("nothing", "en", values), "132001: template name (nothing) does not exist in en");
  assert.equal(check("greeting", "en_US", values), "132001: template name (greeting) does not exist in en_US");
  assert.match(check("pending", "en", values), /^132001/);
  assert.match(check("paused", "en", values), /^132015/);
  assert.match(check("disabled", "en", values), /^132016/);
});

const details = (given: number, expected: number): string =>
  `132000: body: number of localizable_params (${given}) does not match the expected number of params (${expected})`;

test("counts values as Meta does", () => {
  assert.equal(greet(text("Ana")), details(1, 2));
  assert.equal(check("greeting", "en", []), details(0, 2));
  assert.match(
    check("greeting", "en", [{ type: "HEADER", parameters: [text("x")] }]),
    /^132000: header: .*\(1\).*\(0\)/,
  );
});

test("refuses empty values, line breaks, tabs and five spaces, but not four", () => {
  assert.equal(greet(text(""), text("P")), "131008: Parameter of type text is missing text value");
  for (const value of ["a\nb", "a\tb", "a\rb", "a     b"]) {
    const message = "Param text cannot have new-line/tab characters or more than 4 consecutive spaces";
    assert.equal(greet(text(value), text("P")), `132018: ${message}`);
  }
  assert.match(greet(text("a    b"), text("P")), /^Hello a {4}b/);
  assert.match(check("greeting", "en", [body(text("a\nb"), text("P"))], 22), /^100: Param text/);
});

test("named values need a name that the template knows, once", () => {
  const { header, url, coupon } = invoiceParts;
  const withBody = (...parameters: object[]): string => bill(header, body(...parameters), url, coupon);
  assert.equal(withBody(text("João"), named("fatura", "1")), "100: Parameter name is missing or empty");
  assert.match(withBody(named("name", "João"), named("fatura", "1")), /^100: Parameter name name does not exist/);
  assert.match(withBody(named("fatura", "1"), named("fatura", "1")), /^100: Parameter name is given more than once/);
});

const codeOf = (value: string): string => check("code", "en", [body(text(value)), button("url", 0, text("1"))]);

test("a text beyond 1,024 characters is refused; characters beyond 16 bits count once", () => {
  const room = 1024 - "** is your code.".length;
  assert.match(codeOf("😀".repeat(room)), /^\*😀/u);
  assert.match(codeOf("😀".repeat(room + 1)), /^132005: .* 1025 characters/);
});

test("a media header needs the right kind with an id or a link", () => {
  const { body: values, url, coupon } = invoiceParts;
  const withHeader = (parameter: object): string =>
    bill({ type: "header", parameters: [parameter] }, values, url, coupon);
  assert.match(withHeader({ type: "document", document: { id: "77" } }), /^Olá/);
  assert.match(withHeader({ type: "document", document: {} }), /^131008: header/);
  assert.match(withHeader({ type: "document", document: { link: "file:///etc/passwd" } }), /^131008: header/);
  assert.equal(
    withHeader({ type: "image", image: { id: "77" } }),
    "132012: header: Format mismatch, expected DOCUMENT, received IMAGE",
  );
  assert.match(bill(values, url, coupon), /^132000: header/);
});

const placeAt = (location: object): string =>
  check("place", "en", [{ type: "header", parameters: [{ type: "location", location }] }]);

test("a location header needs its coordinates", () => {
  assert.equal(placeAt({ latitude: "37.4", longitude: -122, name: "x", address: "y" }), "We meet here.");
  assert.match(placeAt({ latitude: "north", longitude: 1 }), /^131008: header/);
});

test("each button that needs a value gets one of its own kind", () => {
  const { header, body: values, url, coupon } = invoiceParts;
  const needs = "131008: buttons: Button at index 0 of type Url requires a parameter";
  assert.equal(bill(header, values, coupon), needs);
  assert.equal(bill(header, values, coupon, { type: "button", sub_type: "url", index: 0, parameters: [] }), needs);
  assert.match(bill(header, values, url), /^131008: .*index 2 of type Copy_code/);
  assert.match(bill(header, values, coupon, button("quick_reply", 0, { payload: "x" })), /^132012: .*index 0/);
  assert.match(bill(header, values, coupon, url, button("url", 9, text("x"))), /^132012: .*index 9/);
  assert.match(
    bill(header, values, coupon, url, button("QUICK_REPLY", 1, { type: "payload", payload: "help" })),
    /^Olá/,
  );
  const long = button("copy_code", 2, { type: "coupon_code", coupon_code: "x".repeat(21) });
  assert.match(bill(header, values, url, long), /^131009/);
});

test("an authentication code goes into the text and into the button", () => {
  assert.match(check("code", "en", [body(text("123456"))]), /^131008: buttons/);
  const fitting = check("code", "en", [body(text("123456")), button("url", "0", text("123456"))]);
  assert.equal(fitting, "*123456* is your code.");
});

test("the collected sends of real shape all fit their templates", { skip: !existsSync(SAMPLES) }, () => {
  const files = readdirSync(SAMPLES).filter((file) => !file.startsWith("_"));
  const read = (file: string): unknown => JSON.parse(readFileSync(join(SAMPLES, file), "utf8"));
  const collected = new TemplateBook(files.map((file) => read(file) as WhatsAppTemplate));
  const sends = Object.values(read("_send-examples.json") as Record<string, object>);
  assert.ok(sends.length > 0);
  for (const send of sends) {
    const reading = readSend(JSON.stringify(send));
    assert.equal(reading.kind, "send");
    const result = collected.check(reading.request, 26);
    assert.equal(result.kind, "fits", JSON.stringify(result));
    assert.doesNotMatch(result.kind === "fits" ? result.text : "", /\{\{/);
  }
});
