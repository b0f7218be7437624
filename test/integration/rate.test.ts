// A number's limit under a flood from two campaigns. VOLLEY_FLOOD=10000 for the long run.

import assert from "node:assert/strict";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { test, type TestContext } from "node:test";

import { runEngine } from "../support/running-engine.ts";
import { eventBody } from "../support/event-source.ts";
import { greetingCampaign } from "../support/workspace.ts";

const EVENTS = Number(process.env["VOLLEY_FLOOD"] ?? 800);
/** Once, at the start: opening connections takes time, and the limit waits it out. */
const START_SECONDS = 0.15;
const PER_SECOND = 80;
const ARRAY_LENGTH = 100;

/** A machine that stood still so long delivers what left in time in a bunch: then the run says nothing, and is repeated. */
const STALL_MS = 30;
const RUNS_MAX = 3;

test(
  `sends ${EVENTS} flooded events at a number's limit, transactional first`,
  { timeout: 300_000 * RUNS_MAX },
  async (context) => {
    for (let run = 1; ; run++) {
      const machine = { stoodStillMs: 0 };
      try {
        // oxlint-disable-next-line no-await-in-loop -- again only when the machine stood still
        await flood(context, machine);
        return;
      } catch (error) {
        if (run === RUNS_MAX || machine.stoodStillMs < STALL_MS) throw error;
        context.diagnostic(
          `run ${run}: the machine stood still for ${machine.stoodStillMs.toFixed(0)} ms: ${String(error)}`,
        );
      }
    }
  },
);

async function flood(context: TestContext, machine: { stoodStillMs: number }): Promise<void> {
  const campaigns = ["marketing", "transactional"];
  const engine = await runEngine({
    messagesPerSecond: PER_SECOND,
    campaigns: campaigns.map((lane) => greetingCampaign(lane, { lane })),
  });
  context.after(() => engine.stop());
  const stalls = monitorEventLoopDelay({ resolution: 1 });
  stalls.enable();

  // Marketing enters first: the other lane has to overtake it.
  for (const campaign of campaigns) {
    for (let first = 0; first < EVENTS / 2; first += ARRAY_LENGTH) {
      const numbers = Array.from({ length: ARRAY_LENGTH }, (_, index) => first + index);
      const answer = await engine.post(`/api/campaigns/${campaign}/trigger`, `[${numbers.map(eventBody).join(",")}]`);
      assert.equal(answer.status, 202);
    }
  }
  await engine.untilNothingWaits(campaigns, 30_000 + (EVENTS / PER_SECOND) * 1_500);
  stalls.disable();
  machine.stoodStillMs = stalls.max / 1e6;

  const sends = await engine.simulator.received();
  const rows = (await Promise.all(campaigns.map(engine.csv))).flat();
  assert.equal(rows.length, EVENTS);
  assert.ok(
    rows.every((row) => ["sent", "delivered", "read"].includes(row["status"] ?? "")),
    "none was lost",
  );
  assert.equal(sends.length, EVENTS, "none was throttled or sent twice");

  const arrivals = sends.map((send) => send.arrivedMonotonicMs);
  const most = Math.max(
    ...arrivals.map(
      (at, index) => arrivals.slice(index, index + 2 * PER_SECOND).filter((other) => other < at + 1000).length,
    ),
  );
  const seconds = ((arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)) / 1000;
  const used = (EVENTS - 1) / (seconds - START_SECONDS) / PER_SECOND;
  context.diagnostic(`at most ${most} in any second, ${(used * 100).toFixed(2)} % of ${PER_SECOND}/s used`);
  assert.ok(most <= PER_SECOND, `${most} messages arrived within one second`);
  assert.ok(used >= 0.99, `only ${used} of the rate was used`);

  const transactional = new Set((await engine.csv("transactional")).map((row) => row["message_id"]));
  const firstHalf = sends.slice(-Math.floor(EVENTS / 2) + PER_SECOND);
  const late = firstHalf.filter((send) => transactional.has(send.bizOpaqueCallbackData)).length;
  assert.equal(late, 0, "transactional messages waited behind marketing");
}
