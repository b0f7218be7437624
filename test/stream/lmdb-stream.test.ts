// The embedded stream against real files: order, numbering, claims, trimming, and what a restart finds.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";

import { encodeMessageId } from "../../engine/message/ids.ts";
import type { Log } from "../../engine/runtime/log.ts";
import { openEnvironment } from "../../engine/runtime/lmdb-commit.ts";
import type { Claim } from "../../engine/stream/claim.ts";
import { openLmdbStream } from "../../engine/stream/lmdb-stream.ts";
import { openLmdbStreamReader } from "../../engine/stream/lmdb-stream-reader.ts";
import { openStreamTables } from "../../engine/stream/lmdb-tables.ts";
import type { Stream } from "../../engine/stream/stream.ts";

const HOUR_MS = 3_600_000;
const NOON_MS = Date.UTC(2026, 7, 20, 12);
const BOUNDS = { itemsMax: 1_000, bytesMax: 1_000_000 };
const quiet: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

const folder = mkdtempSync(join(tmpdir(), "volley-stream-"));
after(() => rmSync(folder, { recursive: true, force: true }));

let folders = 0;
const freshPath = (): string => join(folder, `stream-${(folders += 1)}`);
const open = (path: string): Stream => openLmdbStream({ path, log: quiet });
const bytesOf = (text: string): Uint8Array => Buffer.from(text);

const append = (stream: Stream, partition: number, ...texts: string[]) =>
  stream.append(texts.map((text) => ({ partition, bytes: bytesOf(text), claims: [] })));

const appendClaims = (stream: Stream, claims: readonly Claim[]) =>
  stream.append([{ partition: 1, bytes: bytesOf("x"), claims }]);

function claim(number: number, atMs: number, bodyHash = ""): Claim {
  const key = number.toString(16).padStart(8, "0").repeat(4);
  const messageId = encodeMessageId({ partition: 1, campaignNumber: 1, acceptedAtMs: atMs, node: 0, sequence: number });
  return { key, atMs, messageId, bodyHash };
}

async function textsOf(path: string, partition: number, afterSequence = 0): Promise<string[]> {
  const reader = openLmdbStreamReader({ path });
  const found = reader.read(partition, afterSequence, BOUNDS).map(({ bytes }) => Buffer.from(bytes).toString());
  await reader.close();
  return found;
}

async function untilLeft(path: string, partition: number, count: number): Promise<void> {
  const reader = openLmdbStreamReader({ path });
  await until(() => reader.read(partition, 0, BOUNDS).length === count);
  await reader.close();
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await turn();
}

describe("an embedded stream", () => {
  test("numbers the envelopes of each partition from 1, in the order of the batch", async () => {
    const stream = open(freshPath());
    const positions = await stream.append(
      [2, 5, 2].map((partition) => ({ partition, bytes: bytesOf("x"), claims: [] })),
    );
    assert.deepEqual(positions, [
      { partition: 2, sequence: 1 },
      { partition: 5, sequence: 1 },
      { partition: 2, sequence: 2 },
    ]);
    assert.deepEqual([stream.lastSequence(2), stream.lastSequence(5), stream.lastSequence(0)], [2, 1, 0]);
    await stream.close();
  });

  test("gives each reader the envelopes of one partition, in order, after the sequence it names", async () => {
    const path = freshPath();
    const stream = open(path);
    await append(stream, 1, "a", "b");
    await append(stream, 2, "other");
    await append(stream, 1, "c");
    assert.deepEqual(await textsOf(path, 1), ["a", "b", "c"]);
    assert.deepEqual(await textsOf(path, 1, 2), ["c"]);
    assert.deepEqual(await textsOf(path, 1, 3), []);
    assert.deepEqual(await textsOf(path, 7), []);
    await stream.close();
  });

  test("shows an open reader what was appended after it opened, whichever of the two opened first", async () => {
    const path = freshPath();
    const reader = openLmdbStreamReader({ path });
    const stream = open(path);
    assert.deepEqual(reader.read(3, 0, BOUNDS), []);
    await append(stream, 3, "late");
    assert.deepEqual(
      reader.read(3, 0, BOUNDS).map(({ sequence }) => sequence),
      [1],
    );
    await reader.close();
    await stream.close();
  });

  test("ends a read at itemsMax, and with the envelope that reaches bytesMax", async () => {
    const path = freshPath();
    const stream = open(path);
    await append(stream, 0, "aaaa", "bbbb", "cccc");
    const reader = openLmdbStreamReader({ path });
    assert.equal(reader.read(0, 0, { itemsMax: 2, bytesMax: 100 }).length, 2);
    assert.equal(reader.read(0, 0, { itemsMax: 9, bytesMax: 5 }).length, 2);
    assert.equal(reader.read(0, 0, { itemsMax: 9, bytesMax: 1 }).length, 1);
    await reader.close();
    await stream.close();
  });

  test("keeps appends apart and in order when many are made at once", async () => {
    const path = freshPath();
    const stream = open(path);
    const texts = Array.from({ length: 50 }, (_, index) => `event ${index}`);
    const positions = await Promise.all(texts.map((text) => append(stream, 4, text)));
    assert.deepEqual(
      positions.map(([position]) => position?.sequence),
      texts.map((_, index) => index + 1),
    );
    assert.deepEqual(await textsOf(path, 4), texts);
    await stream.close();
  });
});

describe("an embedded stream's edges", () => {
  test("refuses a partition that does not exist, and stays usable", async () => {
    const stream = open(freshPath());
    await assert.rejects(append(stream, 8, "x"), /partition 8/);
    assert.equal(stream.failure(), null);
    assert.deepEqual(await append(stream, 0, "y"), [{ partition: 0, sequence: 1 }]);
    await stream.close();
  });

  test("creates its files for the owner only", async () => {
    const path = freshPath();
    const stream = open(path);
    assert.equal(statSync(join(path, "data.mdb")).mode & 0o777, 0o600);
    await stream.close();
  });

  test("closes twice without harm", async () => {
    const stream = open(freshPath());
    await stream.close();
    await stream.close();
  });
});

describe("trimming", () => {
  test("removes what was let go, and nothing else, without an append to ride with", async () => {
    const path = freshPath();
    const stream = open(path);
    await append(stream, 1, "a", "b", "c");
    await append(stream, 2, "other");
    stream.trim(1, 2);
    await untilLeft(path, 1, 1);
    assert.deepEqual(await textsOf(path, 1), ["c"]);
    assert.deepEqual(await textsOf(path, 2), ["other"]);
    await stream.close();
  });

  test("never gives a sequence twice, also after everything was trimmed and the stream reopened", async () => {
    const path = freshPath();
    const first = open(path);
    await append(first, 1, "a", "b");
    first.trim(1, 99);
    await untilLeft(path, 1, 0);
    await first.close();

    const second = open(path);
    assert.equal(second.lastSequence(1), 2);
    assert.deepEqual(await append(second, 1, "c"), [{ partition: 1, sequence: 3 }]);
    second.trim(1, 3);
    await untilLeft(path, 1, 0);
    await second.close();
  });

  test("works through more envelopes than one commit may remove", async () => {
    const path = freshPath();
    const stream = open(path);
    await append(stream, 1, ...Array.from({ length: 700 }, (_, index) => String(index)));
    stream.trim(1, 699);
    await untilLeft(path, 1, 1);
    assert.deepEqual(await textsOf(path, 1), ["699"]);
    await stream.close();
  });
});

describe("claims", () => {
  test("are found once their append resolved, with everything they were made of", async () => {
    const stream = open(freshPath());
    const claimed = claim(7, NOON_MS, "hash of ünïcode");
    assert.equal(stream.findClaim(claimed.key), undefined);
    await appendClaims(stream, [claimed]);
    assert.deepEqual(stream.findClaim(claimed.key), claimed);
    assert.equal(stream.findClaim(claim(8, NOON_MS).key), undefined);
    await stream.close();
  });

  test("are found after a restart: at once, and after the filters were read back", async () => {
    const path = freshPath();
    const first = open(path);
    const claims = Array.from({ length: 5_000 }, (_, index) => claim(index, NOON_MS + index * 60_000));
    await appendClaims(first, claims);
    await first.close();

    const second = open(path);
    const isFound = (): boolean => claims.every((one) => second.findClaim(one.key)?.messageId === one.messageId);
    assert.ok(isFound(), "before the first turn of the event loop");
    for (let turns = 0; turns < 200; turns++) await turn();
    assert.ok(isFound(), "after the filters were loaded");
    assert.equal(second.findClaim(claim(99_999, NOON_MS).key), undefined);
    await second.close();
  });

  test("are kept for 72 hours, and gone from the disk some hours later", async () => {
    const path = freshPath();
    const stream = open(path);
    const old = Array.from({ length: 2_500 }, (_, index) => claim(index, NOON_MS));
    await appendClaims(stream, old);
    await appendClaims(stream, [claim(50_001, NOON_MS + 72 * HOUR_MS)]);
    assert.ok(stream.findClaim(claim(0, NOON_MS).key), "after exactly 72 h");

    await appendClaims(stream, [claim(50_002, NOON_MS + 75 * HOUR_MS)]);
    assert.equal(stream.findClaim(claim(0, NOON_MS).key), undefined);
    assert.ok(stream.findClaim(claim(50_001, 0).key));

    const environment = openEnvironment(path);
    const { claims } = openStreamTables(environment);
    await until(() => {
      environment.resetReadTxn();
      return claims.getKeysCount() === 2;
    });
    await environment.close();
    await stream.close();
  });

  test("survive a clock that was once set far ahead", async () => {
    const stream = open(freshPath());
    await appendClaims(stream, [claim(1, NOON_MS + 10_000 * HOUR_MS)]);
    await appendClaims(stream, [claim(2, NOON_MS)]);
    await appendClaims(stream, [claim(3, NOON_MS + HOUR_MS)]);
    assert.deepEqual(
      [1, 2, 3].map((number) => stream.findClaim(claim(number, 0).key) !== undefined),
      [true, true, true],
    );
    await stream.close();
  });

  test("refuse a key that is not 32 hex digits", async () => {
    const stream = open(freshPath());
    assert.throws(() => stream.findClaim("short"), /32 hex digits/);
    assert.throws(() => stream.findClaim("z".repeat(32)), /32 hex digits/);
    await stream.close();
  });
});
