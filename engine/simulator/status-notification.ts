// The webhook body, byte for byte as Meta writes it: field order of real captures (August 2026), everything beyond ASCII
// escaped, `conversation` only before v24.

import { createHmac } from "node:crypto";

import type { FieldUpdate } from "./field-update.ts";
import { statusErrors } from "./graph-error.ts";
import { escapeLikeMeta, quote } from "./meta-json.ts";

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
  readonly wamid: string;
  readonly wamidJson: string;
  /** `biz_opaque_callback_data`; empty when the send had none. */
  readonly callbackDataJson: string;
  /** What it is charged as: the template's category in lower case, or `marketing_lite`. */
  readonly category: string;
  /** Major Graph API version of the send. */
  readonly apiVersion: number;
  /** Its statuses name the person by user id only. */
  readonly isWithoutPhone: boolean;
  /** Its further reports are void: it was dropped before it was sent. */
  isDropped: boolean;
}

export interface StatusReport {
  readonly message: TakenMessage;
  readonly status: "sent" | "delivered" | "read" | "failed";
  /** Epoch milliseconds; Meta tells whole seconds. */
  readonly atMs: number;
  readonly errorCode: number | null;
  /** The price is another one than `sent` said. */
  readonly hasOtherPrice: boolean;
  /** When it is due at the subscriber, on the clock that never jumps. */
  readonly dueMonotonicMs: number;
}

/** What one POST may carry many of. */
export type WebhookUpdate = StatusReport | FieldUpdate;

/** From this version on only free-entry-point windows carry `conversation`. */
const CONVERSATION_UNTIL_VERSION = 24;
const DAY_SECONDS = 86_400;

export function takenMessage(
  message: Pick<TakenMessage, "number" | "waId" | "category" | "apiVersion" | "isWithoutPhone"> & {
    readonly wamid: string;
    /** Empty for none. */
    readonly callbackData: string;
  },
): TakenMessage {
  return {
    number: message.number,
    waId: message.waId,
    userId: userIdOf(message.waId),
    wamid: message.wamid,
    wamidJson: quote(message.wamid),
    callbackDataJson: message.callbackData === "" ? "" : quote(message.callbackData),
    category: message.category,
    apiVersion: message.apiVersion,
    isWithoutPhone: message.isWithoutPhone,
    isDropped: false,
  };
}

export function notificationBody(updates: readonly WebhookUpdate[], updatesPerChangeMax: number): Buffer {
  const entries: string[] = [];
  let start = 0;
  while (start < updates.length) {
    const first = updates[start];
    if (first === undefined) break;
    if (isStatus(first)) {
      const { wabaId } = first.message.number;
      const reports = statusesFrom(updates, start, wabaId);
      entries.push(`{"id":${quote(wabaId)},"changes":[${changes(reports, updatesPerChangeMax)}]}`);
      start += reports.length;
    } else {
      entries.push(`{"id":${quote(first.wabaId)},"time":${first.atSeconds},"changes":[${first.changeJson}]}`);
      start++;
    }
  }
  return Buffer.from(`{"object":"whatsapp_business_account","entry":[${entries.join(",")}]}`, "latin1");
}

/** The neighbours from `start` on that are statuses of one account. */
function statusesFrom(updates: readonly WebhookUpdate[], start: number, wabaId: string): StatusReport[] {
  const reports: StatusReport[] = [];
  for (let index = start; index < updates.length; index++) {
    const update = updates[index];
    if (update === undefined || !isStatus(update) || update.message.number.wabaId !== wabaId) break;
    reports.push(update);
  }
  return reports;
}

function isStatus(update: WebhookUpdate): update is StatusReport {
  return "message" in update;
}

/** The value of `X-Hub-Signature-256`. */
export function signBody(body: Uint8Array, appSecret: string): string {
  return `sha256=${createHmac("sha256", appSecret).update(body).digest("hex")}`;
}

/** The same person has the same one, and it tells nothing of the number. */
export function userIdOf(waId: string): string {
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
  const contacts = reports.filter((report) => report.status !== "failed").map(({ message }) => contact(message));
  const metadata = `{"display_phone_number":${quote(number.displayPhoneNumber)},"phone_number_id":${quote(number.phoneNumberId)}}`;
  const contactsField = contacts.length > 0 ? `"contacts":[${contacts.join(",")}],` : "";
  const statuses = reports.map(statusItem).join(",");
  return `{"value":{"messaging_product":"whatsapp","metadata":${metadata},${contactsField}"statuses":[${statuses}]},"field":"messages"}`;
}

function contact(message: TakenMessage): string {
  return message.isWithoutPhone
    ? `{"user_id":"${message.userId}"}`
    : `{"wa_id":"${message.waId}","user_id":"${message.userId}"}`;
}

function statusItem(report: StatusReport): string {
  const { message, status } = report;
  const isFailed = status === "failed";
  const atSeconds = Math.floor(report.atMs / 1000);
  return (
    `{"id":${message.wamidJson},"status":"${status}","timestamp":"${atSeconds}"` +
    (message.isWithoutPhone ? "" : `,"recipient_id":"${message.waId}"`) +
    (isFailed && !message.isWithoutPhone ? "" : `,"recipient_user_id":"${message.userId}"`) +
    (message.callbackDataJson === "" ? "" : `,"biz_opaque_callback_data":${message.callbackDataJson}`) +
    (isFailed ? "" : conversation(message, status, atSeconds) + pricing(report)) +
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

function pricing({ message, hasOtherPrice }: StatusReport): string {
  const [isBillable, type] = hasOtherPrice ? [false, "free_entry_point"] : [true, "regular"];
  return `,"pricing":{"billable":${isBillable},"pricing_model":"PMP","category":"${message.category}","type":"${type}"}`;
}
