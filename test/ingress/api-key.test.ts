import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { formatKey, hashSecret, isSecretOf, makeKeyText, parseKey } from "../../engine/ingress/api-key.ts";

const KEY_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const random = fc.record({
  id: fc.uint8Array({ minLength: 8, maxLength: 8 }),
  secret: fc.uint8Array({ minLength: 32, maxLength: 32 }),
});

test("a key has the form vk_<id>_<secret><checksum> and is read back", () => {
  fc.assert(
    fc.property(random, (bytes) => {
      const text = makeKeyText(bytes);
      const key = formatKey(text);
      assert.match(key, /^vk_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}$/);
      assert.deepEqual(parseKey(key), text);
    }),
  );
});

test("the secret keeps all 256 random bits", () => {
  const highest = makeKeyText({ id: new Uint8Array(8).fill(255), secret: new Uint8Array(32).fill(255) });
  // 2^256 - 1 in base 62: 43 digits hold it.
  let value = 0n;
  for (const letter of highest.secret) value = value * 62n + BigInt(KEY_LETTERS.indexOf(letter));
  assert.equal(value, 2n ** 256n - 1n);
});

test("one wrong character is noticed without a look-up", () => {
  const key = formatKey(makeKeyText({ id: Buffer.from("12345678"), secret: Buffer.alloc(32, 7) }));
  for (let index = 3; index < key.length; index++) {
    if (key[index] === "_") continue;
    for (const letter of "0Az") {
      if (letter === key[index]) continue;
      assert.equal(parseKey(key.slice(0, index) + letter + key.slice(index + 1)), null);
    }
  }
});

test("what has not the form is no key", () => {
  for (const text of ["", "vk_", "vk_a_b", "sk_".padEnd(61, "0"), `${"vk_".padEnd(61, "0")}\n`]) {
    assert.equal(parseKey(text), null);
  }
});

test("the checksum is CRC-32, as others compute it", () => {
  // zlib's crc32 of "vk_00000000_" and 43 zeros is 0x… ; recomputed here bit by bit.
  const text = `vk_00000000_${"0".repeat(43)}`;
  let crc = 0xffffffff;
  for (const byte of Buffer.from(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  let expected = "";
  for (let rest = (crc ^ 0xffffffff) >>> 0; expected.length < 6; rest = Math.floor(rest / 62)) {
    expected = (KEY_LETTERS[rest % 62] ?? "") + expected;
  }
  assert.equal(formatKey({ id: "00000000", secret: "0".repeat(43) }), text + expected);
});

test("a secret is told from its hash", () => {
  assert.equal(isSecretOf("secret", hashSecret("secret")), true);
  assert.equal(isSecretOf("Secret", hashSecret("secret")), false);
  assert.equal(isSecretOf("secret", "short"), false);
});
