import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import * as fc from "fast-check";

import { ERROR_CATALOGUE, entryOf } from "../../engine/whatsapp/error-catalogue.ts";
import type { ErrorEntry } from "../../engine/whatsapp/error-entry.ts";
import { isMessageId } from "../../engine/message/ids.ts";
import type { SendRoute, Verdict } from "../../engine/message/verdict.ts";
import { failureOf, verdictOf } from "../../engine/whatsapp/send-verdict.ts";

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

const BLOCKED = { kind: "blocked" };
const TOKEN = { ...BLOCKED, scope: "token" };
const ACCOUNT = { ...BLOCKED, scope: "account" };
const NUMBER = { ...BLOCKED, scope: "number" };
const TEMPLATE = { ...BLOCKED, scope: "template" };
const APP = { ...BLOCKED, scope: "app" };
const COUNTRY = { ...BLOCKED, scope: "country", isFinal: true };
const REJECTED = { kind: "rejected" };
const STALE = { ...REJECTED, isTemplateStale: true };
const TRANSIENT = { kind: "transient" };
const FEW = { ...TRANSIENT, attemptsMax: 3 };
const PAUSE = { kind: "throttled", scope: "number", retryAfterMs: null };
const MISROUTED = { kind: "misrouted" };

/** What Meta's error page, read with the eyes of somebody who sends templates, asks for: by hand, not from the data. */
const EXPECTED: ReadonlyMap<string, object> = new Map<string, object>([
  ...spread(TOKEN, ["0", "3", "10", "104", "190", "200-299", "131005"]),
  ...spread(APP, ["4", "17"]),
  ...spread(ACCOUNT, ["368", "80007-80008", "131031", "131042", "131064"]),
  ...spread(NUMBER, ["33", "100/33", "803", "131037", "131045", "131048", "133000", "133005-133009", "133010"]),
  ...spread(NUMBER, ["133015-133016", "136024-136025"]),
  ...spread(TEMPLATE, ["132007", "132015", "132016", "132068", "132069", "134011"]),
  ["132001", { ...TEMPLATE, isTemplateStale: true }],
  ["130497", COUNTRY],
  ...spread(TRANSIENT, ["2", "131016", "133004"]),
  ...spread(FEW, ["1", "131000"]),
  ["134101", { ...TRANSIENT, waitMs: 600_000 }],
  ["130429", { ...PAUSE, isRate: true }],
  ["131057", { ...PAUSE, retryAfterMs: 60_000 }],
  ["2494100", { ...PAUSE, retryAfterMs: 180_000 }],
  ["131056", { ...PAUSE, scope: "pair" }],
  ["131063", { ...MISROUTED, route: "marketing_messages" }],
  ...spread({ ...MISROUTED, route: "messages" }, ["131055", "134100", "134102"]),
  ...spread(STALE, ["132000", "132012"]),
  ...spread(REJECTED, [
    "100",
    "130403",
    "130472",
    "131008",
    "131009",
    "131021",
    "131026",
    "131030",
    "131035",
    "131036",
  ]),
  ...spread(REJECTED, ["131044", "131047", "131049", "131050", "131051", "131052", "131053", "131059", "131060"]),
  ...spread(REJECTED, ["131062", "131200-131299", "132005", "132008", "132018", "135000", "137000", "138000-138999"]),
  ...spread(REJECTED, ["139000-139103", "139200", "147001-147005", "200005-200007", "1752041", "2388000-2388999"]),
  ...spread(REJECTED, ["2593107-2593108"]),
]);

function spread(effect: object, codes: readonly string[]): [string, object][] {
  return codes.map((codesOfOne) => [codesOfOne, effect]);
}

function nameOf({ code, through, subcode }: ErrorEntry): string {
  if (subcode !== undefined) return `${code}/${subcode}`;
  return through === undefined ? String(code) : `${code}-${through}`;
}

function failedLater(errorCode: number | null, errorReason: string): Verdict {
  const messageId = "0000000001abcdefghjk000001";
  assert.ok(isMessageId(messageId));
  const status = {
    messageId,
    attempt: 1,
    status: "failed",
    wamid: "wamid.HBgL",
    atMs: 1,
    pricingCategory: "",
  } as const;
  return failureOf({ ...status, errorCode, errorReason });
}

test("each entry of the catalogue has its expectation here, and the other way round", () => {
  assert.deepEqual(ERROR_CATALOGUE.map(nameOf).toSorted(), [...EXPECTED.keys()].toSorted());
});

for (const entry of ERROR_CATALOGUE) {
  const subcode = entry.subcode === undefined ? {} : { error_subcode: entry.subcode };
  const expected = EXPECTED.get(nameOf(entry));
  const codes = [entry.code, entry.through ?? entry.code];
  test(`error ${nameOf(entry)} in an answer comes to what is expected of it`, () => {
    for (const errorCode of codes) {
      const verdict = judge(400, graphError({ code: errorCode, ...subcode }));
      const own = entry.hasDetails === true ? ` WhatsApp says: (#${errorCode}) Title` : "";
      assert.deepEqual(verdict, { ...expected, errorCode, reason: `${entry.reason}${own}` });
    }
  });
  // Statuses carry no subcode.
  if (entry.subcode !== undefined) continue;
  test(`error ${nameOf(entry)} in a status comes to the same`, () => {
    for (const errorCode of codes) {
      assert.deepEqual(failedLater(errorCode, "As told."), { ...expected, errorCode, reason: "As told." });
      assert.deepEqual(failedLater(errorCode, ""), { ...expected, errorCode, reason: entry.reason });
    }
  });
}

test("a failed status without a code, or with one that nobody knows, fails its message", () => {
  assert.deepEqual(failedLater(null, "Unknown."), { kind: "rejected", errorCode: null, reason: "Unknown." });
  assert.deepEqual(failedLater(999_999, "New."), {
    kind: "rejected",
    errorCode: 999_999,
    reason: "New.",
    isUnknownCode: true,
  });
});

function judgeAt(route: SendRoute, code: number): Verdict {
  const body = JSON.stringify(graphError({ code }));
  return verdictOf({ kind: "answered", httpStatus: 400, body, retryAfterMs: null }, route);
}

test("at the marketing door an invalid value may be a template that is not ready there: one more try", () => {
  const reason = "A value in the message is not valid. WhatsApp says: (#131009) Title";
  const expected = { kind: "transient", attemptsMax: 2, waitMs: 600_000, errorCode: 131_009, reason };
  assert.deepEqual(judgeAt("marketing_messages", 131_009), expected);
  assert.deepEqual(judgeAt("messages", 131_009).kind, "rejected");
});

test("a message that came through the very door that is asked for fails instead of going in circles", () => {
  assert.equal(judgeAt("marketing_messages", 131_063).kind, "rejected");
  assert.equal(judgeAt("marketing_messages", 134_102).kind, "misrouted");
  assert.equal(judgeAt("messages", 131_063).kind, "misrouted");
  assert.equal(judgeAt("messages", 134_102).kind, "rejected");
});

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
  const unknown = { errorCode: 999_999, reason, isUnknownCode: true };
  assert.deepEqual(judge(400, graphError(error)), { kind: "rejected", ...unknown });
  const again = { kind: "transient", ...unknown, attemptsMax: 3 };
  assert.deepEqual(judge(500, graphError(error)), again);
  assert.deepEqual(judge(400, graphError({ ...error, is_transient: true })), again);
});

test("WhatsApp's details go into the reason where they say which value is wrong", () => {
  const verdict = judge(400, graphError({ code: 132000, error_data: { details: "body: 1 does not match\n3" } }));
  assert.deepEqual(verdict, {
    kind: "rejected",
    errorCode: 132_000,
    reason: "The number of values does not fit the template. WhatsApp says: body: 1 does not match 3",
    isTemplateStale: true,
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

function expectedOf(errorCode: number): object {
  const entry = entryOf(errorCode);
  assert.ok(entry !== undefined, `no entry for ${errorCode}`);
  return { ...EXPECTED.get(nameOf(entry)), errorCode };
}

function samplesLike(pattern: RegExp): { readonly name: string; readonly text: string }[] {
  const names = readdirSync(SAMPLES).filter((name) => pattern.test(name));
  return names.map((name) => ({ name, text: readFileSync(join(SAMPLES, name), "utf8") }));
}

test("judges Meta's published answers and captures", { skip: !existsSync(SAMPLES) }, () => {
  const refused = samplesLike(/^(real-error|whaloc-error|error-)/);
  const taken = samplesLike(/^(send-response|whaloc-send|marketing-messages-response)/);
  assert.ok(refused.length >= 20 && taken.length >= 8);
  for (const { name, text } of refused) {
    const sample = JSON.parse(text);
    const body = sample.body ?? sample;
    const verdict = judge(sample.http_status ?? 400, body);
    assert.deepEqual({ ...verdict, ...expectedOf(body.error.code) }, verdict, name);
  }
  for (const { name, text } of taken) {
    const sample = JSON.parse(text);
    assert.equal(judge(200, sample.body ?? sample).kind, "accepted", name);
  }
});

test("judges the failures in Meta's published statuses", { skip: !existsSync(SAMPLES) }, () => {
  const failed = samplesLike(/failed/);
  assert.ok(failed.length >= 3);
  for (const { name, text } of failed) {
    const errorCode = Number(/"code": ?(\d+)/.exec(text)?.[1]);
    const verdict = failedLater(errorCode, "As told.");
    assert.deepEqual({ ...verdict, ...expectedOf(errorCode) }, verdict, name);
  }
});
