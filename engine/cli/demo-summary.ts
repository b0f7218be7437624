// What the demo tells at its end.

import type { DemoAudit } from "./demo-audit.ts";
import type { TrafficResult } from "./demo-traffic-thread.ts";
import { countText } from "./table.ts";

export interface DemoSummary {
  readonly audit: DemoAudit;
  readonly traffic: TrafficResult;
  /** From the first event to the last final status. */
  readonly totalMs: number;
  readonly csvFile: string;
}

const LABEL_WIDTH = 12;
const COUNT_WIDTH = 9;

export function summaryLines({ audit, traffic, totalMs, csvFile }: DemoSummary): string[] {
  const { reached } = audit;
  const failed = audit.failures.reduce((sum, { count }) => sum + count, 0);
  const ackMs = `p50 ${traffic.ackMs.p50.toFixed(1)} ms, p99 ${traffic.ackMs.p99.toFixed(1)} ms`;
  return [
    "",
    counted("accepted", traffic.acceptedIds.length, repetitions(traffic)),
    counted("sent", reached.sent),
    counted("delivered", reached.delivered),
    counted("read", reached.read),
    counted("failed", failed),
    ...audit.failures.map(({ status, errorCode, reason, count }) =>
      counted(`  ${errorCode === "" ? status : errorCode}`, count, reason),
    ),
    counted("events/s", Math.round(rate(traffic.acceptedIds.length, traffic.durationMs)), "accepted and on disk"),
    counted("messages/s", Math.round(rate(audit.rows, totalMs)), "from the trigger to the final status"),
    `${"ack".padEnd(LABEL_WIDTH)} ${ackMs}`,
    `${"CSV".padEnd(LABEL_WIDTH)} ${csvFile}, ${countText(audit.rows)} rows`,
    "",
    ...traffic.refusals.map((refusal) => `REFUSED: ${refusal}`),
    ...audit.disagreements.map((sentence) => `LOST: ${sentence}`),
    ...(audit.disagreements.length === 0 && traffic.refusals.length === 0
      ? ["Nothing lost: 202s, CSV and the simulated WhatsApp agree on every message."]
      : []),
  ];
}

export function summaryJson({ audit, traffic, totalMs, csvFile }: DemoSummary): object {
  return {
    accepted: traffic.acceptedIds.length,
    duplicates: traffic.duplicates,
    ...audit.reached,
    failures: audit.failures,
    rows: audit.rows,
    eventsPerSecond: Math.round(rate(traffic.acceptedIds.length, traffic.durationMs)),
    messagesPerSecond: Math.round(rate(audit.rows, totalMs)),
    ackMs: traffic.ackMs,
    csvFile,
    refusals: traffic.refusals,
    disagreements: audit.disagreements,
  };
}

function counted(label: string, count: number, note = ""): string {
  return `${label.padEnd(LABEL_WIDTH)} ${countText(count).padStart(COUNT_WIDTH)}  ${note}`.trimEnd();
}

function repetitions({ duplicates }: TrafficResult): string {
  return duplicates === 0 ? "" : `and ${countText(duplicates)} repeated ones recognised`;
}

function rate(count: number, durationMs: number): number {
  return durationMs <= 0 ? 0 : (count / durationMs) * 1000;
}
