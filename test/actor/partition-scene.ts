// What the tests of the partition have in common: a world that is closed with its test, sends waited for, answers.

import assert from "node:assert/strict";
import type { TestContext } from "node:test";

import type { SenderSettings } from "../../engine/actor/sender-actor.ts";
import type { MessageId } from "../../engine/message/ids.ts";
import type { Verdict } from "../../engine/message/verdict.ts";
import { World, type WorldOptions } from "./partition-world.ts";

export const FAST: SenderSettings = {
  senderId: "shop",
  messagesPerSecond: 1_000,
  pair: { periodMs: 6_000, burst: 45 },
  inFlightMax: 500,
};
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const UNKNOWN: Verdict = { kind: "unknown", reason: "The connection was cut." };
export const THROTTLED: Verdict = {
  kind: "throttled",
  scope: "number",
  errorCode: 130_429,
  reason: "Too fast.",
  retryAfterMs: null,
};
export const TRANSIENT: Verdict = { kind: "transient", errorCode: 131_000, reason: "Something went wrong." };
export const REJECTED: Verdict = { kind: "rejected", errorCode: 131_026, reason: "Undeliverable." };

export async function worldOf(context: TestContext, options: WorldOptions = {}): Promise<World> {
  const world = await World.open({ senders: [FAST], ...options });
  context.after(() => world.close());
  return world;
}

export async function dispatched(world: World, count: number): Promise<void> {
  for (let step = 0; step < 1_000 && world.inFlight.length < count; step++) {
    await world.settle();
    if (world.inFlight.length < count) world.clock.advance(5);
  }
  assert.equal(world.inFlight.length, count);
}

export function sentIds(world: World): readonly MessageId[] {
  return world.sends.map(({ messageId }) => messageId);
}
