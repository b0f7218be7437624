import assert from "node:assert/strict";
import { test } from "node:test";

import { createChance } from "../../engine/simulator/chance.ts";
import { Fates, type Fate } from "../../engine/simulator/fate.ts";
import { readScenario } from "../../engine/simulator/scenario-reading.ts";
import type { ScenarioInput } from "../../engine/simulator/scenario.ts";

const fatesOf = (input: ScenarioInput, seed = 5): Fates => {
  const reading = readScenario(input);
  assert.ok(reading.kind === "valid", JSON.stringify(reading));
  return new Fates(reading.scenario, createChance(seed));
};

const shareOf = (fates: Fates, count: number, wanted: (fate: Fate) => boolean): number =>
  Array.from({ length: count }, () => fates.draw("14155550100")).filter(wanted).length / count;

const near = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) < 0.02, `${actual} is not near ${expected}`);

test("without a scenario every message is delivered at once", () => {
  const fates = fatesOf({});
  const fate = fates.draw("14155550100");
  assert.deepEqual(fate, {
    refusal: null,
    isTaken: true,
    form: "answered",
    answerAfterMs: 0,
    isHeld: false,
    end: "delivered",
    failedCode: null,
    isEarly: false,
    isWithoutPhone: false,
    hasChangingPrice: false,
    reply: null,
  });
  assert.deepEqual(
    fates.updates(fate).map((update) => update.status),
    ["sent", "delivered"],
  );
});

test("failures, losses and ends come in their shares", () => {
  const fates = fatesOf({
    answers: { cut: { share: 0.1, acceptedShare: 0.5 }, garbled: { share: 0.05, acceptedShare: 0 } },
    failures: [
      { code: 131000, share: 0.1, where: "answer" },
      { code: 131026, share: 0.2, where: "webhook" },
    ],
    statuses: { readShare: 0.5, undeliveredShare: 0.1 },
  });
  const draws = 20_000;
  near(
    shareOf(fates, draws, (fate) => fate.refusal?.code === 131000),
    0.1,
  );
  near(
    shareOf(fates, draws, (fate) => fate.end === "failed" && fate.failedCode === 131026),
    0.2,
  );
  near(
    shareOf(fates, draws, (fate) => fate.form === "cut"),
    0.1,
  );
  near(
    shareOf(fates, draws, (fate) => fate.form === "cut" && fate.isTaken),
    0.1 * 0.5 * 0.9,
  );
  near(
    shareOf(fates, draws, (fate) => fate.form === "garbled" && fate.isTaken),
    0,
  );
  near(
    shareOf(fates, draws, (fate) => fate.refusal === null && fate.end === "sent"),
    0.7 * 0.1,
  );
  near(
    shareOf(fates, draws, (fate) => fate.refusal === null && fate.end === "read"),
    0.7 * 0.9 * 0.5,
  );
});

test("a recipient's rule decides instead of chance, as often as it says", () => {
  const fates = fatesOf({
    failures: [{ code: 131000, share: 1, where: "answer" }],
    recipients: [
      { suffix: "0001", outcome: "failed", code: 131016, where: "answer", times: 2 },
      { suffix: "0001", outcome: "read" },
      { suffix: "0002", outcome: "dropped" },
      { suffix: "0003", outcome: "cut", accepted: false },
    ],
  });
  const first = [fates.draw("14155550001"), fates.draw("14155550001"), fates.draw("14155550001")];
  assert.deepEqual(
    first.map((fate) => fate.refusal?.code ?? fate.end),
    [131016, 131016, "read"],
  );
  assert.equal(fates.draw("34600000001").refusal?.code, 131016, "each recipient has its own count");
  const dropped = fates.draw("14155550002");
  assert.deepEqual([dropped.isHeld, dropped.end, dropped.failedCode], [true, "failed", 132015]);
  const cut = fates.draw("14155550003");
  assert.deepEqual([cut.form, cut.isTaken], ["cut", false]);
});

test("updates happen in order, are doubled and overtake each other as told", () => {
  const fates = fatesOf({
    statuses: {
      sentAfter: 10,
      deliveredAfter: 20,
      readAfter: 30,
      readShare: 1,
      duplicateShare: 1,
      reorderShare: 1,
      reorderBy: 1000,
    },
  });
  const updates = fates.updates(fates.draw("14155550100"));
  assert.deepEqual(
    updates.map((update) => [update.status, update.happensAfterMs, update.postedAfterMs]),
    [
      ["sent", 10, 1010],
      ["sent", 10, 2010],
      ["delivered", 30, 1030],
      ["delivered", 30, 2030],
      ["read", 60, 1060],
      ["read", 60, 2060],
    ],
  );
});

const statuses = (fates: Fates): string[] =>
  fates.updates(fates.draw("14155550100")).map((update) => `${update.status}${update.errorCode ?? ""}`);

test("a read message may never be reported as delivered, and a failed one only as failed", () => {
  const skipping = fatesOf({ statuses: { readShare: 1, deliveredSkippedShare: 1 } });
  assert.deepEqual(statuses(skipping), ["sent", "read"]);
  assert.deepEqual(statuses(fatesOf({ failures: [{ code: 131049, share: 1, where: "webhook" }] })), ["failed131049"]);
});
