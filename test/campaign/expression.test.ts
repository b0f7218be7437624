import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";
import { Liquid } from "liquidjs";

import type { Attributes } from "../../engine/message/event.ts";
import { compileExpression, EXPRESSION_LENGTH_MAX } from "../../engine/campaign/expression.ts";
import type { Expression } from "../../engine/campaign/expression.ts";

function expressionOf(text: string, language = "en_US"): Expression {
  const compiled = compileExpression(text, language);
  if (compiled.kind === "malformed") assert.fail(compiled.message);
  return compiled.expression;
}

function evaluate(text: string, attributes: Attributes = {}, language?: string): string {
  return expressionOf(text, language).evaluate({ phoneNumber: "+14155552671", attributes });
}

function at(date: string, language?: string): string {
  return evaluate("{{ d | date: '%B %-d, %H:%M' }}", { d: date }, language);
}

function factsOf(text: string): unknown {
  const { references, needs, literal } = expressionOf(text);
  return { references, needs, literal };
}

test("puts attributes where they are named", () => {
  const attributes = { firstName: "Zoë", count: 3, isGift: true };
  assert.equal(evaluate("{{ firstName }}", attributes), "Zoë");
  assert.equal(evaluate("{{firstName}} has {{ count }} items ({{ isGift }})", attributes), "Zoë has 3 items (true)");
  assert.equal(evaluate("{{ phoneNumber }}"), "+14155552671");
  assert.equal(evaluate("{{ missing }}", attributes), "");
  assert.equal(evaluate("{{ missing | default: 'see your e-mail' }}", attributes), "see your e-mail");
  assert.equal(evaluate('{{ missing | default: "there" }}', attributes), "there");
  assert.equal(evaluate("plain text"), "plain text");
});

test("the fast path answers as Liquid does", () => {
  const liquid = new Liquid();
  const name = fc.constantFrom("a", "b", "missing");
  const output = fc.oneof(
    name.map((text) => `{{ ${text} }}`),
    name.map((text) => `{{${text}|default:'x y'}}`),
    name.map((text) => `{{ ${text} | default: "" }}`),
    fc.constantFrom("text ", " ", "} { ", "#"),
  );
  const value = fc.oneof(fc.string(), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean());
  fc.assert(
    fc.property(fc.array(output, { maxLength: 4 }), value, value, (parts, a, b) => {
      const text = parts.join("");
      assert.equal(evaluate(text, { a, b }), liquid.parseAndRenderSync(text.trim(), { a, b }), text);
    }),
  );
});

test("everything else is Liquid: filters, conditions, assignments", () => {
  assert.equal(evaluate("{{ name | remove: '#' | append: '!' }}", { name: "#1001" }), "1001!");
  assert.equal(evaluate("{% if count > 1 %}{{ count }} items{% else %}one item{% endif %}", { count: 3 }), "3 items");
  assert.equal(evaluate("{% assign half = total | divided_by: 2 %}{{ half }}", { total: 10 }), "5");
});

test("shows dates in the shop's own offset and the template's language, whatever the machine's", () => {
  assert.equal(at("2021-12-31T19:00:00-05:00"), "December 31, 19:00");
  assert.equal(at("2021-12-31T23:30:00Z"), "December 31, 23:30");
  assert.equal(at("2021-12-31"), "December 31, 00:00");
  assert.equal(at("2021-12-31 19:00:00"), "December 31, 19:00");
  assert.equal(at("2021-12-31T19:00:00", "pt_BR"), "dezembro 31, 19:00");
  assert.equal(at("2021-12-31T19:00:00", "no such language"), "December 31, 19:00");
});

test("tells what it names, what it cannot do without, and what is constant", () => {
  assert.deepEqual(factsOf("{{ a }}"), { references: ["a"], needs: "a", literal: null });
  assert.deepEqual(factsOf(" {{ a }} "), { references: ["a"], needs: "a", literal: null });
  assert.deepEqual(factsOf("{{ a | default: 'x' }}"), {
    references: ["a"],
    needs: null,
    literal: null,
  });
  assert.deepEqual(factsOf("{{ a | default: '' }}"), {
    references: ["a"],
    needs: "a",
    literal: null,
  });
  assert.deepEqual(factsOf("#{{ a }}{{ b }}{{ a }}"), {
    references: ["a", "b"],
    needs: null,
    literal: null,
  });
  assert.deepEqual(factsOf("SALE10"), { references: [], needs: null, literal: "SALE10" });
  assert.deepEqual(factsOf("{{ a | upcase }}{% assign c = b %}{{ c }}"), {
    references: ["a", "b"],
    needs: null,
    literal: null,
  });
});

test("reads no inherited property, no file, and nothing of the machine", () => {
  assert.equal(evaluate("{{ constructor }}{{ toString }}"), "");
  assert.equal(evaluate("{{ a.constructor.name | default: 'none' }}", { a: "x" }), "none");
  for (const text of [
    "{% include 'x' %}",
    "{% render '/etc/passwd' %}",
    "{% layout 'x' %}",
    "{% for i in (1..9) %}x{% endfor %}",
    "{{ a | sample }}",
  ]) {
    assert.equal(compileExpression(text, "en").kind, "malformed", text);
  }
});

test("ends runaways", () => {
  assert.throws(() => evaluate("{{ (1..100000000) | join }}"), /memory/);
});

test("refuses what Liquid cannot read, and says why", () => {
  for (const text of ["{{ a", "{{{ a }}", "{{ a | nonsense }}", "{% if a %}", "{% nonsense %}", "{{ a }} {{"]) {
    const compiled = compileExpression(text, "en");
    assert.ok(compiled.kind === "malformed" && compiled.message.length > 5 && !compiled.message.includes("\n"), text);
  }
  assert.equal(compileExpression("a".repeat(EXPRESSION_LENGTH_MAX), "en").kind, "compiled");
  assert.equal(compileExpression("a".repeat(EXPRESSION_LENGTH_MAX + 1), "en").kind, "malformed");
});
