// The Retry-After header (RFC 9110 §10.2.3). WhatsApp does not promise it; where it comes, it is honoured.

/** A longer wish is cut: a wrong header must not silence a number for a day. */
export const RETRY_AFTER_MS_MAX = 3_600_000;

/** @returns null when the header is absent or unreadable. */
export function retryAfterMs(header: string | readonly string[] | undefined, nowMs: number): number | null {
  const text = (typeof header === "string" ? header : (header?.[0] ?? "")).trim();
  if (text === "") return null;
  const delayMs = /^\d{1,10}(\.\d{1,3})?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  if (Number.isNaN(delayMs)) return null;
  return Math.min(Math.max(0, Math.ceil(delayMs)), RETRY_AFTER_MS_MAX);
}
