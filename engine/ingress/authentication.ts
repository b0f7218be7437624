// Who may do what: API keys for callers who can set a header, signatures and URL tokens for platforms that cannot.
// Every comparison with something secret takes the same time wherever the two differ.

import { createHmac, hash, timingSafeEqual } from "node:crypto";

import { problem, type HttpRequest, type HttpResponse } from "../runtime/http.ts";

export type KeyScope = "trigger" | "read" | "admin";

export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly scope: KeyScope;
  /** The campaigns it is good for; null: all. */
  readonly campaigns: readonly string[] | null;
  readonly createdAtMs: number;
  /** Null when it was never used. */
  readonly lastUsedAtMs: number | null;
  /** Null while it lives. */
  readonly revokedAtMs: number | null;
}

/** What a call needs. `campaignId` null: any key of the scope; the handler narrows by the key's campaigns. */
export type Need =
  | { readonly scope: "trigger"; readonly campaignId: string }
  | { readonly scope: "read"; readonly campaignId: string | null }
  | { readonly scope: "admin" };

export type Authorisation =
  | { readonly kind: "granted"; readonly key: ApiKey }
  | { readonly kind: "refused"; readonly code: "unauthorized" | "forbidden"; readonly response: HttpResponse };

const BEARER = /^bearer +(\S+) *$/i;

const UNAUTHORIZED: Authorisation = {
  kind: "refused",
  code: "unauthorized",
  response: problem({
    status: 401,
    code: "unauthorized",
    detail: "Send a live API key as `x-api-key: vk_…` or `Authorization: Bearer vk_…`.",
    headers: { "www-authenticate": 'Bearer realm="volley"' },
  }),
};

const FORBIDDEN: Authorisation = {
  kind: "refused",
  code: "forbidden",
  response: problem({
    status: 403,
    code: "forbidden",
    detail: "This API key's scope does not cover the call; `volley key list` shows what it covers.",
  }),
};

/** `admin` covers everything; `read` and `trigger` cover their own calls on their own campaigns. */
export function authorise(
  findKey: (text: string) => ApiKey | undefined,
  request: Pick<HttpRequest, "headers">,
  need: Need,
): Authorisation {
  const text = keyText(request.headers);
  const key = text === undefined ? undefined : findKey(text);
  if (key === undefined) return UNAUTHORIZED;
  return isCovered(key, need) ? { kind: "granted", key } : FORBIDDEN;
}

function keyText(headers: ReadonlyMap<string, string>): string | undefined {
  return headers.get("x-api-key") ?? BEARER.exec(headers.get("authorization") ?? "")?.[1];
}

function isCovered(key: ApiKey, need: Need): boolean {
  if (key.scope === "admin") return true;
  if (need.scope !== key.scope) return false;
  return key.campaigns === null || need.campaignId === null || key.campaigns.includes(need.campaignId);
}

export interface SignatureRules {
  readonly algorithm: "sha256" | "sha1" | "sha512";
  readonly encoding: "base64" | "hex";
  /** Text before the digest, such as `sha256=`; empty for none. */
  readonly prefix: string;
  /** Any of them will do, so that one can be replaced while both live. Empty ones never match. */
  readonly secrets: readonly string[];
}

/** Whether the header's value signs exactly these bytes. */
export function verifyHmac(rules: SignatureRules, rawBody: Uint8Array, headerValue: string | undefined): boolean {
  if (headerValue === undefined || !headerValue.startsWith(rules.prefix)) return false;
  const digest = headerValue.slice(rules.prefix.length).trim();
  const given = Buffer.from(rules.encoding === "hex" ? digest.toLowerCase() : digest, "latin1");
  let isValid = false;
  for (const secret of rules.secrets) {
    // An unset environment variable must not become a key that anyone can sign with.
    if (secret === "") continue;
    const expected = createHmac(rules.algorithm, secret).update(rawBody).digest(rules.encoding);
    if (isSameBytes(Buffer.from(expected, "latin1"), given)) isValid = true;
  }
  return isValid;
}

/** Compares two secrets without telling how much of them agrees, nor how long the expected one is. */
export function isSameSecret(given: string | undefined, expected: string | null): boolean {
  if (given === undefined || expected === null || expected === "") return false;
  return timingSafeEqual(hash("sha256", given, "buffer"), hash("sha256", expected, "buffer"));
}

function isSameBytes(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
