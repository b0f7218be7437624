// The bodies of answers: to a message that was taken, and those that nobody can read.

import type { LostForm } from "./recipient-rule.ts";
import type { SendRequest } from "./send-request.ts";
import type { SendRoute } from "./send-route.ts";

const HTML = "<!DOCTYPE html><html><head><title>Error</title></head><body>Sorry, something went wrong.</body></html>";

/** What comes instead of the answer, if anything does. */
export const LOST_ANSWERS: Readonly<Record<LostForm, { readonly httpStatus: number; readonly body: string }>> = {
  cut: { httpStatus: 0, body: "" },
  silent: { httpStatus: 0, body: "" },
  garbled: { httpStatus: 502, body: HTML },
  empty: { httpStatus: 503, body: "" },
  unreadable: { httpStatus: 200, body: '{"messaging_product":"whatsapp","contacts":[{"input":"' },
};

export function acceptedBody(request: SendRequest, route: SendRoute, wamid: string, isHeld: boolean): string {
  const status = isHeld ? "held_for_quality_assessment" : "accepted";
  const success = route === "marketing_messages" ? ',"success":true' : "";
  return `{"messaging_product":"whatsapp","contacts":[{"input":${JSON.stringify(request.to)},"wa_id":"${request.waId}"}],"messages":[{"id":"${wamid}","message_status":"${status}"}]${success}}`;
}
