import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { phoneIdentity, userIdentity } from "../../engine/consent/phone-identity.ts";

const SAME = [
  ["Mexico", "+525512345678", "+5215512345678", "5215512345678"],
  ["Argentina", "+541187654321", "+5491187654321", "5491187654321"],
  ["Brazil, São Paulo", "+5511987654321", "551187654321", "5511987654321"],
  ["Brazil, Paraná", "+5541998765432", "554198765432"],
  ["United States", "+14155552671", "14155552671"],
] as const;

for (const [place, ...forms] of SAME) {
  test(`all forms of a number of ${place} are one person`, () => {
    assert.equal(new Set(forms.map(phoneIdentity)).size, 1, forms.map(phoneIdentity).join(" "));
  });
}

test("different people stay different", () => {
  const different = [
    // A landline and a mobile that differ in the ninth digit only: landlines never got one.
    ["+551133334444", "+5511933334444"],
    ["+525512345678", "+525512345679"],
    // Ten digits behind the country code: their 1 and 9 belong to the number.
    ["+521551234567", "+52551234567"],
    ["+549118765432", "+54118765432"],
    // Other countries keep their digits.
    ["+4915112345678", "+495112345678"],
  ] as const;
  for (const [left, right] of different) assert.notEqual(phoneIdentity(left), phoneIdentity(right), `${left} ${right}`);
});

test("what is no number is nobody", () => {
  for (const text of ["", "+", "abc", "+49 151", "US.1349", "1234", "1".repeat(18), "user.US.1"]) {
    assert.equal(phoneIdentity(text), null, text);
  }
});

test("an identity is its own identity, with and without a plus, and never a user's", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^(52|54|55|1|49)\d{6,13}$/), (digits) => {
      const identity = phoneIdentity(digits);
      assert.ok(identity !== null);
      assert.equal(phoneIdentity(`+${digits}`), identity);
      assert.equal(phoneIdentity(identity), identity);
      assert.notEqual(identity, userIdentity(digits));
    }),
  );
});
