// Takes one send and decides everything about it at once: checks, limits, answer, statuses, log line.
// Pure: the moment comes in as an argument, the transport does what the decision says.

import type { BookedTemplate } from "./booked-template.ts";
import type { Mood } from "./change.ts";
import { failing, type Fate, type Fates } from "./fate.ts";
import type { Instant } from "./fine-clock.ts";
import { errorBody, httpStatusOf, type GraphFault } from "./graph-error.ts";
import type { Inbound } from "./inbound.ts";
import { priceCategory, routeFault, strikingMood } from "./moods.ts";
import { numberStats, type NumberState, type NumberStats } from "./number-state.ts";
import { PairLimit } from "./pair-limit.ts";
import type { ReceivedSend, SendAnswer } from "./received-send.ts";
import type { Scenario } from "./scenario.ts";
import { acceptedBody, LOST_ANSWERS } from "./send-answer.ts";
import { readSend, type SendRequest } from "./send-request.ts";
import type { SendRoute } from "./send-route.ts";
import { takenMessage, type StatusReport, type TakenMessage } from "./status-notification.ts";
import type { TemplateCheck } from "./template-book.ts";
import type { World } from "./world.ts";

export interface SendCall {
  readonly route: SendRoute;
  /** Major version of the path, 26 for `v26.0`. */
  readonly apiVersion: number;
  readonly phoneNumberId: string;
  /** The whole `Authorization` header, or empty. */
  readonly authorization: string;
  readonly body: string;
  readonly at: Instant;
}

export interface SendDecision {
  readonly form: Fate["form"];
  readonly httpStatus: number;
  readonly body: string;
  readonly answerAfterMs: number;
  /** Of the message's statuses, all those to come that are decided by now. */
  readonly reports: readonly StatusReport[];
  /** What the person answers, or null. */
  readonly reply: DueReply | null;
  readonly received: ReceivedSend;
}

export interface DueReply {
  readonly inbound: Inbound;
  readonly dueMonotonicMs: number;
}

type Fitting = Extract<TemplateCheck, { kind: "fits" }>;

const NO_REPORTS: readonly StatusReport[] = [];
/** A message that is meant to be reported before it is answered leaves the reports so much time on their way. */
const EARLY_BY_MS = 250;

export class SendDesk {
  readonly #world: World;
  readonly #nextWamid: (waId: string) => string;
  #scenario: Scenario;
  #fates: Fates;
  #pairs: PairLimit | null;
  #sequence = 0;
  #traces = 0;

  constructor(options: {
    readonly world: World;
    readonly scenario: Scenario;
    readonly fates: Fates;
    readonly nextWamid: (waId: string) => string;
  }) {
    this.#world = options.world;
    this.#nextWamid = options.nextWamid;
    this.#scenario = options.scenario;
    this.#fates = options.fates;
    this.#pairs = pairLimitOf(options.scenario);
  }

  /** From now on. Quota that pairs have used is forgotten only when the pair limit itself changes. */
  setScenario(scenario: Scenario, fates: Fates): void {
    const isSamePairLimit = JSON.stringify(scenario.limits.pair) === JSON.stringify(this.#scenario.limits.pair);
    if (!isSamePairLimit) this.#pairs = pairLimitOf(scenario);
    this.#scenario = scenario;
    this.#fates = fates;
  }

  /** By phone_number_id. @param nowMs on the clock that never jumps. */
  stats(nowMs: number): Readonly<Record<string, NumberStats>> {
    const stats: Record<string, NumberStats> = {};
    for (const number of this.#world.numbers.values()) stats[number.phoneNumberId] = numberStats(number, nowMs);
    return stats;
  }

  /** One more `fbtrace_id`; unique within this simulator. */
  traceId(): string {
    this.#traces++;
    return `A${this.#traces.toString(36).padStart(10, "0")}-volley-sim`;
  }

  take(call: SendCall): SendDecision {
    this.#sequence++;
    const reading = readSend(call.body, call.route);
    const { request } = reading;
    const number = this.#world.numbers.get(call.phoneNumberId);
    const accessFault = this.#world.tokens.fault(call.authorization);
    if (accessFault !== null) return this.#refuse(call, request, accessFault);
    if (number === undefined) return this.#refuse(call, request, unknownObject("post", call.phoneNumberId));
    number.received++;
    number.arrivals.add(call.at.monotonicMs);
    if (reading.kind === "refused") return this.#refuse(call, request, reading.fault);
    const check = this.#world.book.check(request, call.apiVersion);
    if (check.kind === "faulty") return this.#refuse(call, request, check.fault);
    const fault = routeFault(call.route, request, number, check.booked);
    if (fault !== null) return this.#refuse(call, request, fault, check);
    return this.#weigh(call, request, number, check);
  }

  /** The send is right; now what Meta has against it, limits, and fate. */
  #weigh(call: SendCall, request: SendRequest, number: NumberState, check: Fitting): SendDecision {
    const { waId } = request;
    const { countries } = this.#world;
    const mood = strikingMood({ number, booked: check.booked, waId, countries }, this.#fates);
    if (mood !== null && mood.where !== "webhook") return this.#refuse(call, request, mood, check);
    const limit = this.#limitFault(number, request, call.at.monotonicMs);
    const isThrottledLater = limit !== null && limit.code === 130_429 && number.throttles === "webhook";
    if (limit !== null && !isThrottledLater) return this.#refuse(call, request, limit, check);
    const fate = this.#fates.draw(waId);
    const later = isThrottledLater ? limit.code : this.#laterCode(mood, check.booked, waId);
    return this.#carryOut(call, { request, number, check, fate: this.#overrule(call, request, fate, later) });
  }

  #limitFault(number: NumberState, request: SendRequest, nowMs: number): GraphFault | null {
    if (request.waId === number.displayPhoneNumber) return { code: 131021 };
    const perSecond =
      number.trueMessagesPerSecond ??
      (this.#scenario.limits.number === "enforced" ? number.messagesPerSecond : Number.POSITIVE_INFINITY);
    if (number.withinLimit.count(nowMs) >= perSecond) {
      number.throttled++;
      return { code: 130_429 };
    }
    if (this.#pairs !== null && !this.#pairs.take(`${number.phoneNumberId}:${request.waId}`, nowMs)) {
      return { code: 131_056 };
    }
    number.withinLimit.add(nowMs);
    return null;
  }

  /** The code of a failure that only a webhook will tell, or null. */
  #laterCode(mood: Mood | null, booked: BookedTemplate, waId: string): number | null {
    if (mood !== null) return mood.code;
    return booked.category === "marketing" && this.#world.stopped.has(waId) ? 131_050 : null;
  }

  /** What stands above the message's own fate. */
  #overrule(call: SendCall, { waId }: SendRequest, fate: Fate, laterCode: number | null): Fate {
    if (fate.refusal !== null) return fate;
    if (laterCode !== null) return failing(fate, { code: laterCode, where: "webhook" });
    const { recipients, dailyRecipients } = this.#world;
    if (dailyRecipients === "unlimited") return fate;
    const nowMs = call.at.monotonicMs;
    const isBeyond = recipients.lastDay(nowMs) >= dailyRecipients && !recipients.has(waId, nowMs);
    return isBeyond ? failing(fate, this.#scenario.limits.beyondDailyRecipients) : fate;
  }

  #carryOut(
    call: SendCall,
    send: {
      readonly request: SendRequest;
      readonly number: NumberState;
      readonly check: Fitting;
      readonly fate: Fate;
    },
  ): SendDecision {
    const { request, number, check } = send;
    const isWaiting = check.booked.mood.isHolding && send.fate.refusal === null;
    const fate = isWaiting && !send.fate.isHeld ? { ...send.fate, isHeld: true } : send.fate;
    if (fate.form === "answered" && fate.refusal !== null) {
      return this.#refuse(call, request, fate.refusal, check, fate.answerAfterMs);
    }
    const message = fate.isTaken ? this.#taken(call, request, number, check, fate) : null;
    const reports = message === null ? NO_REPORTS : this.#reports(call, fate, message);
    if (message !== null && fate.isHeld) {
      const { template } = check.booked;
      const sequence = this.#sequence;
      this.#world.held.add({ template, sequence, message, reports, arrivedAt: call.at, isWaiting });
    }
    const wamid = message?.wamid ?? null;
    return {
      form: fate.form,
      httpStatus: fate.form === "answered" ? 200 : LOST_ANSWERS[fate.form].httpStatus,
      body:
        fate.form === "answered"
          ? acceptedBody(request, call.route, wamid ?? "", fate.isHeld)
          : LOST_ANSWERS[fate.form].body,
      answerAfterMs: fate.isEarly ? lastDueMs(reports) - call.at.monotonicMs + EARLY_BY_MS : fate.answerAfterMs,
      reports: isWaiting ? NO_REPORTS : reports,
      reply: isWaiting || message === null ? null : replyOf(fate, request, { message, reports, number }),
      received: this.#receivedSend(call, request, check, {
        answer: answerOf(fate, wamid),
        end: message === null ? null : endOf(fate, isWaiting),
      }),
    };
  }

  #taken(call: SendCall, request: SendRequest, number: NumberState, check: Fitting, fate: Fate): TakenMessage {
    const { waId, callbackData } = request;
    const { recipients } = this.#world;
    number.recipients.add(waId, call.at.monotonicMs);
    if (recipients !== number.recipients) recipients.add(waId, call.at.monotonicMs);
    return takenMessage({
      number,
      waId,
      category: priceCategory(call.route, number, check.booked),
      apiVersion: call.apiVersion,
      wamid: this.#nextWamid(waId),
      callbackData,
      isWithoutPhone: fate.isWithoutPhone,
    });
  }

  #reports(call: SendCall, fate: Fate, message: TakenMessage): readonly StatusReport[] {
    return this.#fates.updates(fate).map((update) => ({
      message,
      status: update.status,
      atMs: call.at.wallMs + update.happensAfterMs,
      errorCode: update.errorCode,
      hasOtherPrice: update.hasOtherPrice,
      dueMonotonicMs: call.at.monotonicMs + update.postedAfterMs,
    }));
  }

  #refuse(
    call: SendCall,
    request: SendRequest,
    fault: GraphFault,
    check: Fitting | null = null,
    answerAfterMs: number = this.#fates.answerAfterMs(),
  ): SendDecision {
    const httpStatus = httpStatusOf(fault);
    const details = fault.details ?? fault.message ?? "";
    return {
      form: "answered",
      httpStatus,
      body: errorBody(fault, this.traceId()),
      answerAfterMs,
      reports: NO_REPORTS,
      reply: null,
      received: this.#receivedSend(call, request, check, {
        answer: { kind: "refused", httpStatus, errorCode: fault.code, details },
        end: null,
      }),
    };
  }

  #receivedSend(
    call: SendCall,
    request: SendRequest,
    check: Fitting | null,
    result: Pick<ReceivedSend, "answer" | "end">,
  ): ReceivedSend {
    const send: ReceivedSend = {
      sequence: this.#sequence,
      arrivedAtMs: call.at.wallMs,
      arrivedMonotonicMs: call.at.monotonicMs,
      phoneNumberId: call.phoneNumberId,
      route: call.route,
      to: request.to,
      templateName: request.templateName,
      templateLanguage: request.language,
      text: check?.text ?? "",
      bizOpaqueCallbackData: request.callbackData,
      answer: result.answer,
      end: result.end,
    };
    return check !== null && check.cards.length > 0 ? { ...send, cards: check.cards } : send;
  }
}

/** Graph's words for an object that does not exist or is not shown to this token. */
export function unknownObject(method: "get" | "post", id: string): GraphFault {
  return {
    code: 100,
    subcode: 33,
    type: "GraphMethodException",
    message: `Unsupported ${method} request. Object with ID '${id}' does not exist, cannot be loaded due to missing permissions, or does not support this operation. Please read the Graph API documentation at https://developers.facebook.com/docs/graph-api`,
  };
}

function pairLimitOf(scenario: Scenario): PairLimit | null {
  const { pair } = scenario.limits;
  return pair === "ignored" ? null : new PairLimit({ periodMs: pair.periodSeconds * 1000, burst: pair.burst });
}

function answerOf(fate: Fate, wamid: string | null): SendAnswer {
  if (fate.form !== "answered") return { kind: "lost", how: fate.form, wamid };
  return { kind: "accepted", wamid: wamid ?? "", isHeld: fate.isHeld };
}

function endOf(fate: Fate, isWaiting: boolean): ReceivedSend["end"] {
  if (isWaiting) return { status: "held", errorCode: null };
  return { status: fate.end, errorCode: fate.end === "failed" ? fate.failedCode : null };
}

function lastDueMs(reports: readonly StatusReport[]): number {
  return reports.reduce((last, report) => Math.max(last, report.dueMonotonicMs), 0);
}

/** A person answers what was delivered. */
function replyOf(
  fate: Fate,
  request: SendRequest,
  sent: { readonly message: TakenMessage; readonly reports: readonly StatusReport[]; readonly number: NumberState },
): DueReply | null {
  if (fate.reply === null || fate.end === "failed" || fate.end === "sent") return null;
  const delivered = sent.reports.find((report) => report.status === "delivered" || report.status === "read");
  const { afterMs = 0, ...content } = fate.reply;
  return {
    inbound: { from: request.waId, to: sent.number.phoneNumberId, contextId: sent.message.wamid, ...content },
    dueMonotonicMs: (delivered?.dueMonotonicMs ?? 0) + afterMs,
  };
}
