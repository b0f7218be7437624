// One entry of the replicated ledger: everything that one round of a partition's owner changed, as the LEDGER stream
// carries it to the other nodes. A row is encoded once: the bytes in here are the bytes of the row in every table.
//
// Entries count up by one (`index`), under the random name of the take-up that wrote them (`term`). The same index
// and term are the same entry everywhere, and everything before it is the same too.
//
// An entry that is larger than one message may be is cut into parts, each whole in itself. A part begins with a
// head of fixed size, so that the stream can be searched without reading the rest:
//
//   layout (1)  index (6)  base index (6)  part (4)  parts (4)  term (16, ASCII)

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";

import { Packr } from "msgpackr";

import type { MessageId } from "../message/ids.ts";

export type EntryRow = readonly [
  messageId: MessageId,
  /** As encodeRecord wrote them. */
  bytes: Uint8Array,
  dueAtMs: number,
  /** The row's `dueAtMs` in the entry before; null for a row that is new. Says nothing in a catch-up entry. */
  previousDueAtMs: number | null,
  /** Of a new row, for the phone index; null otherwise. */
  phoneNumber: string | null,
];

export type EntryCampaign = readonly [campaignNumber: number, bytes: Uint8Array];

/** Null: removed. */
export type EntryMark = readonly [key: string, value: Uint8Array | null];

/** From this index on, until the next one, entries are of this term. */
export type TermStart = readonly [index: number, term: string];

export interface LedgerEntry {
  readonly index: number;
  readonly term: string;
  /** The entry before: index - 1; less in a catch-up entry. */
  readonly baseIndex: number;
  /** The term of that entry; empty where it is not known. An entry follows on no other. */
  readonly baseTerm: string;
  /** Epoch milliseconds at which its writer made it. */
  readonly atMs: number;
  readonly rows: readonly EntryRow[];
  readonly campaigns: readonly EntryCampaign[];
  /** The last one of a key counts. */
  readonly marks: readonly EntryMark[];
  /** Null: unchanged, as `cursorId` is then. */
  readonly cursor: number | null;
  readonly cursorId: string;
  readonly lastDispatchAtMs: number | null;
  /**
   * Not null makes it a catch-up entry: it stands for all entries after `baseIndex`, which the stream has lost. Its
   * rows are what they came to, and these are the terms they were of, the first from `baseIndex + 1` on.
   */
  readonly terms: readonly TermStart[] | null;
}

export interface EntryHead {
  readonly index: number;
  readonly baseIndex: number;
  readonly term: string;
  /** From 0. */
  readonly part: number;
  readonly parts: number;
}

/** Half of what nats-server takes in one message unless told otherwise (max_payload, 1 MB). */
export const ENTRY_PART_BYTES_MAX: number = 512 * 1024;
export const TERM_LENGTH = 16;

/** A term that is not known, inside a gap, proves nothing. */
export function isSameTerm(own: string, term: string): boolean {
  return own === term || own === "" || term === "";
}

/**
 * A part with marks is of layout 2: a release that knows no marks would keep the entry without them, and nothing would
 * show that later, so it refuses the part. Everything else is layout 1, as it was before there were marks.
 */
const LAYOUT_PLAIN = 1;
const LAYOUT_WITH_MARKS = 2;
const AT = { layout: 0, index: 1, baseIndex: 7, part: 13, parts: 17, term: 21 } as const;
const INDEX_BYTES = 6;
const HEAD_BYTES = AT.term + TERM_LENGTH;
/** What an item takes beside its bytes and its text, at most; and what a part takes beside its items. */
const ITEM_BYTES_MAX = 72;
const PART_BYTES = 256;
const TERM_START_BYTES = 32;
/** UTF-8 of one UTF-16 unit. */
const BYTES_A_CHARACTER = 3;

type Meta = readonly [
  baseTerm: string,
  atMs: number,
  cursor: number | null,
  cursorId: string,
  lastDispatchAtMs: number | null,
  terms: readonly TermStart[] | null,
];

const NO_META: Meta = ["", 0, null, "", null, null];

/** The first part carries what the entry has once. */
type Body = readonly [
  rows: readonly EntryRow[],
  campaigns: readonly EntryCampaign[],
  meta: Meta | null,
  marks?: readonly EntryMark[],
];

interface PartItems {
  readonly rows: EntryRow[];
  readonly campaigns: EntryCampaign[];
  readonly marks: EntryMark[];
  bytes: number;
}

// useRecords off: msgpackr's shared structures have forked between writers; plain arrays cannot.
const packr = new Packr({ useRecords: false });

/**
 * @returns at least one part, none larger than `partBytesMax`.
 * @throws RangeError when a single row or mark does not fit.
 */
export function encodeEntry(entry: LedgerEntry, partBytesMax: number = ENTRY_PART_BYTES_MAX): Uint8Array[] {
  assert.equal(entry.term.length, TERM_LENGTH, "a term's place in the head is fixed");
  const { baseTerm, atMs, cursor, cursorId, lastDispatchAtMs, terms } = entry;
  const meta: Meta = [baseTerm, atMs, cursor, cursorId, lastDispatchAtMs, terms];
  const metaBytes = cursorId.length * BYTES_A_CHARACTER + (terms?.length ?? 0) * TERM_START_BYTES;
  const split = splitItems(entry, partBytesMax, metaBytes);
  return split.map(({ rows, campaigns, marks }, part) => {
    const plain = [rows, campaigns, part === 0 ? meta : null] as const;
    const body: Body = marks.length === 0 ? plain : [...plain, marks];
    const packed = packr.pack(body);
    const bytes = Buffer.allocUnsafe(HEAD_BYTES + packed.length);
    writeHead(bytes, { index: entry.index, baseIndex: entry.baseIndex, term: entry.term, part, parts: split.length });
    bytes.writeUInt8(marks.length === 0 ? LAYOUT_PLAIN : LAYOUT_WITH_MARKS, AT.layout);
    bytes.set(packed, HEAD_BYTES);
    if (bytes.length > partBytesMax) {
      throw new RangeError(`a ledger row or mark of ${bytes.length} bytes exceeds the ${partBytesMax} of one message`);
    }
    return bytes;
  });
}

/** Trusts its input, as {@link decodePart} does: only this module writes entries. */
export function decodeHead(bytes: Uint8Array): EntryHead {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const layout = buffer.length < HEAD_BYTES ? 0 : buffer.readUInt8(AT.layout);
  const isKnown = layout === LAYOUT_PLAIN || layout === LAYOUT_WITH_MARKS;
  assert(isKnown, `ledger entry of layout ${layout}; this release reads ${LAYOUT_PLAIN} and ${LAYOUT_WITH_MARKS}`);
  return {
    index: buffer.readUIntBE(AT.index, INDEX_BYTES),
    baseIndex: buffer.readUIntBE(AT.baseIndex, INDEX_BYTES),
    part: buffer.readUInt32BE(AT.part),
    parts: buffer.readUInt32BE(AT.parts),
    term: buffer.toString("latin1", AT.term, HEAD_BYTES),
  };
}

/** The entry as far as this part has it. Its rows' bytes lie in `bytes`. */
export function decodePart(head: EntryHead, bytes: Uint8Array): LedgerEntry {
  const [rows, campaigns, meta, marks = []]: Body = packr.unpack(bytes.subarray(HEAD_BYTES));
  const [baseTerm, atMs, cursor, cursorId, lastDispatchAtMs, terms] = meta ?? NO_META;
  const { index, term, baseIndex } = head;
  const place = { index, term, baseIndex, baseTerm, atMs };
  return { ...place, rows, campaigns, marks, cursor, cursorId, lastDispatchAtMs, terms };
}

function splitItems(entry: LedgerEntry, partBytesMax: number, metaBytes: number): PartItems[] {
  let current = emptyPart(metaBytes);
  const split = [current];
  const place = (bytes: number): PartItems => {
    const items = current.rows.length + current.campaigns.length + current.marks.length;
    if (current.bytes + bytes > partBytesMax && items > 0) {
      current = emptyPart(0);
      split.push(current);
    }
    current.bytes += bytes;
    return current;
  };
  for (const row of entry.rows) {
    place(ITEM_BYTES_MAX + row[1].length + (row[4]?.length ?? 0) * BYTES_A_CHARACTER).rows.push(row);
  }
  for (const campaign of entry.campaigns) place(ITEM_BYTES_MAX + campaign[1].length).campaigns.push(campaign);
  for (const mark of entry.marks) {
    place(ITEM_BYTES_MAX + mark[0].length * BYTES_A_CHARACTER + (mark[1]?.length ?? 0)).marks.push(mark);
  }
  return split;
}

function emptyPart(bytes: number): PartItems {
  return { rows: [], campaigns: [], marks: [], bytes: HEAD_BYTES + PART_BYTES + bytes };
}

function writeHead(bytes: Buffer, head: EntryHead): void {
  bytes.writeUIntBE(head.index, AT.index, INDEX_BYTES);
  bytes.writeUIntBE(head.baseIndex, AT.baseIndex, INDEX_BYTES);
  bytes.writeUInt32BE(head.part, AT.part);
  bytes.writeUInt32BE(head.parts, AT.parts);
  bytes.write(head.term, AT.term, TERM_LENGTH, "latin1");
}
