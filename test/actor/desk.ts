// A sender actor at a desk: inputs by hand, effects to look at, time that moves only when told.

/* oxlint-disable unicorn/no-thenable -- `uncertain.then` is the operators' word; settings are never awaited. */

import assert from "node:assert/strict";

import { createSender, step } from "../../engine/actor/sender-actor.ts";
import type {
  CampaignSettings,
  Dispatch,
  SenderEffect,
  SenderInput,
  SenderSettings,
  SendRules,
} from "../../engine/actor/sender-actor.ts";
import { encodeMessageId } from "../../engine/message/ids.ts";
import type { MessageId } from "../../engine/message/ids.ts";
import type { BlockScope, Verdict } from "../../engine/message/verdict.ts";

export const EPOCH_MS: number = 1_790_000_000_000;
const SETTINGS: SenderSettings = {
  senderId: "main",
  messagesPerSecond: 1000,
  pair: { periodMs: 6000, burst: 45 },
  inFlightMax: 100,
};
export const CAMPAIGN: CampaignSettings = {
  campaignNumber: 1,
  templateKey: "account/order_confirmation/en",
  category: "UTILITY",
  quietHours: null,
  lane: "transactional",
  weight: 1,
  messagesPerSecond: null,
  isPaused: false,
  timeToLiveMs: 3_600_000,
  uncertain: { waitMs: 600_000, then: "resend" },
};
export const ACCEPTED: Verdict = { kind: "accepted", wamid: "wamid.1", isHeld: false };
export const TRANSIENT: Extract<Verdict, { kind: "transient" }> = {
  kind: "transient",
  errorCode: 131_016,
  reason: "Service unavailable.",
};
export const TOO_FAST: Extract<Verdict, { kind: "throttled" }> = {
  kind: "throttled",
  scope: "number",
  errorCode: 130_429,
  reason: "Too fast.",
  retryAfterMs: null,
};

/** Nothing is refused. */
export const NO_RULES: SendRules = { refusal: () => null, left: () => undefined, returned: () => undefined };

/** What a desk's actor may ask. */
interface Answers {
  readonly rules?: Partial<SendRules>;
  readonly regionOf?: (phoneNumber: string) => string;
}

export class Desk {
  /** Monotonic; the epoch one is {@link EPOCH_MS} more. */
  nowMs: number = 1000;
  readonly sender: ReturnType<typeof createSender>;
  #sequence = 0;

  constructor(settings: Partial<SenderSettings> = {}, campaign: Partial<CampaignSettings> = {}, answers: Answers = {}) {
    const rules = { ...NO_RULES, ...answers.rules };
    const regionOf = answers.regionOf ?? ((): string => "US");
    this.sender = createSender({ ...SETTINGS, ...settings }, this.#now(), () => 0.5, rules, regionOf);
    this.give({ kind: "campaign", settings: { ...CAMPAIGN, ...campaign } });
  }

  give(input: SenderInput): readonly SenderEffect[] {
    return step(this.sender, input, this.#now());
  }

  dispatch(more: Partial<Dispatch> = {}): Dispatch {
    const sequence = this.#sequence++;
    const campaignNumber = more.campaignNumber ?? 1;
    const acceptedAtMs = this.#now().wallMs;
    const messageId = encodeMessageId({ partition: 0, campaignNumber, acceptedAtMs, node: 0, sequence });
    return { messageId, campaignNumber, phoneNumber: `+1415555${sequence}`, acceptedAtMs, attempts: 0, ...more };
  }

  offer(more: Partial<Dispatch> = {}): MessageId {
    const dispatch = this.dispatch(more);
    this.give({ kind: "offered", dispatch });
    return dispatch.messageId;
  }

  /** Ids that a tick dispatches. */
  tick(): MessageId[] {
    return this.give({ kind: "tick" }).flatMap((effect) => (effect.kind === "dispatch" ? [effect.messageId] : []));
  }

  answer(messageId: MessageId, verdict: Verdict, attempt: number = 1): readonly SenderEffect[] {
    const times = { sentMonotonicMs: this.nowMs, answeredMonotonicMs: this.nowMs + 20 };
    this.nowMs += 20;
    return this.give({ kind: "verdict", messageId, attempt, verdict, ...times }).filter(({ kind }) => kind !== "wake");
  }

  /** Offers one, sends it, answers it. */
  send(verdict: Verdict, more: Partial<Dispatch> = {}): { messageId: MessageId; effects: readonly SenderEffect[] } {
    const messageId = this.offer(more);
    assert.deepEqual(this.tick(), [messageId]);
    return { messageId, effects: this.answer(messageId, verdict, (more.attempts ?? 0) + 1) };
  }

  #now(): { wallMs: number; monotonicMs: number } {
    return { wallMs: EPOCH_MS + this.nowMs, monotonicMs: this.nowMs };
  }
}

export function blocked(scope: BlockScope): Verdict {
  return { kind: "blocked", scope, errorCode: 190, reason: "The access token has expired." };
}
