// I7: campaigns of one lane share a number evenly, and a single message does not wait for somebody else's backlog.
// The same measurements with a planted unfairness show that they can fail.

import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "../actor/partition-world.ts";

const PER_SECOND = 80;
const SENDER = { senderId: "shop", messagesPerSecond: PER_SECOND, inFlightMax: 160 };
const MINUTE_MS = 60_000;
const SHARE = { least: 0.45, most: 0.55 };
const BACKLOG = 20_000;
const WAIT_MS_MAX = 2_000;

test("I7 two equal campaigns get between 45 and 55 % of a number over a minute", async (context) => {
  const share = await shareOfFirst({ weight: 1 });
  context.diagnostic(`${(share * 100).toFixed(1)} %`);
  assert.ok(isEven(share), `the first got ${share}`);
});

test("I7 a planted fault is seen: one of two equal campaigns counts for three", async () => {
  assert.ok(!isEven(await shareOfFirst({ weight: 3 })));
});

test("I7 a campaign's only message passes another campaign's backlog within two seconds", async (context) => {
  const waitMs = await waitBehindBacklog();
  context.diagnostic(`${waitMs} ms behind ${BACKLOG}`);
  assert.ok(waitMs <= WAIT_MS_MAX, `it waited ${waitMs} ms`);
});

test("I7 a planted fault is seen: the only message belongs to the campaign with the backlog", async () => {
  assert.ok((await waitBehindBacklog(1)) > WAIT_MS_MAX);
});

function isEven(share: number): boolean {
  return share >= SHARE.least && share <= SHARE.most;
}

async function shareOfFirst({ weight }: { readonly weight: number }): Promise<number> {
  const world = await World.open({ senders: [SENDER] });
  try {
    world.setCampaign({ campaignNumber: 1, weight });
    world.setCampaign({ campaignNumber: 2 });
    for (const campaign of [1, 2]) world.accept(campaign, PER_SECOND * 60);
    world.partition.start();
    await world.run(MINUTE_MS);
    const first = world.sends.filter(({ campaignNumber }) => campaignNumber === 1).length;
    assert.ok(world.sends.length > PER_SECOND * 55, "the number was busy all the minute");
    return first / world.sends.length;
  } finally {
    await world.close();
  }
}

async function waitBehindBacklog(campaignOfLast = 2): Promise<number> {
  const world = await World.open({ senders: [SENDER] });
  try {
    world.setCampaign({ campaignNumber: 1 });
    world.setCampaign({ campaignNumber: 2 });
    world.accept(1, BACKLOG);
    world.partition.start();
    await world.run(1_000);
    const startMs = world.clock.monotonicMs();
    const [last] = world.accept(campaignOfLast, 1);
    world.partition.appended();
    await world.run(3_000);
    return (world.sends.find(({ messageId }) => messageId === last)?.atMonotonicMs ?? Infinity) - startMs;
  } finally {
    await world.close();
  }
}
