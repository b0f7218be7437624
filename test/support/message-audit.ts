// Compares what a shop was promised, what WhatsApp received and what the CSV tells: nothing lost, nothing invented,
// nothing sent twice but what its timeline declares, and no number ever above its limit.

import assert from "node:assert/strict";

import type { ReceivedSend } from "../../engine/simulator/received-send.ts";
import type { AcceptedPost } from "./event-source.ts";

export type CsvRow = Readonly<Record<string, string>>;

export interface AuditInput {
  readonly accepted: readonly AcceptedPost[];
  /** Of all campaigns. */
  readonly rows: readonly CsvRow[];
  readonly sends: readonly ReceivedSend[];
  /** What each campaign does with a message of which nobody knows whether it was sent. */
  readonly policies: Readonly<Record<string, "fail" | "resend">>;
  /** The statuses that a message went through. */
  timeline(messageId: string): Promise<readonly string[]>;
}

export interface AuditSummary {
  readonly events: number;
  readonly byStatus: Readonly<Record<string, number>>;
  /** Ended as failed because nobody could know whether they were sent. */
  readonly unresolved: number;
  /** Of these: were sent. */
  readonly unresolvedButSent: number;
  /** Sent again by policy after nobody could know whether they were sent, and received more than once. */
  readonly resent: number;
}

const FINAL: ReadonlySet<string> = new Set(["sent", "delivered", "read", "failed", "expired"]);
const GOOD: ReadonlySet<string> = new Set(["sent", "delivered", "read"]);
const FAULTS_SHOWN_MAX = 12;
const ID_LENGTH = 26;
const SECOND_MS = 1_000;

/** @throws AssertionError with the first faults and their number. */
export async function auditMessages(input: AuditInput): Promise<AuditSummary> {
  const faults: string[] = [];
  const rows = rowsById(input.rows, faults);
  const receipts = receiptsById(input.sends);
  const events = eventsById(input.accepted, faults);
  for (const id of receipts.keys()) if (!rows.has(id)) faults.push(`WhatsApp received ${id}, which has no row`);
  for (const [id, row] of rows) if (!events.has(id)) faults.push(unpromised(row, receipts.get(id) ?? [], input));

  const tally = { unresolved: 0, unresolvedButSent: 0, resent: 0 };
  const byStatus: Record<string, number> = {};
  for (const [id, event] of events) {
    const row = rows.get(id);
    if (row === undefined) {
      faults.push(`event ${event.number} (${event.campaignId}) got a 202 for ${id}, which has no row`);
      continue;
    }
    const status = row["status"] ?? "";
    byStatus[status] = (byStatus[status] ?? 0) + 1;
    // oxlint-disable-next-line no-await-in-loop -- asks the engine only for the few that are not plain
    faults.push(...(await faultsOf(input, event, row, receipts.get(id) ?? [], tally)));
  }
  const shown = faults.slice(0, FAULTS_SHOWN_MAX);
  assert.equal(faults.length, 0, `${faults.length} faults, such as\n  ${shown.join("\n  ")}`);
  return { events: events.size, byStatus, ...tally };
}

/** The most messages that reached one number within any second, by the number's id. */
export function mostPerSecond(sends: readonly ReceivedSend[]): ReadonlyMap<string, number> {
  const arrivals = new Map<string, number[]>();
  for (const { phoneNumberId, arrivedMonotonicMs } of sends) {
    const known = arrivals.get(phoneNumberId);
    if (known === undefined) arrivals.set(phoneNumberId, [arrivedMonotonicMs]);
    else known.push(arrivedMonotonicMs);
  }
  return new Map([...arrivals].map(([phoneNumberId, times]) => [phoneNumberId, mostInASecond(times)]));
}

/**
 * The most messages that for certain reached one number within a second, by the number's id: those that had not even
 * been decided on when the second began (`dispatched_at`) and had arrived when it ended. A machine that stalls makes
 * messages arrive in a bunch, late but for no fault of the sender; two engines that send at once show here.
 */
export function certainlyMostPerSecond(
  sends: readonly ReceivedSend[],
  rows: readonly CsvRow[],
): ReadonlyMap<string, number> {
  const rowOf = new Map(rows.map((row) => [row["message_id"], row]));
  const journeys = new Map<string, Journey[]>();
  for (const { phoneNumberId, bizOpaqueCallbackData, arrivedAtMs } of sends) {
    const row = rowOf.get(bizOpaqueCallbackData.slice(0, ID_LENGTH));
    // Of several attempts the row tells only the last one's time.
    if (row?.["attempts"] !== "1") continue;
    const journey = { decidedAtMs: Date.parse(row["dispatched_at"] ?? ""), arrivedAtMs };
    const known = journeys.get(phoneNumberId);
    if (known === undefined) journeys.set(phoneNumberId, [journey]);
    else known.push(journey);
  }
  return new Map([...journeys].map(([phoneNumberId, all]) => [phoneNumberId, mostWithinASecond(all)]));
}

interface Journey {
  readonly decidedAtMs: number;
  readonly arrivedAtMs: number;
}

function mostWithinASecond(journeys: readonly Journey[]): number {
  const sorted = journeys.toSorted((one, other) => one.decidedAtMs - other.decidedAtMs);
  let most = 0;
  sorted.forEach(({ decidedAtMs }, first) => {
    const endMs = decidedAtMs + SECOND_MS;
    let count = 0;
    for (let at = first; (sorted[at]?.decidedAtMs ?? Infinity) < endMs; at++) {
      if ((sorted[at]?.arrivedAtMs ?? Infinity) < endMs) count++;
    }
    most = Math.max(most, count);
  });
  return most;
}

function mostInASecond(arrivals: readonly number[]): number {
  const times = arrivals.toSorted((a, b) => a - b);
  let most = 0;
  let first = 0;
  times.forEach((at, last) => {
    while ((times[first] ?? at) <= at - SECOND_MS) first++;
    most = Math.max(most, last - first + 1);
  });
  return most;
}

/** Lines of both that are not in the other; empty for CSVs that tell the same in any order. */
export function differenceOf(one: string, other: string): string[] {
  const lines = [one, other].map((text) => new Set(text.split("\r\n")));
  const [ones = new Set<string>(), others = new Set<string>()] = lines;
  return [
    ...[...ones].filter((line) => !others.has(line)).map((line) => `- ${line}`),
    ...[...others].filter((line) => !ones.has(line)).map((line) => `+ ${line}`),
  ];
}

function rowsById(rows: readonly CsvRow[], faults: string[]): Map<string, CsvRow> {
  const byId = new Map<string, CsvRow>();
  for (const row of rows) {
    const id = row["message_id"] ?? "";
    if (byId.has(id)) faults.push(`${id} has two rows`);
    byId.set(id, row);
  }
  return byId;
}

function eventsById(accepted: readonly AcceptedPost[], faults: string[]): Map<string, AcceptedPost> {
  const byId = new Map<string, AcceptedPost>();
  for (const event of accepted) {
    const other = byId.get(event.messageId);
    if (other !== undefined)
      faults.push(`events ${other.number} and ${event.number} were both promised ${event.messageId}`);
    byId.set(event.messageId, event);
  }
  return byId;
}

function unpromised(row: CsvRow, receipts: readonly ReceivedSend[], { rows }: AuditInput): string {
  const twins = rows.filter((other) => other !== row && other["message"] === row["message"]);
  const tell = (each: CsvRow): string => `${each["message_id"]} (accepted ${each["accepted_at"]}, ${each["status"]})`;
  return `${tell(row)}, received ${receipts.length} times, is of no event that got a 202; the same text: ${twins.map(tell).join(", ")}`;
}

/** What WhatsApp took, also when the engine never got the answer. */
function receiptsById(sends: readonly ReceivedSend[]): Map<string, ReceivedSend[]> {
  const byId = new Map<string, ReceivedSend[]>();
  for (const send of sends) {
    if (send.end === null) continue;
    const id = send.bizOpaqueCallbackData.slice(0, ID_LENGTH);
    const known = byId.get(id);
    if (known === undefined) byId.set(id, [send]);
    else known.push(send);
  }
  return byId;
}

async function faultsOf(
  { policies, timeline }: AuditInput,
  event: AcceptedPost,
  row: CsvRow,
  receipts: readonly ReceivedSend[],
  tally: { unresolved: number; unresolvedButSent: number; resent: number },
): Promise<readonly string[]> {
  const id = event.messageId;
  const status = row["status"] ?? "";
  const what = `${id} (event ${event.number} of ${event.campaignId}, ${status}, ${row["attempts"]} attempts, ${row["error_reason"]}), received ${receipts.length} times`;
  if (!FINAL.has(status)) return [`${what}, has no final status`];
  const [receipt] = receipts;
  const isPlain = receipts.length === 1 && status === receipt?.end?.status;
  if (isPlain) {
    const faults: string[] = [];
    if (row["message"] !== receipt.text)
      faults.push(`${what}, says "${row["message"]}" and WhatsApp "${receipt.text}"`);
    if (row["wamid"] !== wamidOf(receipt)) faults.push(`${what}, has another wamid than WhatsApp gave`);
    return faults;
  }
  const statuses = await timeline(id);
  const doubts = statuses.filter((each) => each === "uncertain").length;
  const told = `${what}: ${statuses.join(" → ")}`;
  if (receipts.length > 1) {
    tally.resent++;
    if (policies[event.campaignId] !== "resend") return [`${told}, was sent twice against its policy`];
    return receipts.length - 1 > doubts ? [`${told}, was sent twice undeclared`] : [];
  }
  if (status === "failed" && doubts > 0) {
    tally.unresolved++;
    if (receipt !== undefined) tally.unresolvedButSent++;
    return policies[event.campaignId] === "resend" ? [`${told}, was given up against its policy`] : [];
  }
  if (receipt === undefined) return [`${told}, was never received`];
  return GOOD.has(status) && doubts > 0 ? [] : [`${told}, where WhatsApp ended with ${receipt.end?.status}`];
}

function wamidOf({ answer }: ReceivedSend): string | null {
  return answer.kind === "refused" ? null : answer.wamid;
}
