// The claims of the last three days: which dedupe values and idempotency keys are taken, and by which message.
//
// Keys are random, so they are stored per hour of acceptance ([hour, key]): the part of the tree that takes inserts
// stays small, and old claims leave by whole hours. Each hour has an in-memory filter that answers "surely new".
// After a start the filters are read back in slices, newest hour first; until an hour's filter is complete, that
// hour is looked up on disk, so answers are right from the first call on.
//
// The present is the time of the latest claim, not a clock: an engine that takes no claims drops none.

import assert from "node:assert/strict";

import { decodeClaim, encodeClaimValue } from "./claim-record.ts";
import type { Claim } from "./claim.ts";
import { ClaimFilter } from "./claim-filter.ts";
import type { Table } from "../runtime/lmdb-commit.ts";

const HOUR_MS = 3_600_000;
/** 72 h are promised; the hour in which they end is kept to its end. */
const HOURS_KEPT = 73;
/** Keys read into a filter between two turns of the event loop, about a millisecond's worth. */
const SLICE_KEYS_MAX = 2_000;
/** Beyond this the oldest hours lose their filters and are looked up on disk: about 32 million claims. */
const FILTER_BYTES_MAX = 64 * 1024 * 1024;
/** Expired claims removed by one commit. */
const DROPPED_ROWS_MAX = 1_000;

const HOUR_BYTES = 4;
const KEY_BYTES = 16;

interface Hour {
  readonly hour: number;
  /** Null: too old to be worth the memory. */
  filter: ClaimFilter | null;
  /** False while stored claims are still to be read into the filter. */
  isLoaded: boolean;
}

/** One row, encoded before the transaction begins. */
export interface ClaimRow {
  readonly key: Buffer;
  readonly value: Uint8Array;
}

export class LmdbClaims {
  readonly #table: Table;
  readonly #filterBytesMax: number;
  /** Newest first; exactly the hours that may have rows and are not expired. */
  #hours: Hour[];
  #expiredHours: number[] = [];
  #nextSlice: NodeJS.Immediate | null = null;

  constructor(table: Table, options: { readonly filterBytesMax?: number } = {}) {
    this.#table = table;
    this.#filterBytesMax = options.filterBytesMax ?? FILTER_BYTES_MAX;
    this.#hours = storedHours(table)
      .toReversed()
      .map((hour) => ({ hour, filter: new ClaimFilter(), isLoaded: false }));
    this.#loadInBackground(this.#hours, 0, null);
  }

  /** The claim of a key, if it was committed before this call. */
  find(key: string): Claim | undefined {
    const bytes = rowKey(0, key);
    const first = bytes.readUInt32LE(HOUR_BYTES);
    const second = bytes.readUInt32LE(HOUR_BYTES + 4);
    for (const { hour, filter, isLoaded } of this.#hours) {
      if (filter !== null && isLoaded && !filter.mayHave(first, second)) continue;
      bytes.writeUInt32BE(hour, 0);
      const value = this.#table.getBinary(bytes);
      if (value !== undefined) return decodeClaim(key, value);
    }
    return undefined;
  }

  /** Encodes claims for {@link put}, and expires hours that lie too far behind the newest of them. */
  encode(claims: readonly Claim[]): ClaimRow[] {
    const newest = claims.at(-1);
    if (newest !== undefined) this.#expireBefore(hourOf(newest.atMs) - HOURS_KEPT);
    return claims.map((claim) => ({
      key: rowKeyOf(claim),
      value: encodeClaimValue(claim),
    }));
  }

  /** Inside a transaction: stores the rows. The filters learn them at once; a failed commit costs one look-up. */
  put(rows: readonly ClaimRow[]): void {
    for (const { key, value } of rows) {
      const { filter } = this.#hourAt(key.readUInt32BE(0));
      if (filter !== null) addKey(filter, key);
      void this.#table.put(key, value);
    }
    this.#boundFilters();
  }

  /** Keys of expired claims for the next commit to remove; empty when none are left. */
  expiredKeys(): Uint8Array[] {
    while (this.#expiredHours[0] !== undefined) {
      const keys = keysOf(this.#table, {
        ...hourRange(this.#expiredHours[0]),
        limit: DROPPED_ROWS_MAX,
      });
      if (keys.length > 0) return keys;
      this.#expiredHours.shift();
    }
    return [];
  }

  /** Inside a transaction. */
  remove(keys: readonly Uint8Array[]): void {
    for (const key of keys) void this.#table.remove(key);
  }

  hasExpired(): boolean {
    return this.#expiredHours.length > 0;
  }

  /** False while filters are still being read back. */
  isLoaded(): boolean {
    return this.#nextSlice === null;
  }

  close(): void {
    if (this.#nextSlice !== null) clearImmediate(this.#nextSlice);
    this.#nextSlice = null;
  }

  #hourAt(hour: number): Hour {
    const known = this.#hours.find((candidate) => candidate.hour === hour);
    if (known !== undefined) return known;
    const created: Hour = { hour, filter: new ClaimFilter(), isLoaded: true };
    this.#hours = [...this.#hours, created].toSorted((a, b) => b.hour - a.hour);
    return created;
  }

  #expireBefore(hour: number): void {
    if ((this.#hours.at(-1)?.hour ?? hour) >= hour) return;
    this.#expiredHours.push(...this.#hours.filter((old) => old.hour < hour).map((old) => old.hour));
    this.#hours = this.#hours.filter((kept) => kept.hour >= hour);
  }

  #boundFilters(): void {
    let bytes = 0;
    for (const hour of this.#hours) {
      bytes += hour.filter?.bytes ?? 0;
      if (bytes > this.#filterBytesMax) hour.filter = null;
    }
  }

  #loadInBackground(hours: readonly Hour[], index: number, after: Buffer | null): void {
    const hour = hours[index];
    if (hour === undefined) return;
    this.#nextSlice = setImmediate(() => {
      this.#nextSlice = null;
      const last = hour.filter === null ? null : this.#loadSlice(hour.hour, hour.filter, after);
      if (last !== null) return this.#loadInBackground(hours, index, last);
      hour.isLoaded = true;
      this.#boundFilters();
      this.#loadInBackground(hours, index + 1, null);
    });
  }

  /** Reads the next keys of an hour into its filter. Answers the last key read, or null at the hour's end. */
  #loadSlice(hour: number, filter: ClaimFilter, after: Buffer | null): Buffer | null {
    const { start, end } = hourRange(hour);
    const keys = keysOf(this.#table, {
      start: after ?? start,
      exclusiveStart: after !== null,
      end,
      limit: SLICE_KEYS_MAX,
    });
    for (const key of keys) addKey(filter, key);
    return keys.length < SLICE_KEYS_MAX ? null : (keys.at(-1) ?? null);
  }
}

function hourOf(atMs: number): number {
  return Math.floor(atMs / HOUR_MS);
}

/** Where a claim is stored. */
export function rowKeyOf(claim: Claim): Buffer {
  return rowKey(hourOf(claim.atMs), claim.key);
}

/** 4 bytes of hour, big-endian so that hours sort, then the 16 bytes of the key. */
function rowKey(hour: number, key: string): Buffer {
  const bytes = Buffer.allocUnsafe(HOUR_BYTES + KEY_BYTES);
  bytes.writeUInt32BE(hour, 0);
  const written = bytes.write(key, HOUR_BYTES, KEY_BYTES, "hex");
  assert(written === KEY_BYTES && key.length === KEY_BYTES * 2, "a claim's key is 32 hex digits");
  return bytes;
}

function addKey(filter: ClaimFilter, key: Buffer): void {
  filter.add(key.readUInt32LE(HOUR_BYTES), key.readUInt32LE(HOUR_BYTES + 4));
}

function hourRange(hour: number): { start: Buffer; end: Buffer } {
  const start = Buffer.alloc(HOUR_BYTES);
  start.writeUInt32BE(hour, 0);
  const end = Buffer.alloc(HOUR_BYTES);
  end.writeUInt32BE(hour + 1, 0);
  return { start, end };
}

/** The hours that have rows, oldest first: one seek each. */
function storedHours(table: Table): number[] {
  const hours: number[] = [];
  for (let next = 0; ;) {
    const [key] = keysOf(table, { start: hourRange(next).start, limit: 1 });
    if (key === undefined) return hours;
    const hour = key.readUInt32BE(0);
    hours.push(hour);
    next = hour + 1;
  }
}

/** The table's keys are bytes (keyEncoding binary), which lmdb's typings cannot say of a range. */
function keysOf(table: Table, range: Parameters<Table["getKeys"]>[0]): Buffer[] {
  return [...table.getKeys(range)].map((key) => {
    assert(key instanceof Uint8Array, "claims are keyed by bytes");
    return Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  });
}
