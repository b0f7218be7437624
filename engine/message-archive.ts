// The operators' view of the ledgers: one message, a page of the log, a CSV, a replay.

import { isReplayable } from "./actor/record-transition.ts";
import type { MessageArchive, ReplayQuery } from "./api/operators-api-deps.ts";
import type { ExportPool } from "./export-pool.ts";
import type { LedgerReader } from "./ledger/ledger-reader.ts";
import { isSearchCursor, searchMessages } from "./ledger/message-search.ts";
import { decodeMessageId, type MessageId } from "./message/ids.ts";
import { systemClock } from "./runtime/system-clock.ts";

/** Messages looked at for a replay at a time. */
const REPLAY_PAGE = 500;
/** "As fast as the sender allows": the sender's own pace then decides. */
const REPLAY_PER_SECOND_MAX = 10_000;

export function createMessageArchive(deps: {
  /** One a partition, in their order. */
  readonly ledgers: readonly LedgerReader[];
  readonly exports: ExportPool;
  replay(partition: number, ids: readonly MessageId[], maxPerSecond: number): Promise<number>;
}): MessageArchive {
  const { ledgers, exports } = deps;
  return {
    find: async (messageId) => ledgers[decodeMessageId(messageId)?.partition ?? -1]?.get(messageId),
    search: async ({ campaign, ...query }) => {
      if (query.cursor !== undefined && !isSearchCursor(query.cursor)) return { kind: "invalid_cursor" };
      const page = searchMessages(ledgers, { campaignNumber: campaign.number, ...query });
      return { kind: "page", records: page.items, cursor: page.cursor };
    },
    exportCsv: ({ campaign, ...query }, sink) => exports.exportCsv({ campaignNumber: campaign.number, ...query }, sink),
    replay: (query) => replay(deps, query),
  };
}

/** Page by page: what to queue anew is decided again by the thread that owns the message. */
async function replay(
  deps: {
    readonly ledgers: readonly LedgerReader[];
    replay(partition: number, ids: readonly MessageId[], maxPerSecond: number): Promise<number>;
  },
  query: ReplayQuery,
): Promise<{ requeued: number }> {
  const maxPerSecond = query.maxPerSecond ?? REPLAY_PER_SECOND_MAX;
  const found = await failedMessages(deps.ledgers, query);
  let requeued = 0;
  for (const [partition, ids] of found) requeued += await deps.replay(partition, ids, maxPerSecond);
  return { requeued };
}

async function failedMessages(
  ledgers: readonly LedgerReader[],
  query: ReplayQuery,
): Promise<ReadonlyMap<number, readonly MessageId[]>> {
  const byPartition = new Map<number, MessageId[]>();
  let cursor: string | null = null;
  do {
    const page = searchMessages(ledgers, {
      campaignNumber: query.campaign.number,
      status: query.status,
      limit: REPLAY_PAGE,
      ...(query.fromMs === null ? {} : { fromMs: query.fromMs }),
      ...(query.toMs === null ? {} : { toMs: query.toMs }),
      ...(cursor === null ? {} : { cursor }),
    });
    for (const record of page.items) {
      const isWanted = query.errorCode === null || record.errorCode === query.errorCode;
      if (!isWanted || !isReplayable(record, systemClock.nowMs())) continue;
      const partition = decodeMessageId(record.messageId)?.partition ?? 0;
      const ids = byPartition.get(partition);
      if (ids === undefined) byPartition.set(partition, [record.messageId]);
      else ids.push(record.messageId);
    }
    cursor = page.cursor;
    // A long search must not hold up the HTTP server that shares this thread.
    await new Promise((resolve) => setImmediate(resolve));
  } while (cursor !== null);
  // Oldest first, as they were accepted.
  for (const ids of byPartition.values()) ids.reverse();
  return byPartition;
}
