// The log search of one campaign: newest first, a page at a time, across all partitions.
//
// A filter may want one row in a million, and the search runs on the main thread. So a call looks at a bounded
// number of rows and may answer fewer than asked for, even none, with a cursor to go on from.

import { campaignPrefix, firstIdAt, type MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { MessageStatus } from "../message/status.ts";
import type { LedgerReader, MessageSummary } from "./ledger-reader.ts";

export interface MessageQuery {
  readonly campaignNumber: number;
  readonly status?: MessageStatus;
  /** E.164 with its plus sign. */
  readonly phone?: string;
  /** Accepted at or after, epoch milliseconds. */
  readonly fromMs?: number;
  /** Accepted before, epoch milliseconds. */
  readonly toMs?: number;
  /** At least 1; more than SEARCH_ITEMS_MAX is that. */
  readonly limit: number;
  /** From the page before. Anything else finds nothing. */
  readonly cursor?: string;
}

export interface MessagePage {
  readonly items: readonly MessageRecord[];
  /** Null when there is nothing further. */
  readonly cursor: string | null;
}

export type SearchableLedger = Pick<LedgerReader, "get" | "summaries" | "idsOfPhone">;

const SEARCH_ITEMS_MAX = 1_000;
/** About 30 ms of the main thread. */
export const SCANNED_ROWS_MAX = 20_000;
const PAGE_ROWS = 250;

/** Where partition and campaign end in an id, and time and sequence begin: the order across partitions. */
const ORDER_AT = 8;
const CURSOR = /^[0-9a-hjkmnp-tv-z]{18}$/;
/** Greater than every character of an id. */
const AFTER_ALL = "~";

/** Whether the text can be the cursor of a page. */
export function isSearchCursor(text: string): boolean {
  return CURSOR.test(text);
}

/** @param ledgers one a partition, in their order. */
export function searchMessages(ledgers: readonly SearchableLedger[], query: MessageQuery): MessagePage {
  if (query.cursor !== undefined && !isSearchCursor(query.cursor)) return { items: [], cursor: null };
  const rows = query.phone === undefined ? newestFirst(ledgers, query) : rowsOfPhone(ledgers, query, query.phone);
  const limit = Math.min(query.limit, SEARCH_ITEMS_MAX);
  const items: MessageRecord[] = [];
  let scanned = 0;
  for (const { ledger, messageId, status } of rows) {
    scanned += 1;
    const record = query.status === undefined || query.status === status ? ledger.get(messageId) : undefined;
    if (record !== undefined) items.push(record);
    if (items.length === limit || scanned === SCANNED_ROWS_MAX) return { items, cursor: orderOf(messageId) };
  }
  return { items, cursor: null };
}

interface FoundRow {
  readonly ledger: SearchableLedger;
  readonly messageId: MessageId;
  readonly status: MessageStatus;
}

function* rowsOfPhone(
  ledgers: readonly SearchableLedger[],
  query: MessageQuery,
  phoneNumber: string,
): Generator<FoundRow, void> {
  const { fromMs = 0, toMs = Number.MAX_SAFE_INTEGER, cursor = AFTER_ALL } = query;
  const window = { fromMs, toMs, limit: SCANNED_ROWS_MAX };
  const found = ledgers.flatMap((ledger, partition) => {
    const prefix = campaignPrefix(partition, query.campaignNumber);
    return ledger
      .idsOfPhone(phoneNumber, window)
      .filter((messageId) => messageId.startsWith(prefix) && orderOf(messageId) < cursor)
      .map((messageId) => ({ ledger, messageId }));
  });
  for (const { ledger, messageId } of found.toSorted((a, b) => byOrder(b.messageId, a.messageId))) {
    const record = ledger.get(messageId);
    if (record !== undefined) yield { ledger, messageId, status: record.status };
  }
}

interface Source {
  readonly ledger: SearchableLedger;
  readonly from: string;
  to: string;
  /** Read, but not yet handed on; newest first. */
  page: MessageSummary[];
}

function* newestFirst(ledgers: readonly SearchableLedger[], query: MessageQuery): Generator<FoundRow, void> {
  const sources = ledgers.map((ledger, partition) => openSource(ledger, partition, query));
  for (;;) {
    let newest: Source | null = null;
    for (const source of sources) {
      const head = headOf(source);
      const best = newest === null ? undefined : newest.page[0];
      if (head !== undefined && (best === undefined || byOrder(head.messageId, best.messageId) > 0)) newest = source;
    }
    const row = newest?.page.shift();
    if (newest === null || row === undefined) return;
    yield { ledger: newest.ledger, messageId: row.messageId, status: row.status };
  }
}

function openSource(ledger: SearchableLedger, partition: number, query: MessageQuery): Source {
  const { campaignNumber, fromMs, toMs, cursor = AFTER_ALL } = query;
  const prefix = campaignPrefix(partition, campaignNumber);
  const from = fromMs === undefined ? prefix : firstIdAt(partition, campaignNumber, Math.max(0, Math.ceil(fromMs)));
  const end =
    toMs === undefined ? prefix + AFTER_ALL : firstIdAt(partition, campaignNumber, Math.max(0, Math.ceil(toMs)));
  const resumed = prefix + cursor;
  return { ledger, from, to: resumed < end ? resumed : end, page: [] };
}

function headOf(source: Source): MessageSummary | undefined {
  if (source.page.length === 0 && source.from < source.to) {
    const { from, to } = source;
    source.page = source.ledger.summaries({ from, to, limit: PAGE_ROWS, reverse: true });
    source.to = source.page.at(-1)?.messageId ?? from;
  }
  return source.page[0];
}

function orderOf(messageId: string): string {
  return messageId.slice(ORDER_AT);
}

function byOrder(a: string, b: string): number {
  const first = orderOf(a);
  const second = orderOf(b);
  return first === second ? 0 : first < second ? -1 : 1;
}
