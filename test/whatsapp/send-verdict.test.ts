import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import * as fc from "fast-check";

import { ERROR_CATALOGUE } from "../../engine/whatsapp/error-catalogue.ts";
import type { ErrorEntry } from "../../engine/whatsapp/error-entry.ts";
import type { Verdict } from "../../engine/message/verdict.ts";
import { verdictOf } from "../../engine/whatsapp/send-verdict.ts";

const SAMPLES = "../shared/samples/whatsapp";

function judge(httpStatus: number, body: unknown, retryAfterMs: number | null = null): Verdict {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return verdictOf({ kind: "answered", httpStatus, body: text, retryAfterMs });
}

function graphError(error: Readonly<Record<string, unknown>>): object {
  return {
    error: {
      message: `(#${String(error["code"])}) Title`,
      type: "OAuthException",
      fbtrace_id: "A",
      ...error,
    },
  };
}

function accepted(messageStatus?: string): object {
  const message = {
    id: "wamid.HBgL",
    ...(messageStatus === undefined ? {} : { message_status: messageStatus }),
  };
  return {
    messaging_product: "whatsapp",
    contacts: [{ input: "+1", wa_id: "1" }],
    messages: [message],
  };
}

test("a message id means accepted, with or without a status word", () => {
  for (const word of [undefined, "accepted", "a_word_of_next_year"]) {
    assert.deepEqual(judge(200, accepted(word)), {
      kind: "accepted",
      wamid: "wamid.HBgL",
      isHeld: false,
    });
  }
});

test("a message that pacing keeps back is accepted and held", () => {
  for (const word of ["held_for_quality_assessment", "paused"]) {
    assert.deepEqual(judge(200, accepted(word)), {
      kind: "accepted",
      wamid: "wamid.HBgL",
      isHeld: true,
    });
  }
});

test("what was certainly not sent is transient, what may have been is unknown", () => {
  assert.deepEqual(verdictOf({ kind: "unreachable", reason: "refused." }), {
    kind: "transient",
    errorCode: null,
    reason: "refused.",
  });
  assert.deepEqual(verdictOf({ kind: "lost", reason: "cut." }), {
    kind: "unknown",
    reason: "cut.",
  });
});

test("an answer that nobody can read is unknown, whatever its HTTP status", () => {
  const bodies = [
    "",
    "<html>502 Bad Gateway</html>",
    "null",
    "[]",
    "{}",
    '{"messages":[]}',
    '{"messages":[{"id":""}]}',
  ];
  for (const status of [200, 301, 400, 404, 429, 500, 502, 503, 504]) {
    for (const body of [...bodies, '{"error":{}}', '{"error":"overloaded"}', '{"error":{"code":"x"}}']) {
      assert.equal(judge(status, body).kind, "unknown", `${status} ${body}`);
    }
  }
});

test("the code decides and the HTTP status does not", () => {
  for (const status of [200, 400, 429, 500]) {
    assert.equal(judge(status, graphError({ code: 130429 })).kind, "throttled");
    assert.equal(judge(status, graphError({ code: 131026 })).kind, "rejected");
    assert.equal(judge(status, graphError({ code: 190 })).kind, "blocked");
  }
});

function withCode(entry: ErrorEntry, code: number): Verdict {
  return judge(400, graphError({ code, ...(entry.subcode === undefined ? {} : { error_subcode: entry.subcode }) }));
}

for (const entry of ERROR_CATALOGUE) {
  test(`error ${entry.code} comes to what the catalogue says`, () => {
    for (const code of [entry.code, entry.through ?? entry.code]) {
      const verdict = withCode(entry, code);
      assert.equal(verdict.kind, entry.effect.kind);
      assert.equal("errorCode" in verdict ? verdict.errorCode : undefined, code);
      assert.ok("reason" in verdict && verdict.reason.startsWith(entry.reason));
      if ("scope" in entry.effect) assert.equal("scope" in verdict ? verdict.scope : "", entry.effect.scope);
    }
  });
}

function waitOf(code: number, retryAfterMs: number | null): unknown {
  const verdict = judge(400, graphError({ code }), retryAfterMs);
  return verdict.kind === "throttled" ? verdict.retryAfterMs : verdict.kind;
}

test("a throttled number waits as long as the answer, else the catalogue, says", () => {
  assert.equal(waitOf(130429, null), null);
  assert.equal(waitOf(130429, 7000), 7000);
  assert.equal(waitOf(131057, null), 60_000);
  assert.equal(waitOf(131057, 1000), 1000);
});

test("an unknown code is tried again only where the answer says that it may help", () => {
  const error = { code: 999_999, message: "(#999999) Something new" };
  const reason =
    "WhatsApp refused the message with error 999999, which this release of Volley does not know. " +
    "WhatsApp says: (#999999) Something new";
  assert.deepEqual(judge(400, graphError(error)), { kind: "rejected", errorCode: 999_999, reason });
  assert.deepEqual(judge(500, graphError(error)), {
    kind: "transient",
    errorCode: 999_999,
    reason,
  });
  assert.deepEqual(judge(400, graphError({ ...error, is_transient: true })).kind, "transient");
});

test("WhatsApp's details go into the reason where they say which value is wrong", () => {
  const verdict = judge(400, graphError({ code: 132000, error_data: { details: "body: 1 does not match\n3" } }));
  assert.deepEqual(verdict, {
    kind: "rejected",
    errorCode: 132_000,
    reason: "The number of values does not fit the template. WhatsApp says: body: 1 does not match 3",
  });
});

test("an unknown sender blocks the number, while another faulty parameter costs one message", () => {
  assert.equal(judge(400, graphError({ code: 100, error_subcode: 33 })).kind, "blocked");
  assert.equal(judge(400, graphError({ code: 100, error_subcode: 2494010 })).kind, "rejected");
  assert.equal(judge(400, graphError({ code: "100" })).kind, "rejected");
});

test("any body at all comes to a verdict", () => {
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 999 }), fc.oneof(fc.string(), fc.json()), (status, body) => {
      assert.ok(judge(status, body).kind.length > 0);
    }),
  );
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (error, messages) => {
      assert.ok(judge(400, { error, messages }).kind.length > 0);
    }),
  );
});

test("judges Meta's published answers and captures", { skip: !existsSync(SAMPLES) }, () => {
  const expected: Readonly<Record<string, string>> = {
    "real-error-131009-invalid-parameter.json": "rejected",
    "real-error-131030-recipient-not-allowed.json": "rejected",
    "real-error-133010-not-registered.json": "blocked",
    "whaloc-error-132000-param-count.json": "rejected",
    "error-130429-rate-limit.json": "throttled",
    "error-190-expired-token-openapi.json": "blocked",
    "error-403-insufficient-permissions-openapi.json": "blocked",
    "error-429-user-rate-limit-openapi.json": "blocked",
    "error-2-template-api-unexpected-500.json": "transient",
  };
  const names = readdirSync(SAMPLES).filter((name) =>
    /^(real-error|whaloc-error|error-|send-response|whaloc-send)/.test(name),
  );
  assert.ok(names.length > 20);
  for (const name of names) {
    const sample = JSON.parse(readFileSync(join(SAMPLES, name), "utf8"));
    const verdict = judge(sample.http_status ?? 400, sample.body ?? sample);
    const kind = name.includes("response") || name.includes("whaloc-send") ? "accepted" : expected[name];
    assert.notEqual(verdict.kind, "unknown", name);
    if (kind !== undefined) assert.equal(verdict.kind, kind, name);
  }
});
