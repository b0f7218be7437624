import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

import * as fc from "fast-check";
import { getCountries, getCountryCallingCode } from "libphonenumber-js/max";

import { isSurelyCanonical } from "../../engine/campaign/phone-pattern.ts";
import { PHONE_TEXT_MAX, readPhone, readPhoneFully } from "../../engine/campaign/phone.ts";
import { regionOf } from "../../engine/campaign/region.ts";

const SAMPLES = "../shared/samples/phones.csv";

function answer(text: string, region?: string): string {
  const reading = readPhone(text, regionOf(region));
  return reading.kind === "valid" ? reading.phoneNumber : "INVALID";
}

function reasonOf(text: string, region?: string): string {
  const reading = readPhone(text, regionOf(region));
  return reading.kind === "invalid" ? reading.reason : "";
}

/** Text, region, expected. */
type Case = readonly [string, string, string];

function assertCases(cases: readonly Case[]): void {
  for (const [text, region, expected] of cases)
    assert.equal(answer(text, region), expected, `${text} in ${region || "no region"}`);
}

test("takes E.164 as it is, in any region or none", () => {
  assertCases([
    ["+12125550142", "", "+12125550142"],
    ["+12125550142", "GB", "+12125550142"],
    ["+447911123456", "US", "+447911123456"],
    ["+919876543210", "", "+919876543210"],
    ["+393331234567", "", "+393331234567"],
  ]);
});

test("reads national numbers by the region's rules", () => {
  assertCases([
    ["(212) 555-0142", "US", "+12125550142"],
    ["1 212 555 0142", "US", "+12125550142"],
    ["07911 123456", "GB", "+447911123456"],
    ["0044 7911 123456", "FR", "+447911123456"],
    ["011 44 7911 123456", "US", "+447911123456"],
    ["+44 (0)7911 123456", "GB", "+447911123456"],
    ["06 98 76 54 32", "FR", "+33698765432"],
    ["02 3661 8300", "IT", "+390236618300"],
    ["8 912 345-67-89", "RU", "+79123456789"],
    ["098765 43210", "IN", "+919876543210"],
  ]);
});

test("guesses nothing: no country code and no region is no number", () => {
  assertCases([
    ["12125550142", "", "INVALID"],
    ["(212) 555-0142", "", "INVALID"],
    ["16502530000", "IN", "INVALID"],
    ["0012125550142", "US", "INVALID"],
  ]);
});

test("refuses what is no number in use", () => {
  assertCases([
    ["555-555-SHIP", "US", "INVALID"],
    ["(555) 555-5555", "US", "INVALID"],
    ["+15555555555", "", "INVALID"],
    ["+11111111111", "", "INVALID"],
    ["+999 12345678", "", "INVALID"],
    ["+0 212 555 0142", "US", "INVALID"],
    ["911", "US", "INVALID"],
    ["null", "US", "INVALID"],
    ["n/a", "US", "INVALID"],
    ["+", "US", "INVALID"],
    ["+4930123456789012345", "DE", "INVALID"],
    ["05X-123-4567", "IL", "INVALID"],
  ]);
});

test("refuses two numbers, markup and spreadsheet damage", () => {
  assertCases([
    ["+12125550142,+12125550143", "US", "INVALID"],
    ["+12125550142 / +447911123456", "US", "INVALID"],
    ["call (212) 555-0142", "US", "INVALID"],
    ["<b>+12125550142</b>", "US", "INVALID"],
    ['"+12125550142"', "US", "INVALID"],
    ["'+12125550142", "US", "INVALID"],
    ["1.2125550142E10", "US", "INVALID"],
    ["2125550142.0", "US", "INVALID"],
    ["12125550142@c.us", "US", "INVALID"],
  ]);
});

test("reads what only looks odd: invisible marks, other digits, URI schemes, extensions", () => {
  assertCases([
    ["+1\u200E212\u200E5550142", "US", "+12125550142"],
    ["\u202A+12125550142\u202C", "US", "+12125550142"],
    ["tel:+1-212-555-0142", "", "+12125550142"],
    ["whatsapp:+12125550142", "", "+12125550142"],
    ["+1\u00A0212\u00A05550142", "", "+12125550142"],
    ["＋１２１２５５５０１４２", "", "+12125550142"],
    ["＋44 7911 123456", "US", "+447911123456"],
    ["٠٥٠١٢٣٤٥٦٧", "AE", "+971501234567"],
    ["(212) 555-0142 ext. 9", "US", "+12125550142"],
  ]);
});

test("answers the same every time for a phone-context, which the library does not", () => {
  const answers = Array.from({ length: 4 }, () => answer("tel:03-331-6005;phone-context=+64", "NZ"));
  assert.deepEqual(answers, ["INVALID", "INVALID", "INVALID", "INVALID"]);
});

test("refuses numbers that belong to no person", () => {
  assertCases([
    ["+1 888 555 0142", "US", "INVALID"],
    ["+800 1234 5678", "", "INVALID"],
    ["+979 123 456 789", "", "INVALID"],
    ["8 (800) 555-35-35", "RU", "INVALID"],
    ["+1 900 253 0000", "US", "INVALID"],
  ]);
  const reading = readPhone("+18002530000", undefined);
  assert.ok(reading.kind === "invalid" && reading.reason.includes("toll free"));
});

test("brings Mexican, Argentine, Brazilian and Indonesian numbers to the form WhatsApp knows", () => {
  assertCases([
    ["+52 1 33 1234 5678", "MX", "+523312345678"],
    ["044 33 1234 5678", "MX", "+523312345678"],
    ["045 33 1234 5678", "MX", "+523312345678"],
    ["01 33 1234 5678", "MX", "+523312345678"],
    ["33 1234 5678", "MX", "+523312345678"],
    ["+54 11 8765-4321", "", "+5491187654321"],
    ["011 8765-4321", "AR", "+5491187654321"],
    ["011 15 8765-4321", "AR", "+5491187654321"],
    ["+54 9 11 8765 4321", "", "+5491187654321"],
    ["+55 11 6123-4567", "", "+5511961234567"],
    ["(11) 6123-4567", "BR", "+5511961234567"],
    ["+557734881234", "", "+557734881234"],
    ["62812345678", "ID", "+62812345678"],
    ["0812-345-678", "ID", "+62812345678"],
  ]);
});

test("says why without repeating the number", () => {
  assert.match(reasonOf("12125550142"), /no country code/);
  assert.match(reasonOf("unknown"), /no digits/);
  assert.match(reasonOf("+1 212 555 01423"), /wrong number of digits/);
  assert.match(reasonOf("+15555555555"), /no number range/);
  assert.match(reasonOf("1".repeat(PHONE_TEXT_MAX + 1), "US"), /longer than 64/);
});

test("knows regions by code, by English name, and not by guess", () => {
  assert.equal(regionOf("us"), "US");
  assert.equal(regionOf(" GB "), "GB");
  assert.equal(regionOf("UK"), "GB");
  assert.equal(regionOf("United States"), "US");
  assert.equal(regionOf("Germany"), "DE");
  for (const raw of ["", "XX", "Kentucky", "USX", null, 49, {}, undefined]) assert.equal(regionOf(raw), undefined);
});

const CALLING_CODES: readonly string[] = [...new Set(getCountries().map((region) => getCountryCallingCode(region)))];

test("the shortcut for E.164 agrees with the full parse, on every calling code", () => {
  const digits = fc.string({
    unit: fc.constantFrom(...Array.from("0123456789")),
    minLength: 5,
    maxLength: 12,
  });
  let shortcuts = 0;
  fc.assert(
    fc.property(fc.constantFrom(...CALLING_CODES), digits, (callingCode, national) => {
      const text = `+${callingCode}${national}`;
      if (!isSurelyCanonical(text)) return;
      shortcuts += 1;
      assert.deepEqual(readPhoneFully(text, undefined), { kind: "valid", phoneNumber: text });
    }),
    { numRuns: 20_000 },
  );
  assert.ok(shortcuts > 500, `only ${shortcuts} of the numbers took the shortcut`);
});

test("the shortcut agrees near real numbers, where the numbering plans are dense", () => {
  const real = [
    "+12125550142",
    "+14165550142",
    "+447911123456",
    "+79123456789",
    "+77710009998",
    "+523312345678",
    "+5511961234567",
    "+393331234567",
    "+6281234567890",
    "+12423651234",
    "+5491187654321",
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...real),
      fc.array(fc.tuple(fc.nat(15), fc.nat(9)), { maxLength: 4 }),
      (text, edits) => {
        let edited = text;
        for (const [at, digit] of edits)
          if (at > 0) edited = edited.slice(0, at) + String(digit) + edited.slice(at + 1);
        const full = readPhoneFully(edited, undefined);
        if (isSurelyCanonical(edited)) assert.deepEqual(full, { kind: "valid", phoneNumber: edited });
        assert.deepEqual(readPhone(edited, undefined), full);
      },
    ),
    { numRuns: 5000 },
  );
});

test("what was accepted is accepted again, unchanged", () => {
  for (const text of ["(212) 555-0142", "+1 (242) 365-1234", "650 253 0000"]) {
    const once = answer(text, "US");
    assert.equal(answer(once), once);
  }
});

test("any text gets an answer", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.constantFrom(undefined, ...getCountries()), (text, region) => {
      const reading = readPhone(text, region);
      if (reading.kind === "valid") assert.match(reading.phoneNumber, /^\+[1-9]\d{6,14}$/);
    }),
    { numRuns: 2000 },
  );
});

test("agrees with all numbers of the shared samples", { skip: !existsSync(SAMPLES) }, () => {
  const rows = parseCsv(readFileSync(SAMPLES, "utf8")).slice(1);
  assert.equal(rows.length, 172);
  for (const [text = "", region = "", , , , , expected = ""] of rows)
    assert.equal(answer(text, region), expected, `${text} in ${region}`);
});

/** RFC 4180, enough for the sample file. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  for (const line of text.matchAll(/(?:"(?:[^"]|"")*"|[^"\n])+/g)) {
    const cells = [...`,${line[0].replace(/\r$/, "")}`.matchAll(/,(?:"((?:[^"]|"")*)"|([^,]*))/g)];
    rows.push(cells.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? ""));
  }
  return rows;
}
