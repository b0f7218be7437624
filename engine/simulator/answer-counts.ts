// What the simulator answered so far, counted.

import type { ReceivedSend } from "./received-send.ts";
import type { LostForm } from "./recipient-rule.ts";

export interface AnswerStats {
  readonly received: number;
  /** Held ones included. */
  readonly accepted: number;
  readonly held: number;
  /** Of all received: through `/marketing_messages`. */
  readonly marketingMessages: number;
  /** By error code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly lost: Readonly<Record<LostForm, number>>;
  /** Of the lost ones: taken all the same. */
  readonly lostButTaken: number;
}

export class AnswerCounts {
  #received = 0;
  #accepted = 0;
  #held = 0;
  #marketingMessages = 0;
  readonly #refused = new Map<number, number>();
  readonly #lost = { cut: 0, silent: 0, garbled: 0, empty: 0, unreadable: 0 };
  #lostButTaken = 0;

  add(send: ReceivedSend): void {
    const { answer } = send;
    this.#received++;
    if (send.route === "marketing_messages") this.#marketingMessages++;
    switch (answer.kind) {
      case "accepted":
        this.#accepted++;
        if (answer.isHeld) this.#held++;
        return;
      case "refused":
        this.#refused.set(answer.errorCode, (this.#refused.get(answer.errorCode) ?? 0) + 1);
        return;
      case "lost":
        this.#lost[answer.how]++;
        if (answer.wamid !== null) this.#lostButTaken++;
    }
  }

  stats(): AnswerStats {
    return {
      received: this.#received,
      accepted: this.#accepted,
      held: this.#held,
      marketingMessages: this.#marketingMessages,
      refused: Object.fromEntries(this.#refused),
      lost: { ...this.#lost },
      lostButTaken: this.#lostButTaken,
    };
  }
}
