// A number with more to send than it may: who gets it, and how much of it is used.

/* oxlint-disable unicorn/no-thenable -- `uncertain.then` is the operators' word; settings are never awaited. */

import assert from "node:assert/strict";
import { test } from "node:test";

import type { CampaignSettings } from "../../engine/actor/sender-actor.ts";
import { seededRandom } from "./seeded-random.ts";
import { busiestWindow, SimulatedSender } from "./simulated-sender.ts";

function campaign(campaignNumber: number, more: Partial<CampaignSettings> = {}): CampaignSettings {
  return {
    campaignNumber,
    templateKey: `template ${campaignNumber}`,
    category: "MARKETING",
    quietHours: null,
    lane: "marketing",
    weight: 1,
    messagesPerSecond: null,
    isPaused: false,
    timeToLiveMs: 86_400_000,
    uncertain: { waitMs: 60_000, then: "resend" },
    ...more,
  };
}

function numberOf(perSecond: number, seed: number): SimulatedSender {
  const random = seededRandom(seed);
  return new SimulatedSender({
    settings: { senderId: "main", messagesPerSecond: perSecond, pair: { periodMs: 6000, burst: 45 }, inFlightMax: 500 },
    random,
    commitMs: () => 1 + random() * 3,
    answer: () => ({
      verdict: { kind: "accepted", wamid: "wamid.1", isHeld: false },
      isTaken: true,
      provedAfterMs: null,
      wayThereMs: 20 + random() * 3,
      thinkingMs: 20 + random() * 60,
    }),
  });
}

function flood(simulation: SimulatedSender, campaignNumber: number, count: number): void {
  for (let index = 0; index < count; index++) simulation.accept(campaignNumber, `+1${campaignNumber}${index}`);
}

function campaignsOf(simulation: SimulatedSender): number[] {
  return simulation.dispatched.map((id) => simulation.messages.get(id)?.dispatch.campaignNumber ?? 0);
}

test("10,000 messages on a number with 80/s: never more in any second, 99 % used, transactional first, none lost", () => {
  const simulation = numberOf(80, 7);
  simulation.campaign(campaign(1));
  simulation.campaign(campaign(2, { lane: "transactional" }));
  flood(simulation, 1, 5000);
  flood(simulation, 2, 5000);
  simulation.run(200_000);
  assert.equal(simulation.open().length, 0);
  const { arrivals } = simulation;
  assert.equal(arrivals.length, 10_000);
  assert.ok(busiestWindow(arrivals, 1000).count <= 80);
  const seconds = ((arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)) / 1000;
  assert.ok(9999 / seconds >= 0.99 * 80, `${9999 / seconds} a second`);
  const order = campaignsOf(simulation);
  assert.equal(order.lastIndexOf(2), 4999, "a marketing message left before a transactional one");
});

test("two equal campaigns get 45 to 55 % each, at any time", () => {
  const simulation = numberOf(200, 3);
  simulation.campaign(campaign(1));
  simulation.campaign(campaign(2));
  flood(simulation, 1, 4000);
  simulation.at(5000, () => flood(simulation, 2, 2000));
  simulation.run(20_000);
  const order = campaignsOf(simulation);
  const shared = order.slice(order.indexOf(2), order.indexOf(2) + 2000);
  for (let from = 0; from + 200 <= shared.length; from += 200) {
    const first = shared.slice(from, from + 200).filter((number) => number === 1).length;
    assert.ok(first >= 90 && first <= 110, `${first} of 200`);
  }
});

test("a weight of 3 gets three quarters", () => {
  const simulation = numberOf(200, 3);
  simulation.campaign(campaign(1, { weight: 3 }));
  simulation.campaign(campaign(2));
  flood(simulation, 1, 3000);
  flood(simulation, 2, 3000);
  simulation.run(10_000);
  const first = campaignsOf(simulation).filter((number) => number === 1).length;
  assert.ok(Math.abs(first / simulation.dispatched.length - 0.75) < 0.01);
});

test("one message behind a backlog of another campaign leaves within two seconds", () => {
  const simulation = numberOf(20, 5);
  simulation.campaign(campaign(1));
  simulation.campaign(campaign(2));
  flood(simulation, 1, 3000);
  let late = simulation.accept(1, "+15550100");
  simulation.at(30_000, () => (late = simulation.accept(2, "+15550101")));
  simulation.run(32_100);
  assert.equal(late.status, "accepted");
});

test("a campaign's own limit holds and leaves the rest of the number to others", () => {
  const simulation = numberOf(80, 9);
  simulation.campaign(campaign(1, { messagesPerSecond: 10, lane: "transactional" }));
  simulation.campaign(campaign(2));
  flood(simulation, 1, 1000);
  flood(simulation, 2, 5000);
  simulation.run(31_000);
  const first = campaignsOf(simulation).filter((number) => number === 1).length;
  assert.ok(first >= 290 && first <= 311, `${first} in 30 s`);
  assert.ok(simulation.dispatched.length >= 0.99 * 80 * 30);
});

test("10,000 campaigns share one number, each a message a turn", () => {
  const simulation = numberOf(1000, 11);
  for (let number = 1; number <= 10_000; number++) simulation.campaign(campaign(number));
  for (let number = 1; number <= 10_000; number++) flood(simulation, number, 2);
  simulation.run(25_000);
  assert.equal(simulation.open().length, 0);
  assert.equal(new Set(campaignsOf(simulation).slice(0, 10_000)).size, 10_000);
});
