import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import type { Change } from "../../engine/simulator/change.ts";
import { loadScenarioFile } from "../../engine/simulator/scenario-file.ts";
import type { Scenario } from "../../engine/simulator/scenario.ts";

const FOLDER = "config/scenarios";
const files = readdirSync(FOLDER);
const templates = new Set(readdirSync("config/templates").map((file) => file.split(".")[0]));
const manual = readFileSync("docs/simulator.md", "utf8");

const changesOf = ({ events }: Scenario): Change[] => events.flatMap((event) => event.do);

test("there are ready scenarios", () => assert.ok(files.length > 10));

for (const file of files) {
  test(`${file} is valid, speaks of templates that exist, and stands in the manual`, () => {
    const scenario = loadScenarioFile(join(FOLDER, file));
    for (const change of changesOf(scenario)) {
      if ("template" in change) assert.ok(change.template === "*" || templates.has(change.template), change.template);
    }
    for (const { when } of scenario.events) {
      if ("template" in when && when.template !== undefined) assert.ok(templates.has(when.template), when.template);
    }
    assert.ok(manual.includes(file), `docs/simulator.md does not mention ${file}`);
  });
}
