// Rows for export tests, and a reader of CSV to check the writer with.

import type { CsvLedger } from "../../engine/export/csv-job.ts";
import type { CsvRecord } from "../../engine/export/csv-row.ts";
import { encodeMessageId, type MessageId } from "../../engine/message/ids.ts";

export const NOON_MS: number = Date.UTC(2026, 7, 20, 12);

export function idOf(sequence: number, partition = 3): MessageId {
  return encodeMessageId({ partition, campaignNumber: 1, acceptedAtMs: NOON_MS + sequence, node: 0, sequence });
}

export function csvRecord(sequence: number, changes: Partial<CsvRecord> = {}): CsvRecord {
  return {
    messageId: idOf(sequence),
    campaignId: "order-confirmation",
    phoneNumber: "+14155550100",
    templateName: "order_confirmation",
    templateLanguage: "en_US",
    message: "Hi Ada",
    status: "delivered",
    errorCode: null,
    errorReason: "",
    attempts: 1,
    wamid: "wamid.1",
    acceptedAtMs: NOON_MS + sequence,
    dispatchedAtMs: NOON_MS + 42,
    sentAtMs: NOON_MS + 1_000,
    deliveredAtMs: NOON_MS + 59_999,
    readAtMs: 0,
    failedAtMs: 0,
    pricingCategory: "utility",
    ...changes,
  };
}

/** A ledger in memory; rows may be added while it is read. */
export function ledgerOf(partition: number, rows: readonly CsvRecord[]): CsvLedger {
  return {
    partition,
    summaries: ({ from, to, limit, reverse = false }) => {
      const found = rows.filter(({ messageId }) => messageId >= from && messageId < to);
      const ordered = found.toSorted((a, b) => (a.messageId < b.messageId ? -1 : 1));
      return (reverse ? ordered.toReversed() : ordered).slice(0, limit);
    },
  };
}

/** RFC 4180, written to be obviously right. */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let rest = text;
  while (rest !== "") {
    const quoted = /^"((?:[^"]|"")*)"/.exec(rest);
    const cell = quoted?.[0] ?? /^[^,\r\n]*/.exec(rest)?.[0] ?? "";
    row.push(quoted === null ? cell : (quoted[1] ?? "").replaceAll('""', '"'));
    rest = rest.slice(cell.length);
    if (rest.startsWith(",")) {
      rest = rest.slice(1);
    } else if (rest.startsWith("\r\n")) {
      rows.push(row);
      row = [];
      rest = rest.slice(2);
    } else {
      throw new Error(`neither a comma nor CRLF after a cell: ${JSON.stringify(rest.slice(0, 40))}`);
    }
  }
  return rows;
}
