import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { replaceReferences } from "../../engine/runtime/environment-reference.ts";

test("references are replaced wherever a text stands", () => {
  const result = replaceReferences({ a: "${ONE}", b: ["x-${TWO}-${ONE}", 5, null] }, { ONE: "1", TWO: "2" });
  assert.deepEqual(result.value, { a: "1", b: ["x-2-1", 5, null] });
  assert.deepEqual(result.replaced, [["a"], ["b", 0]]);
  assert.deepEqual(result.unset, []);
});

test("what a variable holds is not looked at again", () => {
  const { value, malformed } = replaceReferences({ a: "${ONE}" }, { ONE: "${TWO}", TWO: "2" });
  assert.deepEqual(value, { a: "${TWO}" });
  assert.deepEqual(malformed, []);
});

test("an unset or blank variable leaves an empty text, and is told", () => {
  const { value, unset } = replaceReferences({ a: "Bearer ${ONE}", b: "${TWO}" }, { TWO: " " });
  assert.deepEqual(value, { a: "", b: "" });
  assert.deepEqual(unset, [
    { path: ["a"], variable: "ONE" },
    { path: ["b"], variable: "TWO" },
  ]);
});

test("an unset one may be left out altogether", () => {
  const { value } = replaceReferences({ list: ["${ONE}", "${TWO}"], a: "${ONE}" }, { TWO: "2" }, () => true);
  assert.deepEqual(value, { list: ["2"] });
});

test("inherited properties of the environment object are no variables", () => {
  const { unset } = replaceReferences("${constructor}", {});
  assert.deepEqual(unset, [{ path: [], variable: "constructor" }]);
});

for (const text of ["${my-secret}", "${}", "${1ST}", "x ${ NAME }", "${NAME"]) {
  test(`${text} is told as malformed, since taken literally it would make a poor secret`, () => {
    assert.deepEqual(replaceReferences({ a: text }, { NAME: "x" }).malformed, [["a"]]);
  });
}

test("a template's own dollar signs are left alone", () => {
  const text = "Total: ${{ total }}, $5, $";
  const result = replaceReferences(text, { total: "x" });
  assert.deepEqual(result, { value: text, replaced: [], unset: [], malformed: [] });
});

test("a value without a reference comes back equal", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      fc.pre(!JSON.stringify(value).includes("${"));
      assert.equal(JSON.stringify(replaceReferences(value, {}).value), JSON.stringify(value));
    }),
  );
});
