// One key for all the forms in which WhatsApp and people write one number. Meta adds and drops digits that a country's
// numbering plan once had: who wrote STOP as 5215512345678 must be found as +525512345678.
//
// The key is for comparing only: it is not a number that can be called.

/** Longer than E.164 allows, because some numbers break that rule (libphonenumber's FAQ). */
const DIGITS = /^\d{5,17}$/;

/** Without Mexico's old mobile 1: +52 1 and ten digits. */
const MEXICO = /^521(\d{10})$/;
/** Without Argentina's mobile 9: +54 9 and ten digits. */
const ARGENTINA = /^549(\d{10})$/;
/** Without the ninth digit that Brazil's mobiles got; landlines (2 to 5) never had it. */
const BRAZIL = /^55(\d\d)9([6-9]\d{7})$/;

const USER = "user.";

/** @returns null for what is no number. */
export function phoneIdentity(phoneNumber: string): string | null {
  const digits = phoneNumber.startsWith("+") ? phoneNumber.slice(1) : phoneNumber;
  if (!DIGITS.test(digits)) return null;
  // Most numbers are of other countries: one look at two digits spares them three patterns.
  switch (digits.slice(0, 2)) {
    case "52":
      return digits.replace(MEXICO, "52$1");
    case "54":
      return digits.replace(ARGENTINA, "54$1");
    case "55":
      return digits.replace(BRAZIL, "55$1$2");
    default:
      return digits;
  }
}

/** The key of who is known by the user id only. Sorts behind all numbers. */
export function userIdentity(userId: string): string {
  return USER + userId;
}
