// From a readable payload to its answer: filter, deduplicate, extract, commit. Works with callbacks: on the hot path an
// event costs no promise, and its answer leaves when the group it belongs to is durable.

import type { AcceptedEvent } from "../message/event.ts";
import type { MessageId } from "../message/ids.ts";
import type { Clock } from "../runtime/clock.ts";
import type { HttpReply, HttpRequest, HttpResponse } from "../runtime/http.ts";
import type { Log } from "../runtime/log.ts";
import { bodyHash, createDedupeDesk, dedupeKey, type DedupeDesk, type DedupeValue, type Settlement } from "./dedupe.ts";
import type { AddressedCancel, Claim, GroupCommit } from "./group-commit.ts";
import type { Payload } from "./payload.ts";
import { overloaded, wholeFault, type Door, type ItemResult, type ResponseHeaders } from "./trigger-answers.ts";
import type { CancelTarget, PayloadFault, Schedule, TriggerCampaign } from "./trigger-campaign.ts";
import { faultsOf, scheduleOf } from "./trigger-schedule.ts";

export interface IntakeDeps {
  nextMessageId(campaign: TriggerCampaign): MessageId;
  /** Of a key of 32 hex digits; must see every claim whose commit succeeded, as it was decided. */
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

type Outcome = ItemResult | { readonly kind: "reused" } | { readonly kind: "unstored" };
type Settled = (outcome: Outcome) => void;

/** What an event is known by. The first key decides whether it is a duplicate; all of them are claimed. */
interface Keys {
  readonly keys: readonly string[];
  readonly bodyHash: string;
}

/** What goes with an event into its commit. */
interface Submission {
  readonly keys: Keys;
  readonly cancels: readonly CancelTarget[];
  readonly settled: Settled;
}

const IDEMPOTENCY_KEY = "idempotency-key";
const NOT_AN_OBJECT: ItemResult = {
  kind: "rejected",
  faults: [wholeFault("wrong_type", "The event must be an object.")],
};
const FILTERED: ItemResult = { kind: "filtered" };
const NO_KEYS: Keys = { keys: [], bodyHash: "" };
const NO_CLAIMS: readonly Claim[] = [];
const NO_CANCELS: readonly AddressedCancel[] = [];
/** Retry-After of a 503: around 5 s, ±20 %. */
const RETRY_AFTER_SECONDS = { least: 4, spread: 3 };

export class TriggerIntake {
  readonly #deps: IntakeDeps;
  readonly #desk: DedupeDesk;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
    this.#desk = createDedupeDesk((key) => deps.findClaim(key));
  }

  /** Null: as many events can be taken. */
  refusal(events: number): HttpResponse | null {
    const { waiting, max } = this.#deps.backlog();
    if (waiting + events > max)
      return this.#overloaded(`${waiting} events wait to be sent; at most ${max} may (limits.backlogMax).`);
    if (!this.#deps.commit.hasRoom(events)) return this.#overloaded("Nothing more can be stored this moment.");
    return null;
  }

  takeOne(exchange: Exchange, payload: Payload): void {
    const { campaign } = exchange;
    const source = dedupeSource(campaign, payload, sharedSource(exchange));
    this.#enter(campaign, payload, keysOf(campaign, source, null), (outcome) => this.#answerOne(exchange, outcome));
  }

  /** All items are offered in this turn of the event loop, so their commit is one. */
  takeMany(exchange: Exchange, payloads: readonly (Payload | null)[]): void {
    const { campaign } = exchange;
    const shared = sharedSource(exchange);
    const request = this.#requestKey(campaign, shared);
    if (request.isReused) return this.#refuseReused(exchange);
    let unclaimed = request.key;
    const results = new BatchResults(payloads.length, (all) => this.#answerMany(exchange, all));
    payloads.forEach((payload, index) => {
      if (payload === null) return results.put(index, NOT_AN_OBJECT);
      const source = dedupeSource(campaign, payload, shared);
      const own = keysOf(campaign, source, index);
      const claimed = unclaimed === null || source !== shared ? own : { ...own, keys: [...own.keys, unclaimed] };
      const isFresh = this.#enter(campaign, payload, claimed, (outcome) => results.put(index, outcome));
      if (isFresh && claimed !== own) unclaimed = null;
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
   * An item's own key cannot tell that the body around it changed, so an array with an Idempotency-Key claims one more
   * key, together with the first of its items that is accepted. Null: no such key, or it is claimed already.
   */
  #requestKey(campaign: TriggerCampaign, shared: DedupeSource | null): { key: string | null; isReused: boolean } {
    if (shared === null || shared.bodyHash === "") return { key: null, isReused: false };
    const key = dedupeKey(campaign.number, shared, null);
    const { kind } = this.#desk.look(key, shared.bodyHash);
    return { key: kind === "new" ? key : null, isReused: kind === "reused" };
  }

  /** Takes one event as far as its commit. @returns true when it is fresh: it was handed to the commit. */
  #enter(campaign: TriggerCampaign, payload: Payload, keys: Keys, settled: Settled): boolean {
    if (!campaign.matches(payload)) {
      settled(FILTERED);
      return false;
    }
    const [key] = keys.keys;
    if (key !== undefined && this.#isKnown(key, keys.bodyHash, settled)) return false;
    const extraction = campaign.extract(payload);
    const schedule = scheduleOf(campaign, payload, this.#deps.clock);
    if (extraction.kind === "invalid" || schedule.kind === "invalid") {
      settled({ kind: "rejected", faults: faultsOf(extraction, schedule) });
      return false;
    }
    const event: AcceptedEvent = {
      messageId: this.#deps.nextMessageId(campaign),
      phoneNumber: extraction.phoneNumber,
      attributes: JSON.stringify(extraction.attributes),
    };
    const timed = campaign.timing === null ? event : timedEvent(event, schedule);
    this.#submit(campaign, timed, { keys, cancels: schedule.cancels, settled });
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
        sighting.first.twins.push((settlement) => settled(outcomeOf(settlement, null)));
        return true;
    }
  }

  #submit(campaign: TriggerCampaign, event: AcceptedEvent, { keys, cancels, settled }: Submission): void {
    const { messageId } = event;
    const claims = keys.keys.length === 0 ? NO_CLAIMS : this.#claimsOf(keys, messageId);
    const addressed = cancels.length === 0 ? NO_CANCELS : this.#cancelsOf(campaign, messageId, cancels);
    const done = (error: Error | null): void => {
      const settlement = claims.length > 0 ? this.#desk.settle(claims, error) : ownSettlement(messageId, error);
      settled(outcomeOf(settlement, messageId));
    };
    const isTaken = this.#deps.commit.submit(campaign.partition, event, claims, done, addressed);
    // Only what will be settled may be open, or its twins would wait for ever.
    if (isTaken) this.#desk.open(claims);
    else settled({ kind: "unstored" });
  }

  #claimsOf({ keys, bodyHash: hashOfBody }: Keys, messageId: MessageId): readonly Claim[] {
    const atMs = this.#deps.clock.nowMs();
    return keys.map((key) => ({ key, atMs, messageId, bodyHash: hashOfBody }));
  }

  #cancelsOf(
    { id: byCampaignId }: TriggerCampaign,
    by: MessageId,
    targets: readonly CancelTarget[],
  ): readonly AddressedCancel[] {
    const atMs = this.#deps.clock.nowMs();
    return targets.map(({ campaignNumber, partition, key }) => ({
      partition,
      cancel: { campaignNumber, key, by, byCampaignId, atMs },
    }));
  }

  #answerOne(exchange: Exchange, outcome: Outcome): void {
    switch (outcome.kind) {
      case "accepted":
        this.#noteAccepted(exchange, outcome.isDuplicate);
        return exchange.reply.send(exchange.door.accepted(outcome.messageId, outcome.isDuplicate, exchange.headers));
      case "filtered":
        this.#noteIgnored(exchange, "filtered", []);
        return this.refuse(exchange, "filtered", exchange.door.filtered(exchange.headers));
      case "rejected":
        return this.refuseData(exchange, outcome.faults);
      case "reused":
        return this.#refuseReused(exchange);
      case "unstored":
        return this.#answerUnstored(exchange);
    }
  }

  #answerMany(exchange: Exchange, results: BatchOutcome): void {
    if (results === "unstored") return this.#answerUnstored(exchange);
    if (results === "reused") return this.#refuseReused(exchange);
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

  #refuseReused(exchange: Exchange): void {
    this.#noteIgnored(exchange, "idempotency_key_reused", []);
    this.refuse(exchange, "idempotency_key_reused", exchange.door.reused());
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

type BatchOutcome = readonly ItemResult[] | "reused" | "unstored";

/** Collects the outcomes of one array, which may come in any order; one that spoils the request spoils it whole. */
class BatchResults {
  readonly #results: ItemResult[] = [];
  readonly #complete: (outcome: BatchOutcome) => void;
  #missing: number;
  #spoiled: "reused" | "unstored" | null = null;

  constructor(count: number, complete: (outcome: BatchOutcome) => void) {
    this.#missing = count;
    this.#complete = complete;
  }

  put(index: number, outcome: Outcome): void {
    if (outcome.kind === "reused" || outcome.kind === "unstored") this.#spoiled = outcome.kind;
    else this.#results[index] = outcome;
    this.#missing--;
    if (this.#missing === 0) this.#complete(this.#spoiled ?? this.#results);
  }
}

function timedEvent(event: AcceptedEvent, { sendAtMs, waitKey }: Schedule & { kind: "valid" }): AcceptedEvent {
  return { ...event, ...(sendAtMs !== null && { sendAtMs }), ...(waitKey !== null && { waitKey }) };
}

function ownSettlement(messageId: MessageId, error: Error | null): Settlement {
  return error === null ? { kind: "stored", winner: messageId } : { kind: "unstored" };
}

/** @param messageId of the event that asks; null for a twin, which never became one. */
function outcomeOf(settlement: Settlement, messageId: MessageId | null): Outcome {
  if (settlement.kind !== "stored") return settlement;
  const { winner } = settlement;
  return { kind: "accepted", messageId: winner, isDuplicate: winner !== messageId };
}

/** The campaign's path goes first; without a value there, what the whole request has; else every event is new. */
function dedupeSource(campaign: TriggerCampaign, payload: Payload, shared: DedupeSource | null): DedupeSource | null {
  if (campaign.dedupe === undefined || !("path" in campaign.dedupe)) return shared;
  const value = campaign.dedupeValue(payload);
  if (value === undefined) return shared;
  return { source: `path:${campaign.dedupe.path}`, value, isShared: false, bodyHash: "" };
}

/** The header that the campaign names, or an Idempotency-Key. */
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

/** @param index place in the array, which tells items apart that share one value. */
function keysOf(campaign: TriggerCampaign, source: DedupeSource | null, index: number | null): Keys {
  if (source === null) return NO_KEYS;
  return { keys: [dedupeKey(campaign.number, source, source.isShared ? index : null)], bodyHash: source.bodyHash };
}
