// Takes one send and decides everything about it at once: checks, limits, answer, statuses, log line.
// Pure: the moment comes in as an argument, the transport does what the decision says.

import type { WhatsAppTemplate } from "../message/template.ts";
import type { Fate, Fates } from "./fate.ts";
import type { Instant } from "./fine-clock.ts";
import { errorBody, httpStatusOf, type GraphFault } from "./graph-error.ts";
import { PairLimit } from "./pair-limit.ts";
import type { ReceivedSend, SendAnswer } from "./received-send.ts";
import type { Scenario } from "./scenario.ts";
import { readSend, type SendRequest } from "./send-request.ts";
import { SlidingWindow } from "./sliding-window.ts";
import { takenMessage, type SimulatedNumber, type StatusReport, type TakenMessage } from "./status-notification.ts";
import { TemplateBook } from "./template-book.ts";

export interface SimulatedSender {
  readonly phoneNumberId: string;
  readonly wabaId: string;
  /** 20, 80 or 1000 with Meta; any number here. */
  readonly messagesPerSecond: number;
  /** Digits; default made from the id. */
  readonly displayPhoneNumber?: string;
}

export interface SendCall {
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
  /** Of the message's statuses, all those to come. */
  readonly reports: readonly StatusReport[];
  readonly received: ReceivedSend;
}

export interface NumberStats {
  readonly received: number;
  readonly throttled: number;
  /** The most sends that arrived in any second, throttled ones included. */
  readonly arrivalsPerSecondPeak: number;
  /** The most sends that were within the limit in any second. */
  readonly withinLimitPerSecondPeak: number;
}

interface NumberState extends SimulatedNumber {
  readonly messagesPerSecond: number;
  readonly arrivals: SlidingWindow;
  readonly withinLimit: SlidingWindow;
  received: number;
  throttled: number;
}

const WINDOW_MS = 1000;
const GARBLED_STATUS = 502;
const GARBLED_BODY =
  "<!DOCTYPE html><html><head><title>Error</title></head><body>Sorry, something went wrong.</body></html>";
const NO_REPORTS: readonly StatusReport[] = [];

export class SendDesk {
  readonly #numbers = new Map<string, NumberState>();
  readonly #tokens: ReadonlySet<string> | null;
  readonly #nextWamid: (waId: string) => string;
  #book: TemplateBook;
  #scenario: Scenario;
  #fates: Fates;
  #pairs: PairLimit | null;
  #sequence = 0;
  #traces = 0;

  constructor(options: {
    readonly senders: readonly SimulatedSender[];
    readonly accessTokens: readonly string[] | null;
    readonly templates: readonly WhatsAppTemplate[];
    readonly scenario: Scenario;
    readonly fates: Fates;
    readonly nextWamid: (waId: string) => string;
  }) {
    for (const sender of options.senders) this.#numbers.set(sender.phoneNumberId, numberState(sender));
    this.#tokens = options.accessTokens === null ? null : new Set(options.accessTokens);
    this.#nextWamid = options.nextWamid;
    this.#book = new TemplateBook(options.templates);
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

  setTemplates(templates: readonly WhatsAppTemplate[]): void {
    this.#book = new TemplateBook(templates);
  }

  /** The fault of a missing or unknown token, or null. */
  tokenFault(authorization: string): GraphFault | null {
    const token = /^Bearer\s+(\S+)$/i.exec(authorization)?.[1];
    if (token === undefined) {
      return { code: 104, message: "An access token is required to request this resource." };
    }
    if (this.#tokens === null || this.#tokens.has(token)) return null;
    return { code: 190, message: "Invalid OAuth access token - Cannot parse access token" };
  }

  number(phoneNumberId: string): (SimulatedNumber & { readonly messagesPerSecond: number }) | undefined {
    return this.#numbers.get(phoneNumberId);
  }

  hasAccount(wabaId: string): boolean {
    return [...this.#numbers.values()].some((number) => number.wabaId === wabaId);
  }

  /** By phone_number_id. */
  stats(): Readonly<Record<string, NumberStats>> {
    const stats: Record<string, NumberStats> = {};
    for (const number of this.#numbers.values()) {
      stats[number.phoneNumberId] = {
        received: number.received,
        throttled: number.throttled,
        arrivalsPerSecondPeak: number.arrivals.peak,
        withinLimitPerSecondPeak: number.withinLimit.peak,
      };
    }
    return stats;
  }

  take(call: SendCall): SendDecision {
    this.#sequence++;
    const reading = readSend(call.body);
    const { request } = reading;
    const number = this.#numbers.get(call.phoneNumberId);
    const accessFault = this.tokenFault(call.authorization);
    if (accessFault !== null) return this.#refuse(call, request, accessFault, "");
    if (number === undefined) return this.#refuse(call, request, unknownObject("post", call.phoneNumberId), "");
    number.received++;
    number.arrivals.add(call.at.monotonicMs);
    if (reading.kind === "refused") return this.#refuse(call, request, reading.fault, "");
    const check = this.#book.check(request, call.apiVersion);
    if (check.kind === "faulty") return this.#refuse(call, request, check.fault, "");
    const fault = this.#limitFault(number, request, call.at.monotonicMs);
    if (fault !== null) return this.#refuse(call, request, fault, check.text);
    return this.#letFateDecide(call, request, number, check);
  }

  #limitFault(number: NumberState, request: SendRequest, nowMs: number): GraphFault | null {
    if (request.waId === number.displayPhoneNumber) return { code: 131021 };
    const isEnforced = this.#scenario.limits.number === "enforced";
    if (isEnforced && number.withinLimit.count(nowMs) >= number.messagesPerSecond) {
      number.throttled++;
      return { code: 130429 };
    }
    if (this.#pairs !== null && !this.#pairs.take(`${number.phoneNumberId}:${request.waId}`, nowMs)) {
      return { code: 131056 };
    }
    number.withinLimit.add(nowMs);
    return null;
  }

  #letFateDecide(
    call: SendCall,
    request: SendRequest,
    number: NumberState,
    fitting: { readonly text: string; readonly category: string },
  ): SendDecision {
    const fate = this.#fates.draw(request.waId);
    if (fate.form === "answered" && fate.refusedCode !== null) {
      return this.#refuse(call, request, { code: fate.refusedCode }, fitting.text, fate.answerAfterMs);
    }
    const { text, category } = fitting;
    const { waId, callbackData } = request;
    const { apiVersion } = call;
    const wamid = fate.isTaken ? this.#nextWamid(waId) : null;
    const message = wamid === null ? null : takenMessage({ number, waId, category, apiVersion, wamid, callbackData });
    return {
      form: fate.form,
      httpStatus: fate.form === "garbled" ? GARBLED_STATUS : 200,
      body: fate.form === "answered" ? acceptedBody(request, wamid ?? "", fate.isHeld) : GARBLED_BODY,
      answerAfterMs: fate.answerAfterMs,
      reports: message === null ? NO_REPORTS : this.#reports(call, fate, message),
      received: this.#receivedSend(call, request, text, {
        answer: answerOf(fate, wamid),
        end: message === null ? null : { status: fate.end, errorCode: fate.failedCode },
      }),
    };
  }

  #reports(call: SendCall, fate: Fate, message: TakenMessage): readonly StatusReport[] {
    return this.#fates.updates(fate).map((update) => ({
      message,
      status: update.status,
      atMs: call.at.wallMs + update.happensAfterMs,
      errorCode: update.errorCode,
      dueMonotonicMs: call.at.monotonicMs + update.postedAfterMs,
    }));
  }

  #refuse(
    call: SendCall,
    request: SendRequest,
    fault: GraphFault,
    text: string,
    answerAfterMs: number = this.#fates.answerAfterMs(),
  ): SendDecision {
    const httpStatus = httpStatusOf(fault.code);
    const details = fault.details ?? fault.message ?? "";
    return {
      form: "answered",
      httpStatus,
      body: errorBody(fault, this.traceId()),
      answerAfterMs,
      reports: NO_REPORTS,
      received: this.#receivedSend(call, request, text, {
        answer: { kind: "refused", httpStatus, errorCode: fault.code, details },
        end: null,
      }),
    };
  }

  /** One more `fbtrace_id`; unique within this simulator. */
  traceId(): string {
    this.#traces++;
    return `A${this.#traces.toString(36).padStart(10, "0")}-volley-sim`;
  }

  #receivedSend(
    call: SendCall,
    request: SendRequest,
    text: string,
    result: Pick<ReceivedSend, "answer" | "end">,
  ): ReceivedSend {
    return {
      sequence: this.#sequence,
      arrivedAtMs: call.at.wallMs,
      arrivedMonotonicMs: call.at.monotonicMs,
      phoneNumberId: call.phoneNumberId,
      to: request.to,
      templateName: request.templateName,
      templateLanguage: request.language,
      text,
      bizOpaqueCallbackData: request.callbackData,
      answer: result.answer,
      end: result.end,
    };
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

function numberState(sender: SimulatedSender): NumberState {
  const lastDigits = sender.phoneNumberId.replaceAll(/\D/g, "").slice(-7).padStart(7, "0");
  return {
    phoneNumberId: sender.phoneNumberId,
    wabaId: sender.wabaId,
    displayPhoneNumber: sender.displayPhoneNumber ?? `1555${lastDigits}`,
    messagesPerSecond: sender.messagesPerSecond,
    arrivals: new SlidingWindow(WINDOW_MS),
    withinLimit: new SlidingWindow(WINDOW_MS),
    received: 0,
    throttled: 0,
  };
}

function pairLimitOf(scenario: Scenario): PairLimit | null {
  const { pair } = scenario.limits;
  return pair === "ignored" ? null : new PairLimit({ periodMs: pair.periodSeconds * 1000, burst: pair.burst });
}

function acceptedBody(request: SendRequest, wamid: string, isHeld: boolean): string {
  const status = isHeld ? "held_for_quality_assessment" : "accepted";
  return `{"messaging_product":"whatsapp","contacts":[{"input":${JSON.stringify(request.to)},"wa_id":"${request.waId}"}],"messages":[{"id":"${wamid}","message_status":"${status}"}]}`;
}

function answerOf(fate: Fate, wamid: string | null): SendAnswer {
  if (fate.form !== "answered") return { kind: "lost", how: fate.form, wamid };
  return { kind: "accepted", wamid: wamid ?? "", isHeld: fate.isHeld };
}
