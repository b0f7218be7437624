// The demo's shop: posts the orders from a thread of its own, so that the times it measures are not those of an
// engine that shares its thread with its own client.

import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";

import { Pool } from "undici";

import { messageOf } from "../runtime/errors.ts";
import { demoDeliveries, type Delivery } from "./demo-deliveries.ts";
import { demoOrders, seededRandom } from "./demo-orders.ts";

export interface TrafficStart {
  readonly url: string;
  readonly path: string;
  readonly key: string;
  readonly events: number;
  readonly seed: number;
  readonly nowMs: number;
}

export type TrafficMessage =
  | { readonly kind: "progress"; readonly accepted: number }
  | { readonly kind: "done"; readonly result: TrafficResult }
  | { readonly kind: "failed"; readonly message: string };

export interface TrafficResult {
  /** Message ids as the engine's 202s gave them, those of recognised repetitions left out. */
  readonly acceptedIds: readonly string[];
  /** Events of repeated deliveries that the engine recognised. */
  readonly duplicates: number;
  /** Requests made again after a 429 or 503. */
  readonly retries: number;
  /** What the engine would not take, in its own words; none in a sound engine. */
  readonly refusals: readonly string[];
  readonly requests: number;
  /** From the first request to the last answer. */
  readonly durationMs: number;
  /** Of the requests, in milliseconds. */
  readonly ackMs: { readonly p50: number; readonly p99: number };
}

/** As many connections as a busy shop's webhook sender keeps. */
const CONNECTIONS = 32;
const TRIES_MAX = 30;
const PROGRESS_EVERY_MS = 100;
const REFUSALS_MAX = 10;

interface Counts {
  readonly accepted: string[];
  duplicates: number;
  retries: number;
  readonly refusals: string[];
  readonly ackTimesMs: number[];
}

async function run(start: TrafficStart): Promise<TrafficResult> {
  const pool = new Pool(start.url, { connections: CONNECTIONS, pipelining: 1 });
  const counts: Counts = { accepted: [], duplicates: 0, retries: 0, refusals: [], ackTimesMs: [] };
  const deliveries = demoDeliveries(demoOrders({ ...start, count: start.events }), seededRandom(start.seed + 1));
  const report = setInterval(() => tell({ kind: "progress", accepted: counts.accepted.length }), PROGRESS_EVERY_MS);
  const startedMs = performance.now();
  // Every sender takes the next delivery when it is done with its last: an unbroken stream on each connection.
  const sender = async (): Promise<void> => {
    for (const delivery of deliveries) await deliver(pool, start, delivery, counts);
  };
  try {
    await Promise.all(Array.from({ length: CONNECTIONS }, sender));
  } finally {
    // Either would keep the thread alive after a failure.
    clearInterval(report);
    await pool.destroy();
  }
  const durationMs = performance.now() - startedMs;
  return {
    acceptedIds: counts.accepted,
    duplicates: counts.duplicates,
    retries: counts.retries,
    refusals: counts.refusals,
    requests: counts.ackTimesMs.length,
    durationMs,
    ackMs: { p50: percentile(counts.ackTimesMs, 0.5), p99: percentile(counts.ackTimesMs, 0.99) },
  };
}

async function deliver(pool: Pool, start: TrafficStart, delivery: Delivery, counts: Counts): Promise<void> {
  for (let attempt = 1; attempt <= TRIES_MAX; attempt++) {
    const sentMs = performance.now();
    const { statusCode, headers, body } = await pool.request({
      method: "POST",
      path: start.path,
      headers: {
        "content-type": "application/json",
        "x-api-key": start.key,
        "x-shopify-topic": "orders/paid",
        "x-shopify-webhook-id": delivery.webhookId,
      },
      body: delivery.body,
    });
    const text = await body.text();
    if (statusCode === 202) {
      counts.ackTimesMs.push(performance.now() - sentMs);
      count(text, counts);
      return;
    }
    if (statusCode !== 429 && statusCode !== 503) return refuse(counts, `${statusCode} ${text}`);
    // The same delivery id makes another try safe, whatever became of the first.
    counts.retries++;
    await sleep(Math.max(1, Number(headers["retry-after"] ?? 1)) * 1000);
  }
  refuse(counts, `still no room for a delivery after ${TRIES_MAX} tries`);
}

interface Receipt {
  readonly messageId?: string;
  readonly duplicate?: boolean;
  readonly error?: unknown;
  readonly results?: readonly Receipt[];
}

/** Of two copies in flight at once either may be the first: only the engine's word counts, not the order of posting. */
function count(text: string, counts: Counts): void {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the contract's answer to a trigger.
  const answer = JSON.parse(text) as Receipt;
  for (const receipt of answer.results ?? [answer]) {
    if (receipt.messageId === undefined) refuse(counts, JSON.stringify(receipt.error ?? receipt));
    else if (receipt.duplicate === true) counts.duplicates++;
    else counts.accepted.push(receipt.messageId);
  }
}

function refuse(counts: Counts, refusal: string): void {
  if (counts.refusals.length < REFUSALS_MAX) counts.refusals.push(refusal);
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function tell(message: TrafficMessage): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window.
  parentPort?.postMessage(message);
}

try {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only demo-traffic.ts starts this file.
  tell({ kind: "done", result: await run(workerData as TrafficStart) });
} catch (error) {
  tell({ kind: "failed", message: messageOf(error) });
}
