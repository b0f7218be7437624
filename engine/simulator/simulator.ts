// The simulator as its users see it: tests, the demo, benchmarks and the command line.

import type { WhatsAppTemplate } from "../message/template.ts";
import type { AnswerStats } from "./answer-counts.ts";
import type { Change } from "./change.ts";
import type { HappeningStats } from "./happenings.ts";
import type { HeldMessages } from "./held-messages.ts";
import type { Inbound } from "./inbound.ts";
import type { NumberStats, SimulatedSender } from "./number-state.ts";
import type { ReceivedSend } from "./received-send.ts";
import type { Scenario, ScenarioInput } from "./scenario.ts";
import type { OutboxStats } from "./webhook-http-outbox.ts";

export interface SimulatorOptions {
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Of all accounts. */
  readonly templates: readonly WhatsAppTemplate[];
  readonly senders: readonly SimulatedSender[];
  /** Null: any token that is not empty. */
  readonly accessTokens: readonly string[] | null;
  /** Signs the webhooks. */
  readonly appSecret: string;
  /** Default null: statuses are dropped until one is set. */
  readonly webhookUrl?: string | null;
  /** Default the preset `perfect`. */
  readonly scenario?: ScenarioInput;
  /** Appends every send as a JSON line. */
  readonly logFile?: string;
  /** Default random; the same seed and order of arrival give the same outcomes. */
  readonly seed?: number;
  /** How many of the newest sends `received()` keeps. Default 250,000. */
  readonly receivedMax?: number;
}

export interface SimulatorStats extends HappeningStats {
  readonly seed: number;
  readonly answers: AnswerStats;
  /** Answers that wait for their time; those that never come are not counted. */
  readonly pendingAnswers: number;
  /** Statuses that wait for their time. */
  readonly pendingUpdates: number;
  readonly webhooks: OutboxStats;
  /** By phone_number_id. */
  readonly numbers: Readonly<Record<string, NumberStats>>;
  /** Of the portfolio, like {@link NumberStats.recipientsLastDay}; and its limit. */
  readonly recipients: {
    readonly lastDay: number;
    readonly peak: number;
    readonly limit: number | "unlimited";
  };
  /** Held messages that wait for their template's pacing, were released, and were dropped with their template. */
  readonly held: HeldMessages["stats"];
  /** Reads of templates and numbers. */
  readonly management: { readonly calls: number; readonly refused: number };
  /** The oldest sends that `received()` no longer holds. */
  readonly forgotten: number;
}

export interface Simulator {
  readonly url: string;
  readonly port: number;
  readonly seed: number;
  /** The newest sends, in order of arrival. */
  received(): readonly ReceivedSend[];
  scenario(): Scenario;
  /** Applies to sends from now on. @throws EngineError ERR_CONFIG_INVALID with every fault. */
  setScenario(scenario: ScenarioInput): void;
  setTemplates(templates: readonly WhatsAppTemplate[]): void;
  setWebhookUrl(url: string | null): void;
  /** What Meta's side knows, as the changes that lead to it. */
  state(): readonly Change[];
  /** Changes it; webhooks tell of it as Meta's do. @throws EngineError ERR_CONFIG_INVALID with every fault. */
  setState(changes: Change | readonly Change[]): void;
  /** A person writes. @throws EngineError ERR_CONFIG_INVALID when there is no such number. */
  receiveInbound(inbound: Inbound): void;
  stats(): SimulatorStats;
  /** Resolves once every answer was given and every status was posted and answered with 200, or dropped. */
  idle(): Promise<void>;
  /** Stops at once: what waits is dropped, connections are cut. See {@link Simulator.idle}. */
  close(): Promise<void>;
}
