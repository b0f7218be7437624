import assert from "node:assert/strict";
import { test } from "node:test";

import type { LogFields } from "../../engine/runtime/log.ts";
import { REFUSALS_MAX, RefusalLog } from "../../engine/whatsapp/refusal-log.ts";
import type { SendAnswer } from "../../engine/whatsapp/send-answer.ts";

function refused(code: number, httpStatus = 400): SendAnswer {
  const error = { message: "(#1) x", code, error_subcode: 2494055, fbtrace_id: "Az8or2yhqkZfEZ" };
  return { kind: "answered", httpStatus, body: JSON.stringify({ error }), retryAfterMs: null, usage: '{"1":[]}' };
}

function lines(): { readonly log: RefusalLog; readonly told: LogFields[] } {
  const told: LogFields[] = [];
  const tell = (event: string, fields: LogFields = {}): void => {
    assert.equal(event, "send.refused");
    told.push(fields);
  };
  return { log: new RefusalLog({ info: tell, warn: tell, error: tell }), told };
}

test("tells the first refusal with its trace, and then once a minute how many there were", () => {
  const { log, told } = lines();
  for (let second = 0; second <= 60; second++) log.note("main", refused(130_429), second * 1000);
  const line = { senderId: "main", errorCode: 130_429, errorSubcode: 2_494_055, httpStatus: 400, usage: '{"1":[]}' };
  const trace = { fbtraceId: "Az8or2yhqkZfEZ" };
  assert.deepEqual(told, [
    { ...line, ...trace, count: 1 },
    { ...line, ...trace, count: 60 },
  ]);
});

test("keeps senders and errors apart, and errors without a code by their status", () => {
  const { log, told } = lines();
  const page: SendAnswer = { kind: "answered", httpStatus: 502, body: "<html>", retryAfterMs: null };
  for (const answer of [refused(1), refused(2), page, refused(1), page]) log.note("main", answer, 0);
  log.note("other", refused(1), 0);
  assert.deepEqual(
    told.map(({ senderId, errorCode, httpStatus }) => [senderId, errorCode, httpStatus]),
    [
      ["main", 1, 400],
      ["main", 2, 400],
      ["main", null, 502],
      ["other", 1, 400],
    ],
  );
});

test("says nothing of what is no refusal", () => {
  const { log, told } = lines();
  log.note("main", { kind: "answered", httpStatus: 200, body: "{}", retryAfterMs: null }, 0);
  log.note("main", { kind: "lost", reason: "cut" }, 0);
  assert.deepEqual(told, []);
});

test("forgets what it told once there are too many kinds of refusals", () => {
  const { log, told } = lines();
  for (let code = 0; code <= REFUSALS_MAX; code++) log.note("main", refused(code), 0);
  log.note("main", refused(0), 1);
  assert.equal(told.length, REFUSALS_MAX + 2);
});
