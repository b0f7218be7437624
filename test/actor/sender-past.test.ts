// Runs that follow each other: the limits do not begin anew.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createSender, step } from "../../engine/actor/sender-actor.ts";
import type { CampaignSettings, Dispatch, Now, SenderSettings } from "../../engine/actor/sender-actor.ts";
import { encodeMessageId } from "../../engine/message/ids.ts";
import { ACCEPTED, CAMPAIGN, Desk, EPOCH_MS, NO_RULES } from "./desk.ts";
import { seededRandom } from "./seeded-random.ts";
import { busiestWindow } from "./simulated-sender.ts";

const ANNA = "+14155550100";
const SLOW: Partial<CampaignSettings> = { messagesPerSecond: 0.1 };

function sentBefore(desk: Desk, agoMs: number, campaignNumber: number = 1): void {
  desk.give({ kind: "sentBefore", campaignNumber, phoneNumber: ANNA, agoMs });
}

test("what the number sent less than a second ago counts against its limit", () => {
  const desk = new Desk({ messagesPerSecond: 2 });
  for (const agoMs of [700, 100]) sentBefore(desk, agoMs);
  const messageId = desk.offer();
  desk.nowMs += 300;
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 100;
  assert.deepEqual(desk.tick(), [messageId], "a second after the first of the two, and a little");
  desk.give({ kind: "departed", monotonicMs: desk.nowMs });
  desk.offer();
  desk.nowMs += 450;
  assert.deepEqual(desk.tick(), []);
});

test("a campaign with a message in ten seconds waits for the rest of them", () => {
  const desk = new Desk({}, SLOW);
  sentBefore(desk, 4000);
  const messageId = desk.offer();
  desk.nowMs += 5900;
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 200;
  assert.deepEqual(desk.tick(), [messageId]);
});

test("a campaign that becomes known later is limited by what was recalled before", () => {
  const desk = new Desk();
  sentBefore(desk, 30_000, 2);
  sentBefore(desk, 4000, 2);
  desk.give({ kind: "campaign", settings: { ...CAMPAIGN, ...SLOW, campaignNumber: 2 } });
  const messageId = desk.offer({ campaignNumber: 2 });
  desk.nowMs += 5900;
  assert.deepEqual(desk.tick(), []);
  desk.nowMs += 200;
  assert.deepEqual(desk.tick(), [messageId]);
});

test("what a pair had of its burst it does not get again", () => {
  const desk = new Desk({ pair: { periodMs: 6000, burst: 3 } });
  for (const agoMs of [2000, 1500]) sentBefore(desk, agoMs);
  desk.nowMs += 100;
  const first = desk.offer({ phoneNumber: ANNA });
  desk.offer({ phoneNumber: ANNA });
  const effects = desk.give({ kind: "tick" });
  assert.ok(effects[0]?.kind === "dispatch" && effects[0].messageId === first);
  assert.ok(effects[1]?.kind === "park");
});

// ---- a crash loop

const SETTINGS: SenderSettings = {
  senderId: "main",
  messagesPerSecond: 20,
  pair: { periodMs: 6000, burst: 5 },
  inFlightMax: 500,
};
const CAMPAIGNS: readonly CampaignSettings[] = [
  { ...CAMPAIGN, campaignNumber: 1 },
  { ...CAMPAIGN, campaignNumber: 2, messagesPerSecond: 3 },
  { ...CAMPAIGN, campaignNumber: 3, messagesPerSecond: 0.1 },
];
/** As far back as a limit looks, and what was written down is not older than it says. */
const TRAIL_MS = 30_000;

interface Departure {
  /** Monotonic over all runs, as if no clock had begun anew. */
  readonly atMs: number;
  readonly campaignNumber: number;
  readonly phoneNumber: string;
}

/** One process: from its start until its crash, with more to send than it may. */
function run(fromMs: number, untilMs: number, trail: readonly Departure[], random: () => number): Departure[] {
  const now = (atMs: number): Now => ({ wallMs: EPOCH_MS + Math.floor(atMs), monotonicMs: atMs - fromMs });
  const sender = createSender(SETTINGS, now(fromMs), random, NO_RULES, () => "");
  for (const { atMs, campaignNumber, phoneNumber } of trail) {
    if (fromMs - atMs > TRAIL_MS) continue;
    step(sender, { kind: "sentBefore", campaignNumber, phoneNumber, agoMs: fromMs - atMs }, now(fromMs));
  }
  for (const settings of CAMPAIGNS) step(sender, { kind: "campaign", settings }, now(fromMs));
  const departures: Departure[] = [];
  const known = new Map<string, Dispatch>();
  for (let atMs = fromMs, sequence = 0; atMs < untilMs; atMs += 1 + random() * 20) {
    const { wallMs: acceptedAtMs, monotonicMs } = now(atMs);
    for (const { campaignNumber } of CAMPAIGNS) {
      const id = { partition: 0, campaignNumber, acceptedAtMs, node: 0, sequence: sequence++ };
      const phoneNumber = random() < 0.2 ? `+1415555${Math.floor(random() * 3)}` : `+1415${random()}`;
      const dispatch = { messageId: encodeMessageId(id), campaignNumber, phoneNumber, acceptedAtMs, attempts: 0 };
      known.set(dispatch.messageId, dispatch);
      if (sequence < 500) step(sender, { kind: "offered", dispatch }, now(atMs));
    }
    for (const effect of step(sender, { kind: "tick" }, now(atMs))) {
      if (effect.kind !== "dispatch") continue;
      const dispatch = known.get(effect.messageId);
      assert.ok(dispatch);
      const { messageId, campaignNumber, phoneNumber } = dispatch;
      departures.push({ atMs, campaignNumber, phoneNumber });
      const times = { sentMonotonicMs: monotonicMs, answeredMonotonicMs: monotonicMs };
      step(sender, { kind: "departed", monotonicMs }, now(atMs));
      step(sender, { kind: "verdict", messageId, attempt: 1, verdict: ACCEPTED, ...times }, now(atMs));
    }
  }
  return departures;
}

/** In each window of 1, 10 and 60 s no more than the limit allows, and a burst. */
function checkWindows(departures: readonly Departure[], perSecond: number, burst: number, whose: string): void {
  const times = departures.map(({ atMs }) => atMs);
  for (const windowMs of [1000, 10_000, 60_000]) {
    const { count, fromMs } = busiestWindow(times, windowMs);
    const allowed = Math.max(1, burst + Math.ceil((perSecond * windowMs) / 1000));
    assert.ok(count <= allowed, `${whose}: ${count} of ${allowed} in the ${windowMs} ms from ${fromMs}`);
  }
}

test("a hundred crashes break no limit of the number, of a campaign or of a pair in any window, nor starve it", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const random = seededRandom(seed);
    const departures: Departure[] = [];
    let nowMs = 1000;
    for (let crashes = 0; crashes < 100; crashes++) {
      const untilMs = nowMs + random() * (random() < 0.5 ? 300 : 4000);
      departures.push(...run(nowMs, untilMs, departures, random));
      nowMs = untilMs + random() * 300;
    }
    checkWindows(departures, SETTINGS.messagesPerSecond, 0, `seed ${seed}, the number`);
    for (const { campaignNumber, messagesPerSecond } of CAMPAIGNS) {
      const own = departures.filter((departure) => departure.campaignNumber === campaignNumber);
      if (messagesPerSecond !== null)
        checkWindows(own, messagesPerSecond, 0, `seed ${seed}, campaign ${campaignNumber}`);
    }
    for (let person = 0; person < 3; person++) {
      const own = departures.filter(({ phoneNumber }) => phoneNumber === `+1415555${person}`);
      assert.ok(own.length > 5, "nobody wrote to the pair");
      checkWindows(own, 1000 / SETTINGS.pair.periodMs, SETTINGS.pair.burst, `seed ${seed}, a pair`);
    }
    const used = departures.length / ((nowMs / 1000) * SETTINGS.messagesPerSecond);
    assert.ok(used > 0.6, `only ${used} of the limit used`);
  }
});
