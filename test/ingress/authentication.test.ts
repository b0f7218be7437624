import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";

import {
  authorise,
  isSameSecret,
  verifyHmac,
  type ApiKey,
  type KeyScope,
} from "../../engine/ingress/authentication.ts";

function key(scope: KeyScope, campaigns: readonly string[] | null = null): ApiKey {
  return { id: "k", name: "k", scope, campaigns, createdAtMs: 1, lastUsedAtMs: null, revokedAtMs: null };
}

const find = (known: ApiKey) => (text: string) => (text === "vk_good" ? known : undefined);
const withKey = (name = "x-api-key", value = "vk_good"): { headers: Map<string, string> } => ({
  headers: new Map([[name, value]]),
});
const shop = { scope: "trigger", campaignId: "shop" } as const;

test("takes the key from x-api-key or as a bearer token", () => {
  for (const request of [
    withKey(),
    withKey("authorization", "Bearer vk_good"),
    withKey("authorization", "bearer  vk_good "),
  ]) {
    assert.equal(authorise(find(key("trigger")), request, shop).kind, "granted");
  }
});

test("answers 401 for a missing, unknown or oddly wrapped key", () => {
  for (const request of [
    { headers: new Map() },
    withKey("x-api-key", "vk_bad"),
    withKey("authorization", "Basic vk_good"),
    withKey("authorization", "vk_good"),
  ]) {
    const access = authorise(find(key("admin")), request, shop);
    assert.equal(access.kind === "refused" && access.code, "unauthorized");
    assert.equal(access.kind === "refused" && access.response.status, 401);
  }
});

test("a key covers the calls of its scope and campaigns, and no other", () => {
  const allowed: [ApiKey, Parameters<typeof authorise>[2], boolean][] = [
    [key("trigger"), shop, true],
    [key("trigger", ["shop", "b"]), shop, true],
    [key("trigger", ["b"]), shop, false],
    [key("trigger", []), shop, false],
    [key("trigger"), { scope: "read", campaignId: "shop" }, false],
    [key("trigger"), { scope: "admin" }, false],
    [key("read"), { scope: "read", campaignId: "shop" }, true],
    [key("read", ["b"]), { scope: "read", campaignId: "shop" }, false],
    [key("read", ["b"]), { scope: "read", campaignId: null }, true],
    [key("read"), shop, false],
    [key("read"), { scope: "admin" }, false],
    [key("admin"), { scope: "admin" }, true],
    [key("admin", ["b"]), shop, true],
    [key("admin"), { scope: "read", campaignId: null }, true],
  ];
  for (const [known, need, isAllowed] of allowed) {
    const access = authorise(find(known), withKey(), need);
    assert.equal(access.kind, isAllowed ? "granted" : "refused", JSON.stringify([known, need]));
    if (access.kind === "refused") assert.equal(access.response.status, 403);
  }
});

const body = Buffer.from('{"total":"10,00 €"}');
const sign = (secret: string, algorithm = "sha256", encoding: "base64" | "hex" = "base64"): string =>
  createHmac(algorithm, secret).update(body).digest(encoding);
const rules = { algorithm: "sha256", encoding: "base64", prefix: "", secrets: ["new", "old"] } as const;

test("takes a signature by either of two live secrets", () => {
  assert.equal(verifyHmac(rules, body, sign("new")), true);
  assert.equal(verifyHmac(rules, body, sign("old")), true);
  assert.equal(verifyHmac(rules, body, sign("other")), false);
});

test("takes every algorithm, encoding and prefix that a campaign can name", () => {
  for (const algorithm of ["sha1", "sha256", "sha512"] as const) {
    const value = sign("new", algorithm, "hex");
    const hex = { ...rules, algorithm, encoding: "hex", prefix: "sig=" } as const;
    assert.equal(verifyHmac(hex, body, `sig=${value}`), true);
    assert.equal(verifyHmac(hex, body, `sig=${value.toUpperCase()}`), true);
    assert.equal(verifyHmac(hex, body, value), false);
  }
});

test("refuses what is near a signature", () => {
  const value = sign("new");
  for (const given of [
    undefined,
    "",
    value.slice(1),
    `${value}=`,
    `${value}${value}`,
    value.toLowerCase(),
    `${value}, ${value}`,
    value.replace("=", ""),
  ]) {
    assert.equal(verifyHmac(rules, body, given), false, given ?? "none");
  }
  assert.equal(verifyHmac(rules, Buffer.concat([body, Buffer.from("\n")]), value), false);
});

test("an empty secret, as an unset variable leaves it, signs nothing", () => {
  assert.equal(verifyHmac({ ...rules, secrets: [""] }, body, sign("")), false);
  assert.equal(verifyHmac({ ...rules, secrets: [] }, body, sign("")), false);
});

test("a URL token must be there and be the same", () => {
  assert.equal(isSameSecret("token", "token"), true);
  for (const [given, expected] of [
    ["token", "Token"],
    ["", ""],
    [undefined, "token"],
    ["token", null],
    ["t", "token"],
  ] as const) {
    assert.equal(isSameSecret(given, expected), false);
  }
});
