import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { parseYaml } from "../../engine/runtime/yaml-document.ts";
import type { YamlDocument } from "../../engine/runtime/yaml-document.ts";

function parsed(text: string): YamlDocument {
  const result = parseYaml(text);
  assert.equal(result.kind, "parsed", JSON.stringify(result));
  assert(result.kind === "parsed");
  return result.document;
}

test("every key and value can be found again in the text", () => {
  const document = parsed("server:\n  port: 80\nlist:\n  - a\n  - { b: 1 }\n");
  assert.deepEqual(document.positionOf(["server", "port"]), { line: 2, column: 9 });
  assert.deepEqual(document.positionOfKey(["server", "port"]), { line: 2, column: 3 });
  assert.deepEqual(document.positionOf(["list", 1, "b"]), { line: 5, column: 10 });
});

test("what is missing is placed at the nearest thing around it", () => {
  const document = parsed("a: 1\nserver:\n  port: 80\n");
  assert.deepEqual(document.positionOfKey(["server", "host"]), { line: 2, column: 1 });
});

test("a key without a value is placed at the key", () => {
  assert.deepEqual(parsed("a: 1\nserver:\n\nb: 2\n").positionOf(["server"]), { line: 2, column: 1 });
});

test("a place behind an alias is that of its anchor", () => {
  const document = parsed("base: &base { port: 80 }\nserver: *base\n");
  assert.deepEqual(document.positionOf(["server", "port"]), { line: 1, column: 21 });
});

test("integers beyond 2^53 keep every digit", () => {
  assert.deepEqual(parsed("id: 820982911946154508\nn: 7\nlarge: 1e300").value, {
    id: "820982911946154508",
    n: 7,
    large: 1e300,
  });
});

test("a key that is given twice is a fault with its place", () => {
  const result = parseYaml("a: 1\nb: 2\na: 3\n");
  assert.deepEqual(result, {
    kind: "malformed",
    faults: [{ at: { line: 3, column: 1 }, message: "this key is given twice" }],
  });
});

for (const [what, text] of [
  ["an unclosed list", "a: [1, 2"],
  ["a tab as indentation", "a:\n\tb: 1"],
  ["an alias without an anchor", "a: *nobody"],
  ["an unknown tag", "a: !secret x"],
  ["two documents", "a: 1\n---\nb: 2"],
  ["a mapping as a key", "? { a: 1 }\n: 2"],
  ["ten thousand open brackets", "[".repeat(10_000)],
  [
    "aliases that multiply",
    `a: &a [x,x,x,x,x,x,x,x,x,x]\n${"bcdefgh".replaceAll(/./g, (name, at: number) => `${name}: &${name} [${`*${"abcdefg".charAt(at)},`.repeat(9)}x]\n`)}`,
  ],
] as const) {
  test(`${what} is malformed, not a crash`, () => {
    const result = parseYaml(text);
    assert(result.kind === "malformed");
    assert.ok(result.faults[0] !== undefined && result.faults[0].message !== "");
  });
}

test("a mapping's `__proto__` is a key like any other", () => {
  const { value } = parsed("__proto__: { polluted: true }");
  assert.equal(JSON.stringify(value), '{"__proto__":{"polluted":true}}');
  assert.equal("polluted" in {}, false);
});

test("JSON is read as JSON, surrogate pairs and escapes included", () => {
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.string({ unit: "grapheme", minLength: 1 }),
        fc.oneof(fc.string({ unit: "grapheme" }), fc.boolean(), fc.integer(), fc.array(fc.string())),
      ),
      (value) => {
        for (const text of [JSON.stringify(value), JSON.stringify(value, null, 2)]) {
          assert.deepEqual(parsed(text).value, { ...value });
        }
      },
    ),
    { numRuns: 300 },
  );
  assert.deepEqual(parsed(String.raw`{"a":"\ud83d\ude00 \/ \u00e9"}`).value, { a: "😀 / é" });
});

test("whatever the text, the answer is a value", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(..."ab:-[]{}&*!|>'\"#%@ \n\t,?0".split("")), maxLength: 60 }),
      (text) => {
        assert.match(parseYaml(text).kind, /^(parsed|malformed)$/);
      },
    ),
    { numRuns: 2000 },
  );
});
