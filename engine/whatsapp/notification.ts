// A webhook body of WhatsApp, sorted: status updates of our messages, how many were of others, what people said about
// marketing (consent-signals.ts), and everything that is not a status (incoming messages, template, account and number
// news). Shapes differ between versions and even between Meta's own samples, so a field that is missing or odd never
// costs the rest of the body.

import { readCallbackData } from "./callback-data.ts";
import type { CallbackData } from "./callback-data.ts";
import type { ConsentSignal, ConsentWordOf, KnownPerson } from "../message/consent-signal.ts";
import type { DeliveryStatus, StatusUpdate } from "../message/status-update.ts";
import { failedSignal, knownPeople, spokenSignals } from "./consent-signals.ts";
import { epochMsOf } from "./epoch-seconds.ts";
import { reasonOf } from "./error-catalogue.ts";
import { asInteger, asList, asObject, asText, parseForeignJson } from "./foreign-json.ts";
import type { ForeignObject } from "./foreign-json.ts";

export interface Notification {
  readonly updates: readonly StatusUpdate[];
  /** Statuses that are not of a message of ours, or of a kind that says nothing about delivery. */
  readonly unmatched: number;
  readonly notifications: readonly OtherNotification[];
  readonly consents: readonly ConsentSignal[];
  /** Whose number and user id came together, each once. */
  readonly people: readonly KnownPerson[];
}

export interface OtherNotification {
  /** Meta's word for what the value is about, such as `messages` or `message_template_status_update`. */
  readonly field: string;
  /** As it came; ids beyond 2^53 are text. */
  readonly value: unknown;
  /** The WhatsApp Business account, or the business, that it is about; empty: not said. */
  readonly accountId: string;
}

/** `played` is what a voice message becomes instead of `read`. */
const STATUSES: ReadonlyMap<string, DeliveryStatus> = new Map([
  ["sent", "sent"],
  ["delivered", "delivered"],
  ["read", "read"],
  ["played", "read"],
  ["failed", "failed"],
]);

/**
 * @param wordOf which texts and buttons are about marketing.
 * @returns malformed for anything but a JSON object with a list `entry`.
 */
export function parseNotification(text: string, wordOf: ConsentWordOf): Notification | { readonly kind: "malformed" } {
  const body = asObject(parseForeignJson(text));
  if (body === null || !Array.isArray(body["entry"])) return { kind: "malformed" };
  const updates: StatusUpdate[] = [];
  const notifications: OtherNotification[] = [];
  const consents: ConsentSignal[] = [];
  const people = new Map<string, KnownPerson>();
  let unmatched = 0;
  for (const entry of asList(body["entry"])) {
    for (const change of asList(asObject(entry)?.["changes"])) {
      const value = asObject(asObject(change)?.["value"]);
      for (const status of asList(value?.["statuses"])) {
        const update = updateOf(status);
        if (update === null) unmatched++;
        else updates.push(update);
        const signal = failedSignal(asObject(status), update);
        if (signal !== null) consents.push(signal);
      }
      if (value !== null) {
        for (const signal of spokenSignals(value, wordOf)) consents.push(signal);
        for (const person of knownPeople(value)) people.set(person.userId, person);
      }
      const other = otherThanStatuses(asObject(change), value);
      if (other !== null) notifications.push({ ...other, accountId: asText(asObject(entry)?.["id"]) });
    }
  }
  return { updates, unmatched, notifications, consents, people: [...people.values()] };
}

function updateOf(value: unknown): StatusUpdate | null {
  const status = asObject(value);
  if (status === null) return null;
  const callback = readCallbackData(asText(status["biz_opaque_callback_data"]));
  const word = STATUSES.get(asText(status["status"]));
  if (callback === null || word === undefined) return null;
  return {
    messageId: callback.messageId,
    attempt: callback.attempt,
    status: word,
    wamid: asText(status["id"]),
    atMs: timeOf(status, callback),
    ...errorOf(status, word),
    pricingCategory: asText(asObject(status["pricing"])?.["category"]),
  };
}

/** A status without a usable time still counts: it is then dated to the message's acceptance. */
function timeOf(status: ForeignObject, callback: CallbackData): number {
  return epochMsOf(status["timestamp"]) ?? callback.address.acceptedAtMs;
}

function errorOf(status: ForeignObject, word: DeliveryStatus): Pick<StatusUpdate, "errorCode" | "errorReason"> {
  if (word !== "failed") return { errorCode: null, errorReason: "" };
  const error = asObject(asList(status["errors"])[0]);
  const errorCode = asInteger(error?.["code"]);
  if (error === null || errorCode === null) {
    return {
      errorCode: null,
      errorReason: "WhatsApp could not deliver the message and does not say why.",
    };
  }
  const details =
    asText(asObject(error["error_data"])?.["details"]) || asText(error["title"]) || asText(error["message"]);
  return { errorCode, errorReason: reasonOf(errorCode, details) };
}

/** @returns null when the change holds statuses and nothing else. */
function otherThanStatuses(
  change: ForeignObject | null,
  value: ForeignObject | null,
): Omit<OtherNotification, "accountId"> | null {
  if (change === null || value === null) return null;
  const hasMore = "messages" in value || "errors" in value;
  if ("statuses" in value && !hasMore) return null;
  return { field: fieldOf(asText(change["field"]), value), value };
}

/** Meta's own sample of a quality change carries the field of a status change: the keys decide. */
function fieldOf(field: string, value: ForeignObject): string {
  return "new_quality_score" in value ? "message_template_quality_update" : field;
}
