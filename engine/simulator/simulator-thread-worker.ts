// The simulator's own thread: its composition root.

import { parentPort, workerData } from "node:worker_threads";

import { plainError, type NumberedCall, type NumberedResult, type SimulatorCall } from "./simulator-thread-protocol.ts";
import type { Simulator, SimulatorOptions } from "./simulator.ts";
import { startSimulator } from "./uws-simulator.ts";

function send(result: NumberedResult): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window.
  parentPort?.postMessage(result);
}

function answer(simulator: Simulator, call: SimulatorCall): unknown {
  switch (call.kind) {
    case "received":
      return simulator.received();
    case "scenario":
      return simulator.scenario();
    case "setScenario":
      return simulator.setScenario(call.scenario);
    case "setTemplates":
      return simulator.setTemplates(call.templates);
    case "setWebhookUrl":
      return simulator.setWebhookUrl(call.url);
    case "state":
      return simulator.state();
    case "setState":
      return simulator.setState(call.changes);
    case "receiveInbound":
      return simulator.receiveInbound(call.inbound);
    case "stats":
      return simulator.stats();
    case "idle":
      return simulator.idle();
    case "close":
      return simulator.close();
  }
}

async function answerCall(simulator: Simulator, { number, call }: NumberedCall): Promise<void> {
  try {
    send({ number, kind: "result", value: await answer(simulator, call) });
  } catch (error) {
    send({ number, kind: "error", error: plainError(error) });
  }
  if (call.kind === "close") parentPort?.close();
}

try {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only startSimulatorThread starts this file.
  const simulator = await startSimulator(workerData as SimulatorOptions);
  parentPort?.on("message", (call: NumberedCall) => void answerCall(simulator, call));
  const { url, port, seed } = simulator;
  send({ number: 0, kind: "result", value: { url, port, seed } });
} catch (error) {
  send({ number: 0, kind: "error", error: plainError(error) });
}
