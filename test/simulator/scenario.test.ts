import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { loadScenarioFile } from "../../engine/simulator/scenario-file.ts";
import { readScenario } from "../../engine/simulator/scenario-reading.ts";
import type { Scenario } from "../../engine/simulator/scenario.ts";

const valid = (input: unknown): Scenario => {
  const reading = readScenario(input);
  assert.ok(reading.kind === "valid", JSON.stringify(reading));
  return reading.scenario;
};

const faults = (input: unknown): string => {
  const reading = readScenario(input);
  assert.ok(reading.kind === "invalid");
  return reading.faults.join("\n");
};

test("an empty scenario is a WhatsApp where nothing goes wrong", () => {
  const scenario = valid({});
  assert.deepEqual(scenario.failures, []);
  assert.equal(scenario.answers.latency, 0);
  assert.deepEqual(scenario.events, []);
  const { number, pair, dailyRecipients } = scenario.limits;
  assert.deepEqual([number, pair, dailyRecipients], ["enforced", { periodSeconds: 6, burst: 45 }, "unlimited"]);
});

test("every preset is a valid scenario, and reading a scenario again changes nothing", () => {
  for (const preset of ["perfect", "realistic", "rough"]) {
    const scenario = valid({ preset });
    assert.deepEqual(valid(structuredClone(scenario)), scenario);
  }
});

test("a field replaces the preset's and leaves its neighbours", () => {
  const scenario = valid({ preset: "rough", answers: { latency: { minMs: 1, maxMs: 2 } }, failures: [] });
  assert.deepEqual(scenario.answers.latency, { minMs: 1, maxMs: 2 });
  assert.deepEqual(scenario.answers.cut, { share: 0.01, acceptedShare: 0.7 });
  assert.deepEqual(scenario.failures, []);
});

test("all faults are told at once, each with its place", () => {
  const message = faults({
    answers: { latency: { medianMs: 5 }, cut: { share: 2, acceptedShare: 1 } },
    failures: [{ code: "131026", share: 0.1, where: "phone" }],
    statuses: { readshare: 1 },
    limits: { pair: "off" },
    weather: {},
  });
  assert.match(message, /\/answers\/latency must be milliseconds, \{ minMs, maxMs \} or/);
  assert.match(message, /\/answers\/cut\/share must be <= 1/);
  assert.match(message, /\/failures\/0\/code must be integer/);
  assert.match(message, /\/failures\/0\/where .*\(answer, webhook\)/);
  assert.match(message, /\/statuses has no field readshare/);
  assert.match(message, /\/limits\/pair must be "ignored" or/);
  assert.match(message, /the scenario has no field weather/);
});

test("shares that cannot add up, a failure without code and an unknown preset are refused", () => {
  const share = { share: 0.6, acceptedShare: 1 };
  assert.match(faults({ answers: { cut: share, silent: share } }), /\/answers has shares that add up to 1\.2/);
  assert.match(faults({ recipients: [{ suffix: "1", outcome: "failed" }] }), /\/recipients\/0 needs a code/);
  assert.match(faults({ preset: "toString" }), /\/preset must be one of perfect, realistic, rough/);
  assert.match(faults("rough"), /a scenario is an object/);
});

test("events are checked change by change, each fault with its place", () => {
  const change = { template: "greeting", status: "PAUSED" };
  assert.equal(valid({ events: [{ when: { afterSends: 5, plusSeconds: 1 }, do: change }] }).events.length, 1);
  const message = faults({
    events: [
      { when: { afterSends: 5 }, do: { template: "greeting", status: "SLEEPING" } },
      { when: { afterSends: 5 }, do: [change, { number: "1", template: "2" }, "pause"] },
      { when: { atSeconds: 5 }, do: { account: "*", fails: { reason: 1 } } },
    ],
  });
  assert.match(message, /\/events\/0\/do\/status .*PAUSED/);
  assert.match(message, /\/events\/1\/do\/1 must name one of template, number, account/);
  assert.match(message, /\/events\/1\/do\/2 is an object/);
  assert.match(message, /\/events\/2\/do\/fails must be \{ code, share\?/);
  assert.match(
    faults({ events: [{ when: { afterSends: 5, atSeconds: 5 }, do: change }] }),
    /\/events\/0\/when must be/,
  );
  const many = Array.from({ length: 1001 }, () => change);
  assert.match(faults({ events: [{ when: { atSeconds: 0 }, do: many }] }), /more than 1000 changes/);
  assert.match(
    faults({ recipients: [{ suffix: "1", outcome: "read", replies: {} }] }),
    /replies must hold one of text/,
  );
});

test("a file may hold YAML or JSON, and its faults name the file", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "volley-scenario-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "scenario.yaml");
  writeFileSync(file, "preset: rough\nstatuses: { readShare: 1 }\n");
  assert.equal(loadScenarioFile(file).statuses.readShare, 1);
  writeFileSync(file, '{"statuses":{"readShare":7}}');
  assert.throws(() => loadScenarioFile(file), { code: "ERR_CONFIG_INVALID", message: /scenario\.yaml.*readShare/ });
  assert.throws(() => loadScenarioFile(join(folder, "none.yaml")), { code: "ERR_CONFIG_UNREADABLE" });
});
