// Reads a scenario from a YAML or JSON file.

import { readFileSync } from "node:fs";

import { parse } from "yaml";

import { EngineError, messageOf } from "../runtime/errors.ts";
import { readScenario } from "./scenario-reading.ts";
import type { Scenario } from "./scenario.ts";

/** @throws EngineError ERR_CONFIG_UNREADABLE, or ERR_CONFIG_INVALID with every fault. */
export function loadScenarioFile(file: string): Scenario {
  const reading = readScenario(parseFile(file));
  if (reading.kind === "valid") return reading.scenario;
  throw new EngineError("ERR_CONFIG_INVALID", `${file}: ${reading.faults.join("; ")}`);
}

function parseFile(file: string): unknown {
  try {
    return parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new EngineError("ERR_CONFIG_UNREADABLE", `${file}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
