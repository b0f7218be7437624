// The dispatch core through a thousand runs of chance (VOLLEY_SEEDS for more), and the same number of runs with faults
// planted, each of which its invariant has to see.
//
// Half of the seeds are the same every time, so that what passes keeps passing; the others are new and are printed:
// VOLLEY_SEED=N runs one of them again.

import assert from "node:assert/strict";
import { test } from "node:test";

import { simulate } from "./dispatch-run.ts";
import { RULES } from "./dispatch-run.ts";
import { type InvariantName, type Violation, violationsOf } from "./invariants.ts";
import { PLANTED_FAULTS, type Plant } from "./planted-faults.ts";

const SEEDS = Number(process.env["VOLLEY_SEEDS"] ?? 1_000);
const FRESH_SHARE = 0.1;
const CONTROL_SEEDS_MAX = 40;
const FAILURES_MAX = 3;
const FRESH_FIRST = 1_000_000;

test(`all invariants hold in ${SEEDS} runs`, { timeout: 1_800_000 }, async (context) => {
  const single = process.env["VOLLEY_SEED"];
  const fresh = FRESH_FIRST + (Date.now() % FRESH_FIRST);
  const freshCount = Math.ceil(SEEDS * FRESH_SHARE);
  const seeds = single === undefined ? [...range(1, SEEDS), ...range(fresh, freshCount)] : [Number(single)];
  if (single === undefined)
    context.diagnostic(`seeds 1 to ${SEEDS}, and fresh ones ${fresh} to ${fresh + freshCount - 1}`);
  const failures: string[] = [];
  const seen = { accepted: 0, receipts: 0, updates: 0, doubles: 0 };
  for (const seed of seeds) {
    // oxlint-disable-next-line no-await-in-loop -- one at a time: a run has the thread for itself
    const log = await simulate(seed).catch((error: unknown) => {
      failures.push(`seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`);
      return null;
    });
    if (log !== null) {
      seen.accepted += log.accepted.length;
      seen.receipts += log.receipts.length;
      seen.updates += log.updates.length;
      failures.push(...textsOf(seed, violationsOf(log, RULES)));
    }
    if (failures.length >= FAILURES_MAX) break;
  }
  context.diagnostic(`${seen.accepted} events, ${seen.receipts} requests, ${seen.updates} status updates`);
  assert.deepEqual(failures, []);
});

for (const [name, plant] of Object.entries(PLANTED_FAULTS) as [InvariantName, Plant][]) {
  test(`a planted fault is seen: ${name}`, { timeout: 300_000 }, async (context) => {
    for (let seed = 1; seed <= CONTROL_SEEDS_MAX; seed++) {
      // oxlint-disable-next-line no-await-in-loop -- until one run shows it
      const log = await simulate(seed, plant).catch((error: unknown) => error);
      const found = log instanceof Error ? [] : violationsOf(log as Awaited<ReturnType<typeof simulate>>, RULES);
      const own = found.find(({ invariant }) => invariant === name);
      if (own !== undefined) {
        context.diagnostic(`seed ${seed}: ${own.text}`);
        return;
      }
    }
    assert.fail(`${CONTROL_SEEDS_MAX} runs with the fault planted, and nothing was seen`);
  });
}

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

function textsOf(seed: number, violations: readonly Violation[]): string[] {
  const [first] = violations;
  return first === undefined ? [] : [`seed ${seed}: ${first.invariant}: ${first.text} (${violations.length} in all)`];
}
