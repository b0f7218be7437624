// The sender actors of one partition: made when first needed, given their inputs, ticked once a round.

import type { PartitionDeps } from "./partition-deps.ts";
import {
  createSender,
  type Now,
  type Sender,
  type SenderEffect,
  type SenderInput,
  type SenderSettings,
  step,
} from "./sender-actor.ts";

/** A number that the configuration does not know: nothing leaves, time runs on, and it may come to be known. */
const RESTING = { messagesPerSecond: 1, pair: { periodMs: 6_000, burst: 45 }, inFlightMax: 0 } as const;

/** After a restart a number rests until its last second is over: a crash loop must not multiply the burst. */
const RATE_WINDOW_MS = 1_000;

export interface SeatedSender {
  readonly id: string;
  readonly actor: Sender;
  /** When a tick can do more; infinite when only another input can. */
  wakeMonotonicMs: number;
}

export class SenderDesk {
  readonly #deps: PartitionDeps;
  readonly #perform: (sender: SeatedSender, effect: SenderEffect) => void;
  readonly #senders = new Map<string, SeatedSender>();
  readonly #touched = new Set<SeatedSender>();

  constructor(deps: PartitionDeps, perform: (sender: SeatedSender, effect: SenderEffect) => void) {
    this.#deps = deps;
    this.#perform = perform;
  }

  get(id: string): SeatedSender {
    return this.#senders.get(id) ?? this.#seat(id);
  }

  give(id: string, input: SenderInput): void {
    this.step(this.get(id), input);
  }

  /** One that has no messages yet knows nothing of any. */
  giveIfSeated(id: string, input: SenderInput): void {
    const sender = this.#senders.get(id);
    if (sender !== undefined) this.step(sender, input);
  }

  step(sender: SeatedSender, input: SenderInput): void {
    this.#touched.add(sender);
    for (const effect of step(sender.actor, input, this.#now())) this.#perform(sender, effect);
  }

  /** Only a tick dispatches, so that everything a round brought is weighed together. */
  tickTouched(): void {
    for (const sender of this.#touched) {
      this.#touched.delete(sender);
      sender.wakeMonotonicMs = Number.POSITIVE_INFINITY;
      for (const effect of step(sender.actor, { kind: "tick" }, this.#now())) this.#perform(sender, effect);
    }
  }

  touchWoken(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    for (const sender of this.#senders.values()) if (sender.wakeMonotonicMs <= nowMs) this.#touched.add(sender);
  }

  nextWakeMonotonicMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const sender of this.#senders.values()) next = Math.min(next, sender.wakeMonotonicMs);
    return next;
  }

  refresh(): void {
    for (const sender of this.#senders.values()) {
      this.step(sender, { kind: "settings", settings: this.#settingsOf(sender.id) });
    }
  }

  #settingsOf(senderId: string): SenderSettings {
    return this.#deps.senderSettings(senderId) ?? { senderId, ...RESTING };
  }

  #seat(id: string): SeatedSender {
    const now = this.#now();
    const actor = createSender(this.#settingsOf(id), now, () => this.#deps.random());
    const sender = { id, actor, wakeMonotonicMs: Number.POSITIVE_INFINITY };
    this.#senders.set(id, sender);
    const sinceLastMs = now.wallMs - this.#deps.ledger.lastDispatchAt();
    const restMs = Math.min(RATE_WINDOW_MS, RATE_WINDOW_MS - sinceLastMs);
    if (restMs > 0) this.step(sender, { kind: "holdUntil", monotonicMs: now.monotonicMs + restMs });
    return sender;
  }

  #now(): Now {
    const { clock } = this.#deps;
    return { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
  }
}
