// Webhooks that come odd, or all at once; answers that never come.

import assert from "node:assert/strict";

import type { ReceivedSend } from "../../../engine/simulator/received-send.ts";
import { carts, orders, runScenario, type ScenarioRun } from "../../support/scenario-run.ts";
import { until } from "../../support/until.ts";
import type { ScenarioCase } from "./scenario-case.ts";

const MESSAGE_ID_LENGTH = 26;

export const webhookScenarios: readonly ScenarioCase[] = [
  {
    name: "whatever statuses look like, each message ends once, and as it truly ended",
    run: async (context) => {
      const run = await runScenario(context, "odd-webhooks", {
        adapt: (scenario) => ({ ...scenario, held: { ...scenario.held, droppedShare: 0 } }),
      });
      await run.fill("orders", 1_000, (index) => `+4915200${String(100_000 + index)}`);
      await run.untilDone(["orders"], 90_000);
      const wrong = await contradictions(run, "orders");
      assert.deepEqual(wrong.slice(0, 10), []);
    },
  },
  {
    name: "a minute's webhooks at once, in any order, are all taken",
    run: async (context) => {
      const run = await runScenario(context, "webhook-storm", { messagesPerSecond: 1_000 });
      await run.fill("orders", 5_000);
      await until("all were sent", async () => (await run.stats("orders")).waiting === 0);
      const gathered = (await run.simulator.stats()).webhooks.waiting;
      assert.ok(gathered > 5_000, `only ${gathered} updates wait`);
      await run.later();
      await run.untilDone(["orders"]);
      const { webhooks } = await run.simulator.stats();
      assert.deepEqual([webhooks.waiting, webhooks.dropped, webhooks.failedPosts], [0, 0, 0]);
      assert.deepEqual((await contradictions(run, "orders")).slice(0, 10), []);
    },
  },
  {
    name: "of lost answers nothing is sent twice unless the campaign says so",
    isSlow: true,
    run: async (context) => {
      const run = await runScenario(context, "lost-answers", {
        campaigns: [
          orders({ uncertain: { waitSeconds: 8, then: "resend" } }),
          carts({ uncertain: { waitSeconds: 8, then: "fail" } }),
        ],
        adapt: ({ answers, ...rest }) => {
          return { ...rest, answers: { ...answers, slow: { share: 0.02, latency: { minMs: 2_000, maxMs: 8_000 } } } };
        },
      });
      await run.fill("orders", 500);
      await run.fill("carts", 500);
      await run.untilDone(["orders", "carts"], 120_000);
      const timesTaken = takenById(await run.simulator.received());
      const isLost = ({ answer }: ReceivedSend): boolean => answer.kind === "lost";
      const lost = (await run.simulator.received()).filter(isLost);
      assert.ok(lost.length > 50, `only ${lost.length} were lost`);
      const offers = await run.csv("carts");
      assert.deepEqual(
        offers.filter(({ message_id: id = "" }) => (timesTaken.get(id) ?? 0) > 1),
        [],
      );
      // Of orders none is lost: each arrived, unless it failed for good.
      const arrived = await run.csv("orders");
      assert.deepEqual(
        arrived.filter(({ message_id: id = "", status }) => status !== "failed" && !timesTaken.has(id)),
        [],
      );
      assert.equal((await run.stats("carts")).byStatus["uncertain"] ?? 0, 0);
      const twice = arrived.filter(({ message_id: id = "" }) => (timesTaken.get(id) ?? 0) > 1).length;
      context.diagnostic(`${lost.length} answers lost, ${twice} orders sent twice`);
      assert.equal((await run.stats("orders")).doubleSends, twice);
    },
  },
];

/** Where the CSV says another end than the simulator's webhooks did. */
async function contradictions(run: ScenarioRun, campaignId: string): Promise<readonly string[]> {
  const ends = new Map<string, Set<string>>();
  for (const { bizOpaqueCallbackData, end } of await run.simulator.received()) {
    const id = bizOpaqueCallbackData.slice(0, MESSAGE_ID_LENGTH);
    if (end !== null) ends.set(id, (ends.get(id) ?? new Set()).add(`${end.status} ${end.errorCode ?? ""}`));
  }
  return (await run.csv(campaignId)).flatMap(({ message_id: id = "", status = "", error_code: code = "" }) => {
    const known = [...(ends.get(id) ?? [])];
    return known.some((end) => isSame(end, status, code))
      ? []
      : [`${status} ${code}, but in truth ${known.join(" and ")}`];
  });
}

/** Another device may have failed after one had it: that is no failure. */
function isSame(end: string, status: string, code: string): boolean {
  return end.startsWith(`${status} `) && (status !== "failed" || end === `failed ${code}`);
}

function takenById(sends: readonly ReceivedSend[]): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const { bizOpaqueCallbackData, end } of sends) {
    if (end === null) continue;
    const id = bizOpaqueCallbackData.slice(0, MESSAGE_ID_LENGTH);
    times.set(id, (times.get(id) ?? 0) + 1);
  }
  return times;
}
