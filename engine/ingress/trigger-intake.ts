// From a readable payload to its answer: filter, deduplicate, extract, commit. Works with callbacks: on the hot path an
// event costs no promise, and its answer leaves when the group it belongs to is durable.

import type { AcceptedEvent } from "../message/event.ts";
import type { MessageId } from "../message/ids.ts";
import type { Clock } from "../runtime/clock.ts";
import type { HttpReply, HttpRequest, HttpResponse } from "../runtime/http.ts";
import type { Log } from "../runtime/log.ts";
import { bodyHash, createDedupeDesk, dedupeKey, type DedupeDesk, type DedupeValue } from "./dedupe.ts";
import type { Claim, GroupCommit } from "./group-commit.ts";
import type { Payload } from "./payload.ts";
import { KEY_REUSED, overloaded, wholeFault, type Door, type ItemResult, type ResponseHeaders } from "./trigger-answers.ts";
import type { PayloadFault, TriggerCampaign } from "./trigger-campaign.ts";

export interface IntakeDeps {
  nextMessageId(campaign: TriggerCampaign): MessageId;
  /** Of a key of 32 hex digits; must see every claim whose commit succeeded. */
  findClaim(key: string): Claim | undefined;
  readonly commit: GroupCommit;
  /** Accepted events that wait to be sent, and how many may. */
  backlog(): { readonly waiting: number; readonly max: number };
  /** One event is durable. `ackMs`: from the end of the request's body to the answer. */
  onAccepted(campaign: TriggerCampaign, isDuplicate: boolean, ackMs: number): void;
  /** A request, or one event of an array, was not taken. Null: no such campaign, or no right to know. */
  onRefused(campaignId: string | null, code: string): void;
  readonly clock: Clock;
  /** In [0, 1): spreads Retry-After, so that callers do not all come back at once. */
  random(): number;
  readonly log: Log;
}

/** One request on its way through a door. */
export interface Exchange {
  readonly door: Door;
  readonly campaign: TriggerCampaign;
  readonly request: HttpRequest;
  readonly reply: HttpReply;
  /** Of a 2xx answer. */
  readonly headers: ResponseHeaders;
  /** Monotonic. */
  readonly startedAtMs: number;
}

/** `bodyHash` is empty where the value alone decides; `isShared`: one value for all items of an array. */
interface DedupeSource extends DedupeValue {
  readonly isShared: boolean;
  readonly bodyHash: string;
}

type Settled = (outcome: ItemResult | { readonly kind: "reused" } | { readonly kind: "unstored" }) => void;

const IDEMPOTENCY_KEY = "idempotency-key";
const NOT_AN_OBJECT: ItemResult = { kind: "rejected", faults: [wholeFault("wrong_type", "The event must be an object.")] };
const FILTERED: ItemResult = { kind: "filtered" };
const NO_KEYS: readonly string[] = [];
const NO_CLAIMS: readonly Claim[] = [];
/** Retry-After of a 503: around 5 s, ±20 %. */
const RETRY_AFTER_SECONDS = { least: 4, spread: 3 };

export class TriggerIntake {
  readonly #deps: IntakeDeps;
  readonly #desk: DedupeDesk;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
    this.#desk = createDedupeDesk(deps.findClaim);
  }

  /** Null: as many events can be taken. */
  refusal(events: number): HttpResponse | null {
    const { waiting, max } = this.#deps.backlog();
    if (waiting + events > max) return this.#overloaded(`${waiting} events wait to be sent; at most ${max} may (limits.backlogMax).`);
    if (!this.#deps.commit.hasRoom(events)) return this.#overloaded("Events come faster than they can be stored.");
    return null;
  }

  takeOne(exchange: Exchange, payload: Payload): void {
    const source = dedupeSource(exchange, payload);
    const keys = source === null ? NO_KEYS : [dedupeKey(exchange.campaign.number, source, null)];
    this.#enter(exchange.campaign, payload, { keys, bodyHash: source?.bodyHash ?? "" }, (outcome) => {
      if (outcome.kind === "unstored") this.#answerUnstored(exchange);
      else if (outcome.kind === "reused") this.refuse(exchange, "idempotency_key_reused", KEY_REUSED);
      else this.#answerOne(exchange, outcome);
    });
  }

  /** All items are offered in this turn of the event loop, so their commit is one. */
  takeMany(exchange: Exchange, payloads: readonly (Payload | null)[]): void {
    const { campaign } = exchange;
    const shared = sharedSource(exchange);
    // An item's own key cannot tell that the whole body changed: the request has a claim beside its items'.
    let requestKey = shared === null || shared.bodyHash === "" ? null : dedupeKey(campaign.number, shared, null);
    if (requestKey !== null) {
      const sighting = this.#desk.look(requestKey, shared?.bodyHash ?? "");
      if (sighting.kind === "reused") return this.refuse(exchange, "idempotency_key_reused", KEY_REUSED);
      if (sighting.kind !== "new") requestKey = null;
    }
    const results = new BatchResults(payloads.length, (all) => this.#answerMany(exchange, all));
    payloads.forEach((payload, index) => {
      if (payload === null) return results.put(index, NOT_AN_OBJECT);
      const source = dedupeSource(exchange, payload);
      const keys = source === null ? [] : [dedupeKey(campaign.number, source, source.isShared ? index : null)];
      if (requestKey !== null && source?.isShared === true) keys.push(requestKey);
      const isFresh = this.#enter(campaign, payload, { keys, bodyHash: source?.bodyHash ?? "" }, (outcome) =>
        results.put(index, outcome),
      );
      if (isFresh) requestKey = null;
    });
  }

  refuse(exchange: Exchange, code: string, response: HttpResponse): void {
    this.#deps.onRefused(exchange.campaign.id, code);
    exchange.reply.send(response);
  }

  /** Data that cannot become a message: 422, or a logged and counted 200. */
  refuseData(exchange: Exchange, faults: readonly PayloadFault[]): void {
    this.#noteIgnored(exchange, "invalid_payload", faults);
    this.refuse(exchange, "invalid_payload", exchange.door.invalid(faults, exchange.headers));
  }

  refusePaused(exchange: Exchange): void {
    this.#noteIgnored(exchange, "campaign_paused", []);
    this.refuse(exchange, "campaign_paused", exchange.door.paused(exchange.campaign.id));
  }

  /**
   * Takes one event as far as its commit. The first key decides whether it is a duplicate; all of them are claimed.
   * @returns true when it is fresh: it was handed to the commit.
   */
  #enter(campaign: TriggerCampaign, payload: Payload, claim: { keys: readonly string[]; bodyHash: string }, settled: Settled): boolean {
    if (!campaign.matches(payload)) return settled(FILTERED), false;
    const [key] = claim.keys;
    if (key !== undefined && this.#isKnown(key, claim.bodyHash, settled)) return false;
    const extraction = campaign.extract(payload);
    if (extraction.kind === "invalid") return settled({ kind: "rejected", faults: extraction.faults }), false;
    const messageId = this.#deps.nextMessageId(campaign);
    const attributes = JSON.stringify(extraction.attributes);
    this.#submit(campaign.partition, { messageId, phoneNumber: extraction.phoneNumber, attributes }, claim, settled);
    return true;
  }

  #isKnown(key: string, hashOfBody: string, settled: Settled): boolean {
    const sighting = this.#desk.look(key, hashOfBody);
    switch (sighting.kind) {
      case "new":
        return false;
      case "reused":
        settled(sighting);
        return true;
      case "committed":
        settled({ kind: "accepted", messageId: sighting.messageId, isDuplicate: true });
        return true;
      case "inFlight":
        sighting.first.twins.push((error) => {
          const { messageId } = sighting.first;
          settled(error === null ? { kind: "accepted", messageId, isDuplicate: true } : { kind: "unstored" });
        });
        return true;
    }
  }

  #submit(partition: number, event: AcceptedEvent, claim: { keys: readonly string[]; bodyHash: string }, settled: Settled): void {
    const { messageId } = event;
    const claims = claim.keys.length === 0 ? NO_CLAIMS : this.#claimsOf(claim.keys, messageId, claim.bodyHash);
    const isTaken = this.#deps.commit.submit(partition, event, claims, (error) => {
      if (claims.length > 0) this.#desk.settle(claims, error);
      settled(error === null ? { kind: "accepted", messageId, isDuplicate: false } : { kind: "unstored" });
    });
    // Only what will be settled may be open, or its twins would wait for ever.
    if (isTaken) this.#desk.open(claims);
    else settled({ kind: "unstored" });
  }

  #claimsOf(keys: readonly string[], messageId: MessageId, hashOfBody: string): readonly Claim[] {
    const atMs = this.#deps.clock.nowMs();
    return keys.map((key) => ({ key, atMs, messageId, bodyHash: hashOfBody }));
  }

  #answerOne(exchange: Exchange, result: ItemResult): void {
    switch (result.kind) {
      case "accepted":
        this.#noteAccepted(exchange, result.isDuplicate);
        return exchange.reply.send(exchange.door.accepted(result.messageId, result.isDuplicate, exchange.headers));
      case "filtered":
        this.#noteIgnored(exchange, "filtered", []);
        return this.refuse(exchange, "filtered", exchange.door.filtered(exchange.headers));
      case "rejected":
        return this.refuseData(exchange, result.faults);
    }
  }

  #answerMany(exchange: Exchange, results: readonly ItemResult[] | null): void {
    if (results === null) return this.#answerUnstored(exchange);
    for (const result of results) {
      if (result.kind === "accepted") {
        this.#noteAccepted(exchange, result.isDuplicate);
        continue;
      }
      const code = result.kind === "filtered" ? "filtered" : "invalid_payload";
      this.#noteIgnored(exchange, code, result.kind === "rejected" ? result.faults : []);
      this.#deps.onRefused(exchange.campaign.id, code);
    }
    exchange.reply.send(exchange.door.batch(results, exchange.headers));
  }

  #answerUnstored(exchange: Exchange): void {
    this.refuse(exchange, "overloaded", this.#overloaded("The event could not be stored."));
  }

  #overloaded(detail: string): HttpResponse {
    const { least, spread } = RETRY_AFTER_SECONDS;
    return overloaded(`${detail} Nothing was stored; send it again.`, least + Math.floor(this.#deps.random() * spread));
  }

  #noteAccepted({ campaign, startedAtMs }: Exchange, isDuplicate: boolean): void {
    this.#deps.onAccepted(campaign, isDuplicate, this.#deps.clock.monotonicMs() - startedAtMs);
  }

  /** The lenient door's caller never looks at the answer: the log is where the merchant's mistake shows. No values. */
  #noteIgnored({ door, campaign }: Exchange, code: string, faults: readonly PayloadFault[]): void {
    if (!door.isLenient) return;
    const places = faults.map(({ pointer, attribute, code: fault }) => ({ pointer, attribute, code: fault }));
    this.#deps.log.info("event.ignored", { campaignId: campaign.id, code, faults: places });
  }
}

/** Collects the outcomes of one array, which may come in any order, and calls once with all; null: some not stored. */
class BatchResults {
  readonly #results: ItemResult[] = [];
  readonly #complete: (results: readonly ItemResult[] | null) => void;
  #missing: number;
  #isStored = true;

  constructor(count: number, complete: (results: readonly ItemResult[] | null) => void) {
    this.#missing = count;
    this.#complete = complete;
  }

  put(index: number, outcome: Parameters<Settled>[0]): void {
    // An item's own key is reused only when the request's claim has expired before it: the next repeat is clean.
    if (outcome.kind === "reused" || outcome.kind === "unstored") this.#isStored = false;
    else this.#results[index] = outcome;
    this.#missing--;
    if (this.#missing === 0) this.#complete(this.#isStored ? this.#results : null);
  }
}

/** The campaign's own source goes first; without a value there, an Idempotency-Key; else every event is new. */
function dedupeSource(exchange: Exchange, payload: Payload): DedupeSource | null {
  const { campaign } = exchange;
  if (campaign.dedupe !== undefined && "path" in campaign.dedupe) {
    const value = campaign.dedupeValue(payload);
    if (value !== undefined) return { source: `path:${campaign.dedupe.path}`, value, isShared: false, bodyHash: "" };
  }
  return sharedSource(exchange);
}

function sharedSource({ campaign, request }: Exchange): DedupeSource | null {
  if (campaign.dedupe !== undefined && "header" in campaign.dedupe) {
    const name = campaign.dedupe.header.toLowerCase();
    const value = request.headers.get(name)?.trim() ?? "";
    if (value !== "") return { source: `header:${name}`, value, isShared: true, bodyHash: "" };
  }
  const value = request.headers.get(IDEMPOTENCY_KEY) ?? "";
  if (value === "") return null;
  return { source: IDEMPOTENCY_KEY, value, isShared: true, bodyHash: bodyHash(request.body) };
}
