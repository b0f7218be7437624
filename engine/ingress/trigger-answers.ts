// What the two doors say. The strict one serves callers who look at the answer: every fault is a problem with a stable
// code. The lenient one serves platforms that would retry and then delete the merchant's webhook on a 4xx: faults of
// data, filtered events and paused campaigns are exactly 200 there.

import type { MessageId } from "../message/ids.ts";
import { problem, type HttpResponse } from "../runtime/http.ts";
import type { PayloadFault } from "./trigger-campaign.ts";

/** What became of one event. */
export type ItemResult =
  | { readonly kind: "accepted"; readonly messageId: MessageId; readonly isDuplicate: boolean }
  /** The campaign's `when` does not take it. */
  | { readonly kind: "filtered" }
  | { readonly kind: "rejected"; readonly faults: readonly PayloadFault[] };

export type ResponseHeaders = Readonly<Record<string, string>>;

export interface Door {
  readonly isLenient: boolean;
  accepted(messageId: MessageId, isDuplicate: boolean, headers: ResponseHeaders): HttpResponse;
  filtered(headers: ResponseHeaders): HttpResponse;
  paused(campaignId: string): HttpResponse;
  invalid(faults: readonly PayloadFault[], headers: ResponseHeaders): HttpResponse;
  batch(results: readonly ItemResult[], headers: ResponseHeaders): HttpResponse;
  /** An Idempotency-Key that was used with another body. */
  reused(): HttpResponse;
  /** A body that is not what it should be: `status` is what the strict door says. */
  unreadable(status: 400 | 415, detail: string): HttpResponse;
}

export const JSON_HEADERS: ResponseHeaders = { "content-type": "application/json" };

const KEY_REUSED: HttpResponse = problem({
  status: 422,
  code: "idempotency_key_reused",
  detail: "This Idempotency-Key was used with another body; send a new key for a new event.",
});

export const strictDoor: Door = {
  isLenient: false,
  accepted: (messageId, isDuplicate, headers) => ({
    status: 202,
    headers,
    body: `{"status":"accepted","messageId":"${messageId}","duplicate":${isDuplicate}}`,
  }),
  filtered: (headers) => ({ status: 200, headers, body: ignoredBody("filtered", []) }),
  paused: (campaignId) =>
    problem({
      status: 409,
      code: "campaign_paused",
      detail: `Campaign ${campaignId} is paused and accepts no triggers.`,
    }),
  invalid: (faults) => invalidPayload(faults),
  batch(results, headers) {
    const counts = countResults(results);
    if (counts.rejected === results.length) return everyItemRejected(results);
    if (counts.accepted === 0 && counts.rejected === 0)
      return { status: 200, headers, body: batchBody("ignored", counts, results) };
    return { status: 202, headers, body: batchBody("accepted", counts, results) };
  },
  reused: () => KEY_REUSED,
  unreadable: (status, detail) =>
    problem({ status, code: status === 400 ? "malformed_json" : "unsupported_media_type", detail }),
};

export const lenientDoor: Door = {
  isLenient: true,
  accepted: (messageId) => ({
    status: 200,
    headers: JSON_HEADERS,
    body: `{"status":"accepted","messageId":"${messageId}"}`,
  }),
  filtered: () => ignored("filtered", []),
  paused: () => ignored("campaign_paused", []),
  invalid: (faults) => ignored("invalid_payload", faults),
  batch(results) {
    const counts = countResults(results);
    const status = counts.accepted > 0 ? "accepted" : "ignored";
    return { status: 200, headers: JSON_HEADERS, body: batchBody(status, counts, results) };
  },
  reused: () => ignored("idempotency_key_reused", []),
  unreadable: (_, detail) => problem({ status: 400, code: "malformed_json", detail }),
};

/** A fault of the whole body or of the request around it. */
export function wholeFault(code: string, message: string, attribute = ""): PayloadFault {
  return { pointer: "", attribute, code, message };
}

/** Nothing was stored; the same call may be repeated. */
export function overloaded(detail: string, retryAfterSeconds: number): HttpResponse {
  return problem({ status: 503, code: "overloaded", detail, headers: { "retry-after": String(retryAfterSeconds) } });
}

function ignored(code: string, faults: readonly PayloadFault[]): HttpResponse {
  return { status: 200, headers: JSON_HEADERS, body: ignoredBody(code, faults) };
}

function ignoredBody(code: string, faults: readonly PayloadFault[]): string {
  return JSON.stringify({ status: "ignored", code, errors: faults });
}

function invalidPayload(faults: readonly PayloadFault[], more: Readonly<Record<string, unknown>> = {}): HttpResponse {
  const detail = faults.length === 1 ? (faults[0]?.message ?? "") : `The payload has ${faults.length} faults.`;
  return problem({ status: 422, code: "invalid_payload", detail, more: { errors: faults, ...more } });
}

/** The faults of all items, with pointers into the array, and the results as in a 202. */
function everyItemRejected(results: readonly ItemResult[]): HttpResponse {
  const faults = results.flatMap((result, index) =>
    result.kind === "rejected"
      ? result.faults.map((fault) => ({ ...fault, pointer: `/${index}${fault.pointer}` }))
      : [],
  );
  return invalidPayload(faults, { accepted: 0, rejected: results.length, results: results.map(resultView) });
}

interface ResultCounts {
  accepted: number;
  rejected: number;
  ignored: number;
}

function countResults(results: readonly ItemResult[]): ResultCounts {
  const counts = { accepted: 0, rejected: 0, ignored: 0 };
  for (const { kind } of results) {
    if (kind === "accepted") counts.accepted++;
    else if (kind === "rejected") counts.rejected++;
    else counts.ignored++;
  }
  return counts;
}

/** `ignored` is only there when something was. */
function batchBody(status: "accepted" | "ignored", counts: ResultCounts, results: readonly ItemResult[]): string {
  const ignoredCount = counts.ignored > 0 ? `,"ignored":${counts.ignored}` : "";
  const items = results.map((result, index) =>
    result.kind === "accepted"
      ? `{"index":${index},"messageId":"${result.messageId}","duplicate":${result.isDuplicate}}`
      : JSON.stringify(resultView(result, index)),
  );
  return `{"status":"${status}","accepted":${counts.accepted},"rejected":${counts.rejected}${ignoredCount},"results":[${items.join(",")}]}`;
}

function resultView(result: ItemResult, index: number): unknown {
  switch (result.kind) {
    case "accepted":
      return { index, messageId: result.messageId, duplicate: result.isDuplicate };
    case "filtered":
      return { index, status: "ignored", code: "filtered" };
    case "rejected":
      return { index, error: { code: "invalid_payload", errors: result.faults } };
  }
}
