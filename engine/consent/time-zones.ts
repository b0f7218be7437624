// In which time zones the people of a country live. A phone number tells its country, not its place in it.
// (docs/decisions/0014-time-zones-by-country.md)

import { getCountry } from "countries-and-timezones";

export interface RegionZones {
  /** All of them, IANA. */
  readonly all: readonly string[];
  /** The one in which most of its people live. */
  readonly main: string;
}

/** @param region ISO 3166 alpha-2, or empty for a number of no country. */
export type ZonesOfRegion = (region: string) => RegionZones;

/** Of the countries with several clocks, where most people live (census figures; the capital's zone in most). */
const MAIN_ZONES: ReadonlyMap<string, string> = new Map([
  ["AU", "Australia/Sydney"],
  ["BR", "America/Sao_Paulo"],
  ["CA", "America/Toronto"],
  ["CD", "Africa/Lagos"],
  ["CL", "America/Santiago"],
  ["CN", "Asia/Shanghai"],
  ["EC", "America/Guayaquil"],
  ["ES", "Europe/Madrid"],
  ["FM", "Pacific/Guadalcanal"],
  ["GL", "America/Nuuk"],
  ["ID", "Asia/Jakarta"],
  ["KI", "Pacific/Tarawa"],
  ["KZ", "Asia/Almaty"],
  ["MN", "Asia/Ulaanbaatar"],
  ["MX", "America/Mexico_City"],
  ["NZ", "Pacific/Auckland"],
  ["PF", "Pacific/Tahiti"],
  ["PG", "Pacific/Port_Moresby"],
  ["PT", "Europe/Lisbon"],
  ["RU", "Europe/Moscow"],
  ["UA", "Europe/Kyiv"],
  ["US", "America/New_York"],
]);

/** Regions of phone numbers that the library does not list: Ascension, Tristan da Cunha, Kosovo. */
const UNLISTED: ReadonlyMap<string, string> = new Map([
  ["AC", "Atlantic/St_Helena"],
  ["TA", "Atlantic/St_Helena"],
  ["XK", "Europe/Belgrade"],
]);

/** Satellite phones and the like are of no country; then UTC is as good as any clock. */
const NOWHERE = "UTC";

export const zonesOfRegion: ZonesOfRegion = (region) => {
  const listed: readonly string[] = getCountry(region)?.timezones ?? [];
  const known = listed.filter(isZone);
  const main = [MAIN_ZONES.get(region), known[0], UNLISTED.get(region)].find(
    (zone) => zone !== undefined && isZone(zone),
  );
  if (main === undefined) return { all: [NOWHERE], main: NOWHERE };
  return { all: known.includes(main) ? known : [...known, main], main };
};

/** The library's data may be newer than this Node's, which would throw at a zone that it does not know. */
function isZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
