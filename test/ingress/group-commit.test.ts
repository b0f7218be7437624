import assert from "node:assert/strict";
import { test } from "node:test";

import {
  createGroupCommit,
  type Claim,
  type CommitBatch,
  type GroupCommit,
} from "../../engine/ingress/group-commit.ts";
import type { Cancel } from "../../engine/message/cancel.ts";
import { decodeEnvelope, type Envelope } from "../../engine/message/envelope.ts";
import type { AcceptedEvent } from "../../engine/message/event.ts";
import { encodeMessageId, type MessageId } from "../../engine/message/ids.ts";
import type { StatusUpdate } from "../../engine/message/status-update.ts";

function idOf(sequence: number): MessageId {
  return encodeMessageId({ partition: 0, campaignNumber: 1, acceptedAtMs: 1, node: 0, sequence });
}

const event = (sequence: number, attributes = "{}"): AcceptedEvent => ({
  messageId: idOf(sequence),
  phoneNumber: "+15550001111",
  attributes,
});

const update = (sequence: number): StatusUpdate => ({
  messageId: idOf(sequence),
  attempt: 1,
  status: "sent",
  wamid: "w",
  atMs: 1,
  errorCode: null,
  errorReason: "",
  pricingCategory: "",
});

const claimOf = (sequence: number): Claim => ({
  key: String(sequence),
  atMs: 1,
  messageId: idOf(sequence),
  bodyHash: "",
});

const cancelBy = (sequence: number, key = "k"): Cancel => ({
  campaignNumber: 2,
  key,
  by: idOf(sequence),
  byCampaignId: "orders",
  atMs: 1,
});

/** `partition:kind:count` of each envelope. */
function items(batch: CommitBatch | undefined): string[] {
  return (batch?.envelopes ?? []).map(({ partition, bytes }) => {
    const envelope = decodeEnvelope(bytes);
    return `${partition}:${envelope.kind}:${itemsOf(envelope).length}`;
  });
}

function itemsOf(envelope: Envelope): readonly unknown[] {
  switch (envelope.kind) {
    case "events":
      return envelope.events;
    case "statuses":
      return envelope.updates;
    case "cancels":
      return envelope.cancels;
  }
}

function claimKeys(batch: CommitBatch | undefined): string[][] {
  return (batch?.envelopes ?? []).map(({ claims }) => claims.map(({ key }) => key));
}

/** A stream whose appends settle when the test says so, and a turn of the event loop that ends when it says so. */
function stage(waitingItemsMax?: number) {
  const batches: CommitBatch[] = [];
  const settles: { resolve: () => void; reject: (error: unknown) => void }[] = [];
  const deferred: (() => void)[] = [];
  const faults: unknown[] = [];
  const commit: GroupCommit = createGroupCommit({
    append: (batch) => {
      batches.push(batch);
      return new Promise<void>((resolve, reject) => settles.push({ resolve, reject }));
    },
    defer: (call) => void deferred.push(call),
    onFault: (error) => void faults.push(error),
    ...(waitingItemsMax === undefined ? {} : { waitingItemsMax }),
  });
  const endTurn = (): void => deferred.splice(0).forEach((call) => call());
  /** Settles the oldest append and waits until its consequences are there. */
  const settle = async (error?: unknown): Promise<void> => {
    const next = settles.shift();
    if (error === undefined) next?.resolve();
    else next?.reject(error);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { commit, batches, deferred, faults, endTurn, settle };
}

const nothing = (): void => {};

test("commits at the end of the turn when idle, and answers only after the append", async () => {
  const { commit, batches, endTurn, settle } = stage();
  const answers: unknown[] = [];
  commit.submit(3, event(1), [], (error) => answers.push(error));
  commit.submit(3, event(2), [], (error) => answers.push(error));
  assert.equal(batches.length, 0);
  endTurn();
  assert.deepEqual(items(batches[0]), ["3:events:2"]);
  assert.deepEqual([answers, commit.waiting()], [[], 2]);
  await settle();
  assert.deepEqual([answers, commit.waiting()], [[null, null], 0]);
});

test("collects while a commit runs and starts the next one by itself, never two at once", async () => {
  const { commit, batches, deferred, endTurn, settle } = stage();
  commit.submit(0, event(1), [], nothing);
  endTurn();
  for (let sequence = 2; sequence < 12; sequence++) commit.submit(sequence % 2, event(sequence), [], nothing);
  assert.deepEqual([batches.length, deferred.length], [1, 0]);
  await settle();
  assert.deepEqual(items(batches[1]), ["0:events:5", "1:events:5"]);
  await settle();
  assert.equal(batches.length, 2);
});

test("keeps order, claims and updates in the batch of their events", async () => {
  const { commit, batches, endTurn } = stage();
  commit.submit(1, event(1), [claimOf(1)], nothing);
  commit.submitUpdates(1, [update(7), update(8)], nothing);
  commit.submit(1, event(2), [claimOf(2), claimOf(3)], nothing);
  commit.submit(2, event(4), [], nothing);
  endTurn();
  assert.deepEqual(items(batches[0]), ["1:events:2", "1:statuses:2", "2:events:1"]);
  assert.deepEqual(claimKeys(batches[0]), [["1", "2", "3"], [], []]);
  const envelope = decodeEnvelope(batches[0]?.envelopes[0]?.bytes ?? new Uint8Array());
  assert.deepEqual(envelope.kind === "events" && envelope.events, [event(1), event(2)]);
});

test("gives each cut envelope the claims of its own events, and no others", () => {
  const { commit, batches, endTurn } = stage();
  for (let sequence = 0; sequence < 300; sequence++) {
    commit.submit(0, event(sequence), sequence % 100 === 99 ? [claimOf(sequence), claimOf(-sequence)] : [], nothing);
  }
  endTurn();
  assert.deepEqual(claimKeys(batches[0]), [
    ["99", "-99", "199", "-199"],
    ["299", "-299"],
  ]);
});

test("an event's cancels go with it, each to the partition that it names, after that partition's events", async () => {
  const { commit, batches, endTurn, settle } = stage();
  const answers: unknown[] = [];
  const cancels = [
    { partition: 2, cancel: cancelBy(1, "cart") },
    { partition: 1, cancel: cancelBy(1, "own") },
  ];
  commit.submit(1, event(1), [claimOf(1)], (error) => answers.push(error), cancels);
  commit.submit(2, event(2), [], nothing);
  endTurn();
  assert.equal(batches.length, 1);
  assert.deepEqual(items(batches[0]), ["1:events:1", "1:cancels:1", "2:events:1", "2:cancels:1"]);
  assert.deepEqual(claimKeys(batches[0]), [["1"], [], [], []]);
  const envelope = decodeEnvelope(batches[0]?.envelopes[3]?.bytes ?? new Uint8Array());
  assert.deepEqual(envelope.kind === "cancels" && envelope.cancels, [cancelBy(1, "cart")]);
  assert.deepEqual([answers, commit.waiting()], [[], 2]);
  await settle();
  assert.deepEqual([answers, commit.waiting()], [[null], 0]);
});

test("a failed append fails the event with its cancels", async () => {
  const { commit, batches, endTurn, settle } = stage();
  const answers: (Error | null)[] = [];
  commit.submit(1, event(1), [], (error) => answers.push(error), [{ partition: 5, cancel: cancelBy(1) }]);
  endTurn();
  assert.deepEqual(items(batches[0]), ["1:events:1", "5:cancels:1"]);
  await settle(new Error("disk full"));
  assert.deepEqual([answers[0]?.message, commit.waiting()], ["disk full", 0]);
  commit.submit(1, event(2), [], nothing);
  endTurn();
  assert.deepEqual(items(batches[1]), ["1:events:1"]);
});

test("an event that finds no place takes its cancels with it", () => {
  const { commit, batches, endTurn } = stage(1);
  commit.submit(0, event(1), [], nothing);
  assert.equal(commit.submit(0, event(2), [], nothing, [{ partition: 0, cancel: cancelBy(2) }]), false);
  endTurn();
  assert.deepEqual(items(batches[0]), ["0:events:1"]);
});

test("cuts envelopes of cancels at 256 items and at 256 KB", () => {
  const { commit, batches, endTurn } = stage();
  for (let sequence = 0; sequence < 300; sequence++) {
    commit.submit(0, event(sequence), [], nothing, [{ partition: 1, cancel: cancelBy(sequence) }]);
  }
  const long = "k".repeat(200_000);
  for (let sequence = 0; sequence < 3; sequence++) {
    commit.submit(0, event(sequence), [], nothing, [{ partition: 2, cancel: cancelBy(sequence, long) }]);
  }
  endTurn();
  assert.deepEqual(items(batches[0]).slice(2), [
    "1:cancels:256",
    "1:cancels:44",
    "2:cancels:1",
    "2:cancels:1",
    "2:cancels:1",
  ]);
});

test("has no room while the stream can take nothing, but takes what was promised before", () => {
  const state = { isAvailable: true };
  const deferred: (() => void)[] = [];
  const commit = createGroupCommit({
    append: async () => undefined,
    isAvailable: () => state.isAvailable,
    defer: (call) => void deferred.push(call),
    onFault: nothing,
  });
  assert.equal(commit.hasRoom(2), true);
  assert.equal(commit.submit(0, event(1), [], nothing), true);
  state.isAvailable = false;
  assert.equal(commit.submit(0, event(2), [], nothing), true);
  assert.equal(commit.hasRoom(1), false);
});

test("cuts envelopes at 256 items", () => {
  const { commit, batches, endTurn } = stage();
  for (let sequence = 0; sequence < 513; sequence++) commit.submit(0, event(sequence), [], nothing);
  commit.submitUpdates(
    0,
    Array.from({ length: 300 }, (_, index) => update(index)),
    nothing,
  );
  endTurn();
  assert.deepEqual(items(batches[0]), [
    "0:events:256",
    "0:events:256",
    "0:events:1",
    "0:statuses:256",
    "0:statuses:44",
  ]);
});

test("cuts envelopes at 256 KB, and gives a larger event one of its own", () => {
  const { commit, batches, endTurn } = stage();
  const sizes = [200_000, 100_000, 300_000, 10, 10];
  sizes.forEach((size, index) => commit.submit(0, event(index, "x".repeat(size)), [], nothing));
  endTurn();
  assert.deepEqual(items(batches[0]), ["0:events:1", "0:events:1", "0:events:1", "0:events:2"]);
});

test("a failed append fails all of its own and none of the next", async () => {
  const { commit, endTurn, settle } = stage();
  const answers: [number, string | null][] = [];
  const note = (sequence: number) => (error: Error | null) => void answers.push([sequence, error?.message ?? null]);
  commit.submit(0, event(1), [], note(1));
  commit.submitUpdates(1, [update(1)], note(2));
  endTurn();
  commit.submit(0, event(3), [], note(3));
  await settle(new Error("disk full"));
  await settle();
  assert.deepEqual(answers, [
    [1, "disk full"],
    [2, "disk full"],
    [3, null],
  ]);
});

test("an append that throws at once counts as failed", async () => {
  const deferred: (() => void)[] = [];
  const commit = createGroupCommit({
    append: () => {
      throw new Error("closed");
    },
    defer: (call) => void deferred.push(call),
    onFault: nothing,
  });
  const answer = new Promise((resolve) => commit.submit(0, event(1), [], resolve));
  deferred[0]?.();
  assert.match(String(await answer), /closed/);
  assert.equal(commit.waiting(), 0);
});

test("one answer that throws keeps no other from being given", async () => {
  const { commit, faults, endTurn, settle } = stage();
  const answers: number[] = [];
  commit.submit(0, event(1), [], () => {
    throw new Error("a bug");
  });
  commit.submit(0, event(2), [], () => void answers.push(2));
  endTurn();
  await settle();
  assert.deepEqual([answers, faults.map(String)], [[2], ["Error: a bug"]]);
});

test("refuses what would wait beyond the limit, and takes more once the commit is through", async () => {
  const { commit, endTurn, settle } = stage(3);
  assert.equal(commit.submit(0, event(1), [], nothing), true);
  endTurn();
  assert.equal(commit.submitUpdates(0, [update(1), update(2)], nothing), true);
  assert.equal(commit.hasRoom(1), false);
  assert.equal(
    commit.submit(0, event(2), [], () => assert.fail("was not taken")),
    false,
  );
  assert.equal(
    commit.submitUpdates(0, [update(3)], () => assert.fail("was not taken")),
    false,
  );
  await settle();
  assert.deepEqual([commit.hasRoom(1), commit.hasRoom(2)], [true, false]);
});
