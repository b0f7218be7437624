// Ids for accepted events: strictly growing, also when the machine's clock is set back.

import { encodeMessageId, type MessageId } from "./message/ids.ts";

const SEQUENCES = 2 ** 32;

export class MessageIds {
  readonly #node: number;
  readonly #nowMs: () => number;
  #lastMs = 0;
  #sequence: number;

  /** @param firstSequence anything below 2^31: two runs that meet in one millisecond should not count alike. */
  constructor(options: { readonly node: number; readonly firstSequence: number; nowMs(): number }) {
    this.#node = options.node;
    this.#nowMs = () => options.nowMs();
    this.#sequence = options.firstSequence;
  }

  next(partition: number, campaignNumber: number): MessageId {
    this.#lastMs = Math.max(this.#lastMs, this.#nowMs());
    this.#sequence += 1;
    if (this.#sequence === SEQUENCES) {
      this.#sequence = 0;
      this.#lastMs += 1;
    }
    const origin = { node: this.#node, acceptedAtMs: this.#lastMs, sequence: this.#sequence };
    return encodeMessageId({ partition, campaignNumber, ...origin });
  }
}
