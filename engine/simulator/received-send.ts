// One line of the simulator's own log: what it received and what it answered, for comparing with the engine's CSV.

import type { LostForm } from "./recipient-rule.ts";
import type { SendRoute } from "./send-route.ts";

export interface ReceivedSend {
  /** Counts the sends of one simulator, from 1. */
  readonly sequence: number;
  /** Epoch milliseconds with fractions at which the whole request was there. */
  readonly arrivedAtMs: number;
  /** The same moment on a clock that never jumps; only differences mean something. */
  readonly arrivedMonotonicMs: number;
  readonly phoneNumberId: string;
  readonly route: SendRoute;
  /** As sent. */
  readonly to: string;
  readonly templateName: string;
  readonly templateLanguage: string;
  /** The body text as the person would read it, rendered by the simulator itself; empty when the send did not fit its template. */
  readonly text: string;
  /** Of a carousel only: the texts of its cards. */
  readonly cards?: readonly string[];
  readonly bizOpaqueCallbackData: string;
  readonly answer: SendAnswer;
  /**
   * What the webhooks will report in the end; null for a message that was not taken. `held` until its template's pacing
   * ends; then this is replaced, but in the log file.
   */
  readonly end: SendEnd | null;
}

export interface SendEnd {
  readonly status: "sent" | "delivered" | "read" | "failed" | "held";
  readonly errorCode: number | null;
}

export type SendAnswer =
  | { readonly kind: "accepted"; readonly wamid: string; readonly isHeld: boolean }
  | {
      readonly kind: "refused";
      readonly httpStatus: number;
      readonly errorCode: number;
      readonly details: string;
    }
  /** The caller cannot know what became of it. `wamid` is null when the message was not taken. */
  | {
      readonly kind: "lost";
      readonly how: LostForm;
      readonly wamid: string | null;
    };

/** The newest sends, in order of arrival, without bound on what was received in all. */
export class ReceivedSends {
  readonly #max: number;
  #sends: ReceivedSend[] = [];
  #forgotten = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** How many of the oldest are no longer kept. */
  get forgotten(): number {
    return this.#forgotten;
  }

  add(send: ReceivedSend): void {
    this.#sends.push(send);
    // Dropped a quarter at a time: moving the rest costs O(1) a send.
    if (this.#sends.length < this.#max * 1.25) return;
    const excess = this.#sends.length - this.#max;
    this.#sends = this.#sends.slice(excess);
    this.#forgotten += excess;
  }

  /** A message whose end was open has one now. */
  settle(sequence: number, end: SendEnd): void {
    const index = sequence - this.#forgotten - 1;
    const send = this.#sends[index];
    if (send !== undefined) this.#sends[index] = { ...send, end };
  }

  all(): readonly ReceivedSend[] {
    return this.#sends;
  }

  /** At most `limit` sends with a sequence greater than `sequence`. */
  after(sequence: number, limit: number): readonly ReceivedSend[] {
    const start = Math.max(0, sequence - this.#forgotten);
    return this.#sends.slice(start, start + limit);
  }
}
