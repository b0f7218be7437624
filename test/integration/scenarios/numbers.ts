// Limits, restrictions and credentials of numbers, accounts and countries.

import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { ReceivedSend } from "../../../engine/simulator/received-send.ts";
import {
  burnt,
  isGood,
  orders,
  refused,
  runScenario,
  type ScenarioRun,
  type ScenarioRunOptions,
} from "../../support/scenario-run.ts";
import { until } from "../../support/until.ts";
import { ACCESS_TOKEN, PHONE_NUMBER_ID } from "../../support/workspace.ts";
import type { ScenarioCase } from "./scenario-case.ts";

/** What may be under way when a refusal comes: 80 a second, an answer in at most a second on a slow machine. */
const UNDER_WAY_MAX = 100;
/** Of throttled.yaml. */
const TRUE_RATE = 50;
const THROTTLED_EVENTS = 1_700;
/** Mostly 83 %; a busy machine bunches what leaves. test/actor/learned-rate.test.ts has the figure without one. */
const USED_SHARE_MIN = 0.75;
/** The rate is found within this. */
const LEARNING_MS = 10_000;
/** Of 250 people a day, for orders. */
const KEPT = 13;
const SECOND_NUMBER = "206540352242922";

export const numberScenarios: readonly ScenarioCase[] = [
  {
    name: "a number that is upgraded pauses, goes on faster, and back, and loses nothing",
    isSlow: true,
    run: async (context) => {
      const run = await runScenario(context, "throughput-upgrade", { sends: 0.2, change: autoLimits });
      await until("the number was read", async () => (await run.sender()).rate.granted === 80);
      await run.fill("orders", 3_000);
      await until("the number is in maintenance", async () => (await refused(run, 131057)) > 0);
      await run.later();
      await until("the upgrade is known", async () => (await run.sender()).rate.now === 1_000);
      await run.untilDone(["orders"], 120_000);
      assert.deepEqual(await burnt(run, "orders"), []);
      assert.ok((await refused(run, 131057)) <= UNDER_WAY_MAX);
      const { arrivalsPerSecondPeak } = (await run.simulator.stats()).numbers[PHONE_NUMBER_ID] ?? {};
      assert.ok((arrivalsPerSecondPeak ?? 0) > 300, `never faster than ${arrivalsPerSecondPeak} a second`);
      await run.later();
      await until("the downgrade is known", async () => (await run.sender()).rate.now === 80);
    },
  },
  {
    name: "a number that takes less than it was granted is found out, used well, and goes back to its rate",
    isSlow: true,
    run: async (context) => {
      const run = await runScenario(context, "throttled", { sends: 0.5 });
      await run.fill("orders", THROTTLED_EVENTS);
      await until("1,000 were taken", async () => (await taken(run)).length >= 1_000, 120_000);
      const { perSecond, refusedShare } = rateOf(await run.simulator.received());
      context.diagnostic(
        `${perSecond.toFixed(1)} of ${TRUE_RATE} a second, ${(refusedShare * 100).toFixed(1)} % refused`,
      );
      assert.ok(
        refusedShare < 0.05 && perSecond >= USED_SHARE_MIN * TRUE_RATE,
        `${perSecond} a second, ${refusedShare} refused`,
      );
      await until("a webhook told of it", async () => (await failedWith(run, "130429")) > 0);
      await run.later();
      // Ended by the webhook: another of the person's devices may have it, so they are not sent again.
      await run.untilDone(["orders"], 120_000);
      const lost = await failedWith(run, "130429");
      context.diagnostic(`${lost} told as too fast by webhook`);
      assert.ok(lost <= 0.1 * THROTTLED_EVENTS, `${lost} were lost to webhooks that told of the rate`);
      await until("the rate is back", async () => (await run.sender()).rate.now === 80, 60_000);
    },
  },
  {
    name: "too many messages to one person hold up that person alone",
    isSlow: true,
    run: async (context) => {
      const run = await runScenario(context, "pair-throttled");
      await run.fill("orders", 5, () => "+4915200000001");
      await until("the pair is throttled", async () => (await refused(run, 131056)) > 0);
      await run.fill("orders", 100);
      await until("all others are through", async () => (await run.stats("orders")).waiting === 3);
      const friend = (await run.csv("orders")).filter(({ phone_number: phone }) => phone?.endsWith("4915200000001"));
      assert.equal(friend.filter(({ status }) => status === "retrying" || status === "queued").length, 3);
      assert.ok((await refused(run, 131056)) <= 6);
      await run.simulator.setScenario({ limits: { pair: "ignored" } });
      await run.untilDone(["orders"], 90_000);
      assert.deepEqual(await burnt(run, "orders"), []);
    },
  },
  {
    name: "with an expired token nothing is sent, and with a new one in its file all goes on at once",
    run: async (context) => {
      let file = "";
      const run = await runScenario(context, "token-expired", {
        sends: 0.5,
        change: (config, folder) => {
          file = join(folder, "token");
          writeFileSync(file, `${ACCESS_TOKEN}\n`);
          config.senders["main"] = { ...config.senders["main"], accessToken: "${TOKEN}" };
        },
        environment: (folder) => ({ TOKEN_FILE: join(folder, "token") }),
      });
      await run.fill("orders", 200);
      const block = await run.untilBlocked(190);
      assert.equal(block.scope, "token");
      const { received } = (await run.simulator.stats()).answers;
      await run.simulator.setState({ token: "a-new-one", valid: true });
      writeFileSync(`${file}.new`, "a-new-one\n");
      renameSync(`${file}.new`, file);
      await run.untilDone(["orders"]);
      const first = (await run.simulator.received())[received];
      assert.ok(first && first.arrivedAtMs < Date.parse(block.until), "it waited for the probe");
      assert.deepEqual(await burnt(run, "orders"), []);
      assert.ok((await refused(run, 190)) <= UNDER_WAY_MAX);
      assert.deepEqual((await run.sender()).blocks, []);
    },
  },
  {
    name: "while the account is restricted both of its numbers wait, then go on",
    isSlow: true,
    run: async (context) => {
      const run = await runScenario(context, "account-restricted", { sends: 0.5, ...twoNumbers() });
      await run.fill("orders", 100);
      const { scope } = await run.untilBlocked(131031);
      assert.equal(scope, "account");
      await run.untilBlocked(131031, "second");
      await run.fill("by-second", 20);
      await until("they wait", async () => (await run.stats("by-second")).byStatus["queued"] === 20);
      await run.later();
      await run.untilDone(["orders", "by-second"], 90_000);
      assert.deepEqual([...(await burnt(run, "orders")), ...(await burnt(run, "by-second"))], []);
      assert.ok((await refused(run, 131031)) <= UNDER_WAY_MAX);
    },
  },
  {
    name: "a payment problem that only webhooks tell stops everything, and what it cost is sent again",
    isSlow: true,
    run: async (context) => {
      // Slow, so that few are taken before the first webhook: those come back as retries, which go one by one.
      const run = await runScenario(context, "payment-problem", {
        sends: 0.2,
        campaigns: [orders({ messagesPerSecond: 20 })],
      });
      await run.fill("orders", 60);
      assert.equal((await run.untilBlocked(131042)).scope, "account");
      await until("something waits", async () => (await run.stats("orders")).waiting > 0);
      await run.later();
      await run.untilDone(["orders"], 120_000);
      assert.deepEqual(await burnt(run, "orders"), []);
      const failed = (await run.simulator.received()).filter(({ end }) => end?.errorCode === 131042);
      assert.ok(failed.length <= UNDER_WAY_MAX, `${failed.length} were taken and failed`);
      assert.equal((await run.stats("orders")).doubleSends, 0);
    },
  },
  {
    name: "a restricted country waits, whether it is told at once or by webhook, and others go on",
    isSlow: true,
    run: async (context) => {
      const run = await runScenario(context, "country-restricted", { campaigns: [orders({ messagesPerSecond: 20 })] });
      const countries = ["+346120", "+3933312", "+49151212"];
      await run.fill("orders", 120, (index) => `${countries[index % 3]}${String(30_000 + index)}`);
      const blocks = async (): Promise<string> =>
        (await run.sender()).blocks
          .map(({ scope, subject }) => `${scope} ${subject}`)
          .toSorted()
          .join();
      await until("both countries are blocked", async () => (await blocks()) === "country ES,country IT");
      const of = async (country: number): Promise<readonly string[]> =>
        (await run.csv("orders"))
          .filter(({ phone_number: phone = "" }) => phone.includes((countries[country] ?? "").slice(1)))
          .map(({ status, error_code: code }) => `${status} ${code}`);
      await until("Germany is done", async () =>
        (await of(2)).every((end) => /^(sent|delivered|read|failed) /.test(end)),
      );
      const burntIn = async (country: number): Promise<number> =>
        (await of(country)).filter((end) => end === "failed 130497").length;
      const [spain = 0, italy = 0, germany = 0] = await Promise.all([0, 1, 2].map(burntIn));
      context.diagnostic(`failed: ${spain} in Spain, ${italy} in Italy`);
      assert.ok(spain <= 10 && italy <= 20 && germany === 0, `${spain}, ${italy}, ${germany} failed`);
      await run.simulator.setState(["34", "39"].map((callingCode) => ({ callingCode, fails: null })));
      await run.untilDone(["orders"], 90_000);
      assert.ok((await of(0)).filter((end) => /^(sent|delivered|read) /.test(end)).length > 30);
    },
  },
  {
    name: "a number that people report rests, and nothing is burnt",
    isSlow: true,
    run: async (context) => {
      const run = await runScenario(context, "spam-limited", { sends: 0.25 });
      await run.fill("carts", 150);
      assert.equal((await run.untilBlocked(131048)).scope, "number");
      await run.later();
      await run.untilDone(["carts"], 90_000);
      assert.deepEqual(await burnt(run, "carts"), []);
      assert.ok((await refused(run, 131048)) <= UNDER_WAY_MAX);
    },
  },
  {
    name: "no more people than the portfolio may reach, orders first, and more of them once it may",
    run: async (context) => {
      const run = await runScenario(context, "daily-limit", { messagesPerSecond: 1_000, change: autoLimits });
      await until("the limit is known", async () => (await run.sender()).recipients.allowance === 250);
      const offers = await run.fill("carts", 300, (index) => `+49151${String(30_000_000 + index)}`);
      // A twentieth is kept for orders.
      await until("marketing waits", async () => (await run.sender()).recipients.used === 250 - KEPT);
      await run.fill("orders", KEPT);
      await until("all places are used", async () => (await run.sender()).recipients.used === 250);
      const late = await run.trigger("orders", "+4915200000009");
      const again = await run.trigger("orders", "+4915130000000");
      await until("who was reached is reached again", async () => isGood(await run.message(again)));
      assert.equal((await run.stats("carts")).waiting, offers.length - 250 + KEPT);
      assert.equal((await run.message(late)).status, "queued");
      assert.equal((await run.simulator.stats()).recipients.peak, 250);
      await run.later();
      await until("the new limit is known", async () => (await run.sender()).recipients.allowance === 2_000);
      // What waits already was told when to ask again, within an hour; what comes now need not wait.
      const more = await run.trigger("carts", "+4915200000010");
      await until("new people are reached", async () => isGood(await run.message(more)));
      assert.equal((await run.stats("carts")).byError["131048"] ?? 0, 0);
    },
  },
  {
    name: "marketing finds the marketing door, and the way back when that one closes",
    run: async (context) => {
      const run = await runScenario(context, "marketing-door");
      await run.fill("carts", 200);
      await run.fill("orders", 50);
      await run.untilDone(["carts", "orders"]);
      const doors = async (): Promise<Record<string, number>> => {
        const count: Record<string, number> = {};
        for (const { templateName, route } of await taken(run))
          count[`${templateName} ${route}`] = (count[`${templateName} ${route}`] ?? 0) + 1;
        return count;
      };
      assert.deepEqual(await doors(), { "abandoned_cart marketing_messages": 200, "order_confirmation messages": 50 });
      assert.ok((await refused(run, 131063)) <= UNDER_WAY_MAX);
      await run.simulator.setState({ account: "*", marketingOnMessages: true, marketingMessages: "off" });
      await run.fill("carts", 100);
      await run.untilDone(["carts"]);
      assert.equal((await doors())["abandoned_cart messages"], 100);
      assert.deepEqual([...(await burnt(run, "carts")), ...(await burnt(run, "orders"))], []);
    },
  },
];

const autoLimits: NonNullable<ScenarioRunOptions["change"]> = ({ senders }) => {
  senders["main"] = { ...senders["main"], messagesPerSecond: "auto", dailyRecipients: "auto" };
};

function twoNumbers(): ScenarioRunOptions {
  const main = { phoneNumberId: PHONE_NUMBER_ID, messagesPerSecond: 80 };
  return {
    senders: { main, second: { ...main, phoneNumberId: SECOND_NUMBER } },
    campaigns: [orders(), { ...orders(), id: "by-second", sender: "second" }],
  };
}

async function taken(run: ScenarioRun): Promise<readonly ReceivedSend[]> {
  return (await run.simulator.received()).filter(({ answer }) => answer.kind === "accepted");
}

/** After it was found, and while refusals came as answers. */
function rateOf(sends: readonly ReceivedSend[]): { perSecond: number; refusedShare: number } {
  const fromMs = (sends[0]?.arrivedMonotonicMs ?? 0) + LEARNING_MS;
  const counted = sends.filter(({ arrivedMonotonicMs }) => arrivedMonotonicMs >= fromMs);
  const good = counted.filter(({ answer }) => answer.kind === "accepted");
  const seconds = ((counted.at(-1)?.arrivedMonotonicMs ?? 0) - fromMs) / 1_000;
  const throttled = counted.filter(({ answer }) => answer.kind === "refused" && answer.errorCode === 130429);
  return { perSecond: good.length / seconds, refusedShare: throttled.length / counted.length };
}

async function failedWith(run: ScenarioRun, errorCode: string): Promise<number> {
  return (await run.stats("orders")).byError[errorCode] ?? 0;
}
