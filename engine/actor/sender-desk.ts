// The sender actors of one partition: made when first needed, given their inputs, ticked once a round.

import type { PartitionDeps } from "./partition-deps.ts";
import { createSender, type Sender, step } from "./sender-actor.ts";
import type { Now, SenderEffect, SenderInput, SenderSettings, SendRules } from "./sender-messages.ts";

/** A number that the configuration does not know: nothing leaves, time runs on, and it may come to be known. */
const RESTING = { messagesPerSecond: 1, pair: { periodMs: 6_000, burst: 45 }, inFlightMax: 0 } as const;

export interface SeatedSender {
  readonly id: string;
  readonly actor: Sender;
  /** When a tick can do more; infinite when only another input can. */
  wakeMonotonicMs: number;
}

export interface SenderDeskDeps extends Pick<PartitionDeps, "clock" | "random" | "senderSettings" | "regionOf"> {
  rulesOf(senderId: string): SendRules;
  perform(sender: SeatedSender, effect: SenderEffect): void;
  /** Nothing leaves yet: what it may send is still being found out. */
  isHeldBack(senderId: string): boolean;
  /** A sender has its first campaign, or other settings. */
  onSeated(senderId: string, settings: SenderSettings): void;
}

export class SenderDesk {
  readonly #deps: SenderDeskDeps;
  readonly #senders = new Map<string, SeatedSender>();
  readonly #touched = new Set<SeatedSender>();
  #restUntilMonotonicMs = Number.NEGATIVE_INFINITY;

  constructor(deps: SenderDeskDeps) {
    this.#deps = deps;
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
    for (const effect of step(sender.actor, input, this.#now())) this.#deps.perform(sender, effect);
  }

  ids(): Iterable<string> {
    return this.#senders.keys();
  }

  /** All senders, also those to come, send nothing before. */
  restUntil(monotonicMs: number): void {
    this.#restUntilMonotonicMs = monotonicMs;
    for (const sender of this.#senders.values()) this.step(sender, { kind: "holdUntil", monotonicMs });
  }

  /** It is no longer held back. */
  touch(id: string): void {
    const sender = this.#senders.get(id);
    if (sender !== undefined) this.#touched.add(sender);
  }

  /** Only a tick dispatches, so that everything a round brought is weighed together. */
  tickTouched(): void {
    for (const sender of this.#touched) {
      this.#touched.delete(sender);
      sender.wakeMonotonicMs = Number.POSITIVE_INFINITY;
      if (this.#deps.isHeldBack(sender.id)) continue;
      for (const effect of step(sender.actor, { kind: "tick" }, this.#now())) this.#deps.perform(sender, effect);
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
      const settings = this.#settingsOf(sender.id);
      this.step(sender, { kind: "settings", settings });
      this.#deps.onSeated(sender.id, settings);
    }
  }

  #settingsOf(senderId: string): SenderSettings {
    return this.#deps.senderSettings(senderId) ?? { senderId, ...RESTING };
  }

  #seat(id: string): SeatedSender {
    const { random, rulesOf, regionOf } = this.#deps;
    const settings = this.#settingsOf(id);
    const actor = createSender(settings, this.#now(), random, rulesOf(id), regionOf);
    const sender = { id, actor, wakeMonotonicMs: Number.POSITIVE_INFINITY };
    this.#senders.set(id, sender);
    this.step(sender, { kind: "holdUntil", monotonicMs: this.#restUntilMonotonicMs });
    this.#deps.onSeated(id, settings);
    return sender;
  }

  #now(): Now {
    const { clock } = this.#deps;
    return { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
  }
}
