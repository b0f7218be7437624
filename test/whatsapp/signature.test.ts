import assert from "node:assert/strict";
import { test } from "node:test";

import { isSignatureValid, signBody } from "../../engine/whatsapp/signature.ts";

const BODY = Buffer.from('{"object":"whatsapp_business_account","text":"caf\\u00e9"}');

test("signs as OpenSSL does", () => {
  // printf 'The quick brown fox jumps over the lazy dog' | openssl dgst -sha256 -hmac key
  assert.equal(
    signBody("key", "The quick brown fox jumps over the lazy dog"),
    "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
  );
});

test("the body's own signature is valid, with either of two secrets and in either case of its digits", () => {
  const header = signBody("new", BODY);
  assert.ok(isSignatureValid({ secrets: ["new"], body: BODY, header }));
  assert.ok(isSignatureValid({ secrets: ["old", "new"], body: BODY, header }));
  assert.ok(
    isSignatureValid({
      secrets: ["new"],
      body: BODY,
      header: `sha256=${header.slice(7).toUpperCase()}`,
    }),
  );
});

test("another secret, body or form of the header is not", () => {
  const header = signBody("secret", BODY);
  const reserialised = Buffer.from(JSON.stringify(JSON.parse(BODY.toString())));
  assert.ok(!isSignatureValid({ secrets: ["other"], body: BODY, header }));
  assert.ok(!isSignatureValid({ secrets: [], body: BODY, header }));
  assert.ok(!isSignatureValid({ secrets: ["secret"], body: reserialised, header }));
  for (const wrong of [
    undefined,
    "",
    "sha256=",
    header.slice(7),
    `sha1=${header.slice(7)}`,
    header.slice(0, -1),
    `${header}0`,
  ]) {
    assert.ok(!isSignatureValid({ secrets: ["secret"], body: BODY, header: wrong }), String(wrong));
  }
});

test("an empty secret fits nothing, not even its own signature", () => {
  assert.ok(!isSignatureValid({ secrets: [""], body: BODY, header: signBody("", BODY) }));
});
