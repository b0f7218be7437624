// People who want no marketing, not at this time, or not so much of it.

import assert from "node:assert/strict";

import { burnt, carts, orders, runScenario, type ScenarioRun } from "../../support/scenario-run.ts";
import { until } from "../../support/until.ts";
import type { ScenarioCase } from "./scenario-case.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const JAPAN_AHEAD_MS = 9 * HOUR_MS;
/** Time to see that it waits. */
const QUIET_MS_MIN = 15_000;

export const consentScenarios: readonly ScenarioCase[] = [
  {
    name: "who says STOP, taps it, switches marketing off or is refused by Meta gets no marketing until START",
    run: async (context) => {
      const run = await runScenario(context, "opt-outs", { adapt: (scenario) => ({ ...scenario, failures: [] }) });
      // Endings 1 to 4 are the scenario's; 5 stops at WhatsApp and no webhook tells; 6 says nothing.
      const phoneOf = (ending: number): string => `+491520000000${ending}`;
      const round = async (campaignId: string): Promise<readonly string[]> => {
        const ids = await run.fill(campaignId, 6, (index) => phoneOf(index + 1));
        await run.untilDone([campaignId]);
        return Promise.all(ids.map(async (id) => endOf(await run.message(id))));
      };
      assert.deepEqual(await round("carts"), ["good", "good", "good", "good", "good", "good"]);
      await until("three have stopped", async () => (await stopped(run)).length === 3);
      await run.simulator.setState({ person: phoneOf(5), marketing: "stopped", quiet: true });
      const second = await round("carts");
      assert.deepEqual(second, ["suppressed", "suppressed", "suppressed", "good", "failed 131050", "good"]);
      await until("four have stopped", async () => (await stopped(run)).length === 4);
      const third = await round("carts");
      assert.deepEqual(third, ["suppressed", "suppressed", "suppressed", "good", "suppressed", "good"]);
      assert.deepEqual(await round("orders"), ["good", "good", "good", "good", "good", "good"]);
      await run.simulator.setScenario({});
      // The orders made them say it once more, and of two wishes of one second the stop counts.
      const saidSecond = secondNow();
      await until("the second is over", () => secondNow() > saidSecond);
      await run.simulator.receiveInbound({ from: phoneOf(1), text: "START" });
      await run.simulator.receiveInbound({ from: phoneOf(3), preference: "resume" });
      await until("two are back", async () => (await stopped(run)).length === 2);
      const last = await round("carts");
      assert.deepEqual(last, ["good", "suppressed", "good", "good", "suppressed", "good"]);
    },
  },
  {
    name: "in quiet hours a person's marketing waits by that person's own clock, and leaves when they end",
    isSlow: true,
    run: async (context) => {
      const endMs = Math.ceil((Date.now() + QUIET_MS_MIN) / MINUTE_MS) * MINUTE_MS;
      const quietHours = { from: inJapan(endMs - HOUR_MS), to: inJapan(endMs) };
      const run = await runScenario(context, null, { campaigns: [orders(), carts({ quietHours })] });
      const japan = "+819012345678";
      const waits = await run.trigger("carts", japan);
      const germany = await run.trigger("carts", "+4915200000001");
      const order = await run.trigger("orders", japan);
      await until("the others are through", async () => {
        return endOf(await run.message(germany)) === "good" && endOf(await run.message(order)) === "good";
      });
      assert.equal((await run.message(waits)).status, "queued");
      await until("it leaves", async () => endOf(await run.message(waits)) === "good", MINUTE_MS + QUIET_MS_MIN);
      const last = (await run.simulator.received()).at(-1);
      assert.ok(last !== undefined && japan.endsWith(last.to) && last.arrivedAtMs >= endMs);
    },
  },
  {
    name: "a person gets only so much marketing over all campaigns, and every order",
    run: async (context) => {
      const run = await runScenario(context, null, {
        campaigns: [orders(), carts(), { ...carts(), id: "more-carts" }],
        change: (config) => (config.consent = { frequencyCap: { messages: 2, hours: 24 } }),
      });
      const phone = "+4915200000001";
      const ends: string[] = [];
      for (const campaignId of ["carts", "more-carts", "carts", "more-carts", "orders", "orders", "orders"]) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other: two in one moment may both be counted as the last
        const id = await run.trigger(campaignId, phone);
        // oxlint-disable-next-line no-await-in-loop -- see above
        await run.untilDone([campaignId]);
        // oxlint-disable-next-line no-await-in-loop -- see above
        ends.push(endOf(await run.message(id)));
      }
      assert.deepEqual(ends, ["good", "good", "suppressed", "suppressed", "good", "good", "good"]);
      await run.trigger("carts", "+4915200000002");
      await run.untilDone(["carts"]);
      assert.equal((await burnt(run, "carts")).length, 1);
    },
  },
];

function endOf({ status, errorCode }: { readonly status: string; readonly errorCode: number | null }): string {
  if (["sent", "delivered", "read"].includes(status)) return "good";
  return errorCode === null ? status : `${status} ${errorCode}`;
}

async function stopped(run: ScenarioRun): Promise<readonly unknown[]> {
  return (await run.getJson<{ items: readonly unknown[] }>("/api/opt-outs?limit=100")).items;
}

function secondNow(): number {
  return Math.floor(Date.now() / 1_000);
}

/** Such as 21:30. */
function inJapan(atMs: number): string {
  return new Date(atMs + JAPAN_AHEAD_MS).toISOString().slice(11, 16);
}
