// The webhook body that reports statuses, byte for byte as Meta writes it: field order of real captures (August 2026),
// everything beyond ASCII escaped, `conversation` only before v24.

import { createHmac } from "node:crypto";

import { statusErrors } from "./graph-error.ts";

/** A business phone number of the simulation. */
export interface SimulatedNumber {
  readonly phoneNumberId: string;
  readonly wabaId: string;
  /** Digits. */
  readonly displayPhoneNumber: string;
}

/** A message that the simulator took. What several reports repeat is written once, as JSON. */
export interface TakenMessage {
  readonly number: SimulatedNumber;
  readonly waId: string;
  /** Business-scoped. */
  readonly userId: string;
  readonly wamidJson: string;
  /** `biz_opaque_callback_data`; empty when the send had none. */
  readonly callbackDataJson: string;
  /** Of the template, lower case. */
  readonly category: string;
  /** Major Graph API version of the send. */
  readonly apiVersion: number;
}

export interface StatusReport {
  readonly message: TakenMessage;
  readonly status: "sent" | "delivered" | "read" | "failed";
  /** Epoch milliseconds; Meta tells whole seconds. */
  readonly atMs: number;
  readonly errorCode: number | null;
  /** When it is due at the subscriber, on the clock that never jumps. */
  readonly dueMonotonicMs: number;
}

/** From this version on only free-entry-point windows carry `conversation`. */
const CONVERSATION_UNTIL_VERSION = 24;
const DAY_SECONDS = 86_400;

export function takenMessage(
  message: Pick<TakenMessage, "number" | "waId" | "category" | "apiVersion"> & {
    readonly wamid: string;
    /** Empty for none. */
    readonly callbackData: string;
  },
): TakenMessage {
  return {
    number: message.number,
    waId: message.waId,
    userId: userIdOf(message.waId),
    wamidJson: quote(message.wamid),
    callbackDataJson: message.callbackData === "" ? "" : quote(message.callbackData),
    category: message.category,
    apiVersion: message.apiVersion,
  };
}

export function notificationBody(reports: readonly StatusReport[], updatesPerChangeMax: number): Buffer {
  const entries: string[] = [];
  let start = 0;
  while (start < reports.length) {
    const wabaId = reports[start]?.message.number.wabaId ?? "";
    let end = start + 1;
    while (end < reports.length && reports[end]?.message.number.wabaId === wabaId) end++;
    entries.push(`{"id":${quote(wabaId)},"changes":[${changes(reports.slice(start, end), updatesPerChangeMax)}]}`);
    start = end;
  }
  return Buffer.from(`{"object":"whatsapp_business_account","entry":[${entries.join(",")}]}`, "latin1");
}

/** The value of `X-Hub-Signature-256`. */
export function signBody(body: Uint8Array, appSecret: string): string {
  return `sha256=${createHmac("sha256", appSecret).update(body).digest("hex")}`;
}

/** The same person has the same one, and it tells nothing of the number. */
function userIdOf(waId: string): string {
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  for (let index = 0; index < waId.length; index++) {
    low = Math.imul(low ^ waId.charCodeAt(index), 0x01000193);
    high = Math.imul(high ^ low, 0x85ebca6b);
  }
  return `US.1${digits(low)}${digits(high)}`;
}

function digits(hash: number): string {
  return String(hash >>> 0).padStart(10, "0");
}

/** One `changes[]` item for as many neighbours of the same number as may share it. */
function changes(reports: readonly StatusReport[], updatesPerChangeMax: number): string {
  const items: string[] = [];
  let start = 0;
  while (start < reports.length) {
    const number = reports[start]?.message.number;
    let end = start + 1;
    while (end < reports.length && end - start < updatesPerChangeMax && reports[end]?.message.number === number) end++;
    if (number !== undefined) items.push(change(number, reports.slice(start, end)));
    start = end;
  }
  return items.join(",");
}

function change(number: SimulatedNumber, reports: readonly StatusReport[]): string {
  const contacts = reports
    .filter((report) => report.status !== "failed")
    .map(({ message }) => `{"wa_id":"${message.waId}","user_id":"${message.userId}"}`);
  const metadata = `{"display_phone_number":${quote(number.displayPhoneNumber)},"phone_number_id":${quote(number.phoneNumberId)}}`;
  const contactsField = contacts.length > 0 ? `"contacts":[${contacts.join(",")}],` : "";
  const statuses = reports.map(statusItem).join(",");
  return `{"value":{"messaging_product":"whatsapp","metadata":${metadata},${contactsField}"statuses":[${statuses}]},"field":"messages"}`;
}

function statusItem(report: StatusReport): string {
  const { message, status } = report;
  const isFailed = status === "failed";
  const atSeconds = Math.floor(report.atMs / 1000);
  return (
    `{"id":${message.wamidJson},"status":"${status}","timestamp":"${atSeconds}","recipient_id":"${message.waId}"` +
    (isFailed ? "" : `,"recipient_user_id":"${message.userId}"`) +
    (message.callbackDataJson === "" ? "" : `,"biz_opaque_callback_data":${message.callbackDataJson}`) +
    (isFailed ? "" : conversation(message, status, atSeconds) + pricing(message.category)) +
    (isFailed && report.errorCode !== null ? `,"errors":${escapeLikeMeta(statusErrors(report.errorCode))}` : "") +
    "}"
  );
}

function conversation(message: TakenMessage, status: string, atSeconds: number): string {
  if (message.apiVersion >= CONVERSATION_UNTIL_VERSION) return "";
  const id = Buffer.from(message.wamidJson.slice(-25, -1), "latin1").toString("hex").slice(0, 32);
  const expiry = status === "sent" ? `"expiration_timestamp":"${atSeconds + DAY_SECONDS}",` : "";
  return `,"conversation":{"id":"${id}",${expiry}"origin":{"type":"${message.category}"}}`;
}

function pricing(category: string): string {
  return `,"pricing":{"billable":true,"pricing_model":"PMP","category":"${category}","type":"regular"}`;
}

function quote(text: string): string {
  return escapeLikeMeta(JSON.stringify(text));
}

/**
 * Meta escapes beyond JSON's needs, and signs what it escaped: a receiver that parses and writes the body anew gets
 * another signature. Lower-case `\uXXXX` for everything beyond ASCII, and for `<`, `%`, `@`; `\/` for a slash.
 */
function escapeLikeMeta(json: string): string {
  // oxlint-disable-next-line no-control-regex -- DEL and everything beyond ASCII.
  if (!/[/<%@\u007f-\uffff]/.test(json)) return json;
  // oxlint-disable-next-line no-control-regex -- as above.
  return json.replaceAll(/[/<%@\u007f-\uffff]/g, (character) =>
    character === "/" ? String.raw`\/` : String.raw`\u` + character.charCodeAt(0).toString(16).padStart(4, "0"),
  );
}
