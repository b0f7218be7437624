// Membership on real nats-servers, with everything five times faster than in production.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { clusterBucket } from "../../engine/runtime/jetstream-names.ts";
import { type NatsServer, startNatsCluster, startNatsServer, withoutNats } from "../support/nats-server.ts";
import { until } from "../support/until.ts";
import { type Member, Members, TEST_TIMING, validOf } from "./cluster-members.ts";

const { leaseMs } = TEST_TIMING;

async function took(what: string, condition: () => boolean): Promise<number> {
  const startedAtMs = performance.now();
  await until(what, condition, 30_000);
  return Math.round(performance.now() - startedAtMs);
}

async function withServer(run: (members: Members, server: NatsServer) => Promise<void>): Promise<void> {
  const server = await startNatsServer();
  const members = new Members([server.url]);
  try {
    await run(members, server);
  } finally {
    await members.end();
    await server.stop();
  }
}

async function three(members: Members): Promise<[Member, Member, Member]> {
  const joined: [Member, Member, Member] = [
    await members.join("node-a"),
    await members.join("node-b"),
    await members.join("node-c"),
  ];
  await until("three share", () => members.isSpread([3, 3, 2], joined), 30_000);
  return joined;
}

describe("membership on JetStream", { skip: withoutNats, concurrency: 2 }, () => {
  test("a fresh node takes everything at once and tells the operators", () =>
    withServer(async (members) => {
      const alone = await members.join("node-a");
      const ms = await took("all are held", () => members.isSpread([8], [alone]));
      assert.ok(ms < leaseMs, `took ${ms} ms`);
      assert.deepEqual(alone.membership.held(), [0, 1, 2, 3, 4, 5, 6, 7]);
      assert.deepEqual(
        [...alone.acting].toSorted((one, other) => one - other),
        alone.membership.held(),
      );
      assert.deepEqual(
        alone.membership.owners(),
        Array.from({ length: 8 }, () => "name of node-a"),
      );
      assert.deepEqual(alone.membership.nodes(), [{ name: "name of node-a", number: 0, isAlive: true }]);
      assert.equal(alone.membership.buffer.byteLength, 64);
    }));

  test("nodes that join get their share in good order, and those that leave hand theirs over at once", (t) =>
    withServer(async (members) => {
      const [a, b, c] = await three(members);
      assert.deepEqual(
        [a, b, c].flatMap(({ losses }) => losses),
        [],
        "nothing was taken by force",
      );
      assert.deepEqual(
        [...a.acting, ...b.acting, ...c.acting].toSorted((one, other) => one - other),
        [0, 1, 2, 3, 4, 5, 6, 7],
      );

      const leaving = b.membership.leave();
      const ms = await took("the others took over", () => members.isSpread([4, 4], [a, c]));
      t.diagnostic(`handed over after ${ms} ms`);
      assert.ok(ms < 1000, `handed over after ${ms} ms`);
      await leaving;
      assert.deepEqual([...b.acting], []);
      assert.deepEqual(b.membership.held(), []);
      assert.deepEqual(
        a.membership.nodes().map(({ isAlive }) => isAlive),
        [true, false, true],
      );
    }));

  test("the lease of a partition stays valid until it was released in good order", () =>
    withServer(async (members) => {
      const finish = new Map<number, () => void>();
      const a = await members.join("node-a", (partition) => new Promise((done) => void finish.set(partition, done)));
      await until("a holds all", () => members.isSpread([8], [a]));
      const b = await members.join("node-b");
      await until("a releases its last", () => finish.has(7));
      const startedAtMs = performance.now();
      // Longer than a lease lasts without renewals.
      await until(
        "a lease time passed",
        () => members.isSpread([8, 0], [a, b]) && performance.now() > startedAtMs + leaseMs,
      );
      assert.deepEqual([...finish.keys()], [7], "one at a time");
      finish.get(7)?.();
      await until("b has it", () => b.acting.has(7));
      await until("the rest follows", () => {
        for (const done of finish.values()) done();
        return members.isSpread([4, 4], [a, b]);
      });
      for (const partition of a.acting) finish.set(partition, () => undefined);
      const leaving = a.membership.leave();
      await until("b has all", () => {
        for (const done of finish.values()) done();
        return members.isSpread([8], [b]);
      });
      await leaving;
    }));

  test("a dead node's partitions are taken once its leases ran out, and no sooner", (t) =>
    withServer(async (members) => {
      const [a, b, c] = await three(members);
      await members.die(c);
      const ms = await took("the others took over", () => members.isSpread([4, 4], [a, b]));
      t.diagnostic(`taken over ${ms} ms after the death, leases last ${leaseMs} ms`);
      assert.ok(ms > leaseMs - TEST_TIMING.beatMs - 200 && ms < leaseMs * 1.5 + 500, `taken over after ${ms} ms`);
    }));

  test("numbers are unique, and kept by those who come back", () =>
    withServer(async (members) => {
      const joined = await Promise.all(["node-x", "node-y", "node-z"].map((id) => members.join(id)));
      const numbers = joined.map(({ membership }) => membership.nodeNumber);
      assert.deepEqual(
        numbers.toSorted((one, other) => one - other),
        [0, 1, 2],
      );
      await Promise.all(joined.map(({ membership }) => membership.leave()));
      const fresh = await members.join("node-w");
      const back = await members.join("node-z");
      assert.equal(fresh.membership.nodeNumber, 3);
      assert.equal(back.membership.nodeNumber, numbers[2]);
    }));

  test("a node that was killed takes its own leases back at once", () =>
    withServer(async (members) => {
      const before = await members.join("node-a");
      await until("all are held", () => members.isSpread([8], [before]));
      await members.die(before);
      const again = await members.join("node-a");
      const ms = await took("all are held again", () => validOf(again).length === 8);
      assert.ok(ms < TEST_TIMING.beatMs, `took ${ms} ms`);
    }));
});

describe("membership when the server or the bucket fails", { skip: withoutNats, concurrency: 2 }, () => {
  test("holders keep their leases over a short restart of the server", (t) =>
    withServer(async (members, server) => {
      const joined = await three(members);
      await server.kill();
      await server.start();
      const ms = await took("all are valid", () => members.isSpread([3, 3, 2], joined));
      t.diagnostic(`valid again ${ms} ms after the server was back`);
      assert.deepEqual(
        joined.flatMap(({ losses }) => losses),
        [],
      );
    }));

  test("leases lapse while the server is silent, and are valid again without having been lost", () =>
    withServer(async (members, server) => {
      const joined = await three(members);
      server.pause();
      try {
        await until("all lapsed", () => members.isSpread([0, 0, 0], joined));
      } finally {
        server.resume();
      }
      await until("all are valid", () => members.isSpread([3, 3, 2], joined));
      assert.deepEqual(
        joined.flatMap(({ losses }) => losses),
        [],
      );
    }));

  test("what was deleted from the bucket is written again by those it belongs to", () =>
    withServer(async (members) => {
      const joined = await three(members);
      const { link } = joined[0];
      await link.manager.streams.delete(`KV_${clusterBucket(link.prefix)}`);
      await until("the bucket is back", async () => {
        const info = await link.manager.streams.info(`KV_${clusterBucket(link.prefix)}`).catch(() => null);
        // Eight leases, three nodes, three numbers.
        return info?.state.messages === 14;
      });
      await until("all are valid", () => members.isSpread([3, 3, 2], joined));
      assert.deepEqual(
        joined.flatMap(({ losses }) => losses),
        [],
      );
    }));

  test("a bucket with other settings is refused", () =>
    withServer(async (members) => {
      const { link } = await members.join("node-a");
      const name = `KV_${clusterBucket(link.prefix)}`;
      const { config } = await link.manager.streams.info(name);
      await link.manager.streams.update(name, { ...config, max_msgs_per_subject: 5 });
      await assert.rejects(members.join("node-b"), { code: "ERR_NATS_MISMATCH" });
    }));
});

describe("membership on a cluster of three servers", { skip: withoutNats }, () => {
  test("survives the death of the server that leads the bucket", async (t) => {
    const cluster = await startNatsCluster();
    const members = new Members(cluster.urls, 3);
    try {
      const joined = await three(members);
      const { link } = joined[0];
      const info = await link.manager.streams.info(`KV_${clusterBucket(link.prefix)}`);
      const leader = cluster.servers.find(({ port }) => info.cluster?.leader?.endsWith(`-${port}`) === true);
      assert.ok(leader, `leader ${info.cluster?.leader}`);
      await leader.kill();
      const killedAtMs = performance.now();
      // Until then what is valid may be what was renewed before.
      await until("old renewals ran out", () => performance.now() > killedAtMs + TEST_TIMING.holdMs);
      const ms = await took("all are valid", () => members.isSpread([3, 3, 2], joined));
      t.diagnostic(
        `valid again ${Math.round(performance.now() - killedAtMs)} ms after the death of the leader, the last ${ms} ms of it beyond the hold time`,
      );
      assert.deepEqual(
        joined.flatMap(({ losses }) => losses),
        [],
      );
      await leader.start();
      await members.die(joined[2]);
      const takeover = await took("the others took over", () => members.isSpread([4, 4], joined.slice(0, 2)));
      t.diagnostic(`taken over ${takeover} ms after a node's death`);
    } finally {
      await members.end();
      await cluster.stop();
    }
  });
});
