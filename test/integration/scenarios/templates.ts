// Meta pauses, disables, holds, moves and edits templates.

import assert from "node:assert/strict";

import type { Scenario } from "../../../engine/simulator/scenario.ts";
import { burnt, carts, orders, refused, runScenario, type ScenarioRun, shipping } from "../../support/scenario-run.ts";
import { until } from "../../support/until.ts";
import type { ScenarioCase } from "./scenario-case.ts";

/** Under way when the news come: the rate times an answer's time, with room for a slow machine. */
const UNDER_WAY_MAX = 60;

export const templateScenarios: readonly ScenarioCase[] = [
  {
    name: "a paused template parks its campaign until Meta approves it again, others go on, nothing is burnt",
    isSlow: true,
    run: async (context) => {
      const run = await runScenario(context, "template-paused");
      await run.fill("carts", 150);
      await untilParked(run, "carts", /PAUSED/);
      await run.fill("orders", 100);
      await run.untilDone(["orders"]);
      const parked = await run.campaign("carts");
      assert.ok(parked.parked !== null && parked.status === "paused");
      assert.ok(Date.now() - Date.parse(parked.parked.since) < 60_000);
      assert.ok((await run.stats("carts")).waiting > 0);
      assert.equal((await run.campaign("orders")).parked, null);
      await run.later();
      await untilUnparked(run, "carts");
      await run.untilDone(["carts"]);
      assert.deepEqual([...(await burnt(run, "carts")), ...(await burnt(run, "orders"))], []);
      assert.ok((await refused(run, 132015)) <= UNDER_WAY_MAX, "the pause was met again and again");
    },
  },
  {
    name: "a template that is paused twice and then disabled leaves its campaign parked, and says so",
    run: async (context) => {
      // Slow enough that none is under way when the news come: no refusal, so no probe to wait for.
      const run = await runScenario(context, "template-disabled", {
        sends: 0.2,
        campaigns: [orders(), carts({ messagesPerSecond: 4 })],
      });
      await run.fill("carts", 20);
      for (let pause = 0; pause < 2; pause++) {
        // oxlint-disable-next-line no-await-in-loop -- in order
        await untilParked(run, "carts", /PAUSED/);
        // oxlint-disable-next-line no-await-in-loop -- see above
        await run.later();
        // oxlint-disable-next-line no-await-in-loop -- see above
        await untilUnparked(run, "carts");
      }
      await untilParked(run, "carts", /DISABLED/);
      const { waiting } = await run.stats("carts");
      assert.ok(waiting > 0 && waiting <= 10, `${waiting} wait`);
      assert.equal((await run.post("/api/campaigns/carts/trigger", {})).status, 409);
      assert.deepEqual(
        (await burnt(run, "carts")).filter((end) => !/^(queued|sent) /.test(end)),
        [],
      );
    },
  },
  {
    name: "a pause that no webhook told is learned from the refusals, and its end from the list",
    isSlow: true,
    run: async (context) => {
      const run = await runScenario(context, "template-paused", { adapt: inSilence });
      await run.fill("carts", 100);
      const block = await run.untilBlocked(132015);
      assert.match(block.subject, /abandoned_cart/);
      await run.fill("orders", 20);
      await run.untilDone(["orders"]);
      await run.later();
      await run.untilDone(["carts"]);
      assert.deepEqual(await burnt(run, "carts"), []);
      assert.ok((await refused(run, 132015)) <= UNDER_WAY_MAX);
    },
  },
  {
    name: "messages held by pacing are on their way, and failed when Meta drops them with their template",
    run: async (context) => {
      const run = await runScenario(context, "template-paced", { sends: 0.3 });
      await run.fill("carts", 20);
      const held = async (): Promise<number> => (await run.stats("carts")).byStatus["held"] ?? 0;
      await until("11 are held", async () => (await held()) === 11);
      await run.later();
      await until("all were released", async () => (await held()) === 0);
      await run.untilDone(["carts"]);
      assert.deepEqual(await burnt(run, "carts"), []);
      await run.fill("carts", 20);
      await until("the next are held", async () => (await held()) === 10);
      const before = (await run.simulator.received()).filter(({ end }) => end?.status === "held");
      assert.ok(before.length >= 10);
      await run.later();
      await until("none is held", async () => (await held()) === 0);
      await untilParked(run, "carts", /PAUSED/);
      const { dropped } = (await run.simulator.stats()).held;
      assert.equal(dropped, before.length);
      const rows = await run.csv("carts");
      const ofDropped = rows.filter(({ error_code: code }) => code === "132015").map(({ status }) => status);
      assert.deepEqual(
        ofDropped,
        Array.from({ length: dropped }, () => "failed"),
      );
    },
  },
  {
    name: "a template that becomes marketing parks the transactional campaign and says what to do",
    run: async (context) => {
      const run = await runScenario(context, "template-changed", { campaigns: [orders(), shipping()] });
      await run.fill("orders", 10);
      await run.untilDone(["orders"]);
      assert.equal((await run.campaign("orders")).parked, null, "an announcement changes nothing yet");
      await run.later();
      await untilParked(run, "orders", /^lane: .*MARKETING.*lane: marketing/);
      const parked = await run.campaign("orders");
      assert.equal(parked.parked?.takesEvents, true);
      const id = await run.trigger("orders", "+4915200000001");
      assert.equal((await run.message(id)).status, "queued");
      await run.fill("shipping", 5);
      await run.untilDone(["shipping"]);
      assert.deepEqual(await burnt(run, "shipping"), []);
    },
  },
  {
    name: "an edited template that its campaign does not fit any more is read again, and only what was under way is lost",
    run: async (context) => {
      const run = await runScenario(context, "template-changed", {
        sends: 0.2,
        campaigns: [orders(), shipping()],
        adapt: inSilence,
      });
      const before = (await run.simulator.stats()).management.calls;
      await run.fill("shipping", 400);
      await until("the campaign has a fault", async () => (await run.campaign("shipping")).faults.length > 0);
      const { faults, parked, status } = await run.campaign("shipping");
      assert.deepEqual([parked, status], [null, "paused"]);
      assert.match(faults.map(({ path, message }) => `${path}: ${message}`).join("; "), /template/);
      assert.ok((await run.simulator.stats()).management.calls > before, "the template was read again");
      const { byStatus, byError } = await run.stats("shipping");
      context.diagnostic(JSON.stringify(byError));
      assert.ok((byStatus["queued"] ?? 0) > 0, "nothing was left to save");
    },
  },
];

async function untilParked(run: ScenarioRun, campaignId: string, reason: RegExp): Promise<void> {
  await until(`${campaignId} is parked for ${reason.source}`, async () =>
    ((await run.campaign(campaignId)).parked?.reasons ?? []).some((one) => reason.test(one)),
  );
}

async function untilUnparked(run: ScenarioRun, campaignId: string): Promise<void> {
  await until(`${campaignId} works again`, async () => {
    const { parked, status } = await run.campaign(campaignId);
    return parked === null && status === "active";
  });
}

/** Meta tells nobody. */
function inSilence(scenario: Scenario): Scenario {
  const quiet = scenario.events.map(({ when, do: changes }) => {
    return { when, do: [changes].flat().map((change) => ({ ...change, quiet: true })) };
  });
  return { ...scenario, events: quiet };
}
