// What a restart finds of a campaign between its marks: queued rows go back into the line, and dispatched rows
// are those whose verdict the crash swallowed.

import { campaignPrefix } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { QueuedCampaign } from "./disk-queue.ts";
import type { PartitionLedger } from "./partition-deps.ts";

const PAGE_ROWS = 1_000;
const PREFIX_END = "~";

/**
 * Moves the campaign's mark for rows on disk back to the first queued row.
 * @returns The rows with an intent and no verdict. Rows in the due index come up there, in their own time.
 */
export function recoverCampaign(
  campaign: QueuedCampaign,
  ledger: PartitionLedger,
  partition: number,
): readonly MessageRecord[] {
  const { state } = campaign;
  const interrupted: MessageRecord[] = [];
  if (state.tailId === "") return interrupted;
  let from = state.headId === "" ? campaignPrefix(partition, state.campaignNumber) : state.headId;
  for (;;) {
    const rows = ledger.records({ from, to: `${state.tailId}${PREFIX_END}`, limit: PAGE_ROWS });
    for (const row of rows) {
      if (row.dueAtMs !== 0) continue;
      if (row.status === "dispatched") interrupted.push(row);
      const isBeforeMark = state.diskFromId === "" || row.messageId < state.diskFromId;
      if (row.status === "queued" && isBeforeMark) state.diskFromId = row.messageId;
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) return interrupted;
    from = `${last.messageId}0`;
  }
}
