// How long an account's management calls rest, by what Meta says of their use. Pure.

import { asInteger, asList, asObject, parseForeignJson } from "./foreign-json.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Percent of the hour's calls, or of their time at Meta's, from which on calls are spread. */
const USAGE_HIGH = 80;
/** Too many calls: of the account (written as either), of the app. */
const LIMIT_CODES: ReadonlySet<number> = new Set([80007, 80008, 4]);

/**
 * @param header Meta's `X-Business-Use-Case-Usage`: percent of calls, CPU time and time, and minutes until calls are
 *   taken again.
 * @returns Milliseconds; 0 also when the header is empty or not understood.
 */
export function restAfterUsage(header: string): number {
  if (header === "") return 0;
  let restMs = 0;
  for (const uses of Object.values(asObject(parseForeignJson(header)) ?? {})) {
    for (const use of asList(uses).map(asObject)) {
      const minutes = asInteger(use?.["estimated_time_to_regain_access"]) ?? 0;
      const shares = ["call_count", "total_cputime", "total_time"].map((key) => asInteger(use?.[key]) ?? 0);
      const over = Math.max(...shares) - USAGE_HIGH;
      const spreadMs = over <= 0 ? 0 : (Math.min(over, 100 - USAGE_HIGH) / (100 - USAGE_HIGH)) * MINUTE_MS;
      restMs = Math.max(restMs, minutes * MINUTE_MS, spreadMs);
    }
  }
  return Math.min(restMs, HOUR_MS);
}

/**
 * @param faults Faults of the limit before this one, in a row.
 * @returns null when the code says nothing about the limit.
 */
export function restAfterFault(code: number | null, faults: number): number | null {
  return code !== null && LIMIT_CODES.has(code) ? Math.min(MINUTE_MS * 2 ** faults, HOUR_MS) : null;
}
