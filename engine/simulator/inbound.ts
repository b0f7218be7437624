// What a person sends to a business number: a text, the tap on a quick-reply button, or the switch for marketing messages.

import { fieldUpdate, type FieldUpdate } from "./field-update.ts";
import type { Reply } from "./recipient-rule.ts";
import { userIdOf, type SimulatedNumber } from "./status-notification.ts";

export interface Inbound extends Omit<Reply, "afterMs"> {
  /** Phone number. */
  readonly from: string;
  /** phone_number_id; default the first of the simulation. */
  readonly to?: string;
  /** The wamid that it answers; Meta leaves it out at times. */
  readonly contextId?: string;
}

export type InboundReading =
  | { readonly kind: "valid"; readonly inbound: Inbound }
  | { readonly kind: "invalid"; readonly fault: string };

const FIELDS: ReadonlySet<string> = new Set(["from", "to", "contextId", "text", "button", "payload", "preference"]);
const PROFILE = { name: "Simulated Person" };

export function readInbound(input: unknown): InboundReading {
  if (typeof input !== "object" || input === null) return invalid("an inbound message is an object");
  for (const [name, value] of Object.entries(input)) {
    if (!FIELDS.has(name)) return invalid(`there is no field ${name}`);
    if (typeof value !== "string" || value === "") return invalid(`${name} must be a text`);
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every field was found to be a text.
  const inbound = input as Inbound;
  if (!/^\+?[1-9]\d{6,14}$/.test(inbound.from ?? "")) return invalid("from must be a phone number");
  const contents = [inbound.text, inbound.button, inbound.preference].filter((content) => content !== undefined);
  if (contents.length !== 1) return invalid("it must hold one of text, button, preference");
  if (inbound.preference !== undefined && !/^(stop|resume)$/.test(inbound.preference)) {
    return invalid("preference must be stop or resume");
  }
  return { kind: "valid", inbound };
}

/** @param wamid of this message. */
export function inboundUpdate(
  inbound: Inbound,
  to: SimulatedNumber,
  { wamid, atMs }: { readonly wamid: string; readonly atMs: number },
): FieldUpdate {
  const waId = inbound.from.replace("+", "");
  const userId = userIdOf(waId);
  const atSeconds = Math.floor(atMs / 1000);
  const head = {
    messaging_product: "whatsapp",
    metadata: { display_phone_number: to.displayPhoneNumber, phone_number_id: to.phoneNumberId },
    contacts: [{ profile: PROFILE, wa_id: waId, user_id: userId }],
  };
  const account = { wabaId: to.wabaId, atMs };
  if (inbound.preference !== undefined) {
    // A number here, unlike in messages and statuses.
    const preference = { wa_id: waId, user_id: userId, ...preferenceOf(inbound.preference), timestamp: atSeconds };
    return fieldUpdate({ ...account, field: "user_preferences", value: { ...head, user_preferences: [preference] } });
  }
  const context =
    inbound.contextId === undefined ? {} : { context: { from: to.displayPhoneNumber, id: inbound.contextId } };
  const content =
    inbound.button === undefined
      ? { text: { body: inbound.text }, type: "text" }
      : { type: "button", button: { payload: inbound.payload ?? inbound.button, text: inbound.button } };
  const message = { ...context, from: waId, from_user_id: userId, id: wamid, timestamp: String(atSeconds), ...content };
  return fieldUpdate({ ...account, field: "messages", value: { ...head, messages: [message] } });
}

function preferenceOf(value: "stop" | "resume"): Record<string, string> {
  return { detail: `User requested to ${value} marketing messages`, category: "marketing_messages", value };
}

function invalid(fault: string): InboundReading {
  return { kind: "invalid", fault };
}
