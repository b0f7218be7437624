// Which country's rules read a phone number that was written without its country code.

import { getCountries, isSupportedCountry } from "libphonenumber-js/max";
import type { CountryCode } from "libphonenumber-js/max";

export type Region = CountryCode;

/** Not ISO 3166, but what people write. */
const ALIASES: ReadonlyMap<string, Region> = new Map<string, Region>([
  ["UK", "GB"],
  ["USA", "US"],
  ["UNITED STATES OF AMERICA", "US"],
]);

let englishNames: ReadonlyMap<string, Region> | undefined;

/**
 * ISO 3166 alpha-2 in any case, or the country's English name, as shops that have no code send it.
 * @returns undefined for anything else: a region is never guessed, a guess would message a stranger.
 */
export function regionOf(raw: unknown): Region | undefined {
  if (typeof raw !== "string") return undefined;
  const text = raw.trim().toUpperCase();
  if (isSupportedCountry(text)) return text;
  if (text.length < 2) return undefined;
  return ALIASES.get(text) ?? regionNames().get(text);
}

function regionNames(): ReadonlyMap<string, Region> {
  if (englishNames === undefined) {
    const names = new Intl.DisplayNames(["en"], { type: "region" });
    englishNames = new Map(getCountries().map((region) => [(names.of(region) ?? region).toUpperCase(), region]));
  }
  return englishNames;
}
