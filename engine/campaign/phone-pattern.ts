// A fast, equally strict answer for the commonest input: a number that already is in E.164.
//
// The library's full parse costs 14 to 20 µs, as much as the rest of the path together. It interprets its metadata
// anew on every call; here the same metadata is compiled once into regular expressions per country. This file only
// ever says "surely accepted": whatever the full parse would change (a trunk prefix, a legacy form) or refuse goes
// to the full parse, so the two cannot disagree on a number (test/campaign/phone.test.ts compares them).
//
// The metadata's accessors are no public interface of the pinned library. Should an update move them, the table
// stays empty and every number takes the full parse.

import { Metadata, getCountries } from "libphonenumber-js/max";

interface Country {
  /** Numbers that begin so belong to the country; null: its number types decide. */
  readonly leading: RegExp | null;
  readonly general: RegExp;
  /** Fixed line and mobile: who can be on WhatsApp. */
  readonly accepted: readonly NumberType[];
  readonly others: readonly NumberType[];
}

interface NumberType {
  /** Digits of the national number; null: any. */
  readonly lengths: readonly number[] | null;
  readonly pattern: RegExp;
}

interface Plan {
  /** What the parser would strip from the front. */
  readonly prefix: RegExp | null;
  /** In the library's order: the first that fits is the number's country. */
  readonly countries: readonly Country[];
}

/** The part of the library's Metadata class that is there, but not in its types. */
interface NumberingMetadata {
  selectNumberingPlan(country: string): unknown;
  getCountryCodesForCallingCode(callingCode: string): readonly string[] | undefined;
  countryCallingCode(): string;
  nationalNumberPattern(): string;
  nationalPrefixForParsing(): string | undefined;
  leadingDigits(): string | number | undefined;
  hasTypes(): boolean;
  type(name: string): { pattern(): string; possibleLengths(): readonly number[] | undefined } | undefined;
}

const ACCESSORS = [
  "selectNumberingPlan",
  "getCountryCodesForCallingCode",
  "countryCallingCode",
  "nationalNumberPattern",
  "nationalPrefixForParsing",
  "leadingDigits",
  "hasTypes",
  "type",
] as const;

const ACCEPTED_TYPES = ["FIXED_LINE", "MOBILE"] as const;
const OTHER_TYPES = [
  "PREMIUM_RATE",
  "TOLL_FREE",
  "SHARED_COST",
  "VOIP",
  "PERSONAL_NUMBER",
  "PAGER",
  "UAN",
  "VOICEMAIL",
];
const CALLING_CODE_LENGTH_MAX = 3;
const E164 = /^\+[1-9]\d{6,14}$/;

/** Rewritten to their mobile form by the full parse (phone.ts), so none of them is surely as it should be. */
const ARGENTINA = "54";

let plans: ReadonlyMap<string, Plan> | undefined;

/** True when the text is a valid E.164 number of a fixed or mobile line that the full parse returns unchanged. */
export function isSurelyCanonical(text: string): boolean {
  if (!E164.test(text)) return false;
  plans ??= compilePlans();
  for (let length = 1; length <= CALLING_CODE_LENGTH_MAX; length++) {
    // Calling codes are prefix-free: the first that exists is the one.
    const plan = plans.get(text.slice(1, 1 + length));
    if (plan !== undefined) return isAccepted(plan, text.slice(1 + length));
  }
  return false;
}

function isAccepted(plan: Plan, national: string): boolean {
  const stripped = plan.prefix?.exec(national)?.[0];
  if (stripped !== undefined && stripped !== "") return false;
  for (const country of plan.countries) {
    if (country.leading?.test(national)) return hasType(country, country.accepted, national);
    if (country.leading !== null) continue;
    if (hasType(country, country.accepted, national)) return true;
    if (hasType(country, country.others, national)) return false;
  }
  return false;
}

function hasType(country: Country, types: readonly NumberType[], national: string): boolean {
  return (
    country.general.test(national) &&
    types.some(({ lengths, pattern }) => (lengths?.includes(national.length) ?? true) && pattern.test(national))
  );
}

function compilePlans(): ReadonlyMap<string, Plan> {
  const metadata: unknown = new Metadata();
  const compiled = new Map<string, Plan>();
  if (!isNumberingMetadata(metadata)) return compiled;
  for (const region of getCountries()) {
    metadata.selectNumberingPlan(region);
    const callingCode = metadata.countryCallingCode();
    if (callingCode === ARGENTINA || compiled.has(callingCode)) continue;
    const plan = compilePlan(metadata, metadata.getCountryCodesForCallingCode(callingCode) ?? []);
    if (plan !== null) compiled.set(callingCode, plan);
  }
  return compiled;
}

function compilePlan(metadata: NumberingMetadata, regions: readonly string[]): Plan | null {
  const [main] = regions;
  if (main === undefined) return null;
  metadata.selectNumberingPlan(main);
  const prefix = metadata.nationalPrefixForParsing();
  const countries: Country[] = [];
  for (const region of regions) {
    metadata.selectNumberingPlan(region);
    // Without types the library checks less than we promise: leave the whole calling code to it.
    if (!metadata.hasTypes()) return null;
    countries.push(compileCountry(metadata, regions.length > 1));
  }
  return { prefix: prefix ? new RegExp(`^(?:${prefix})`) : null, countries };
}

function compileCountry(metadata: NumberingMetadata, isCodeShared: boolean): Country {
  const leading = isCodeShared ? metadata.leadingDigits() : undefined;
  return {
    leading: leading ? new RegExp(`^(?:${leading})`) : null,
    general: entirely(metadata.nationalNumberPattern()),
    accepted: ACCEPTED_TYPES.flatMap((name) => compileType(metadata, name)),
    others: OTHER_TYPES.flatMap((name) => compileType(metadata, name)),
  };
}

function compileType(metadata: NumberingMetadata, name: string): NumberType[] {
  const type = metadata.type(name);
  if (!type?.pattern()) return [];
  return [{ lengths: type.possibleLengths() ?? null, pattern: entirely(type.pattern()) }];
}

function entirely(pattern: string): RegExp {
  return new RegExp(`^(?:${pattern})$`);
}

function isNumberingMetadata(value: unknown): value is NumberingMetadata {
  return (
    typeof value === "object" &&
    value !== null &&
    ACCESSORS.every((name) => typeof Reflect.get(value, name) === "function")
  );
}
