// What Meta tells us: the verification challenge when an operator enters our URL there, and notifications signed over
// their raw bytes. 200 means that every status and every opt-out in the call is durable; anything else makes Meta send
// it again, for up to seven days. Statuses merge by rank and opt-outs by time, so a call that comes twice changes nothing.

import type { ConsentSignal, KnownPerson } from "../message/consent-signal.ts";
import type { StatusUpdate } from "../message/status-update.ts";
import { decodeMessageId } from "../message/ids.ts";
import { problem, type HttpReply, type HttpRequest, type HttpResponse, type Route } from "../runtime/http.ts";
import { isSameSecret, verifyHmac } from "./authentication.ts";
import type { GroupCommit } from "./group-commit.ts";
import { overloaded } from "./trigger-answers.ts";

export interface WebhookNotification {
  readonly updates: readonly StatusUpdate[];
  /** Statuses of messages that are not ours. */
  readonly unmatched: number;
  readonly notifications: readonly {
    readonly field: string;
    readonly value: unknown;
    /** Whom it is about. */
    readonly accountId: string;
  }[];
  readonly consents: readonly ConsentSignal[];
  readonly people: readonly KnownPerson[];
}

export interface WhatsAppWebhookDeps {
  /** One, or two while one is being replaced. An empty one fits nothing. */
  appSecrets(): readonly string[];
  /** Empty: no challenge is answered. */
  verifyToken(): string;
  parse(text: string): WebhookNotification | { readonly kind: "malformed" };
  readonly commit: Pick<GroupCommit, "hasRoom" | "submitUpdates">;
  /** Resolves once what people said about marketing is durable; rejects when it could not be stored. */
  hearConsents(consents: readonly ConsentSignal[], people: readonly KnownPerson[]): Promise<void>;
  /** A signed call is durable. */
  onNotification(notification: WebhookNotification): void;
  onRefused(code: string): void;
  /** In [0, 1). */
  random(): number;
}

/** Meta's own limit for one call. */
const BODY_BYTES_MAX = 3 * 1024 * 1024;
const RETRY_AFTER_SECONDS = { least: 4, spread: 3 };
const SIGNATURE = { algorithm: "sha256", encoding: "hex", prefix: "sha256=" } as const;
const OK: HttpResponse = { status: 200 };

export function createWhatsAppWebhookRoutes(deps: WhatsAppWebhookDeps): Route[] {
  const pattern = "/webhooks/whatsapp";
  return [
    { method: "get", pattern, bodyBytesMax: 0, handle: (request, reply) => reply.send(answerChallenge(deps, request)) },
    { method: "post", pattern, bodyBytesMax: BODY_BYTES_MAX, handle: (request, reply) => take(deps, request, reply) },
  ];
}

function answerChallenge(deps: WhatsAppWebhookDeps, request: HttpRequest): HttpResponse {
  const query = new URLSearchParams(request.query);
  const isKnown = isSameSecret(query.get("hub.verify_token") ?? undefined, deps.verifyToken());
  if (query.get("hub.mode") !== "subscribe" || !isKnown) {
    deps.onRefused("forbidden");
    return problem({ status: 403, code: "forbidden", detail: "The verify token is not the one in the configuration." });
  }
  // Plain text, never sniffed: the challenge is the caller's own words.
  const headers = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };
  return { status: 200, headers, body: query.get("hub.challenge") ?? "" };
}

function take(deps: WhatsAppWebhookDeps, request: HttpRequest, reply: HttpReply): void {
  const rules = { ...SIGNATURE, secrets: deps.appSecrets() };
  if (!verifyHmac(rules, request.body, request.headers.get("x-hub-signature-256"))) {
    deps.onRefused("unauthorized");
    const detail = "X-Hub-Signature-256 is missing or was not made with the app secret in the configuration.";
    return reply.send(problem({ status: 401, code: "unauthorized", detail }));
  }
  const notification = deps.parse(request.body.toString("utf8"));
  if ("kind" in notification) {
    deps.onRefused("malformed_json");
    return reply.send(problem({ status: 400, code: "malformed_json", detail: "The body is not a notification." }));
  }
  store(deps, notification, (isStored) => {
    if (isStored) deps.onNotification(notification);
    else deps.onRefused("overloaded");
    reply.send(isStored ? OK : unstored(deps));
  });
}

/** `done` once, when the statuses and the opt-outs settled. */
function store(deps: WhatsAppWebhookDeps, notification: WebhookNotification, done: (isStored: boolean) => void): void {
  const { updates, consents, people } = notification;
  let missing = 2;
  let isStored = true;
  const settle = (isPartStored: boolean): void => {
    isStored &&= isPartStored;
    missing--;
    if (missing === 0) done(isStored);
  };
  storeUpdates(deps, updates, settle);
  if (consents.length === 0 && people.length === 0) return settle(true);
  deps.hearConsents(consents, people).then(
    () => settle(true),
    () => settle(false),
  );
}

/** One submission a partition; `done` once, when all of them settled. */
function storeUpdates(
  deps: WhatsAppWebhookDeps,
  updates: readonly StatusUpdate[],
  done: (isStored: boolean) => void,
): void {
  if (updates.length === 0) return done(true);
  if (!deps.commit.hasRoom(updates.length)) return done(false);
  const byPartition = groupByPartition(updates);
  let missing = byPartition.size;
  let isStored = true;
  const settle = (error: Error | null): void => {
    if (error !== null) isStored = false;
    missing--;
    if (missing === 0) done(isStored);
  };
  for (const [partition, part] of byPartition) {
    if (!deps.commit.submitUpdates(partition, part, settle)) settle(new Error("no room"));
  }
}

function groupByPartition(updates: readonly StatusUpdate[]): ReadonlyMap<number, readonly StatusUpdate[]> {
  const groups = new Map<number, StatusUpdate[]>();
  for (const update of updates) {
    const partition = decodeMessageId(update.messageId)?.partition ?? 0;
    const group = groups.get(partition);
    if (group === undefined) groups.set(partition, [update]);
    else group.push(update);
  }
  return groups;
}

function unstored(deps: WhatsAppWebhookDeps): HttpResponse {
  const { least, spread } = RETRY_AFTER_SECONDS;
  const seconds = least + Math.floor(deps.random() * spread);
  return overloaded("The call could not be stored; send it again.", seconds);
}
