import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { parsePath, readPath, PATH_LENGTH_MAX, PATH_STEPS_MAX } from "../../engine/campaign/attribute-path.ts";
import type { AttributePath } from "../../engine/campaign/attribute-path.ts";

function pathOf(text: string): AttributePath {
  const parsed = parsePath(text);
  if (parsed.kind === "malformed") assert.fail(parsed.message);
  return parsed.path;
}

const read = (payload: unknown, text: string): unknown => readPath(payload, pathOf(text));

test("follows dots, positions and quoted keys", () => {
  const payload = {
    customer: { phone: "1" },
    line_items: [{ title: "Mug" }],
    "odd.key": { x: 2 },
    "it's": { "a]b": 3 },
  };
  assert.equal(read(payload, "customer.phone"), "1");
  assert.equal(read(payload, "line_items[0].title"), "Mug");
  assert.equal(read(payload, "line_items.0.title"), "Mug");
  assert.equal(read(payload, '["odd.key"].x'), 2);
  assert.equal(read(payload, `["it's"]['a]b']`), 3);
});

test("leads nowhere without complaint", () => {
  for (const text of ["a", "a.b.c", "a[3].b", "a[0]", '["a"]["b"]']) {
    for (const payload of [{}, { a: null }, { a: "text" }, { a: 5 }, { a: [] }, null, "text", 7, undefined]) {
      const value = read(payload, text);
      assert.ok(
        value === undefined || text === "a",
        `${text} in ${JSON.stringify(payload)} gave ${JSON.stringify(value)}`,
      );
    }
  }
});

test("reads a list alike, whether it comes as an array or as an object with numbered keys", () => {
  const [first, second] = [{ telephone: "1" }, { telephone: "2" }];
  assert.equal(read({ addresses: [first, second] }, "addresses[0].telephone"), "1");
  assert.equal(read({ addresses: { "1": first, "2": second } }, "addresses[0].telephone"), "1");
  assert.equal(read({ addresses: { "17": first, "18": second } }, "addresses[1].telephone"), "2");
  assert.equal(read({ addresses: { "1": first, "2": second } }, "addresses.2.telephone"), "2");
  assert.equal(read({ addresses: { "1": first, "2": second } }, '["addresses"]["2"].telephone'), "2");
  assert.equal(read({ addresses: { home: first } }, "addresses[0].telephone"), undefined);
});

test("never reaches what a payload only inherits", () => {
  for (const text of ["constructor.name", "__proto__.x", "toString", "a.length", 'b["length"]', "b.map"]) {
    assert.equal(read({ a: "text", b: [1, 2] }, text), undefined, text);
  }
  assert.equal(read(JSON.parse('{"__proto__":{"x":1}}'), "__proto__.x"), 1);
});

test("points to the value as RFC 6901 has it", () => {
  assert.equal(pathOf("customer.addresses[0].phone").pointer, "/customer/addresses/0/phone");
  assert.equal(pathOf('["a/b~c"].x').pointer, "/a~1b~0c/x");
});

test("refuses what is no path, and says where", () => {
  for (const text of [
    "",
    ".",
    "a.",
    "a..b",
    ".a",
    "a[",
    "a[x]",
    "a[-1]",
    "a]b",
    "a[0",
    '["a',
    "[]",
    "a[0]b",
    'a"b',
    "[0].[1]",
  ]) {
    assert.equal(parsePath(text).kind, "malformed", text);
  }
  const parsed = parsePath("customer..phone");
  assert.ok(parsed.kind === "malformed" && /"customer\.\.phone" cannot be read at position 10/.test(parsed.message));
});

test("keeps to its limits", () => {
  assert.equal(parsePath("a".repeat(PATH_LENGTH_MAX)).kind, "parsed");
  assert.equal(parsePath("a".repeat(PATH_LENGTH_MAX + 1)).kind, "malformed");
  assert.equal(parsePath(Array(PATH_STEPS_MAX).fill("a").join(".")).kind, "parsed");
  assert.equal(
    parsePath(
      Array(PATH_STEPS_MAX + 1)
        .fill("a")
        .join("."),
    ).kind,
    "malformed",
  );
});

test("finds any key that is written quoted", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 5 }),
      fc.integer(),
      (keys, value) => {
        const payload = keys.reduceRight<unknown>((inner, key) => Object.fromEntries([[key, inner]]), value);
        const text = keys.map((key) => `["${key.replaceAll(/["\\]/g, "\\$&")}"]`).join("");
        fc.pre(text.length <= PATH_LENGTH_MAX && !/[\n\r\u2028\u2029]/.test(text));
        assert.equal(read(payload, text), value);
      },
    ),
  );
});

test("any text is a path or is refused, never a crash", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...Array.from("ab.[]\"'\\01 ")) }), (text) => {
      const parsed = parsePath(text);
      if (parsed.kind === "parsed") readPath({ a: [{ b: 1 }] }, parsed.path);
    }),
  );
});
