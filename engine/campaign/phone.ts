// A phone number as somebody typed it → the E.164 number that WhatsApp is given, or why there is none.
// Meta prepends the *business's* country code to a number without a plus (its send-messages page says so), so a number that
// cannot be read with certainty is refused, never guessed.
//
// On top of the library's strict reading stand a few rules for what real payloads hold; each has its argument in
// docs/decisions/ (phone numbers). Validity is not reachability: only a send tells whether WhatsApp knows a number.

import { getCountryCallingCode, parseIncompletePhoneNumber, parsePhoneNumberFromString } from "libphonenumber-js/max";
import type { PhoneNumber } from "libphonenumber-js/max";

import { isSurelyCanonical } from "./phone-pattern.ts";
import type { Region } from "./region.ts";

export type PhoneReading =
  | { readonly kind: "valid"; readonly phoneNumber: string }
  /** `reason` completes "phoneNumber …" and does not repeat the number. */
  | { readonly kind: "invalid"; readonly reason: string };

/** Longer than any number with punctuation and extension; also bounds the parser's work. */
export const PHONE_TEXT_MAX = 64;

/** E.164 allows 15 digits; the library lets national numbers of 17 pass. */
const E164_DIGITS_MAX = 15;

/** Marks pasted from right-to-left pages and rich text: nobody sees them, and they break the parse. */
const INVISIBLE = /[\u200B-\u200F\u202A-\u202E\u2060-\u206F\u00AD\uFEFF]/gu;
const SCHEME = /^(?:tel|whatsapp):/i;
/** The library reads fullwidth digits, but takes a number behind this plus for a national one. */
const FULLWIDTH_PLUS = /^\uFF0B/;
const HAS_DIGIT = /\p{Nd}/u;

/** Numbers of these types belong to no person and no WhatsApp account. */
const UNREACHABLE_TYPES: ReadonlySet<string> = new Set([
  "TOLL_FREE",
  "PREMIUM_RATE",
  "SHARED_COST",
  "UAN",
  "VOICEMAIL",
  "PAGER",
]);

/** @param region of a number without a country code; undefined: such a number is refused. */
export function readPhone(text: string, region: Region | undefined): PhoneReading {
  if (isSurelyCanonical(text)) return { kind: "valid", phoneNumber: text };
  return readPhoneFully(text, region);
}

/** The library's reading and our rules, without the shortcut: what {@link readPhone} must always agree with. */
export function readPhoneFully(text: string, region: Region | undefined): PhoneReading {
  const cleaned = text.replaceAll(INVISIBLE, "").trim().replace(SCHEME, "").trim().replace(FULLWIDTH_PLUS, "+");
  if (cleaned.length > PHONE_TEXT_MAX) return invalid(`is longer than ${PHONE_TEXT_MAX} characters`);
  if (!HAS_DIGIT.test(cleaned)) return invalid("holds no digits");
  // libphonenumber-js 1.13.16 answers differently on every second call for `;phone-context=`.
  if (cleaned.includes(";")) return invalid("holds a semicolon; send one plain number");

  const digits = parseIncompletePhoneNumber(cleaned);
  const parsed = parse(cleaned, region);
  const number = preferred(parsed, digits, region);
  if (number === undefined) return invalid(reasonOf(parsed, digits, region));
  const type = number.getType();
  if (type !== undefined && UNREACHABLE_TYPES.has(type)) {
    return invalid(`is a ${type.toLowerCase().replaceAll("_", " ")} number, which nobody has WhatsApp on`);
  }
  if (number.number.length - 1 > E164_DIGITS_MAX) return invalid(`has more than ${E164_DIGITS_MAX} digits`);
  return { kind: "valid", phoneNumber: number.number };
}

/** The valid number among the library's reading and those of the rules; rules only where the reading is wrong. */
function preferred(
  parsed: PhoneNumber | undefined,
  digits: string,
  region: Region | undefined,
): PhoneNumber | undefined {
  if (parsed?.isValid()) {
    return argentineMobile(parsed) ?? repeatedCallingCode(parsed, digits, region) ?? parsed;
  }
  return mexicanWithoutPrefix(digits, region) ?? brazilianWithNinthDigit(parsed);
}

/** `+54 11 8765-4321` → `+54 9 11 8765-4321`: WhatsApp knows Argentine mobiles with their 9 only, people omit it. */
function argentineMobile(parsed: PhoneNumber): PhoneNumber | undefined {
  if (parsed.countryCallingCode !== "54" || parsed.getType() !== "FIXED_LINE") return undefined;
  const mobile = validNumber(`+549${parsed.nationalNumber}`);
  return mobile?.getType() === "MOBILE" ? mobile : undefined;
}

/** `62812345678` in Indonesia: 62 is also an area code there, but a valid mobile number is the likelier meaning. */
function repeatedCallingCode(parsed: PhoneNumber, digits: string, region: Region | undefined): PhoneNumber | undefined {
  if (region === undefined || digits.startsWith("+") || isMobile(parsed)) return undefined;
  if (!digits.startsWith(getCountryCallingCode(region))) return undefined;
  const international = validNumber(`+${digits}`);
  return international?.getType() === "MOBILE" ? international : undefined;
}

/** Since 2019 Mexican numbers are +52 and ten digits; the 1 of mobiles and the prefixes 044, 045, 01 are history. */
function mexicanWithoutPrefix(digits: string, region: Region | undefined): PhoneNumber | undefined {
  const international = /^\+521(\d{10})$/.exec(digits);
  const national = region === "MX" ? /^(?:044|045|01|1|521)(\d{10})$/.exec(digits) : null;
  const significant = international?.[1] ?? national?.[1];
  return significant === undefined ? undefined : validNumber(`+52${significant}`);
}

/** `+55 11 6123-4567` → `+55 11 96123-4567`: mobiles got a ninth digit by 2016, old address books did not. */
function brazilianWithNinthDigit(parsed: PhoneNumber | undefined): PhoneNumber | undefined {
  if (parsed?.countryCallingCode !== "55") return undefined;
  const parts = /^(\d{2})([6-9]\d{7})$/.exec(parsed.nationalNumber);
  if (parts === null) return undefined;
  const mobile = validNumber(`+55${parts[1]}9${parts[2]}`);
  return mobile?.getType() === "MOBILE" ? mobile : undefined;
}

function isMobile(number: PhoneNumber): boolean {
  const type = number.getType();
  return type === "MOBILE" || type === "FIXED_LINE_OR_MOBILE";
}

function validNumber(e164: string): PhoneNumber | undefined {
  const number = parse(e164, undefined);
  return number?.isValid() ? number : undefined;
}

function parse(text: string, region: Region | undefined): PhoneNumber | undefined {
  // `extract: false`: the library's default digs a number out of any sentence.
  return parsePhoneNumberFromString(text, {
    extract: false,
    ...(region && { defaultCountry: region }),
  });
}

function reasonOf(parsed: PhoneNumber | undefined, digits: string, region: Region | undefined): string {
  if (parsed === undefined && region === undefined && !digits.startsWith("+")) {
    return "has no country code, and no region is known for it";
  }
  if (parsed === undefined) return "cannot be read as one phone number";
  return parsed.isPossible()
    ? "is in no number range that is in use"
    : "has the wrong number of digits for its country";
}

function invalid(reason: string): PhoneReading {
  return { kind: "invalid", reason };
}
