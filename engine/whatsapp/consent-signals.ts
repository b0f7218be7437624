// What a webhook tells of people's wish about marketing: a typed word, a pressed button, WhatsApp's own switch
// ("Stop promotions" in the chat's menu), and the sends that Meta refused because of that switch (131050).

import type { ConsentKind, ConsentSignal, ConsentWordOf, KnownPerson } from "../message/consent-signal.ts";
import type { StatusUpdate } from "../message/status-update.ts";
import { epochMsOf } from "./epoch-seconds.ts";
import { asInteger, asList, asObject, asText, type ForeignObject } from "./foreign-json.ts";

/** "Unable to deliver the message. This recipient has chosen to stop receiving marketing messages on WhatsApp from your business." */
const STOPPED_MARKETING = 131_050;
/** Of Meta's switch. Who signs up by a link of the business asks for marketing as well. */
const PREFERENCES: ReadonlyMap<string, ConsentKind> = new Map([
  ["stop", "stop"],
  ["resume", "resume"],
  ["signup", "resume"],
]);
const PREFERENCE_CATEGORY = "marketing_messages";
const WA_ID = /^\+?(\d{5,17})$/;
/** Two letters, a dot and at most 128 characters by Meta's page; anything longer is none. */
const USER_ID_LENGTH_MAX = 200;

/** Of what people wrote, pressed and switched, in one change of a webhook. */
export function spokenSignals(value: ForeignObject, wordOf: ConsentWordOf): ConsentSignal[] {
  const preferences = asList(value["user_preferences"]).map((item) => preferenceSignal(asObject(item), value));
  const replies = asList(value["messages"]).map((message) => replySignal(asObject(message), wordOf));
  return [...preferences, ...replies].filter((signal) => signal !== null);
}

/** @param update null: of a message that another program sent; the person's wish is the same. */
export function failedSignal(status: ForeignObject | null, update: StatusUpdate | null): ConsentSignal | null {
  if (status === null || status["status"] !== "failed") return null;
  const codes = asList(status["errors"]).map((error) => asInteger(asObject(error)?.["code"]));
  if (!codes.includes(STOPPED_MARKETING)) return null;
  const waId = waIdOf(status["recipient_id"]);
  const userId = userIdOf(status["recipient_user_id"]);
  const messageId = update?.messageId ?? null;
  if (waId === "" && userId === "" && messageId === null) return null;
  const atMs = epochMsOf(status["timestamp"]) ?? update?.atMs ?? 0;
  return { kind: "stop", waId, userId, messageId, source: "131050", words: "", atMs };
}

/** Whose number and user id this change tells together. */
export function knownPeople(value: ForeignObject): KnownPerson[] {
  const contacts = asList(value["contacts"]).map((item) => personOf(asObject(item), "wa_id", "user_id"));
  const recipients = asList(value["statuses"]).map((item) =>
    personOf(asObject(item), "recipient_id", "recipient_user_id"),
  );
  const senders = asList(value["messages"]).map((item) => personOf(asObject(item), "from", "from_user_id"));
  return [...contacts, ...recipients, ...senders].filter((person) => person !== null);
}

function preferenceSignal(preference: ForeignObject | null, value: ForeignObject): ConsentSignal | null {
  if (preference === null || asText(preference["category"]) !== PREFERENCE_CATEGORY) return null;
  const kind = PREFERENCES.get(asText(preference["value"]).toLowerCase());
  if (kind === undefined) return null;
  const waId = waIdOf(preference["wa_id"]);
  const userId = userIdOf(preference["user_id"]);
  const told = waId === "" && userId === "" ? onlyContact(value) : { waId, userId };
  return signalOf({ ...told, kind, source: "preference", words: "", time: preference["timestamp"] });
}

/** A preference that names nobody is the contact's, if there is only one. */
function onlyContact(value: ForeignObject): KnownPerson {
  const [contact, ...others] = asList(value["contacts"]).map(asObject);
  if (others.length > 0) return { waId: "", userId: "" };
  return { waId: waIdOf(contact?.["wa_id"]), userId: userIdOf(contact?.["user_id"]) };
}

function replySignal(message: ForeignObject | null, wordOf: ConsentWordOf): ConsentSignal | null {
  if (message === null) return null;
  const { source, texts } = repliedTexts(message);
  for (const words of texts) {
    const kind = wordOf(words);
    if (kind === null) continue;
    const waId = waIdOf(message["from"]);
    const userId = userIdOf(message["from_user_id"]);
    return signalOf({ waId, userId, kind, source, words: words.trim(), time: message["timestamp"] });
  }
  return null;
}

/** What the person sees goes first: the payload is the author's own word for it. */
function repliedTexts(message: ForeignObject): Pick<ConsentSignal, "source"> & { readonly texts: readonly string[] } {
  const text = asObject(message["text"]);
  if (text !== null) return { source: "text", texts: [asText(text["body"])] };
  const button = asObject(message["button"]);
  if (button !== null) return { source: "button", texts: [asText(button["text"]), asText(button["payload"])] };
  const interactive = asObject(message["interactive"]);
  const reply = asObject(interactive?.["button_reply"]) ?? asObject(interactive?.["list_reply"]);
  return { source: "button", texts: [asText(reply?.["title"]), asText(reply?.["id"])] };
}

/** @returns null when nobody can be known by it. */
function signalOf({
  time,
  ...signal
}: Omit<ConsentSignal, "atMs" | "messageId"> & { readonly time: unknown }): ConsentSignal | null {
  if (signal.waId === "" && signal.userId === "") return null;
  return { ...signal, messageId: null, atMs: epochMsOf(time) ?? 0 };
}

function personOf(item: ForeignObject | null, waIdKey: string, userIdKey: string): KnownPerson | null {
  const userId = userIdOf(item?.[userIdKey]);
  if (userId === "") return null;
  const waId = waIdOf(item?.[waIdKey]);
  return waId === "" ? null : { waId, userId };
}

/** The digits; empty for what is no number. */
function waIdOf(value: unknown): string {
  return WA_ID.exec(asText(value))?.[1] ?? "";
}

function userIdOf(value: unknown): string {
  const userId = asText(value);
  return userId.length <= USER_ID_LENGTH_MAX ? userId : "";
}
