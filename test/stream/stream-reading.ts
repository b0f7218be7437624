// Reads a stream as an actor does: in order, and what it took is in its ledger.

import type { MessageId } from "../../engine/message/ids.ts";
import type { StreamPosition } from "../../engine/runtime/jetstream-tail.ts";
import type { Log } from "../../engine/runtime/log.ts";
import { until } from "../support/until.ts";
import { eventIds, numberOf } from "./envelopes.ts";

export const quiet: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

export const BEGINNING: StreamPosition = { sequence: 0, id: "" };

export interface StreamReading {
  read(afterSequence: number): readonly { readonly sequence: number; readonly bytes: Uint8Array }[];
  idAt(sequence: number): string;
  ack(throughSequence: number): void;
  close(): Promise<void>;
}

/** Stands for a partition's ledger and its cursor. */
export class ActorLedger {
  readonly rows: Set<MessageId> = new Set();
  /** In the order in which they came; an event that is read again is not taken again. */
  readonly taken: number[] = [];
  position: StreamPosition = BEGINNING;

  /** Takes in what there is. */
  takeFrom(reading: StreamReading): void {
    for (;;) {
      const entries = reading.read(this.position.sequence);
      const last = entries.at(-1);
      if (last === undefined) return;
      for (const { bytes } of entries) this.#take(eventIds(bytes));
      this.position = { sequence: last.sequence, id: reading.idAt(last.sequence) };
      reading.ack(last.sequence);
    }
  }

  async takeUntil(reading: StreamReading, count: number): Promise<readonly number[]> {
    await until(`${count} events were taken, not ${this.taken.length}`, () => {
      this.takeFrom(reading);
      return this.taken.length >= count;
    });
    return this.taken;
  }

  #take(ids: readonly MessageId[]): void {
    for (const id of ids) {
      if (this.rows.has(id)) continue;
      this.rows.add(id);
      this.taken.push(numberOf(id));
    }
  }
}
