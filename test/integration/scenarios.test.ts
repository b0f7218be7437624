// The ready scenarios of config/scenarios/, each with a real engine: what docs/simulator.md says a set-up should show is
// what this one shows.
//
// They run beside each other: most of the time each waits for something (a probe comes after 30 s, a number's upgrade
// takes a minute), and an engine that waits costs nothing.

import { describe, test } from "node:test";

import { consentScenarios } from "./scenarios/consent.ts";
import { numberScenarios } from "./scenarios/numbers.ts";
import { templateScenarios } from "./scenarios/templates.ts";
import { timingScenarios } from "./scenarios/timing.ts";
import { webhookScenarios } from "./scenarios/webhooks.ts";

const ALL = [...numberScenarios, ...templateScenarios, ...webhookScenarios, ...consentScenarios, ...timingScenarios];
/** What takes longest begins. */
const SCENARIOS = ALL.toSorted((one, other) => Number(other.isSlow ?? false) - Number(one.isSlow ?? false));
/** Engines beside each other. */
const CONCURRENCY = 12;
const TIMEOUT_MS = 150_000;

describe("ready scenarios", { concurrency: CONCURRENCY }, () => {
  for (const { name, run } of SCENARIOS) {
    test(name, { timeout: TIMEOUT_MS }, run);
  }
});
