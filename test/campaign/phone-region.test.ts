import assert from "node:assert/strict";
import { test } from "node:test";

import { PhoneRegions } from "../../engine/campaign/phone-region.ts";

test("a number tells its country, also where countries share a calling code", () => {
  const { regionOf } = new PhoneRegions();
  assert.equal(regionOf("+4915112345678"), "DE");
  assert.equal(regionOf("+12125550123"), "US");
  assert.equal(regionOf("+14165550123"), "CA");
  assert.equal(regionOf("+447400123456"), "GB");
});

test("what is no number of a country has none", () => {
  const { regionOf } = new PhoneRegions();
  for (const text of ["", "+", "+88312345678901", "+999123456", "hello"]) assert.equal(regionOf(text), "", text);
});

test("it forgets before it grows without bound, and answers the same", () => {
  const { regionOf } = new PhoneRegions();
  for (let number = 0; number < 50_001; number++) regionOf(`+49151${10_000_000 + number}`);
  assert.equal(regionOf("+4915110000000"), "DE");
});
