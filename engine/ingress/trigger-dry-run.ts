// `?dryRun=true`: what would be sent, without sending or storing anything.

import type { HttpResponse } from "../runtime/http.ts";
import type { ParsedPayload, Payload } from "./payload.ts";
import { strictDoor, wholeFault, type ResponseHeaders } from "./trigger-answers.ts";
import type { PayloadFault, TriggerCampaign } from "./trigger-campaign.ts";

type Rehearsal =
  | { readonly kind: "rendered"; readonly json: string }
  | { readonly kind: "filtered" }
  | { readonly kind: "rejected"; readonly faults: readonly PayloadFault[] };

/** An array gets `results` with one object an item, as a real array does. */
export function dryRun(
  campaign: TriggerCampaign,
  parsed: ParsedPayload & { kind: "one" | "many" },
  headers: ResponseHeaders,
): HttpResponse {
  if (parsed.kind === "many") {
    const results = parsed.payloads.map((payload, index) => itemJson(rehearse(campaign, payload), index));
    return { status: 200, headers, body: `{"dryRun":true,"results":[${results.join(",")}]}` };
  }
  const rehearsal = rehearse(campaign, parsed.payload);
  switch (rehearsal.kind) {
    case "rendered":
      return { status: 200, headers, body: `{"dryRun":true,${rehearsal.json}}` };
    case "filtered":
      return { status: 200, headers, body: '{"dryRun":true,"status":"ignored","code":"filtered","errors":[]}' };
    case "rejected":
      return strictDoor.invalid(rehearsal.faults, headers);
  }
}

function rehearse(campaign: TriggerCampaign, payload: Payload | null): Rehearsal {
  if (payload === null) return rejected([wholeFault("wrong_type", "The event must be an object.")]);
  if (!campaign.matches(payload)) return { kind: "filtered" };
  const extraction = campaign.extract(payload);
  if (extraction.kind === "invalid") return rejected(extraction.faults);
  const { phoneNumber, attributes } = extraction;
  const preview = campaign.preview({ phoneNumber, attributes });
  if (preview.kind === "unrenderable") return rejected([wholeFault("invalid_format", preview.reason)]);
  const { message, changes, request } = preview;
  // The request is JSON already, byte for byte what would go to WhatsApp.
  const told = JSON.stringify({ phoneNumber, message, ...(changes.length > 0 ? { changes } : {}) });
  return { kind: "rendered", json: `${told.slice(1, -1)},"request":${request}` };
}

function rejected(faults: readonly PayloadFault[]): Rehearsal {
  return { kind: "rejected", faults };
}

function itemJson(rehearsal: Rehearsal, index: number): string {
  switch (rehearsal.kind) {
    case "rendered":
      return `{"index":${index},${rehearsal.json}}`;
    case "filtered":
      return `{"index":${index},"status":"ignored","code":"filtered"}`;
    case "rejected":
      return JSON.stringify({ index, error: { code: "invalid_payload", errors: rehearsal.faults } });
  }
}
