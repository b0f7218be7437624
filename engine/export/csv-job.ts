// A campaign's messages as CSV, in chunks: the loop between the ledger and whoever takes the bytes.
//
// Reads a page at a time and holds no read transaction between pages, so an export of any length never makes the
// ledger's file grow. The last row is fixed at the start: what is accepted later is not in it, so it ends. Rows come
// in order of acceptance, also when the campaign's messages lie in several partitions (its sender was changed).

import { campaignPrefix, firstIdAt } from "../message/ids.ts";
import type { MessageStatus } from "../message/status.ts";
import { CSV_HEADER, type CsvRecord, csvRow } from "./csv-row.ts";

export interface CsvQuery {
  readonly campaignNumber: number;
  readonly status?: MessageStatus;
  /** E.164 with its plus sign. */
  readonly phone?: string;
  /** Accepted at or after, epoch milliseconds. */
  readonly fromMs?: number;
  /** Accepted before, epoch milliseconds. */
  readonly toMs?: number;
}

/** The ledger of one partition, as far as the export needs it. */
export interface CsvLedger {
  readonly partition: number;
  summaries(range: {
    readonly from: string;
    readonly to: string;
    readonly limit: number;
    readonly reverse?: boolean;
  }): readonly CsvRecord[];
}

export interface CsvChunk {
  /** Whole lines in UTF-8, in memory of their own; empty when a long stretch of rows had none that was wanted. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Messages in it: the header is none. */
  readonly rows: number;
}

/** About 5 ms of reading. */
const PAGE_ROWS = 2_000;
/** A filter may want one row in a million: after so many pages a chunk is due, so that the caller can stop. */
const PAGES_PER_CHUNK_MAX = 20;
/** Few enough to stay in a cache, many enough that sending one costs next to nothing. */
const CHUNK_CHARACTERS = 64 * 1_024;
/** Where partition and campaign end in an id, and time and sequence begin. */
const ORDER_AT = 8;
/** Greater than every character of an id. */
const AFTER_ALL = "~";

/** The header comes first. A query that finds nothing yields the header alone. */
export function* csvJob(ledgers: readonly CsvLedger[], query: CsvQuery): Generator<CsvChunk, void> {
  const sources = ledgers.map((ledger) => openSource(ledger, query)).filter((source) => source !== null);
  let text = CSV_HEADER;
  let rows = 0;
  let pages = 0;
  for (let page = nextPage(sources); page.length > 0; page = nextPage(sources)) {
    for (const record of page) {
      if (!isWanted(record, query)) continue;
      text += csvRow(record);
      rows += 1;
      if (text.length < CHUNK_CHARACTERS) continue;
      yield { bytes: utf8(text), rows };
      text = "";
      rows = 0;
      pages = 0;
    }
    pages += 1;
    if (pages < PAGES_PER_CHUNK_MAX) continue;
    yield { bytes: utf8(text), rows };
    text = "";
    rows = 0;
    pages = 0;
  }
  yield { bytes: utf8(text), rows };
}

interface Source {
  readonly ledger: CsvLedger;
  readonly to: string;
  from: string;
  /** Read, but not yet handed on. */
  page: readonly CsvRecord[];
  isAtEnd: boolean;
}

/** Null when the partition holds nothing of the query. */
function openSource(ledger: CsvLedger, query: CsvQuery): Source | null {
  const { partition } = ledger;
  const { campaignNumber, fromMs, toMs } = query;
  const prefix = campaignPrefix(partition, campaignNumber);
  const from = fromMs === undefined ? prefix : firstIdAt(partition, campaignNumber, wholeMs(fromMs));
  const bound = toMs === undefined ? prefix + AFTER_ALL : firstIdAt(partition, campaignNumber, wholeMs(toMs));
  const [last] = ledger.summaries({ from, to: bound, limit: 1, reverse: true });
  return last === undefined ? null : { ledger, from, to: after(last.messageId), page: [], isAtEnd: false };
}

function wholeMs(atMs: number): number {
  return Math.max(0, Math.ceil(atMs));
}

/** The smallest key behind an id. */
function after(messageId: string): string {
  return `${messageId}0`;
}

/** The next rows of all sources in order of acceptance; empty at the end. */
function nextPage(sources: readonly Source[]): readonly CsvRecord[] {
  for (const source of sources) fill(source);
  const open = sources.filter((source) => source.page.length > 0);
  const [only] = open;
  if (only === undefined) return [];
  if (open.length > 1) return mergedPage(open);
  const { page } = only;
  only.page = [];
  return page;
}

function fill(source: Source): void {
  if (source.isAtEnd || source.page.length > 0) return;
  const { ledger, from, to } = source;
  source.page = ledger.summaries({ from, to, limit: PAGE_ROWS });
  const last = source.page.at(-1);
  if (last === undefined || source.page.length < PAGE_ROWS) source.isAtEnd = true;
  else source.from = after(last.messageId);
}

/** Takes from every source what lies before the end of the page that ends first: later pages hold nothing older. */
function mergedPage(open: readonly Source[]): readonly CsvRecord[] {
  const ends = open.map(({ page }) => orderOf(page.at(-1)));
  const end = ends.reduce((first, other) => (other < first ? other : first));
  return open.flatMap((source) => takeThrough(source, end)).toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
}

function takeThrough(source: Source, end: string): readonly CsvRecord[] {
  const count = source.page.findIndex((record) => orderOf(record) > end);
  const taken = count === -1 ? source.page : source.page.slice(0, count);
  source.page = count === -1 ? [] : source.page.slice(count);
  return taken;
}

function orderOf(record: CsvRecord | undefined): string {
  return record === undefined ? "" : record.messageId.slice(ORDER_AT);
}

function isWanted(record: CsvRecord, { status, phone }: CsvQuery): boolean {
  return (status === undefined || record.status === status) && (phone === undefined || record.phoneNumber === phone);
}

/** A TextEncoder gives memory of its own, not a slice of a pool: chunks are handed to other threads. */
function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

const encoder = new TextEncoder();
