// `?dryRun=true`: what would be sent, without sending or storing anything.

import type { Clock } from "../runtime/clock.ts";
import type { HttpResponse } from "../runtime/http.ts";
import type { ParsedPayload, Payload } from "./payload.ts";
import { strictDoor, wholeFault, type ResponseHeaders } from "./trigger-answers.ts";
import type { PayloadFault, Schedule, TriggerCampaign } from "./trigger-campaign.ts";
import { faultsOf, scheduleOf } from "./trigger-schedule.ts";

type Rehearsal =
  | { readonly kind: "rendered"; readonly json: string }
  | { readonly kind: "filtered" }
  | { readonly kind: "rejected"; readonly faults: readonly PayloadFault[] };

/** An array gets `results` with one object an item, as a real array does. */
export function dryRun(
  campaign: TriggerCampaign,
  parsed: ParsedPayload & { kind: "one" | "many" },
  { headers, clock }: { readonly headers: ResponseHeaders; readonly clock: Clock },
): HttpResponse {
  if (parsed.kind === "many") {
    const results = parsed.payloads.map((payload, index) => itemJson(rehearse(campaign, payload, clock), index));
    return { status: 200, headers, body: `{"dryRun":true,"results":[${results.join(",")}]}` };
  }
  const rehearsal = rehearse(campaign, parsed.payload, clock);
  switch (rehearsal.kind) {
    case "rendered":
      return { status: 200, headers, body: `{"dryRun":true,${rehearsal.json}}` };
    case "filtered":
      return { status: 200, headers, body: '{"dryRun":true,"status":"ignored","code":"filtered","errors":[]}' };
    case "rejected":
      return strictDoor.invalid(rehearsal.faults, headers);
  }
}

function rehearse(campaign: TriggerCampaign, payload: Payload | null, clock: Clock): Rehearsal {
  if (payload === null) return rejected([wholeFault("wrong_type", "The event must be an object.")]);
  if (!campaign.matches(payload)) return { kind: "filtered" };
  const extraction = campaign.extract(payload);
  const schedule = scheduleOf(campaign, payload, clock);
  if (extraction.kind === "invalid" || schedule.kind === "invalid") return rejected(faultsOf(extraction, schedule));
  const { phoneNumber, attributes } = extraction;
  const preview = campaign.preview({ phoneNumber, attributes });
  if (preview.kind === "unrenderable") return rejected([wholeFault("invalid_format", preview.reason)]);
  const { message, changes, request } = preview;
  // The request is JSON already, byte for byte what would go to WhatsApp.
  const told = JSON.stringify({
    phoneNumber,
    message,
    ...(changes.length > 0 ? { changes } : {}),
    ...timingView(campaign, schedule),
  });
  return { kind: "rendered", json: `${told.slice(1, -1)},"request":${request}` };
}

/** Of a campaign that has them. `sendAt` null: at once; `cancels`: of campaigns that there are. */
function timingView(
  { timing }: TriggerCampaign,
  { sendAtMs, waitKey, cancels }: Schedule & { kind: "valid" },
): Readonly<Record<string, unknown>> {
  if (timing === null) return {};
  return {
    ...(timing.uses.sendAt && { sendAt: sendAtMs === null ? null : new Date(sendAtMs).toISOString() }),
    ...(timing.uses.key && { key: waitKey }),
    ...(timing.uses.cancels && { cancels: cancels.map(({ campaignId, key }) => ({ campaign: campaignId, key })) }),
  };
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
