// What one answer of the Cloud API, or one `failed` status, comes to. Classified by Meta's error code and never by
// HTTP status, except for errors with a code that nobody knows. An answer that cannot be read proves nothing: the
// message may have been sent.

import type { StatusUpdate } from "../message/status-update.ts";
import type { SendRoute, Verdict } from "../message/verdict.ts";
import { entryOf, reasonOf } from "./error-catalogue.ts";
import { FEW_ATTEMPTS_MAX } from "./error-entry.ts";
import type { ErrorEffect } from "./error-entry.ts";
import { asInteger, asList, asObject, asText, parseForeignJson } from "./foreign-json.ts";
import type { ForeignObject } from "./foreign-json.ts";
import type { SendAnswer } from "./send-answer.ts";

type Answered = Extract<SendAnswer, { kind: "answered" }>;

interface Failure {
  readonly effect: ErrorEffect;
  readonly errorCode: number;
  readonly reason: string;
  /** What the answer itself asks for. */
  readonly retryAfterMs: number | null;
}

/** Words of `message_status` for "taken, but kept back by quality or portfolio pacing". */
const HELD_STATUSES: ReadonlySet<string> = new Set(["held_for_quality_assessment", "paused"]);

/** @param route the door that the request went to; some errors mean something else at each. Default: any. */
export function verdictOf(answer: SendAnswer, route?: SendRoute): Verdict {
  switch (answer.kind) {
    case "unreachable":
      return { kind: "transient", errorCode: null, reason: answer.reason };
    case "lost":
      return { kind: "unknown", reason: answer.reason };
    case "answered":
      return verdictOfAnswered(answer, route);
  }
}

/** What a status webhook's failure says of its message, and of its number, account, template or country. */
export function failureOf({ errorCode, errorReason }: StatusUpdate): Verdict {
  if (errorCode === null) return { kind: "rejected", errorCode, reason: errorReason };
  const reason = errorReason === "" ? reasonOf(errorCode, "") : errorReason;
  const effect = entryOf(errorCode)?.effect;
  if (effect === undefined) return { kind: "rejected", errorCode, reason, isUnknownCode: true };
  return verdictOfFailure({ effect, errorCode, reason, retryAfterMs: null });
}

function verdictOfAnswered(answer: Answered, route: SendRoute | undefined): Verdict {
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
  return verdictOfError(error, errorCode, answer, route);
}

function verdictOfError(
  error: ForeignObject,
  errorCode: number,
  answer: Answered,
  route: SendRoute | undefined,
): Verdict {
  const subcode = asInteger(error["error_subcode"]) ?? undefined;
  const details = asText(asObject(error["error_data"])?.["details"]) || asText(error["message"]);
  const reason = reasonOf(errorCode, details, subcode);
  const entry = entryOf(errorCode, subcode);
  if (entry === undefined) return verdictOfUnknown(error, errorCode, reason, answer.httpStatus);
  const effect = (route === "marketing_messages" ? entry.effectOnMarketing : undefined) ?? entry.effect;
  // It came through the very door that the error asks for: there is no other one to try.
  if (effect.kind === "misrouted" && effect.route === route) return { kind: "rejected", errorCode, reason };
  return verdictOfFailure({ effect, errorCode, reason, retryAfterMs: answer.retryAfterMs });
}

function verdictOfFailure({ effect, errorCode, reason, retryAfterMs }: Failure): Verdict {
  if (effect.kind !== "throttled") return { ...effect, errorCode, reason };
  const { waitMs, ...rest } = effect;
  return { ...rest, errorCode, reason, retryAfterMs: retryAfterMs ?? waitMs ?? null };
}

/** A code from after this release: worth another try only where the answer itself says so. */
function verdictOfUnknown(error: ForeignObject, errorCode: number, reason: string, httpStatus: number): Verdict {
  return error["is_transient"] === true || httpStatus >= 500
    ? { kind: "transient", errorCode, reason, attemptsMax: FEW_ATTEMPTS_MAX, isUnknownCode: true }
    : { kind: "rejected", errorCode, reason, isUnknownCode: true };
}

function unreadable(httpStatus: number): Verdict {
  return {
    kind: "unknown",
    reason: `WhatsApp's answer (HTTP ${httpStatus}) could not be read. The message may or may not have been sent.`,
  };
}
