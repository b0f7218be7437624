// One ready scenario and what a set-up should show of it (the table in docs/simulator.md).

import type { TestContext } from "node:test";

export interface ScenarioCase {
  readonly name: string;
  /** It waits for half a minute or more. */
  readonly isSlow?: true;
  run(context: TestContext): Promise<void>;
}
