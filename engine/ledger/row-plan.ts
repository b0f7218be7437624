// What several ledger entries come to, row by row: of a row that they change more than once only the last version is
// written, and its due entry moves once.

import type { MessageId } from "../message/ids.ts";
import type { LedgerEntry } from "./ledger-entry.ts";

export interface PlannedRow {
  bytes: Uint8Array;
  dueAtMs: number;
  /** What the table's due index holds for the row; 0: nothing. */
  readonly previousDueAtMs: number;
  /** Whether the table has no such row yet. */
  readonly isNew: boolean;
  /** Of a new row, where the entry tells it. */
  phoneNumber: string | null;
}

/**
 * @param findDue `dueAtMs` of the row as the table has it, null when it has none: for tables and entries that cannot
 *   be taken at their word, because the entries before them are missing. Null: they can.
 */
export function planRows(
  entries: readonly LedgerEntry[],
  findDue: ((messageId: MessageId) => number | null) | null,
): Map<MessageId, PlannedRow> {
  const planned = new Map<MessageId, PlannedRow>();
  for (const { rows } of entries) {
    for (const [messageId, bytes, dueAtMs, previousDueAtMs, phoneNumber] of rows) {
      const known = planned.get(messageId);
      if (known !== undefined) {
        known.bytes = bytes;
        known.dueAtMs = dueAtMs;
      } else {
        const inTable = findDue === null ? previousDueAtMs : findDue(messageId);
        const isNew = inTable === null;
        planned.set(messageId, { bytes, dueAtMs, previousDueAtMs: inTable ?? 0, isNew, phoneNumber });
      }
    }
  }
  return planned;
}
