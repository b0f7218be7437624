// Which names of time zones there are: those of the IANA database that comes with Node.

import { nearestKey } from "./nearest-key.ts";

/** Also old names such as `US/Eastern`; no bare offsets, which know no summer time. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

export function nearestTimeZone(name: string): string | null {
  return nearestKey(name, Intl.supportedValuesOf("timeZone"));
}
