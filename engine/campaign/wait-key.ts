// What waiting messages are cancelled by. The side that waits and the side that cancels read it from payloads of
// different platforms, so both write it alike: without blanks around it, numbers as their digits.

/** Characters of a key. */
export const WAIT_KEY_LENGTH_MAX = 255;

/** @returns undefined for what is no text and no number, and for blank text. */
export function keyText(raw: unknown): string | undefined {
  if (typeof raw === "string") return raw.trim() || undefined;
  if (typeof raw !== "number" || !Number.isFinite(raw)) return undefined;
  // String() would write 1e21 where another platform sends its digits as text.
  return Number.isInteger(raw) ? BigInt(raw).toString() : String(raw);
}
