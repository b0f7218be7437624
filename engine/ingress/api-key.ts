// The text of an API key: `vk_<id>_<secret><checksum>`. The prefix and the checksum let secret scanners recognise a
// leaked key with almost no false alarms, and let the engine turn away a mistyped one without a look-up.
// Only the hash of the secret is ever stored: with 256 random bits, one SHA-256 is as good as a slow hash.

import { hash, timingSafeEqual } from "node:crypto";

export interface ApiKeyText {
  /** 8 characters; may be logged. */
  readonly id: string;
  /** 43 characters; never logged, never stored. */
  readonly secret: string;
}

/** Random bytes that make one key: {@link ID_BYTES} for its id, {@link SECRET_BYTES} for its secret. */
export const ID_BYTES = 8;
export const SECRET_BYTES = 32;

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE = BigInt(ALPHABET.length);
const ID_LENGTH = 8;
const SECRET_LENGTH = 43;
const CHECKSUM_LENGTH = 6;
const PATTERN = /^vk_([0-9A-Za-z]{8})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/;

/** @param random exactly ID_BYTES for the id and SECRET_BYTES for the secret. */
export function makeKeyText(random: { readonly id: Uint8Array; readonly secret: Uint8Array }): ApiKeyText {
  return { id: base62(random.id, ID_LENGTH), secret: base62(random.secret, SECRET_LENGTH) };
}

export function formatKey(key: ApiKeyText): string {
  const text = `vk_${key.id}_${key.secret}`;
  return text + checksum(text);
}

/** @returns null when the text cannot be a key: wrong form, or a checksum that does not fit. */
export function parseKey(text: string): ApiKeyText | null {
  const [, id, secret, check] = PATTERN.exec(text) ?? [];
  if (id === undefined || secret === undefined) return null;
  return checksum(text.slice(0, -CHECKSUM_LENGTH)) === check ? { id, secret } : null;
}

/** SHA-256 of the secret, in hex. */
export function hashSecret(secret: string): string {
  return hash("sha256", secret, "hex");
}

/** Whether the secret has this hash, in a time that does not depend on where they differ. */
export function isSecretOf(secret: string, secretHash: string): boolean {
  const expected = Buffer.from(secretHash, "latin1");
  const actual = Buffer.from(hashSecret(secret), "latin1");
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

/** The last `length` digits of the bytes read as one number; bits beyond them are dropped. */
function base62(bytes: Uint8Array, length: number): string {
  let rest = BigInt(`0x00${Buffer.from(bytes).toString("hex")}`);
  let text = "";
  while (text.length < length) {
    text = ALPHABET.charAt(Number(rest % BASE)) + text;
    rest /= BASE;
  }
  return text;
}

function checksum(text: string): string {
  let rest = crc32(text);
  let digits = "";
  while (digits.length < CHECKSUM_LENGTH) {
    digits = ALPHABET.charAt(rest % ALPHABET.length) + digits;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return digits;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** Of ASCII text. zlib.crc32 came only with Node.js 22. */
function crc32(text: string): number {
  let crc = 0xffffffff;
  for (let index = 0; index < text.length; index++) {
    crc = (CRC_TABLE[(crc ^ text.charCodeAt(index)) & 0xff] ?? 0) ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
