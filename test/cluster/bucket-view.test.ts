import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { BucketView, type StoredKey } from "../../engine/cluster/bucket-view.ts";
import { DEFAULT_TIMING } from "../../engine/cluster/timing.ts";

const { leaseMs } = DEFAULT_TIMING;

function lease(nodeId: string, revision: number): StoredKey {
  const text = JSON.stringify({ nodeId, run: `${nodeId}/1`, epoch: 1, state: "held" });
  return { key: "lease.3", text, revision };
}

function view(): BucketView {
  const created = new BucketView({ nodeId: "a", numberKey: "number.0", timing: DEFAULT_TIMING });
  created.snapshot([], 0, 1);
  return created;
}

describe("view of the bucket", () => {
  test("late news of the watch does not undo newer knowledge", () => {
    const known = view();
    known.changed(lease("b", 7), 10);
    known.changed(lease("c", 6), 20);
    assert.equal(known.lease(3).record?.nodeId, "b");
    assert.equal(known.lease(3).seenAtMs, 10);
  });

  test("a read that began before something was learned does not undo it", () => {
    const known = view();
    known.changed(lease("b", 7), 30);
    known.read("lease.3", lease("c", 6), 20, 40);
    assert.equal(known.lease(3).record?.nodeId, "b");
  });

  test("a bucket that shows an older revision has forgotten, and is suspected for a lease time", () => {
    const known = view();
    known.changed(lease("b", 7), 10);
    known.snapshot([lease("c", 5)], 20, 30);
    assert.equal(known.lease(3).record?.nodeId, "c");
    assert.equal(known.suspectUntilMs, 30 + leaseMs);
  });

  test("a revision given out again for something else is not taken for the same", () => {
    const known = view();
    known.changed(lease("b", 7), 10);
    known.snapshot([lease("c", 7)], 20, 30);
    assert.equal(known.lease(3).record?.nodeId, "c");
    assert.equal(known.suspectUntilMs, 30 + leaseMs);
  });

  test("silence of others does not count while the bucket could not be seen", () => {
    const known = view();
    known.changed(lease("b", 7), 10);
    assert.equal(known.isExpired(3, 9 + leaseMs), false);
    known.changed({ key: "node.b", text: null, revision: 8 }, 60_000);
    assert.equal(known.isSettled, false);
    assert.equal(known.isExpired(3, 60_000), false);
    assert.equal(known.isExpired(3, 60_000 + leaseMs), true);
  });

  test("a reading that began before the connection was in doubt is of no use", () => {
    const known = view();
    known.unsettle(100);
    assert.equal(known.snapshot([], 90, 110), false);
    assert.equal(known.isSettled, false);
    assert.equal(known.snapshot([], 120, 130), true);
    assert.equal(known.isSettled, true);
  });

  test("a node listed at first sight is alive only once it is heard", () => {
    const heartbeat = (revision: number, state: "up" | "left"): StoredKey => ({
      key: "node.b",
      text: JSON.stringify({ name: "b", number: 1, run: "b/1", state, beat: revision }),
      revision,
    });
    const known = new BucketView({ nodeId: "a", numberKey: "number.0", timing: DEFAULT_TIMING });
    known.snapshot([heartbeat(4, "up")], 0, 1);
    assert.deepEqual([known.aliveOthers(2), known.hasMissingPeers(2)], [[], true]);
    known.changed(heartbeat(5, "up"), 3);
    assert.deepEqual([known.aliveOthers(4), known.hasMissingPeers(4)], [["b"], false]);
    assert.deepEqual(known.aliveOthers(3 + leaseMs), []);
    known.changed(heartbeat(6, "left"), 5);
    assert.deepEqual([known.aliveOthers(6), known.hasMissingPeers(6)], [[], false]);
  });

  test("what cannot be read counts as absent, but its revision is known", () => {
    const known = view();
    known.changed({ key: "lease.3", text: "{", revision: 9 }, 10);
    assert.equal(known.lease(3).record, null);
    assert.equal(known.revisionOf("lease.3"), 9);
  });
});
