// What the simulator answered so far, counted.

import type { ReceivedSend } from "./received-send.ts";

export interface AnswerStats {
  readonly received: number;
  /** Held ones included. */
  readonly accepted: number;
  readonly held: number;
  /** By error code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly lost: { readonly cut: number; readonly silent: number; readonly garbled: number };
  /** Of the lost ones: taken all the same. */
  readonly lostButTaken: number;
}

export class AnswerCounts {
  #received = 0;
  #accepted = 0;
  #held = 0;
  readonly #refused = new Map<number, number>();
  readonly #lost = { cut: 0, silent: 0, garbled: 0 };
  #lostButTaken = 0;

  add(send: ReceivedSend): void {
    const { answer } = send;
    this.#received++;
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
      refused: Object.fromEntries(this.#refused),
      lost: { ...this.#lost },
      lostButTaken: this.#lostButTaken,
    };
  }
}
