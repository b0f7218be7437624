// WhatsApp's Cloud API as a local server, for trying out a set-up, for tests, the demo and benchmarks.
//
// It answers like the Graph API, enforces a number's and a pair's limits strictly by time of arrival, reports statuses
// by signed webhooks, and logs every send with its own rendering of the text: the independent witness that an engine's
// records are compared with. One seed decides all chance. docs/simulator.md is its manual.

import { randomInt } from "node:crypto";

import type { HttpRequest, HttpResponse, us_listen_socket } from "uWebSockets.js";

import type { WhatsAppTemplate } from "../message/template.ts";
import type { Clock } from "../runtime/clock.ts";
import { EngineError } from "../runtime/errors.ts";
import { systemClock } from "../runtime/system-clock.ts";
import { loadUws } from "../runtime/uws-module.ts";
import { AnswerCounts } from "./answer-counts.ts";
import type { Change, WebhookChange } from "./change.ts";
import { createChance, type Chance } from "./chance.ts";
import { Fates } from "./fate.ts";
import type { FieldUpdate } from "./field-update.ts";
import { FineClock } from "./fine-clock.ts";
import { Happenings } from "./happenings.ts";
import type { Settlement } from "./held-messages.ts";
import type { Inbound } from "./inbound.ts";
import { ManagementLimit } from "./management-limit.ts";
import { ReceivedLogFile } from "./received-log-file.ts";
import { ReceivedSends, type ReceivedSend } from "./received-send.ts";
import { readChanges, readScenario } from "./scenario-reading.ts";
import type { Scenario, ScenarioInput } from "./scenario.ts";
import { SendDesk, type DueReply, type SendCall, type SendDecision } from "./send-desk.ts";
import type { SendRoute } from "./send-route.ts";
import type { Simulator, SimulatorOptions, SimulatorStats } from "./simulator.ts";
import type { StatusReport } from "./status-notification.ts";
import { TimerWheel } from "./timer-wheel.ts";
import { addControlRoutes } from "./uws-control-routes.ts";
import { HTML_TYPE, JSON_TYPE, UwsExchange } from "./uws-exchange.ts";
import { addReadRoutes } from "./uws-read-routes.ts";
import { WebhookOutbox } from "./webhook-http-outbox.ts";
import { createWamids } from "./wamid.ts";
import { World } from "./world.ts";

interface WaitingAnswer {
  readonly exchange: UwsExchange;
  readonly decision: SendDecision;
}

const RECEIVED_MAX = 250_000;
const BODY_BYTES_MAX = 1024 * 1024;
/** Resolution of every delay; also how long updates gather for one POST. */
const TICK_MS = 5;
/** An answer that never comes holds a connection; a caller that waits longer than this is cut. */
const SILENCE_MS_MAX = 120_000;
const EXCLUSIVE_PORT = 1;

/** @throws EngineError ERR_INGRESS_LISTEN, ERR_INGRESS_NATIVE_MISSING, ERR_CONFIG_INVALID (scenario). */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const simulator = new UwsSimulator(options, systemClock);
  await simulator.listen(options.host ?? "127.0.0.1", options.port ?? 0);
  return simulator;
}

class UwsSimulator implements Simulator {
  readonly seed: number;
  port = 0;
  url = "";
  readonly #clock: Clock;
  readonly #fineClock: FineClock;
  readonly #chance: Chance;
  readonly #uws = loadUws().uws;
  readonly #app = this.#uws.App();
  readonly #world: World;
  readonly #desk: SendDesk;
  readonly #management = new ManagementLimit();
  readonly #happenings: Happenings;
  readonly #answers: TimerWheel<WaitingAnswer>;
  readonly #reports: TimerWheel<StatusReport | DueReply>;
  readonly #outbox: WebhookOutbox;
  readonly #received: ReceivedSends;
  readonly #counts = new AnswerCounts();
  readonly #logFile: ReceivedLogFile | null;
  #scenario: Scenario;
  /** Of those in `#answers`: the ones that will never come. */
  #silences = 0;
  #cancelTick: (() => void) | null = null;
  #idleWaiters: (() => void)[] = [];
  #isClosed = false;

  constructor(options: SimulatorOptions, clock: Clock) {
    this.seed = options.seed ?? randomInt(2 ** 32);
    this.#clock = clock;
    this.#fineClock = new FineClock(clock);
    this.#chance = createChance(this.seed);
    this.#scenario = checkedScenario(options.scenario ?? {});
    this.#answers = new TimerWheel(TICK_MS, clock.monotonicMs());
    this.#reports = new TimerWheel(TICK_MS, clock.monotonicMs());
    this.#received = new ReceivedSends(options.receivedMax ?? RECEIVED_MAX);
    this.#logFile = options.logFile === undefined ? null : new ReceivedLogFile(options.logFile);
    const nextWamid = createWamids(clock.nowMs());
    this.#world = new World({ ...options, scenario: this.#scenario });
    this.#desk = new SendDesk({
      world: this.#world,
      scenario: this.#scenario,
      fates: new Fates(this.#scenario, this.#chance),
      nextWamid,
    });
    this.#outbox = new WebhookOutbox({
      appSecret: options.appSecret,
      clock,
      settings: this.#scenario.webhooks,
      onSettled: () => this.#postMore(),
    });
    this.#outbox.setUrl(options.webhookUrl ?? null);
    this.#happenings = new Happenings({
      world: this.#world,
      clock,
      fineClock: this.#fineClock,
      nextWamid,
      effects: {
        post: (update) => this.#postUpdate(update),
        settle: (settlement) => this.#settle(settlement),
        steerWebhooks: (course) => this.#steerWebhooks(course),
      },
    });
    this.#happenings.setEvents(this.#scenario.events);
    this.#route();
  }

  listen(host: string, port: number): Promise<void> {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the typings leave out this form of `listen`, which is the only one that takes both a host and options.
    const app = this.#app as unknown as {
      listen(host: string, port: number, options: number, call: (socket: us_listen_socket | false) => void): void;
    };
    return new Promise((resolve, reject) => {
      app.listen(host, port, EXCLUSIVE_PORT, (socket) => {
        if (socket === false) {
          this.#logFile?.close();
          reject(new EngineError("ERR_INGRESS_LISTEN", `The simulator cannot listen on ${host}:${port}: it is taken.`));
          return;
        }
        this.port = this.#uws.us_socket_local_port(socket);
        this.url = `http://${host.includes(":") ? `[${host}]` : host}:${this.port}`;
        resolve();
      });
    });
  }

  received(): readonly ReceivedSend[] {
    return this.#received.all();
  }

  scenario(): Scenario {
    return this.#scenario;
  }

  setScenario(input: ScenarioInput): void {
    this.#apply(checkedScenario(input));
  }

  setTemplates(templates: readonly WhatsAppTemplate[]): void {
    this.#world.setTemplates(templates);
  }

  state(): readonly Change[] {
    return this.#world.state();
  }

  setState(changes: Change | readonly Change[]): void {
    const reading = readChanges(changes);
    const faults = reading.kind === "invalid" ? reading.faults : this.#happenings.change(reading.changes);
    if (faults.length > 0) throw new EngineError("ERR_CONFIG_INVALID", `The state has faults: ${faults.join("; ")}`);
  }

  receiveInbound(inbound: Inbound): void {
    const fault = this.#happenings.receive(inbound);
    if (fault !== null) throw new EngineError("ERR_CONFIG_INVALID", `The inbound message has a fault: ${fault}`);
  }

  setWebhookUrl(url: string | null): void {
    this.#outbox.setUrl(url);
    this.#postMore();
  }

  stats(): SimulatorStats {
    return {
      seed: this.seed,
      answers: this.#counts.stats(),
      pendingAnswers: this.#answers.size - this.#silences,
      pendingUpdates: this.#reports.size,
      webhooks: this.#outbox.stats(),
      numbers: this.#desk.stats(this.#clock.monotonicMs()),
      recipients: {
        lastDay: this.#world.recipients.lastDay(this.#clock.monotonicMs()),
        peak: this.#world.recipients.peak,
        limit: this.#world.dailyRecipients,
      },
      held: this.#world.held.stats,
      ...this.#happenings.stats(),
      management: this.#management.stats,
      forgotten: this.#received.forgotten,
    };
  }

  idle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelTick?.();
    this.#happenings.close();
    this.#app.close();
    this.#logFile?.close();
    await this.#outbox.close();
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  #route(): void {
    this.#app
      .post("/:version/:id/messages", (response, request) => this.#read(response, request, "messages"))
      .post("/:version/:id/marketing_messages", (response, request) =>
        this.#read(response, request, "marketing_messages"),
      );
    addControlRoutes(this.#app, {
      scenario: () => this.#scenario,
      setScenario: (scenario) => this.#apply(scenario),
      state: () => this.#world.state(),
      change: (changes) => this.#happenings.change(changes),
      receive: (inbound) => this.#happenings.receive(inbound),
      received: this.#received,
      stats: () => this.stats(),
    });
    addReadRoutes(this.#app, {
      world: this.#world,
      traceId: () => this.#desk.traceId(),
      use: (wabaId) =>
        this.#management.take(wabaId, this.#scenario.limits.managementCallsPerHour, this.#clock.monotonicMs()),
    });
  }

  #read(response: HttpResponse, request: HttpRequest, route: SendRoute): void {
    const version = request.getParameter(0) ?? "";
    const phoneNumberId = request.getParameter(1) ?? "";
    const authorization = request.getHeader("authorization");
    const exchange = new UwsExchange(response, version);
    const apiVersion = majorVersion(version);
    exchange.readBody(BODY_BYTES_MAX, (body) =>
      this.#take(exchange, { route, apiVersion, phoneNumberId, authorization, body }),
    );
  }

  #take(exchange: UwsExchange, call: Omit<SendCall, "at">): void {
    const at = this.#fineClock.now();
    const decision = this.#desk.take({ ...call, at });
    this.#received.add(decision.received);
    this.#counts.add(decision.received);
    this.#logFile?.add(decision.received);
    for (const report of decision.reports) this.#reports.add(report, report.dueMonotonicMs);
    if (decision.reply !== null) this.#reports.add(decision.reply, decision.reply.dueMonotonicMs);
    if (decision.form === "silent") {
      this.#silences++;
      this.#answers.add({ exchange, decision }, at.monotonicMs + SILENCE_MS_MAX);
    } else if (decision.answerAfterMs > 0) {
      this.#answers.add({ exchange, decision }, at.monotonicMs + decision.answerAfterMs);
    } else {
      answerSend(exchange, decision);
    }
    this.#happenings.count(decision.received, at.monotonicMs);
    this.#keepTicking();
  }

  /** A status, or a person's answer, is due. */
  #fallDue(due: StatusReport | DueReply): void {
    if ("inbound" in due) this.#happenings.receive(due.inbound);
    else if (!due.message.isDropped) this.#outbox.add(due);
  }

  #tick(): void {
    this.#cancelTick = null;
    this.#fineClock.correct();
    const nowMs = this.#clock.monotonicMs();
    this.#answers.advance(nowMs, ({ exchange, decision }) => {
      if (decision.form === "silent") this.#silences--;
      answerSend(exchange, decision);
    });
    this.#reports.advance(nowMs, (due) => this.#fallDue(due));
    this.#outbox.flush(nowMs);
    this.#logFile?.flush();
    this.#tellIdle();
    if (this.#answers.size > 0 || this.#reports.size > 0 || !this.#outbox.isEmpty) this.#keepTicking();
  }

  #keepTicking(): void {
    if (this.#cancelTick !== null || this.#isClosed) return;
    this.#cancelTick = this.#clock.after(TICK_MS, () => this.#tick());
  }

  #postMore(): void {
    this.#outbox.flush(this.#clock.monotonicMs());
    this.#tellIdle();
  }

  #isIdle(): boolean {
    const hasAnswered = this.#answers.size === this.#silences;
    return this.#isClosed || (hasAnswered && this.#reports.size === 0 && this.#outbox.isEmpty);
  }

  #tellIdle(): void {
    if (this.#idleWaiters.length === 0 || !this.#isIdle()) return;
    this.#logFile?.flush();
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  #apply(scenario: Scenario): void {
    this.#world.setScenario(scenario, this.#scenario);
    this.#scenario = scenario;
    this.#desk.setScenario(scenario, new Fates(scenario, this.#chance));
    this.#outbox.settings = scenario.webhooks;
    this.#happenings.setEvents(scenario.events);
  }

  #settle({ sequence, reports, end }: Settlement): void {
    this.#received.settle(sequence, end);
    for (const report of reports) this.#reports.add(report, report.dueMonotonicMs);
    this.#keepTicking();
  }

  #postUpdate(update: FieldUpdate): void {
    this.#outbox.add(update);
    this.#keepTicking();
  }

  #steerWebhooks(course: WebhookChange["webhooks"]): void {
    if (course === "held") this.#outbox.hold();
    else this.#outbox.release(course === "shuffled" ? this.#chance : null);
    this.#keepTicking();
  }
}

function answerSend(exchange: UwsExchange, decision: SendDecision): void {
  if (decision.form === "cut" || decision.form === "silent") exchange.cut();
  else {
    const contentType = decision.form === "garbled" ? HTML_TYPE : JSON_TYPE;
    exchange.answer({ status: decision.httpStatus, contentType, body: decision.body });
  }
}

function checkedScenario(input: ScenarioInput): Scenario {
  const reading = readScenario(input);
  if (reading.kind === "valid") return reading.scenario;
  throw new EngineError("ERR_CONFIG_INVALID", `The scenario has faults: ${reading.faults.join("; ")}`);
}

/** `v26.0` → 26; 0 for what is no version. */
function majorVersion(version: string): number {
  return Number(/^v(\d{1,3})\.\d+$/.exec(version)?.[1] ?? 0);
}
