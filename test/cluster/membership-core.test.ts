// The membership core in a simulated world (cluster-simulation.ts). A failing seed is printed and can be run alone:
// VOLLEY_CLUSTER_SEED=17 node --test dist/test/cluster/membership-core.test.js

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import type { ClusterTiming } from "../../engine/cluster/timing.ts";
import { PARTITIONS } from "../../engine/message/partition.ts";
import { ClusterSimulation, type SimulatedNode } from "./cluster-simulation.ts";

const SEEDS = 500;
const FAULTS_UNTIL_MS = 90_000;
const QUIET_MS = 45_000;
const only = process.env["VOLLEY_CLUSTER_SEED"];
const seeds = only === undefined ? Array.from({ length: SEEDS }, (_, seed) => seed) : [Number(only)];

type Fault = (world: ClusterSimulation, node: SimulatedNode) => void;

const crash: Fault = (world, node) => {
  world.crash(node);
  world.after(500 + world.random() * 20_000, () => node.core ?? world.start(node));
};

const stop: Fault = (world, node) => {
  if (node.core === null || node.isPaused) return;
  const { life } = node;
  world.pause(node);
  world.after(200 + world.random() * 30_000, () => node.life === life && world.resume(node));
};

const cutOff: Fault = (world, node) => {
  if (node.isCutOff) return;
  node.isCutOff = true;
  world.reconnect(node);
  world.after(world.random() * 20_000, () => {
    node.isCutOff = false;
    world.reconnect(node);
  });
};

function outage(world: ClusterSimulation, forMs: number, isForgetful: boolean): void {
  if (!world.bucket.isUp) return;
  world.bucket.isUp = false;
  const { nowMs } = world;
  world.nodes.forEach((node) => world.reconnect(node));
  world.after(forMs, () => {
    if (isForgetful) world.bucket.loseTail(nowMs - world.random() * 60_000, world.random);
    world.bucket.isUp = true;
    for (const node of world.nodes) world.after(world.random() * 500, () => world.reconnect(node));
  });
}

const shortOutage: Fault = (world) => outage(world, 200 + world.random() * 12_000, false);
/** A machine that lost power takes longer to return than a lease is valid: 7 s. */
const powerCut: Fault = (world) => outage(world, 8000 + world.random() * 10_000, true);

const badNetwork: Fault = (world) => {
  world.lossChance = world.random() * 0.5;
  world.lateChance = world.random() * 0.2;
  world.after(world.random() * 15_000, () => {
    world.lossChance = 0;
    world.lateChance = 0;
  });
};

/** Replicas that disagree forget without anybody noticing an outage. */
const forgetting: Fault = (world) => world.bucket.loseTail(world.nowMs - world.random() * 30_000, world.random);
const stalledWatch: Fault = (world, node) => {
  node.session++;
  world.after(3000 + world.random() * 3000, () => world.reconnect(node));
};

const FAULTS: readonly Fault[] = [crash, stop, cutOff, shortOutage, powerCut, badNetwork, stalledWatch];
/** Who forgets its own past, or sees nothing, cannot notice that the bucket forgets: no crashes, no lost messages beside this. */
const FAULTS_WITH_FORGETTING: readonly Fault[] = [forgetting, stalledWatch];

function pick<Item>(items: readonly Item[], random: () => number): Item {
  const item = items[Math.floor(random() * items.length)];
  assert.ok(item !== undefined);
  return item;
}

function faultyWorld(seed: number, timing: Partial<ClusterTiming> = {}): ClusterSimulation {
  const world = new ClusterSimulation(seed, timing);
  const faults = seed % 4 === 3 ? FAULTS_WITH_FORGETTING : FAULTS;
  world.releaseMsMax = 3000;
  for (const node of world.nodes) world.after(world.random() * 3000, () => world.start(node));
  const everyMs = 3000 + world.random() * 20_000;
  for (let atMs = 5000; atMs < FAULTS_UNTIL_MS; atMs += world.random() * 2 * everyMs) {
    world.at(atMs, () => pick(faults, world.random)(world, pick(world.nodes, world.random)));
  }
  world.run(FAULTS_UNTIL_MS);
  return world;
}

function quiet(world: ClusterSimulation): void {
  // The longest fault lasts 30 s.
  world.run(world.nowMs + 31_000);
  world.lossChance = 0;
  world.lateChance = 0;
  world.releaseMsMax = 100;
  for (const node of world.nodes) if (node.core === null) world.start(node);
  world.run(world.nowMs + QUIET_MS);
}

function spread(world: ClusterSimulation): number[] {
  return world.nodes
    .filter(({ core }) => core !== null)
    .map(
      (node) =>
        Array.from({ length: PARTITIONS }, (_, each) => each).filter((each) => node.isValid(each, world.nowMs)).length,
    );
}

function untilAllHeld(world: ClusterSimulation, withinMs: number): number {
  const startedAtMs = world.nowMs;
  const isHeld = (): boolean =>
    Array.from({ length: PARTITIONS }, (_, each) => world.holders(each).length).every((count) => count === 1);
  while (!isHeld()) {
    if (world.nowMs - startedAtMs > withinMs) return Infinity;
    world.run(world.nowMs + 10);
  }
  return world.nowMs - startedAtMs;
}

describe("membership core, simulated", () => {
  test(`never are two leases of a partition valid, and it heals, over ${seeds.length} seeds`, (t) => {
    const longest = { death: 0, leave: 0 };
    for (const seed of seeds) {
      const where = `seed ${seed}`;
      const world = faultyWorld(seed);
      quiet(world);
      assert.deepEqual(world.violations, [], where);
      const counts = spread(world);
      assert.equal(
        counts.reduce((a, b) => a + b),
        PARTITIONS,
        `${where}: ${counts.join()}`,
      );
      assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `${where}: ${counts.join()}`);
      for (const node of world.nodes) {
        const held = node.core?.held() ?? [];
        assert.deepEqual(
          [...node.acting].toSorted((one, other) => one - other),
          held,
          `${where}: ${node.id} acts for what it holds`,
        );
      }

      const [leaving, dying] = world.nodes;
      assert.ok(leaving?.core && dying);
      leaving.core.leave();
      world.run(world.nowMs + 300);
      const leave = untilAllHeld(world, 1000) + 300;
      assert.ok(leave <= 1000, `${where}: handed over after ${leave} ms`);
      world.run(world.nowMs + 200);
      assert.ok(leaving.core.hasLeft(), `${where}: left`);
      world.crash(leaving);

      world.run(world.nowMs + 5000);
      world.crash(dying);
      const death = untilAllHeld(world, 15_000);
      assert.ok(death <= 15_000, `${where}: taken over after ${death} ms`);
      assert.deepEqual(world.violations, [], where);
      longest.death = Math.max(longest.death, death);
      longest.leave = Math.max(longest.leave, leave);
    }
    t.diagnostic(`longest takeover ${longest.death} ms after a death, ${longest.leave} ms after a graceful leave`);
  });

  test("control: the simulation notices leases that are counted as valid for too long", () => {
    const violations = seeds.slice(0, 60).flatMap((seed) => faultyWorld(seed, { holdMs: 14_000 }).violations);
    assert.notEqual(violations.length, 0);
  });

  test("control: the simulation notices a bucket that does not compare before it sets", () => {
    const world = new ClusterSimulation(1);
    world.bucket.isBlind = true;
    for (const node of world.nodes) world.start(node);
    world.run(FAULTS_UNTIL_MS);
    assert.notEqual(world.violations.length, 0);
  });
});
