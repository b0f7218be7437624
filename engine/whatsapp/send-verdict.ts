// What one answer of the Cloud API comes to. Classified by Meta's error code and never by HTTP status, except for
// errors with a code that nobody knows. An answer that cannot be read proves nothing: the message may have been sent.

import type { Verdict } from "../message/verdict.ts";
import { entryOf, reasonOf } from "./error-catalogue.ts";
import type { ErrorEffect } from "./error-entry.ts";
import { asInteger, asList, asObject, asText, parseForeignJson } from "./foreign-json.ts";
import type { ForeignObject } from "./foreign-json.ts";
import type { SendAnswer } from "./send-answer.ts";

type Answered = Extract<SendAnswer, { kind: "answered" }>;

/** Words of `message_status` for "taken, but kept back by quality or portfolio pacing". */
const HELD_STATUSES: ReadonlySet<string> = new Set(["held_for_quality_assessment", "paused"]);

export function verdictOf(answer: SendAnswer): Verdict {
  switch (answer.kind) {
    case "unreachable":
      return { kind: "transient", errorCode: null, reason: answer.reason };
    case "lost":
      return { kind: "unknown", reason: answer.reason };
    case "answered":
      return verdictOfAnswered(answer);
  }
}

function verdictOfAnswered(answer: Answered): Verdict {
  const body = asObject(parseForeignJson(answer.body));
  if (body === null) return unreadable(answer.httpStatus);
  const message = asObject(asList(body["messages"])[0]);
  const wamid = asText(message?.["id"]);
  if (wamid !== "")
    return {
      kind: "accepted",
      wamid,
      isHeld: HELD_STATUSES.has(asText(message?.["message_status"])),
    };
  const error = asObject(body["error"]);
  const errorCode = asInteger(error?.["code"]);
  if (error === null || errorCode === null) return unreadable(answer.httpStatus);
  return verdictOfError(error, errorCode, answer);
}

function verdictOfError(error: ForeignObject, errorCode: number, answer: Answered): Verdict {
  const subcode = asInteger(error["error_subcode"]) ?? undefined;
  const details = asText(asObject(error["error_data"])?.["details"]) || asText(error["message"]);
  const reason = reasonOf(errorCode, details, subcode);
  const effect = entryOf(errorCode, subcode)?.effect ?? effectOfUnknown(error, answer.httpStatus);
  switch (effect.kind) {
    case "rejected":
      return { kind: "rejected", errorCode, reason };
    case "transient":
      return { kind: "transient", errorCode, reason };
    case "blocked":
      return { kind: "blocked", scope: effect.scope, errorCode, reason };
    case "throttled": {
      const retryAfterMs = answer.retryAfterMs ?? effect.waitMs ?? null;
      return { kind: "throttled", scope: effect.scope, errorCode, reason, retryAfterMs };
    }
  }
}

/** A code from after this release: worth another try only where the answer itself says so. */
function effectOfUnknown(error: ForeignObject, httpStatus: number): ErrorEffect {
  return { kind: error["is_transient"] === true || httpStatus >= 500 ? "transient" : "rejected" };
}

function unreadable(httpStatus: number): Verdict {
  return {
    kind: "unknown",
    reason: `WhatsApp's answer (HTTP ${httpStatus}) could not be read. The message may or may not have been sent.`,
  };
}
