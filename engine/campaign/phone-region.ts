// The country of a phone number. Reading it costs some 10 µs, so the newest answers are kept.

import { parsePhoneNumberFromString } from "libphonenumber-js/max";

/** Numbers remembered, about 100 bytes each. */
const NUMBERS_MAX = 50_000;

export class PhoneRegions {
  readonly #regions = new Map<string, string>();

  /** @param phoneNumber E.164 with its plus. @returns ISO 3166 alpha-2; empty for a number of no country. */
  readonly regionOf = (phoneNumber: string): string => {
    const known = this.#regions.get(phoneNumber);
    if (known !== undefined) return known;
    // All at once: whoever is still written to is looked up again, once.
    if (this.#regions.size >= NUMBERS_MAX) this.#regions.clear();
    const region = parsePhoneNumberFromString(phoneNumber)?.country ?? "";
    this.#regions.set(phoneNumber, region);
    return region;
  };
}
