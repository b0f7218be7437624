// kill -9 again and again while the wall clock jumps by up to an hour: a number, a person and a campaign still get no more
// than their limits in any window, because limits go on where the killed process left them.
// VOLLEY_LIMIT_KILLS=100 for the long run.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

import type { ReceivedSend } from "../../engine/simulator/received-send.ts";
import { startSimulatorThread } from "../../engine/simulator/simulator-thread.ts";
import { mostWithin, timesBy } from "../support/arrivals.ts";
import { EngineProcess } from "../support/engine-process.ts";
import {
  ACCESS_TOKEN,
  APP_SECRET,
  createWorkspace,
  GREETING,
  greetingCampaign,
  OFFER,
  PHONE_NUMBER_ID,
  WABA_ID,
} from "../support/workspace.ts";

const KILLS = Number(process.env["VOLLEY_LIMIT_KILLS"] ?? 6);
const PER_SECOND = 40;
const SLOW_PER_SECOND = 0.5;
const PAIR = { periodSeconds: 6, burst: 10 };
const HOUR_MS = 3_600_000;
const EVENTS = 100 * 400;
const ARRAY_LENGTH = 1_000;
const LIFE_MS = { least: 300, spread: 2_500 };
/** One person gets every tenth message, far more than the pair may. */
const FRIEND = "+14155550001";
/**
 * Of the shortest window: what left in time arrives late when the machine stalls, most of all while a process starts, and
 * may then meet what left after it. A burst that a crash multiplied would be a second one of PER_SECOND.
 */
const LATE_SHARE = 0.2;

test(
  `no limit is exceeded over ${KILLS} kills and clock jumps`,
  { timeout: 120_000 + KILLS * 15_000 },
  async (context) => {
    const simulator = await startSimulatorThread({
      templates: [GREETING, OFFER],
      senders: [{ phoneNumberId: PHONE_NUMBER_ID, wabaId: WABA_ID, messagesPerSecond: 1000 }],
      accessTokens: [ACCESS_TOKEN],
      appSecret: APP_SECRET,
      receivedMax: 1_000_000,
      // Whatever the engine sends is taken and counted: its own limits are on trial, not Meta's.
      scenario: { limits: { number: "ignored", pair: "ignored" } },
    });
    const workspace = await createWorkspace({
      whatsappUrl: simulator.url,
      senders: { main: { phoneNumberId: PHONE_NUMBER_ID, messagesPerSecond: PER_SECOND, pairLimit: PAIR } },
      campaigns: [
        greetingCampaign("flood", { uncertain: { waitSeconds: 3600, then: "fail" } }),
        greetingCampaign("slow", {
          messagesPerSecond: SLOW_PER_SECOND,
          uncertain: { waitSeconds: 3600, then: "fail" },
        }),
      ],
    });
    await simulator.setWebhookUrl(`${workspace.url}/webhooks/whatsapp`);
    const engine = new EngineProcess(workspace, { environment: jumpingClock });
    context.after(async () => {
      await engine.end("SIGKILL");
      await simulator.close();
      workspace.remove();
    });

    await engine.start();
    await fill(workspace.url, engine.adminKey, "slow", 2_000);
    await fill(workspace.url, engine.adminKey, "flood", Math.min(EVENTS, KILLS * PER_SECOND * 5));
    for (let kill = 1; kill <= KILLS; kill++) {
      const lifeMs = LIFE_MS.least + Math.random() * LIFE_MS.spread;
      await new Promise((resolve) => setTimeout(resolve, lifeMs));
      assert.equal(await engine.end("SIGKILL"), "SIGKILL");
      await engine.start();
    }
    await engine.end("SIGTERM");

    const sends = await simulator.received();
    context.diagnostic(`${sends.length} sends over ${KILLS} kills`);
    assert.ok(sends.length > KILLS * PER_SECOND * 0.3, `only ${sends.length} sends: nothing was on trial`);
    for (const line of excesses(sends)) context.diagnostic(line.text);
    assert.deepEqual(
      excesses(sends).filter(({ isExcess }) => isExcess),
      [],
    );
  },
);

function jumpingClock(): Record<string, string> {
  const jump = (): string => String(Math.round((Math.random() * 2 - 1) * HOUR_MS));
  const preload = join(import.meta.dirname, "..", "support", "jumping-clock.js");
  return {
    NODE_OPTIONS: `--import ${pathToFileURL(preload).href}`,
    VOLLEY_TEST_CLOCK_OFFSET_MS: jump(),
    VOLLEY_TEST_CLOCK_JUMP_AT_MS: String(Math.round(Math.random() * 4_000)),
    VOLLEY_TEST_CLOCK_JUMP_TO_MS: jump(),
  };
}

async function fill(url: string, key: string, campaignId: string, count: number): Promise<void> {
  for (let first = 0; first < count; first += ARRAY_LENGTH) {
    const events = Array.from({ length: Math.min(ARRAY_LENGTH, count - first) }, (_, index) => {
      const number = first + index;
      const phone = number % 10 === 0 ? FRIEND : `+1415556${String(1000 + (number % 9000))}`;
      return { phone, first_name: campaignId, order: `#${number}` };
    });
    const headers = { "x-api-key": key, "content-type": "application/json" };
    // oxlint-disable-next-line no-await-in-loop -- in order, so that memory stays small
    const answer = await fetch(`${url}/api/campaigns/${campaignId}/trigger`, {
      method: "POST",
      headers,
      body: JSON.stringify(events),
    });
    assert.equal(answer.status, 202);
  }
}

/** The most that arrived in any window, beside what the limits allow. */
function excesses(sends: readonly ReceivedSend[]): { text: string; isExcess: boolean }[] {
  const at = (send: ReceivedSend): number => send.arrivedMonotonicMs;
  const slow = sends.filter(({ text }) => text.startsWith("Hello slow"));
  const pairs = timesBy(sends, ({ to }) => to, at);
  const lines: { text: string; isExcess: boolean }[] = [];
  const check = (what: string, times: readonly number[], seconds: number, allowed: number): void => {
    const most = mostWithin(seconds * 1_000, times);
    lines.push({ text: `${what} in ${seconds} s: ${most} of ${allowed}`, isExcess: most > allowed });
  };
  for (const seconds of [1, 10, 60]) {
    check("number", sends.map(at), seconds, Math.ceil(PER_SECOND * seconds * (1 + (seconds === 1 ? LATE_SHARE : 0))));
    check("campaign", slow.map(at), seconds, Math.max(1, SLOW_PER_SECOND * seconds));
    const busiest = Math.max(...[...pairs.values()].map((times) => mostWithin(seconds * 1_000, times)));
    const allowed = PAIR.burst + Math.floor(seconds / PAIR.periodSeconds);
    lines.push({ text: `pair in ${seconds} s: ${busiest} of ${allowed}`, isExcess: busiest > allowed });
  }
  return lines;
}
