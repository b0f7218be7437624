// A whole sender in simulated time: the actor, the thread that works for it in rounds (with commits that take a
// while), a ledger that gives parked rows back, and Meta. One seed decides everything; nothing sleeps.
//
// The checks know nothing of how the actor works: they look at what reached Meta and what the ledger was told.

import assert from "node:assert/strict";

import { createSender, mailboxRoom, step } from "../../engine/actor/sender-actor.ts";
import type {
  CampaignSettings,
  Dispatch,
  Now,
  Sender,
  SenderEffect,
  SenderInput,
  SenderSettings,
  SendRules,
} from "../../engine/actor/sender-actor.ts";
import { Timetable } from "../../engine/actor/timetable.ts";
import { encodeMessageId } from "../../engine/message/ids.ts";
import type { MessageId } from "../../engine/message/ids.ts";
import type { SendRoute, Verdict } from "../../engine/message/verdict.ts";
import { NO_RULES } from "./desk.ts";

/** What Meta makes of one request. */
export interface Answer {
  readonly verdict: Verdict;
  /** It took the message, whatever the sender hears of it. */
  readonly isTaken: boolean;
  /** Status webhook that proves it, after the arrival; null for none. */
  readonly provedAfterMs: number | null;
  readonly wayThereMs: number;
  readonly thinkingMs: number;
}

export interface SimulatedMessage {
  readonly dispatch: Dispatch;
  /** What the ledger knows. */
  status: "disk" | "mailbox" | "inFlight" | "parked" | "accepted" | "proved" | "failed" | "expired" | "suppressed";
  parkedAs: "queued" | "retrying" | "uncertain";
  attempts: number;
  /** Of the last dispatch. */
  route: SendRoute;
  dispatches: number;
  /** Times Meta took it. */
  taken: number;
  /** Dispatches whose outcome nobody could know. */
  unknown: number;
  wasParked: boolean;
  firstDispatch: number;
  /** In simulated time, like the next. */
  readonly acceptedAtMs: number;
  endedAtMs: number;
}

export interface SimulationOptions {
  readonly settings: SenderSettings;
  readonly random: () => number;
  answer(message: SimulatedMessage, arrivalMs: number): Answer;
  /** Between a decision and its departure. Default 0. */
  readonly commitMs?: () => number;
  /** Default: nothing is refused. */
  readonly rules?: SendRules;
  /** Default: of no country. */
  readonly regionOf?: (phoneNumber: string) => string;
  /** Sees each effect before it is performed. */
  readonly watch?: (effect: SenderEffect) => void;
  /** Rounds only when the actor asked for one, instead of after each input. Default false. */
  readonly obeysWakesOnly?: boolean;
}

const EPOCH_MS = 1_790_000_000_000;
const EVENTS_MAX = 2_000_000;

export class SimulatedSender {
  nowMs: number = 1000;
  readonly messages: Map<MessageId, SimulatedMessage> = new Map();
  /** When requests reached Meta. */
  readonly arrivals: number[] = [];
  /** Message ids in order of dispatch. */
  readonly dispatched: MessageId[] = [];
  readonly effects: SenderEffect[] = [];
  keepsEffects: boolean = false;
  readonly #options: SimulationOptions;
  readonly #sender: Sender;
  readonly #events = new Timetable<() => void>();
  readonly #onDisk = new Map<number, Dispatch[]>();
  readonly #campaigns = new Map<number, CampaignSettings>();
  readonly #waitingForRoom = new Set<number>();
  #intents: SimulatedMessage[] = [];
  #isCommitting = false;
  #isRoundDue = false;
  #wakeAtMs = Infinity;
  #sequence = 0;
  #firstDispatches = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    const { settings, random, rules, regionOf } = options;
    this.#sender = createSender(settings, this.#now(), random, rules ?? NO_RULES, regionOf ?? ((): string => ""));
  }

  campaign(settings: CampaignSettings): void {
    this.#campaigns.set(settings.campaignNumber, settings);
    this.give({ kind: "campaign", settings });
  }

  settingsOf(campaignNumber: number): CampaignSettings {
    const settings = this.#campaigns.get(campaignNumber);
    assert.ok(settings);
    return settings;
  }

  /** An event was accepted: offered when there is room, else left on disk behind the others. */
  accept(campaignNumber: number, phoneNumber: string): SimulatedMessage {
    const acceptedAtMs = this.#now().wallMs;
    const sequence = this.#sequence++;
    const messageId = encodeMessageId({ partition: 0, campaignNumber, acceptedAtMs, node: 0, sequence });
    const dispatch = { messageId, campaignNumber, phoneNumber, acceptedAtMs, attempts: 0 };
    const message: SimulatedMessage = {
      dispatch,
      status: "disk",
      parkedAs: "queued",
      attempts: 0,
      route: "messages",
      dispatches: 0,
      taken: 0,
      unknown: 0,
      wasParked: false,
      firstDispatch: -1,
      acceptedAtMs: this.nowMs,
      endedAtMs: 0,
    };
    this.messages.set(messageId, message);
    const waiting = this.#onDisk.get(campaignNumber) ?? [];
    waiting.push(dispatch);
    this.#onDisk.set(campaignNumber, waiting);
    this.#refill(campaignNumber);
    return message;
  }

  give(input: SenderInput): void {
    for (const effect of step(this.#sender, input, this.#now())) this.#perform(effect);
    if (this.#options.obeysWakesOnly !== true) this.#scheduleRound();
  }

  at(atMs: number, call: () => void): void {
    this.#events.add(atMs, call);
  }

  /** Runs until the time, or until nothing more can happen. */
  run(untilMs: number): void {
    for (let count = 0; ; count++) {
      assert.ok(count < EVENTS_MAX, "the simulation goes round in circles");
      const atMs = this.#events.earliest;
      if (atMs > untilMs || atMs === Infinity) break;
      this.nowMs = Math.max(this.nowMs, atMs);
      this.#events.takeThrough(atMs)?.();
    }
    if (untilMs < Infinity) this.nowMs = Math.max(this.nowMs, untilMs);
  }

  open(): SimulatedMessage[] {
    return [...this.messages.values()].filter(({ endedAtMs }) => endedAtMs === 0);
  }

  /** Epoch. */
  get wallMs(): number {
    return this.#now().wallMs;
  }

  #now(): Now {
    return { wallMs: EPOCH_MS + Math.floor(this.nowMs), monotonicMs: this.nowMs };
  }

  #refill(campaignNumber: number): void {
    const waiting = this.#onDisk.get(campaignNumber) ?? [];
    let offered = 0;
    while (offered < waiting.length && mailboxRoom(this.#sender, campaignNumber) > 0) {
      const dispatch = waiting[offered++];
      assert.ok(dispatch);
      this.#message(dispatch.messageId).status = "mailbox";
      this.give({ kind: "offered", dispatch });
    }
    waiting.splice(0, offered);
    if (waiting.length > 0) this.#waitingForRoom.add(campaignNumber);
    else this.#waitingForRoom.delete(campaignNumber);
  }

  #message(messageId: MessageId): SimulatedMessage {
    const message = this.messages.get(messageId);
    assert.ok(message, `${messageId} was never accepted`);
    assert.equal(message.endedAtMs, 0, `${messageId} has ended and something still happens to it`);
    return message;
  }

  #perform(effect: SenderEffect): void {
    if (this.keepsEffects) this.effects.push(effect);
    this.#options.watch?.(effect);
    switch (effect.kind) {
      case "wake":
        this.#wakeAt(Math.max(this.nowMs, effect.atMonotonicMs));
        return;
      case "blocked":
      case "unblocked":
      case "rate":
        return;
      case "room":
        // Offering from inside a step would be a step in a step: a thread does it after the round.
        if (this.#waitingForRoom.has(effect.campaignNumber)) {
          this.at(this.nowMs, () => this.#refill(effect.campaignNumber));
        }
        return;
      case "dispatch":
      case "accepted":
      case "returned":
      case "park":
      case "finish":
        this.#performOn(this.#message(effect.messageId), effect);
    }
  }

  #performOn(message: SimulatedMessage, effect: Extract<SenderEffect, { messageId: MessageId }>): void {
    switch (effect.kind) {
      case "dispatch":
        assert.equal(message.status, "mailbox", `${effect.messageId} is dispatched while ${message.status}`);
        assert.equal(effect.attempt, message.attempts + 1);
        assert.equal(this.settingsOf(message.dispatch.campaignNumber).isPaused, false, "a paused campaign dispatches");
        message.status = "inFlight";
        message.dispatches++;
        message.route = effect.route;
        if (message.firstDispatch < 0) message.firstDispatch = this.#firstDispatches++;
        this.dispatched.push(effect.messageId);
        this.#intents.push(message);
        return;
      case "returned":
        assert.equal(message.status, "inFlight");
        assert.equal(effect.attempts, message.attempts);
        message.status = "mailbox";
        return;
      case "park":
        assert.notEqual(message.status, "parked");
        message.status = "parked";
        message.parkedAs = effect.status;
        message.attempts = effect.attempts;
        message.wasParked = true;
        this.#bringBack(message, effect.dueAtMs);
        return;
      case "accepted":
        assert.equal(message.status, "inFlight");
        return this.#end(message, "accepted");
      case "finish":
        return this.#end(message, effect.status);
    }
  }

  #end(message: SimulatedMessage, status: SimulatedMessage["status"]): void {
    message.status = status;
    message.endedAtMs = this.nowMs;
  }

  #bringBack(message: SimulatedMessage, dueAtMs: number): void {
    const { dispatch } = message;
    const look = (): void => {
      if (message.status !== "parked") return;
      message.status = "mailbox";
      const due = { ...dispatch, attempts: message.attempts };
      this.give({ kind: "due", dispatch: due, status: message.parkedAs });
      // The due index may be read again before the ledger knows: the actor must not take it for another message.
      const againAtMs = this.nowMs + this.#options.random() * 100;
      if (this.#options.random() < 0.1) this.at(againAtMs, () => this.#giveTwice(message, due));
    };
    this.at(Math.max(this.nowMs, dueAtMs - EPOCH_MS), look);
  }

  #giveTwice(message: SimulatedMessage, due: Dispatch): void {
    const isHere = message.status === "mailbox" || message.status === "inFlight";
    if (isHere && message.attempts === due.attempts)
      this.give({ kind: "due", dispatch: due, status: message.parkedAs });
  }

  // Rounds as a thread works them: ticks go on while the commit of the round before is under way.

  #wakeAt(atMs: number): void {
    this.#wakeAtMs = atMs;
    this.at(atMs, () => {
      if (this.#wakeAtMs === atMs) this.#scheduleRound();
    });
  }

  #scheduleRound(): void {
    if (this.#isRoundDue) return;
    this.#isRoundDue = true;
    this.at(this.nowMs, () => {
      this.#isRoundDue = false;
      this.#wakeAtMs = Infinity;
      for (const effect of step(this.#sender, { kind: "tick" }, this.#now())) this.#perform(effect);
      this.#commit();
    });
  }

  #commit(): void {
    if (this.#isCommitting || this.#intents.length === 0) return;
    this.#isCommitting = true;
    const intents = this.#intents;
    this.#intents = [];
    this.at(this.nowMs + (this.#options.commitMs?.() ?? 0), () => {
      this.#isCommitting = false;
      if (this.#intents.length > 0) this.at(this.nowMs, () => this.#commit());
      this.give({ kind: "departed", monotonicMs: this.nowMs, count: intents.length });
      for (const message of intents) this.#send(message);
    });
  }

  #send(message: SimulatedMessage): void {
    // Proved by a webhook of an earlier attempt, or removed: it left all the same, as it would in a thread.
    const { messageId } = message.dispatch;
    const sentAtMs = this.nowMs;
    const attempt = message.attempts + 1;
    const answer = this.#options.answer(message, sentAtMs);
    const arrivalMs = sentAtMs + answer.wayThereMs;
    this.arrivals.push(arrivalMs);
    if (answer.isTaken) message.taken++;
    if (answer.verdict.kind === "unknown") message.unknown++;
    if (answer.provedAfterMs !== null) this.at(arrivalMs + answer.provedAfterMs, () => this.#prove(message));
    this.at(arrivalMs + answer.thinkingMs, () => {
      const { verdict } = answer;
      const times = { sentMonotonicMs: sentAtMs, answeredMonotonicMs: this.nowMs };
      this.give({ kind: "verdict", messageId, attempt, verdict, ...times });
    });
  }

  #prove(message: SimulatedMessage): void {
    if (message.endedAtMs > 0) return;
    this.#end(message, "proved");
    this.give({ kind: "proved", messageId: message.dispatch.messageId });
  }
}

/** The largest number of arrivals in any second, and where. */
export function busiestWindow(arrivals: readonly number[], windowMs: number): { count: number; fromMs: number } {
  const sorted = arrivals.toSorted((one, other) => one - other);
  let from = 0;
  let busiest = { count: 0, fromMs: 0 };
  for (let to = 0; to < sorted.length; to++) {
    while ((sorted[to] ?? 0) - (sorted[from] ?? 0) >= windowMs) from++;
    if (to - from + 1 > busiest.count) busiest = { count: to - from + 1, fromMs: sorted[from] ?? 0 };
  }
  return busiest;
}
