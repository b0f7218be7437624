import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import type { SharedMap } from "../../engine/runtime/shared-map.ts";
import { connectNats, type NatsLink } from "../../engine/runtime/jetstream-connection.ts";
import { openSharedMap } from "../../engine/runtime/jetstream-shared-map.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { startNatsCluster, withoutNats } from "../support/nats-server.ts";
import { openSite, recordedLog, streamConfig } from "../support/shared-map-nodes.ts";
import { until } from "../support/until.ts";

const SKIP = { skip: withoutNats };
const SOON_MS = 1000;

function contentOf(map: SharedMap<unknown, unknown>): unknown {
  return contentInOrder(Object.fromEntries(map.entries()));
}

function contentInOrder(content: Readonly<Record<string, unknown>>): unknown {
  return Object.fromEntries(Object.entries(content).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

async function untilSame(maps: readonly SharedMap<unknown, unknown>[], content: unknown, ms?: number): Promise<void> {
  const wanted = JSON.stringify(content);
  const isSame = (): boolean => maps.every((map) => JSON.stringify(contentOf(map)) === wanted);
  await until(`all nodes have ${wanted.slice(0, 200)}`, isSame, ms).catch((error: unknown) => {
    throw new Error(maps.map((map) => JSON.stringify(contentOf(map)).slice(0, 300)).join("\n"), { cause: error });
  });
}

test("what one node puts and removes, the others have within a second", SKIP, async (context) => {
  const site = await openSite(context);
  const [a, b, c] = await Promise.all([site.join("a"), site.join("b"), site.join("c")]);
  const told: string[][] = [];
  b.map.onChange((keys) => {
    told.push([...keys]);
    assert.equal(b.map.get("x"), "1");
  });
  await a.map.put("x", "1");
  assert.equal(a.map.get("x"), "1");
  await untilSame([b.map, c.map], { x: "1" }, SOON_MS);
  assert.deepEqual(told, [["x"]]);
  await c.map.put("x", "2");
  await b.map.put("odd key / ü = . * >", "3");
  await untilSame([a.map, b.map, c.map], { "odd key / ü = . * >": "3", x: "2" }, SOON_MS);
  await a.map.remove("x");
  await untilSame([a.map, b.map, c.map], { "odd key / ü = . * >": "3" }, SOON_MS);
});

test("a change is there in milliseconds", SKIP, async (context) => {
  const site = await openSite(context);
  const [a, b] = await Promise.all([site.join("a"), site.join("b")]);
  const putMs: number[] = [];
  const seenMs: number[] = [];
  for (let round = 0; round < 100; round++) {
    const key = `k${round}`;
    const startedAtMs = performance.now();
    const seen = new Promise<void>((resolve) =>
      b.map.onChange((keys) => {
        if (keys.includes(key)) resolve();
      }),
    );
    await a.map.put(key, "v");
    putMs.push(performance.now() - startedAtMs);
    await seen;
    seenMs.push(performance.now() - startedAtMs);
  }
  const middle = (list: number[]): string => (list.toSorted((x, y) => x - y)[50] ?? 0).toFixed(1);
  const most = (list: number[]): string => Math.max(...list).toFixed(1);
  context.diagnostic(
    `put: median ${middle(putMs)} ms, most ${most(putMs)} ms; seen: median ${middle(seenMs)} ms, most ${most(seenMs)} ms`,
  );
  assert.ok(Math.max(...seenMs) < SOON_MS);
});

test("of concurrent claims one wins, and all are told the same", SKIP, async (context) => {
  const site = await openSite(context);
  const nodes = await Promise.all([site.join("a"), site.join("b"), site.join("c")]);
  for (let round = 0; round < 20; round++) {
    const winners = await Promise.all(nodes.map(({ map }, index) => map.claim(`claim ${round}`, `of node ${index}`)));
    assert.equal(new Set(winners).size, 1);
    assert.ok(
      nodes.every(({ map }) => map.get(`claim ${round}`) === winners[0] || map.get(`claim ${round}`) === undefined),
    );
    assert.equal(await nodes[0].map.claim(`claim ${round}`, "too late"), winners[0]);
  }
});

test("what was removed can be claimed again", SKIP, async (context) => {
  const site = await openSite(context);
  const [a, b] = await Promise.all([site.join("a"), site.join("b")]);
  await a.map.claim("x", "first");
  await b.map.remove("x");
  await untilSame([a.map], {}, SOON_MS);
  assert.equal(await a.map.claim("x", "second"), "second");
  await untilSame([b.map], { x: "second" }, SOON_MS);
});

test("simultaneous puts end the same on all nodes, and those of one node with the last", SKIP, async (context) => {
  const site = await openSite(context);
  const nodes = await Promise.all([site.join("a"), site.join("b"), site.join("c")]);
  await Promise.all(
    nodes.flatMap(({ map }, index) => Array.from({ length: 20 }, (_, round) => map.put("x", `${index}/${round}`))),
  );
  const values = (): (string | undefined)[] => nodes.map(({ map }) => map.get("x"));
  await until("all have the same", () => new Set(values()).size === 1, SOON_MS);
  assert.match(values()[0] ?? "", /\/19$/);
});

test("a node that was away has missed nothing, and what it wrote before is still there", SKIP, async (context) => {
  const site = await openSite(context);
  const a = await site.join("a");
  const b = await site.join("b");
  await b.map.put("of b", "1");
  await b.map.put("both", "old");
  await b.leave();
  await a.map.put("of a", "1");
  await a.map.put("both", "new");
  await a.map.remove("of b");
  const again = await site.join("b");
  assert.deepEqual(contentOf(again.map), { both: "new", "of a": "1" });
});

test("a bucket that was deleted is made again, with all it had", SKIP, async (context) => {
  const site = await openSite(context);
  const timing = { verifyEveryMs: 200 };
  const [a, b] = await Promise.all([site.join("a", timing), site.join("b", timing)]);
  await a.map.putAll(new Map(Array.from({ length: 500 }, (_, index) => [`k${index}`, `v${index}`])));
  await a.map.remove("k7");
  await untilSame([b.map], contentOf(a.map), SOON_MS);
  await a.link.manager.streams.delete("KV_volley_test");
  await until("the bucket is back", async () => {
    const info = await a.link.manager.streams.info("KV_volley_test").catch(() => null);
    return info?.state.messages === 500;
  });
  const c = await site.join("c");
  assert.deepEqual(contentOf(c.map), contentOf(a.map));
  assert.equal(c.map.get("k7"), undefined);
  await b.map.put("later", "1");
  await untilSame([a.map, c.map], contentOf(b.map));
});

test("a write finds the bucket deleted, and makes it again", SKIP, async (context) => {
  const site = await openSite(context);
  const a = await site.join("a");
  await a.map.put("x", "1");
  await a.link.manager.streams.delete("KV_volley_test");
  await a.map.put("y", "2");
  assert.deepEqual(contentOf(a.map), { x: "1", y: "2" });
});

test("what a server lost in a power cut, the nodes give back", SKIP, async (context) => {
  const site = await openSite(context);
  const [a, b] = await Promise.all([site.join("a"), site.join("b")]);
  await a.map.put("kept", "1");
  await a.map.put("changed", "old");
  await a.map.put("removed", "1");
  // The store as it is now stands for what reached the disk.
  await site.server.kill();
  const saved = join(site.folder, "saved");
  cpSync(site.server.storeDir, saved, { recursive: true });
  await site.server.start();
  await b.map.put("changed", "new");
  await a.map.put("lost", "1");
  await b.map.remove("removed");
  await site.server.kill();
  rmSync(site.server.storeDir, { recursive: true });
  cpSync(saved, site.server.storeDir, { recursive: true });
  await site.server.start();
  const content = { changed: "new", kept: "1", lost: "1" };
  await untilSame([a.map, b.map], content);
  await until("the bucket has it", async () => {
    const newcomer = await site.join(`c${Math.random()}`);
    return JSON.stringify(contentOf(newcomer.map)) === JSON.stringify(content);
  });
  await a.map.put("kept", "2");
  await untilSame([b.map], { ...content, kept: "2" }, SOON_MS);
});

test("a node that returns after the loss does not bring older values back", SKIP, async (context) => {
  const site = await openSite(context);
  const timing = { verifyEveryMs: 200 };
  const a = await site.join("a", timing);
  const b = await site.join("b", timing);
  await b.map.put("x", "old");
  await b.leave();
  await a.map.put("x", "new");
  // B is the first to see the bucket without A's value.
  const link = await site.link();
  await link.manager.streams.delete("KV_volley_test");
  const again = await site.join("b", timing);
  await untilSame([a.map, again.map], { x: "new" });
});

test("keys deleted by hand come back", SKIP, async (context) => {
  const site = await openSite(context);
  const a = await site.join("a", { verifyEveryMs: 100 });
  await a.map.put("x", "1");
  await a.map.put("y", "1");
  const { manager, jetstream } = a.link;
  await jetstream.publish("$KV.volley_test.x", "no row");
  await manager.streams.purge("KV_volley_test", { filter: "$KV.volley_test.y" });
  await until("the newcomer has both", async () => {
    const newcomer = await site.join(`c${Math.random()}`);
    return JSON.stringify(contentOf(newcomer.map)) === '{"x":"1","y":"1"}';
  });
});

test(
  "without an answer a write ends with an error, nothing is visible, and the next one works",
  SKIP,
  async (context) => {
    const site = await openSite(context);
    const [a, b] = await Promise.all([site.join("a", { writeMs: 300 }), site.join("b")]);
    await a.map.put("x", "1");
    await site.server.kill();
    await assert.rejects(a.map.put("x", "2"), { code: "ERR_STORE_WRITE", message: /the cluster does not answer/ });
    await assert.rejects(a.map.claim("y", "2"), { code: "ERR_STORE_WRITE" });
    assert.deepEqual(contentOf(a.map), { x: "1" });
    await site.server.start();
    await until("there is a connection again", () => a.link.isConnected());
    await a.map.put("x", "3");
    await untilSame([b.map], { x: "3" });
  },
);

test("a server that hangs for a moment delays a write, and it is stored once", SKIP, async (context) => {
  const site = await openSite(context);
  const [a, b] = await Promise.all([site.join("a"), site.join("b")]);
  site.server.pause();
  const putting = a.map.put("x", "1");
  const claiming = b.map.claim("y", "1");
  setTimeout(() => site.server.resume(), 2500);
  await putting;
  assert.equal(await claiming, "1");
  await untilSame([a.map, b.map], { x: "1", y: "1" });
});

test("notes stay on their node, and come back after a restart", SKIP, async (context) => {
  const site = await openSite(context);
  const a = await site.join<string, number>("a");
  const b = await site.join<string, number>("b");
  await a.map.putAll(new Map([["x", "1"]]), new Map([["note", 7]]));
  await a.map.keepNotes(new Map([["other", 8]]));
  await untilSame([b.map], { x: "1" }, SOON_MS);
  assert.equal(b.map.notes().size, 0);
  await a.leave();
  const again = await site.join<string, number>("a");
  assert.deepEqual(Object.fromEntries(again.map.notes()), { note: 7, other: 8 });
  await again.map.keepNotes(new Map([["note", null]]));
  assert.deepEqual(Object.fromEntries(again.map.notes()), { other: 8 });
});

test("ten thousand values are put, and read by a newcomer, in seconds", SKIP, async (context) => {
  const site = await openSite(context);
  const a = await site.join("a");
  const value = "v".repeat(1500);
  const startedAtMs = performance.now();
  await a.map.putAll(new Map(Array.from({ length: 10_000 }, (_, index) => [`k${index}`, value])));
  const putAtMs = performance.now();
  const b = await site.join("b");
  const joinedAtMs = performance.now();
  assert.equal([...b.map.entries()].length, 10_000);
  context.diagnostic(`put ${(putAtMs - startedAtMs).toFixed()} ms, joined ${(joinedAtMs - putAtMs).toFixed()} ms`);
});

test("a bucket with other settings is refused by name", SKIP, async (context) => {
  const site = await openSite(context);
  const link = await site.link();
  await link.manager.streams.add({ name: "KV_volley_test", subjects: ["$KV.volley_test.>"], max_msgs_per_subject: 5 });
  await assert.rejects(site.join("a"), { code: "ERR_NATS_MISMATCH", message: /KV_volley_test: history is 5/ });
});

test("with three replicas the server that leads the bucket may fail", SKIP, async (context) => {
  const cluster = await startNatsCluster();
  const folder = mkdtempSync(join(tmpdir(), "volley-site-"));
  const log = recordedLog();
  const open = async (nodeId: string): Promise<{ map: SharedMap<string>; link: NatsLink }> => {
    const config = streamConfig(cluster.urls, 3);
    const link = await connectNats({ config, name: nodeId, log, clock: systemClock });
    const path = join(folder, nodeId);
    // On a busy machine an election may take several rounds.
    const timing = { writeMs: 60_000 };
    return {
      link,
      map: await openSharedMap({ link, bucket: "volley_test", path, nodeId, log, clock: systemClock, timing }),
    };
  };
  const nodes = [await open("a"), await open("b")] as const;
  context.after(async () => {
    for (const { map, link } of nodes) await map.close().then(() => link.close());
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const [a, b] = nodes;
  await a.map.put("before", "1");
  const info = await a.link.manager.streams.info("KV_volley_test");
  const leader = cluster.servers.find(({ port }) => info.cluster?.leader?.endsWith(`-${port}`) === true);
  assert(leader !== undefined);
  await leader.kill();
  const claiming = b.map.claim("claimed", "b");
  await a.map.put("put", "1");
  assert.equal(await claiming, "b");
  await untilSame([a.map, b.map], { before: "1", claimed: "b", put: "1" });
});
