import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";

import { encodeMessageId } from "../../engine/message/ids.ts";
import type { Claim } from "../../engine/stream/claim.ts";
import { LmdbClaims } from "../../engine/stream/lmdb-claims.ts";
import { openEnvironment } from "../../engine/runtime/lmdb-commit.ts";
import { openStreamTables } from "../../engine/stream/lmdb-tables.ts";

const HOUR_MS = 3_600_000;
const NOON_MS = Date.UTC(2026, 7, 20, 12);

const folder = mkdtempSync(join(tmpdir(), "volley-claims-"));
const environment = openEnvironment(folder);
const { claims: table } = openStreamTables(environment);
after(async () => {
  await environment.close();
  rmSync(folder, { recursive: true, force: true });
});

function claim(number: number, atMs: number): Claim {
  const key = createHash("sha256").update(String(number)).digest("hex").slice(0, 32);
  const messageId = encodeMessageId({ partition: 1, campaignNumber: 1, acceptedAtMs: atMs, node: 0, sequence: number });
  return { key, atMs, messageId, bodyHash: "" };
}

async function loaded(claims: LmdbClaims): Promise<LmdbClaims> {
  while (!claims.isLoaded()) await turn();
  return claims;
}

test("claims are right while filters load, when loaded, and when there is no memory for filters", async () => {
  const stored = Array.from({ length: 9_000 }, (_, number) => claim(number, NOON_MS + (number % 3) * HOUR_MS));
  const writer = await loaded(new LmdbClaims(table));
  await environment.batch(() => writer.put(writer.encode(stored)));

  const starting = new LmdbClaims(table);
  const full = await loaded(new LmdbClaims(table));
  const poor = await loaded(new LmdbClaims(table, { filterBytesMax: 0 }));
  for (const claims of [writer, starting, full, poor]) {
    for (const one of stored) assert.equal(claims.find(one.key)?.messageId, one.messageId);
    assert.equal(claims.find(claim(10_000, NOON_MS).key), undefined);
    claims.close();
  }
});

test("claims made while their hour is being loaded are known afterwards", async () => {
  const claims = new LmdbClaims(table);
  const made: Claim[] = [];
  for (let number = 20_000; !claims.isLoaded() || number < 20_005; number++) {
    const one = claim(number, NOON_MS + HOUR_MS);
    made.push(one);
    await environment.batch(() => claims.put(claims.encode([one])));
  }
  for (const one of made) assert.equal(claims.find(one.key)?.messageId, one.messageId);
  claims.close();
});
