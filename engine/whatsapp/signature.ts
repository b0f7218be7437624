// X-Hub-Signature-256: proves that a webhook comes from WhatsApp. Always over the raw bytes: Meta writes non-ASCII
// characters as \uXXXX, and parsing and writing the body again would change them.

import { createHmac, timingSafeEqual } from "node:crypto";

const PREFIX = "sha256=";
const DIGEST = /^[0-9a-f]{64}$/i;

export interface SignedBody {
  /** The app's secrets: one, or two while one is being replaced. An empty one fits nothing. */
  readonly secrets: readonly string[];
  readonly body: Uint8Array | string;
  /** The value of X-Hub-Signature-256. */
  readonly header: string | undefined;
}

/** @returns the header's value, `sha256=` and 64 hexadecimal digits. */
export function signBody(secret: string, body: Uint8Array | string): string {
  return PREFIX + createHmac("sha256", secret).update(body).digest("hex");
}

/** Compares in constant time; every secret is tried, so the time does not tell which one fitted. */
export function isSignatureValid(signed: SignedBody): boolean {
  const header = signed.header ?? "";
  const digest = header.slice(PREFIX.length);
  if (!header.startsWith(PREFIX) || !DIGEST.test(digest)) return false;
  const given = Buffer.from(digest, "hex");
  let fits = false;
  for (const secret of signed.secrets) {
    if (secret === "") continue;
    if (timingSafeEqual(createHmac("sha256", secret).update(signed.body).digest(), given)) fits = true;
  }
  return fits;
}
