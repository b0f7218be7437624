// The two doors for events. The strict one takes an API key and answers with the contract's error table; the lenient
// one takes a signature or a URL token from platforms that can set no header. This file decides who may enter and
// whether there is room; what becomes of a payload is trigger-intake.ts.

import { problem, type HttpReply, type HttpRequest, type HttpResponse, type Route } from "../runtime/http.ts";
import type { Admission } from "./admission.ts";
import { isSameSecret, verifyHmac, type Authorisation, type Need } from "./authentication.ts";
import { isWooCommercePing, parsePayload, type ParsedPayload, type Payload } from "./payload.ts";
import {
  JSON_HEADERS,
  lenientDoor,
  strictDoor,
  wholeFault,
  type Door,
  type ResponseHeaders,
} from "./trigger-answers.ts";
import type { PayloadFault, TriggerCampaign } from "./trigger-campaign.ts";
import { dryRun } from "./trigger-dry-run.ts";
import { TriggerIntake, type Exchange, type IntakeDeps } from "./trigger-intake.ts";

export interface TriggerDeps extends IntakeDeps {
  campaign(id: string): TriggerCampaign | undefined;
  authorise(request: HttpRequest, need: Need): Authorisation;
  /** Takes events of a key, or none. */
  admit(keyId: string, cost: number, nowMs: number): Admission;
}

/** One order is about 30 kB; 1,000 small events fit. */
const BODY_BYTES_MAX = 5 * 1024 * 1024;
const IDEMPOTENCY_KEY_LENGTH_MAX = 255;

export function createTriggerRoutes(deps: TriggerDeps): Route[] {
  const doors = new TriggerDoors(deps);
  const bodyBytesMax = BODY_BYTES_MAX;
  return [
    {
      method: "post",
      pattern: "/api/campaigns/:campaignId/trigger",
      bodyBytesMax,
      handle: (request, reply) => doors.strict(request, reply),
    },
    {
      method: "post",
      pattern: "/hooks/:campaignId",
      bodyBytesMax,
      handle: (request, reply) => doors.lenient(request, reply),
    },
    {
      method: "post",
      pattern: "/hooks/:campaignId/:token",
      bodyBytesMax,
      handle: (request, reply) => doors.lenient(request, reply),
    },
  ];
}

const BAD_SIGNATURE: HttpResponse = problem({
  status: 401,
  code: "unauthorized",
  detail:
    "No campaign takes this call: its signature or URL token is missing or wrong, or the campaign does not exist.",
});

const PING_ANSWER: HttpResponse = { status: 200 };

class TriggerDoors {
  readonly #deps: TriggerDeps;
  readonly #intake: TriggerIntake;

  constructor(deps: TriggerDeps) {
    this.#deps = deps;
    this.#intake = new TriggerIntake(deps);
  }

  strict(request: HttpRequest, reply: HttpReply): void {
    const startedAtMs = this.#deps.clock.monotonicMs();
    const campaignId = request.params[0] ?? "";
    const access = this.#deps.authorise(request, { scope: "trigger", campaignId });
    if (access.kind === "refused") return this.#turnAway(reply, null, access.code, access.response);
    const campaign = this.#deps.campaign(campaignId);
    if (campaign === undefined) return this.#turnAway(reply, null, "campaign_not_found", campaignNotFound(campaignId));
    // One event is charged before the body is read, so that a key beyond its limit costs no parsing.
    const admission = this.#deps.admit(access.key.id, 1, startedAtMs);
    if (admission.kind === "refused") return this.#turnAway(reply, campaign, "rate_limited", rateLimited(admission));

    const headers = rateLimitHeaders(admission);
    const exchange: Exchange = { door: strictDoor, campaign, request, reply, headers, startedAtMs };
    const isDryRun = request.query === "" ? false : readDryRun(request.query);
    if (isDryRun !== false) return this.#dryRun(exchange, isDryRun);
    if (!this.#hasEntered(exchange)) return;
    const keyFault = idempotencyKeyFault(request.headers.get("idempotency-key"));
    if (keyFault !== null) return this.#intake.refuseData(exchange, [keyFault]);
    const parsed = parse(strictDoor, request);
    if (parsed.kind !== "many") return this.#take(exchange, parsed);
    // The first one is paid for; all together cost no more than the burst, or a long array could never pass.
    const cost = Math.min(parsed.payloads.length, admission.limit) - 1;
    const others = this.#deps.admit(access.key.id, cost, startedAtMs);
    if (others.kind === "refused") return this.#turnAway(reply, campaign, "rate_limited", rateLimited(others));
    this.#take({ ...exchange, headers: rateLimitHeaders(others) }, parsed);
  }

  lenient(request: HttpRequest, reply: HttpReply): void {
    const startedAtMs = this.#deps.clock.monotonicMs();
    const [campaignId = "", token] = request.params;
    const campaign = this.#deps.campaign(campaignId);
    const contentType = request.headers.get("content-type");
    if (campaign === undefined || !isGenuine(campaign, request, token)) {
      // On saving a webhook WooCommerce sends this ping, unsigned, and gives up on anything but 200.
      const isPing =
        campaign?.auth.type === "hmac" && token === undefined && isWooCommercePing(contentType, request.body);
      if (isPing && !request.headers.has(campaign.auth.header.toLowerCase())) return reply.send(PING_ANSWER);
      return this.#turnAway(reply, campaign ?? null, "unauthorized", BAD_SIGNATURE);
    }
    if (isWooCommercePing(contentType, request.body)) return reply.send(PING_ANSWER);
    const exchange: Exchange = { door: lenientDoor, campaign, request, reply, headers: JSON_HEADERS, startedAtMs };
    if (this.#hasEntered(exchange)) this.#take(exchange, parse(lenientDoor, request));
  }

  /** Whether the campaign takes events, and there is room for one. */
  #hasEntered(exchange: Exchange): boolean {
    if (!exchange.campaign.isActive) {
      this.#intake.refusePaused(exchange);
      return false;
    }
    const refusal = this.#intake.refusal(1);
    if (refusal === null) return true;
    this.#intake.refuse(exchange, "overloaded", refusal);
    return false;
  }

  #take(exchange: Exchange, parsed: ParsedPayload): void {
    switch (parsed.kind) {
      case "one":
        return this.#intake.takeOne(exchange, parsed.payload);
      case "many":
        return this.#takeMany(exchange, parsed.payloads);
      case "malformed":
        return this.#intake.refuse(exchange, "malformed_json", exchange.door.unreadable(400, parsed.detail));
      case "unsupported":
        return this.#intake.refuse(exchange, "unsupported_media_type", exchange.door.unreadable(415, parsed.detail));
      case "invalid":
        return this.#intake.refuseData(exchange, [wholeFault(parsed.code, parsed.message)]);
    }
  }

  #takeMany(exchange: Exchange, payloads: readonly (Payload | null)[]): void {
    const refusal = this.#intake.refusal(payloads.length);
    if (refusal === null) this.#intake.takeMany(exchange, payloads);
    else this.#intake.refuse(exchange, "overloaded", refusal);
  }

  /** Also for a paused campaign: that is when one looks before going live. */
  #dryRun(exchange: Exchange, wish: true | "unclear"): void {
    if (wish === "unclear") {
      // Not guessed: taking it for "no" would send a message that was meant as a rehearsal.
      return this.#intake.refuseData(exchange, [wholeFault("invalid_format", "dryRun is true or false.", "dryRun")]);
    }
    const parsed = parse(strictDoor, exchange.request);
    if (parsed.kind !== "one" && parsed.kind !== "many") return this.#take(exchange, parsed);
    exchange.reply.send(dryRun(exchange.campaign, parsed, { headers: exchange.headers, clock: this.#deps.clock }));
  }

  #turnAway(reply: HttpReply, campaign: TriggerCampaign | null, code: string, response: HttpResponse): void {
    this.#deps.onRefused(campaign?.id ?? null, code);
    reply.send(response);
  }
}

function parse(door: Door, { headers, body }: HttpRequest): ParsedPayload {
  return parsePayload({
    contentType: headers.get("content-type"),
    contentEncoding: headers.get("content-encoding"),
    body,
    isLenient: door.isLenient,
  });
}

/** Whether the call carries what the campaign asks for: its signature, or its token in the path. */
function isGenuine({ auth, urlToken }: TriggerCampaign, request: HttpRequest, token: string | undefined): boolean {
  switch (auth.type) {
    case "apiKey":
      return false;
    case "urlToken":
      return isSameSecret(token, urlToken);
    case "hmac": {
      const { algorithm = "sha256", encoding, prefix = "", secrets } = auth;
      if (token !== undefined) return false;
      return verifyHmac(
        { algorithm, encoding, prefix, secrets },
        request.body,
        request.headers.get(auth.header.toLowerCase()),
      );
    }
  }
}

/** An empty key is a mistake that would make every repeat a new message: said, not overlooked. */
function idempotencyKeyFault(key: string | undefined): PayloadFault | null {
  if (key === undefined || (key.length > 0 && key.length <= IDEMPOTENCY_KEY_LENGTH_MAX)) return null;
  const message = `The Idempotency-Key must have 1 to ${IDEMPOTENCY_KEY_LENGTH_MAX} characters, not ${key.length}.`;
  return wholeFault(key === "" ? "required" : "too_long", message, "Idempotency-Key");
}

function readDryRun(query: string): boolean | "unclear" {
  const value = new URLSearchParams(query).get("dryRun")?.toLowerCase();
  if (value === undefined || value === "false" || value === "0") return false;
  return value === "true" || value === "1" || value === "" ? true : "unclear";
}

function rateLimitHeaders({ limit, remaining, resetSeconds }: Admission): ResponseHeaders {
  return {
    "content-type": "application/json",
    "ratelimit-limit": String(limit),
    "ratelimit-remaining": String(remaining),
    "ratelimit-reset": String(resetSeconds),
  };
}

function rateLimited(admission: Admission & { kind: "refused" }): HttpResponse {
  const { limit, retryAfterSeconds } = admission;
  const headers = { ...rateLimitHeaders(admission), "retry-after": String(retryAfterSeconds) };
  return problem({
    status: 429,
    code: "rate_limited",
    detail: `This key may trigger ${limit} events a second (limits.triggersPerSecondPerKey); try again in ${retryAfterSeconds} s.`,
    headers: { ...headers, "content-type": "application/problem+json" },
  });
}

function campaignNotFound(campaignId: string): HttpResponse {
  return problem({
    status: 404,
    code: "campaign_not_found",
    detail: `There is no campaign ${JSON.stringify(campaignId)}.`,
  });
}
