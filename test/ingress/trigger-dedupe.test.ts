import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import type { Claim, CommitBatch } from "../../engine/ingress/group-commit.ts";
import { encodeMessageId } from "../../engine/message/ids.ts";
import { openLmdbStream } from "../../engine/stream/lmdb-stream.ts";
import { memoryLog } from "./server-kit.ts";
import { ANN, campaignOf, startTriggers, trigger, type Answer } from "./trigger-kit.ts";

const stage = await startTriggers();
after(() => stage.close());
stage.campaigns.set("by-header", campaignOf("by-header", 3, { dedupe: { header: "X-Shopify-Webhook-Id" } }));
stage.campaigns.set("by-path", campaignOf("by-path", 4, { dedupe: { path: "id" } }));
const WINNER = encodeMessageId({ partition: 1, campaignNumber: 1, acceptedAtMs: 1, node: 9, sequence: 9 });
const HEADER = "/api/campaigns/by-header/trigger";
const PATH = "/api/campaigns/by-path/trigger";

const keyed = (key: string): { headers: Record<string, string> } => ({ headers: { "idempotency-key": key } });
const ids = (answer: Answer): string[] =>
  answer.json["results"].map(({ messageId }: { messageId: string }) => messageId);

test("the same key and body is answered with the first message id", async () => {
  const first = await trigger(stage, ANN, keyed("k1"));
  const second = await trigger(stage, ANN, keyed("k1"));
  assert.deepEqual([second.status, second.json], [202, { ...first.json, duplicate: true }]);
});

test("the same key with another body is 422 idempotency_key_reused", async () => {
  await trigger(stage, ANN, keyed("k2"));
  const { status, json } = await trigger(stage, { ...ANN, name: "Bob" }, keyed("k2"));
  assert.deepEqual([status, json["code"]], [422, "idempotency_key_reused"]);
});

test("a key belongs to its campaign", async () => {
  const first = await trigger(stage, ANN, keyed("k3"));
  const other = await trigger(stage, ANN, { ...keyed("k3"), path: PATH });
  assert.equal(other.json["duplicate"], false);
  assert.notEqual(other.json["messageId"], first.json["messageId"]);
});

test("a rejected event claims nothing", async () => {
  assert.equal((await trigger(stage, { phone: "no" }, keyed("k4"))).status, 422);
  const { status, json } = await trigger(stage, ANN, keyed("k4"));
  assert.deepEqual([status, json["duplicate"]], [202, false]);
});

test("a key has 1 to 255 characters", async () => {
  assert.equal((await trigger(stage, ANN, keyed("k".repeat(255)))).status, 202);
  const long = await trigger(stage, ANN, keyed("k".repeat(256)));
  assert.deepEqual(
    [long.status, long.json["errors"][0].code, long.json["errors"][0].attribute],
    [422, "too_long", "Idempotency-Key"],
  );
});

test("twins in flight become one message; the later wait for the first one's commit", async () => {
  const before = stage.events().length;
  const release = stage.hold();
  const copies = Array.from({ length: 200 }, () => trigger(stage, ANN, keyed("twins")));
  await stage.arrived(200);
  const reused = await trigger(stage, { ...ANN, name: "Bob" }, keyed("twins"));
  assert.equal(reused.json["code"], "idempotency_key_reused");
  release();
  const answers = await Promise.all(copies);
  assert.equal(stage.events().length, before + 1);
  assert.equal(new Set(answers.map(({ json }) => json["messageId"])).size, 1);
  assert.equal(answers.filter(({ json }) => json["duplicate"] === false).length, 1);
  assert.ok(answers.every(({ status }) => status === 202));
});

test("twins of an event that could not be stored are told so, and leave nothing behind", async () => {
  const release = stage.hold();
  stage.state.failure = new Error("disk full");
  const copies = Array.from({ length: 5 }, () => trigger(stage, ANN, keyed("unlucky")));
  await stage.arrived(5);
  release();
  const answers = await Promise.all(copies);
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([503]));
  stage.state.failure = null;
  assert.equal((await trigger(stage, ANN, keyed("unlucky"))).json["duplicate"], false);
});

test("the campaign's header decides alone, whatever the body", async () => {
  const headers = { "x-shopify-webhook-id": "w1" };
  const first = await trigger(stage, ANN, { path: HEADER, headers });
  const second = await trigger(
    stage,
    { ...ANN, name: "Bob" },
    { path: HEADER, headers: { ...headers, "idempotency-key": "other" } },
  );
  assert.deepEqual([second.status, second.json], [202, { ...first.json, duplicate: true }]);
});

test("without a value at the campaign's source an Idempotency-Key holds, and without both every event is new", async () => {
  const first = await trigger(stage, ANN, { path: HEADER, ...keyed("fallback") });
  const second = await trigger(stage, ANN, { path: HEADER, ...keyed("fallback") });
  assert.deepEqual([first.json["duplicate"], second.json["duplicate"]], [false, true]);
  const blank = { "x-shopify-webhook-id": " " };
  const answers = [
    await trigger(stage, ANN, { path: HEADER, headers: blank }),
    await trigger(stage, ANN, { path: HEADER, headers: blank }),
  ];
  assert.deepEqual(
    answers.map(({ json }) => json["duplicate"]),
    [false, false],
  );
});

test("the campaign's path tells events apart, also within one array", async () => {
  const { json } = await trigger(
    stage,
    [
      { ...ANN, id: 1 },
      { ...ANN, id: 2 },
      { ...ANN, id: 1, name: "Bob" },
    ],
    { path: PATH },
  );
  assert.deepEqual(
    json["results"].map(({ duplicate }: { duplicate: boolean }) => duplicate),
    [false, false, true],
  );
  assert.equal(json["results"][0].messageId, json["results"][2].messageId);
  const again = await trigger(stage, { ...ANN, id: 2 }, { path: PATH });
  assert.deepEqual(again.json, { status: "accepted", messageId: json["results"][1].messageId, duplicate: true });
});

test("a repeated array is a duplicate item by item, and what was rejected is rejected again", async () => {
  const body = [{ phone: "no" }, ANN, ANN];
  const first = await trigger(stage, body, keyed("array"));
  const second = await trigger(stage, body, keyed("array"));
  assert.deepEqual([first.json["accepted"], second.json["accepted"], second.json["rejected"]], [2, 2, 1]);
  assert.deepEqual(ids(second), ids(first));
  assert.notEqual(ids(first)[1], ids(first)[2]);
  assert.ok(second.json["results"].slice(1).every(({ duplicate }: { duplicate: boolean }) => duplicate));
});

test("an array's key is bound to the whole body, even when the items that differ were rejected before", async () => {
  await trigger(stage, [{ phone: "no" }, ANN], keyed("corrected"));
  const { status, json } = await trigger(stage, [ANN], keyed("corrected"));
  assert.deepEqual([status, json["code"]], [422, "idempotency_key_reused"]);
  await trigger(stage, ANN, keyed("single-first"));
  assert.equal((await trigger(stage, [ANN], keyed("single-first"))).status, 422);
});

test("arrays in flight twice become one message an item", async () => {
  const before = stage.events().length;
  const release = stage.hold();
  const body = [ANN, { phone: "no" }, ANN];
  const copies = Array.from({ length: 20 }, () => trigger(stage, body, keyed("array-twins")));
  await stage.arrived(20);
  release();
  const answers = await Promise.all(copies);
  assert.equal(stage.events().length, before + 2);
  assert.equal(new Set(answers.map((answer) => ids(answer).join())).size, 1);
});

test("when another node's event won the key, the event and its twins are answered with the winner", async () => {
  const winners = new Map<string, Claim>();
  let take = (_batch: CommitBatch): void => undefined;
  const doors = await startTriggers({
    append: async (batch) => take(batch),
    findClaim: (key) => winners.get(key),
  });
  const ofWinner = (claim: Claim, bodyHash: string): Claim => ({ ...claim, messageId: WINNER, bodyHash });
  let claimed: Claim[] = [];
  take = (batch) => {
    claimed = batch.envelopes.flatMap(({ claims }) => claims);
    for (const claim of claimed) winners.set(claim.key, ofWinner(claim, claim.bodyHash));
  };
  const release = doors.hold();
  const copies = Array.from({ length: 3 }, () => trigger(doors, ANN, keyed("race")));
  await doors.arrived(3);
  release();
  const answers = await Promise.all(copies);
  assert.equal(claimed.length, 1);
  for (const { status, json } of answers)
    assert.deepEqual([status, json["messageId"], json["duplicate"]], [202, WINNER, true]);

  take = ({ envelopes }) => {
    for (const { claims } of envelopes)
      for (const claim of claims) winners.set(claim.key, ofWinner(claim, "other body"));
  };
  const reused = await trigger(doors, ANN, keyed("other race"));
  assert.deepEqual([reused.status, reused.json["code"]], [422, "idempotency_key_reused"]);
  await doors.close();
});

test("with the real stream: 200 parallel copies are one message, and after a restart still", async () => {
  const path = mkdtempSync(join(tmpdir(), "volley-claims-"));
  const log = memoryLog();
  const send = async (): Promise<Answer[]> => {
    const stream = openLmdbStream({ path, log });
    const doors = await startTriggers({
      append: (batch) => stream.append(batch.envelopes),
      findClaim: (key) => stream.findClaim(key),
    });
    const answers = await Promise.all(Array.from({ length: 200 }, () => trigger(doors, ANN, keyed("delivery"))));
    await doors.close();
    await stream.close();
    return answers;
  };
  const answers = [...(await send()), ...(await send())];
  rmSync(path, { recursive: true, force: true });
  assert.equal(new Set(answers.map(({ json }) => json["messageId"])).size, 1);
  assert.equal(answers.filter(({ json }) => json["duplicate"] === false).length, 1);
});
