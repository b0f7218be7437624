// Ledger entries as bytes: what goes in comes out, in however many parts, and whatever was cut short between them.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";
import { Packr } from "msgpackr";

import { EntryJoiner } from "../../engine/ledger/entry-joiner.ts";
import {
  decodeHead,
  encodeEntry,
  type EntryRow,
  type LedgerEntry,
  TERM_LENGTH,
  type TermStart,
} from "../../engine/ledger/ledger-entry.ts";
import { idOf } from "./fixtures.ts";

const PART_BYTES = 2_048;

const index = fc.integer({ min: 1, max: 2 ** 48 - 1 });
const term = fc.string({
  unit: fc.constantFrom(..."0123456789abcdef".split("")),
  minLength: TERM_LENGTH,
  maxLength: TERM_LENGTH,
});
const atMs = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const bytes = fc.uint8Array({ maxLength: 900 }).map((array) => Buffer.from(array));
const row: fc.Arbitrary<EntryRow> = fc.tuple(
  fc.nat(1_000_000).map((sequence) => idOf(sequence)),
  bytes,
  atMs,
  fc.option(atMs, { nil: null }),
  fc.option(fc.string({ unit: "binary", maxLength: 20 }), { nil: null }),
);

const termStart: fc.Arbitrary<TermStart> = fc.tuple(index, term);

const entry: fc.Arbitrary<LedgerEntry> = fc.record(
  {
    index,
    term,
    baseIndex: fc.nat(),
    baseTerm: fc.oneof(term, fc.constant("")),
    atMs,
    rows: fc.array(row, { maxLength: 24 }),
    campaigns: fc.array(fc.tuple(fc.integer({ min: 1, max: 2 ** 32 - 1 }), bytes), { maxLength: 6 }),
    marks: fc.array(fc.tuple(fc.string({ unit: "binary", maxLength: 60 }), fc.option(bytes, { nil: null })), {
      maxLength: 6,
    }),
    cursor: fc.option(fc.nat(), { nil: null }),
    cursorId: fc.string({ unit: "binary", maxLength: 40 }),
    lastDispatchAtMs: fc.option(atMs, { nil: null }),
    terms: fc.option(fc.array(termStart, { maxLength: 9 }), { nil: null }),
  },
  { noNullPrototype: true },
);

function join(parts: readonly Uint8Array[]): LedgerEntry[] {
  const joiner = new EntryJoiner();
  return parts.map((part) => joiner.take(new Uint8Array(part))).filter((joined) => joined !== null);
}

/** Rows' bytes come back as Buffers, however they went in. */
function plain(written: LedgerEntry): LedgerEntry {
  return {
    ...written,
    rows: written.rows.map(([id, data, ...rest]) => [id, Buffer.from(data), ...rest] as const),
    campaigns: written.campaigns.map(([number, data]) => [number, Buffer.from(data)] as const),
    marks: written.marks.map(([key, data]) => [key, data === null ? null : Buffer.from(data)] as const),
  };
}

test("an entry read back is the entry that was written, in one part or in many", () => {
  fc.assert(
    fc.property(entry, fc.constantFrom(PART_BYTES, 1_000_000), (written, partBytesMax) => {
      const parts = encodeEntry(written, partBytesMax);
      for (const part of parts) assert.ok(part.length <= partBytesMax, `${part.length} bytes`);
      assert.deepEqual(join(parts).map(plain), [plain(written)]);
    }),
  );
});

test("an entry without marks is written as before there were marks, and one of then has none", () => {
  fc.assert(
    fc.property(entry, (drawn) => {
      const written = { ...drawn, marks: [] };
      const { rows, campaigns, baseTerm, cursor, cursorId, lastDispatchAtMs, terms } = written;
      const head = Buffer.alloc(37);
      head.writeUInt8(1, 0);
      head.writeUIntBE(written.index, 1, 6);
      head.writeUIntBE(written.baseIndex, 7, 6);
      head.writeUInt32BE(0, 13);
      head.writeUInt32BE(1, 17);
      head.write(written.term, 21, 16, "latin1");
      const meta = [baseTerm, written.atMs, cursor, cursorId, lastDispatchAtMs, terms];
      const old = Buffer.concat([head, new Packr({ useRecords: false }).pack([rows, campaigns, meta])]);
      assert.deepEqual(
        encodeEntry(written, 1_000_000).map((part) => Buffer.from(part)),
        [old],
      );
      assert.deepEqual(join([old]).map(plain), [plain(written)]);
    }),
  );
});

test("an entry with marks is refused by a release that would lose them", () => {
  const [part] = encodeEntry({ ...EMPTY, marks: [["trail/1", null]] });
  assert.equal(part?.[0], 2);
});

test("each part tells its entry, its number and how many there are, without the rest being read", () => {
  fc.assert(
    fc.property(entry, (written) => {
      const parts = encodeEntry(written, PART_BYTES);
      parts.forEach((part, number) => {
        const head = { index: written.index, baseIndex: written.baseIndex, term: written.term };
        assert.deepEqual(decodeHead(part), { ...head, part: number, parts: parts.length });
      });
    }),
  );
});

test("a group that was cut short is dropped when another entry begins, or the same one again", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(entry, fc.nat(4), fc.boolean()), { maxLength: 6 }), (drawn) => {
      const messages: Uint8Array[] = [];
      const whole: LedgerEntry[] = [];
      for (const [written, kept, isWhole] of drawn) {
        const parts = encodeEntry(written, PART_BYTES);
        messages.push(...parts.slice(0, Math.min(kept, parts.length - 1)));
        if (!isWhole) continue;
        messages.push(...parts);
        whole.push(written);
      }
      assert.deepEqual(join(messages).map(plain), whole.map(plain));
    }),
  );
});

test("what is left of a group whose beginning has aged out is no entry", () => {
  const rows = Array.from({ length: 9 }, (_, number) => [idOf(number), Buffer.alloc(900), 0, null, "+1"] as const);
  const written = { ...EMPTY, rows };
  const parts = encodeEntry(written, PART_BYTES);
  assert.ok(parts.length > 3);
  assert.deepEqual(join([...parts.slice(1), ...parts]).length, 1);
});

test("a row or a mark that fits into no message is refused", () => {
  const rows = [[idOf(1), Buffer.alloc(PART_BYTES), 0, null, "+1"] as const];
  assert.throws(() => encodeEntry({ ...EMPTY, rows }, PART_BYTES), RangeError);
  const marks = [["trail/1", Buffer.alloc(PART_BYTES)] as const];
  assert.throws(() => encodeEntry({ ...EMPTY, marks }, PART_BYTES), RangeError);
});

test("an entry of another layout is refused by its version", () => {
  const [part] = encodeEntry(EMPTY);
  assert.ok(part !== undefined);
  part[0] = 9;
  assert.throws(() => decodeHead(part), /layout 9; this release reads 1 and 2/);
  assert.throws(() => decodeHead(new Uint8Array(3)), /layout 0/);
});

const EMPTY: LedgerEntry = {
  index: 1,
  term: "0".repeat(TERM_LENGTH),
  baseIndex: 0,
  baseTerm: "",
  atMs: 0,
  rows: [],
  campaigns: [],
  marks: [],
  cursor: null,
  cursorId: "",
  lastDispatchAtMs: null,
  terms: null,
};
