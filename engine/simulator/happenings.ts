// What happens beside sends: a scenario's events, changes from outside, messages from people. Each changes the world, and
// each goes out as Meta's webhooks.

import type { Clock } from "../runtime/clock.ts";
import type { Change, WebhookChange } from "./change.ts";
import { EventSchedule } from "./event-schedule.ts";
import type { FieldUpdate } from "./field-update.ts";
import type { FineClock } from "./fine-clock.ts";
import type { Settlement } from "./held-messages.ts";
import { inboundUpdate, type Inbound } from "./inbound.ts";
import type { ReceivedSend } from "./received-send.ts";
import type { ScenarioEvent } from "./scenario.ts";
import type { World } from "./world.ts";

/** Who carries out what follows. */
export interface Effects {
  post(update: FieldUpdate): void;
  settle(settlement: Settlement): void;
  steerWebhooks(course: WebhookChange["webhooks"]): void;
}

export interface HappeningStats {
  /** The scenario's events; what they were to change and was not there. */
  readonly events: { readonly done: number; readonly waiting: number; readonly misses: readonly string[] };
  /** Webhooks that are no statuses, by field. */
  readonly news: Readonly<Record<string, number>>;
}

/** Changes of what is not there: the first of them tell enough. */
const MISSES_MAX = 20;

export class Happenings {
  readonly #world: World;
  readonly #clock: Clock;
  readonly #fineClock: FineClock;
  readonly #nextWamid: (waId: string) => string;
  readonly #effects: Effects;
  readonly #news = new Map<string, number>();
  readonly #misses: string[] = [];
  #schedule: EventSchedule;
  #cancel: (() => void) | null = null;
  #isClosed = false;

  constructor(options: {
    readonly world: World;
    readonly clock: Clock;
    readonly fineClock: FineClock;
    readonly nextWamid: (waId: string) => string;
    readonly effects: Effects;
  }) {
    this.#world = options.world;
    this.#clock = options.clock;
    this.#fineClock = options.fineClock;
    this.#nextWamid = options.nextWamid;
    this.#effects = options.effects;
    this.#schedule = new EventSchedule([], 0);
  }

  stats(): HappeningStats {
    return {
      events: { ...this.#schedule.stats, misses: [...this.#misses] },
      news: Object.fromEntries(this.#news),
    };
  }

  /** From now on these, and no others. */
  setEvents(events: readonly ScenarioEvent[]): void {
    this.#schedule = new EventSchedule(events, this.#clock.monotonicMs());
    this.#run();
  }

  /** One more message came; those that were taken count. */
  count({ templateName, phoneNumberId, end }: ReceivedSend, nowMs: number): void {
    if (!this.#schedule.isCounting || end === null) return;
    this.#happen(this.#schedule.count({ template: templateName, number: phoneNumberId }, nowMs));
  }

  /** @returns what was not there to be changed. */
  change(changes: readonly Change[]): readonly string[] {
    const { updates, settlements, webhooks, misses } = this.#world.apply(changes, this.#fineClock.now());
    for (const update of updates) this.#post(update);
    for (const settlement of settlements) this.#effects.settle(settlement);
    if (webhooks !== null) this.#effects.steerWebhooks(webhooks);
    return misses;
  }

  /** A person writes. @returns what is wrong with it, or null. */
  receive(inbound: Inbound): string | null {
    const [first] = this.#world.numbers.values();
    const number = inbound.to === undefined ? first : this.#world.numbers.get(inbound.to);
    if (number === undefined) return `there is no number ${inbound.to ?? ""}`;
    const at = this.#fineClock.now();
    // Meta counts what comes in against a number's throughput as well.
    number.withinLimit.add(at.monotonicMs);
    this.#world.receive(inbound);
    const wamid = this.#nextWamid(inbound.from.replace("+", ""));
    this.#post(inboundUpdate(inbound, number, { wamid, atMs: at.wallMs }));
    return null;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  /** What is due by the clock. */
  #run(): void {
    this.#happen(this.#schedule.advance(this.#clock.monotonicMs()));
  }

  #happen(changes: readonly Change[]): void {
    if (changes.length > 0) {
      const misses = this.change(changes);
      if (this.#misses.length < MISSES_MAX) this.#misses.push(...misses);
    }
    this.#arm();
  }

  #arm(): void {
    this.#cancel?.();
    this.#cancel = null;
    const { nextAtMs } = this.#schedule;
    if (nextAtMs === null || this.#isClosed) return;
    const delayMs = Math.max(0, Math.ceil(nextAtMs - this.#clock.monotonicMs()));
    this.#cancel = this.#clock.after(delayMs, () => this.#run());
  }

  #post(update: FieldUpdate): void {
    this.#news.set(update.field, (this.#news.get(update.field) ?? 0) + 1);
    this.#effects.post(update);
  }
}
