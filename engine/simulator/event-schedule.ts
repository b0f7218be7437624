// Which of a scenario's events are due: by the clock, or by the number of messages that were taken.

import type { Change } from "./change.ts";
import type { EventMoment, ScenarioEvent } from "./scenario.ts";

interface Counted {
  readonly afterSends: number;
  readonly plusMs: number;
  readonly template: string | null;
  readonly number: string | null;
  readonly changes: readonly Change[];
  count: number;
}

interface Timed {
  readonly atMs: number;
  readonly changes: readonly Change[];
}

const NO_CHANGES: readonly Change[] = [];

export class EventSchedule {
  #counted: Counted[] = [];
  #timed: Timed[] = [];
  #done = 0;

  /** @param startedAtMs when the scenario was set, on a clock that never jumps. */
  constructor(events: readonly ScenarioEvent[], startedAtMs: number) {
    for (const event of events) this.#plan(event.when, listOf(event.do), startedAtMs);
    this.#timed.sort((one, other) => one.atMs - other.atMs);
  }

  /** Whether messages have to be counted at all. */
  get isCounting(): boolean {
    return this.#counted.length > 0;
  }

  get stats(): { readonly done: number; readonly waiting: number } {
    return { done: this.#done, waiting: this.#counted.length + this.#timed.length };
  }

  /** When the next one is due by the clock; null: none is. */
  get nextAtMs(): number | null {
    return this.#timed[0]?.atMs ?? null;
  }

  /** One more message was taken. @returns what is due at once. */
  count(message: { readonly template: string; readonly number: string }, nowMs: number): readonly Change[] {
    const due: Change[] = [];
    this.#counted = this.#counted.filter((event) => {
      if (event.template !== null && event.template !== message.template) return true;
      if (event.number !== null && event.number !== message.number) return true;
      event.count++;
      if (event.count < event.afterSends) return true;
      if (event.plusMs === 0) {
        this.#done++;
        due.push(...event.changes);
      } else this.#insert({ atMs: nowMs + event.plusMs, changes: event.changes });
      return false;
    });
    return due;
  }

  /** What is due by the clock, in order. */
  advance(nowMs: number): readonly Change[] {
    if ((this.nextAtMs ?? Infinity) > nowMs) return NO_CHANGES;
    const due = this.#timed.filter((event) => event.atMs <= nowMs);
    this.#timed = this.#timed.slice(due.length);
    this.#done += due.length;
    return due.flatMap((event) => event.changes);
  }

  #plan(when: EventMoment, changes: readonly Change[], startedAtMs: number): void {
    if ("atSeconds" in when) {
      this.#timed.push({ atMs: startedAtMs + when.atSeconds * 1000, changes });
      return;
    }
    this.#counted.push({
      afterSends: when.afterSends,
      plusMs: (when.plusSeconds ?? 0) * 1000,
      template: when.template ?? null,
      number: when.number ?? null,
      changes,
      count: 0,
    });
  }

  #insert(event: Timed): void {
    this.#timed.push(event);
    this.#timed.sort((one, other) => one.atMs - other.atMs);
  }
}

function listOf(changes: Change | readonly Change[]): readonly Change[] {
  return isList(changes) ? changes : [changes];
}

function isList(changes: Change | readonly Change[]): changes is readonly Change[] {
  return Array.isArray(changes);
}
