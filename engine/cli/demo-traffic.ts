// Starts the demo's shop in its thread and waits for what it has to tell.

import { Worker } from "node:worker_threads";

import { EngineError } from "../runtime/errors.ts";
import type { TrafficMessage, TrafficResult, TrafficStart } from "./demo-traffic-thread.ts";

export function runTraffic(start: TrafficStart, onAccepted: (accepted: number) => void): Promise<TrafficResult> {
  const worker = new Worker(new URL("./demo-traffic-thread.js", import.meta.url), {
    workerData: start,
  });
  return new Promise((resolve, reject) => {
    worker.on("message", (message: TrafficMessage) => {
      if (message.kind === "progress") onAccepted(message.accepted);
      else if (message.kind === "done") resolve(message.result);
      else reject(new EngineError("ERR_CLI_API", `The demo's events could not be posted: ${message.message}`));
    });
    worker.on("error", reject);
    // After an answer this changes nothing.
    worker.on("exit", (code) => reject(new Error(`The demo's shop ended with ${code} before it was done.`)));
  });
}
