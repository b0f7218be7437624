// Which messages a phone number got: ids by number, newest first, across all campaigns of a partition.

import { decodeMessageId, type MessageId } from "../message/ids.ts";
import type { Table } from "../runtime/lmdb-commit.ts";
import { AFTER_ALL, messageIdOfKey, phoneKey, phonePrefix, segmentOfKey, segmentPrefix } from "./phone-key.ts";

/** Rows a segment takes before the next one is begun; phone-key.ts has the measurement. */
const SEGMENT_ROWS_MAX = 4_096;
/** How far a row's acceptance may lie outside its segment's time: a long backlog, a clock set back. */
const SEGMENT_SLACK_MS = 24 * 3_600_000;

const NOTHING = new Uint8Array(0);

export class LmdbPhoneIndex {
  readonly #table: Table;
  #segmentMs: number;
  #rowsInSegment = SEGMENT_ROWS_MAX;

  constructor(table: Table) {
    this.#table = table;
    this.#segmentMs = this.#segmentBefore(AFTER_ALL) ?? 0;
  }

  /** Inside a transaction, by the one writer. */
  put(phoneNumber: string, messageId: MessageId): void {
    if (this.#rowsInSegment >= SEGMENT_ROWS_MAX) {
      const acceptedAtMs = decodeMessageId(messageId)?.acceptedAtMs ?? 0;
      // Names only grow, also when the clock was set back, so that a later segment is always a newer one.
      this.#segmentMs = Math.max(this.#segmentMs + 1, acceptedAtMs);
      this.#rowsInSegment = 0;
    }
    this.#rowsInSegment += 1;
    void this.#table.put(phoneKey(this.#segmentMs, phoneNumber, messageId), NOTHING);
  }

  /**
   * Ids whose number may be `phoneNumber` and whose time may lie in [fromMs, toMs), newest segment first.
   * A few seeks a segment: about 15 ms for 10 million rows. Read all at once or not at all.
   */
  *candidates(phoneNumber: string, fromMs: number, toMs: number): Generator<MessageId, void> {
    let segmentMs = this.#segmentBefore(segmentPrefix(Math.max(0, toMs) + SEGMENT_SLACK_MS) + AFTER_ALL);
    while (segmentMs !== undefined) {
      const prefix = phonePrefix(segmentMs, phoneNumber);
      for (const key of this.#table.getKeys({ start: prefix + AFTER_ALL, end: prefix, reverse: true })) {
        const messageId = typeof key === "string" ? messageIdOfKey(key) : null;
        if (messageId !== null) yield messageId;
      }
      if (segmentMs + SEGMENT_SLACK_MS < fromMs) return;
      segmentMs = this.#segmentBefore(segmentPrefix(segmentMs));
    }
  }

  #segmentBefore(bound: string): number | undefined {
    const [key] = this.#table.getKeys({ start: bound, reverse: true, limit: 1 });
    return typeof key === "string" ? segmentOfKey(key) : undefined;
  }
}
