// What must hold of every run, whatever happened in it. Each check reads the log of the run and nothing of the engine.

import { CSV_HEADER, csvRow } from "../../engine/export/csv-row.ts";
import type { MessageId } from "../../engine/message/ids.ts";
import type { MessageRecord } from "../../engine/message/message-record.ts";
import type { MessageStatus } from "../../engine/message/status.ts";
import { mostWithin, timesBy } from "../support/arrivals.ts";
import { parseCsv } from "../support/csv.ts";
import type { Receipt, RunLog, RunRules } from "./run-log.ts";

export type InvariantName =
  | "I1 nothing is lost"
  | "I2 nothing is invented"
  | "I3 nothing is sent twice without need"
  | "I4 no limit is exceeded"
  | "I5 the ledger tells what WhatsApp saw"
  | "I6 no status goes backwards"
  | "I7 shares are fair"
  | "I8 work comes to its end"
  | "I9 who said stop gets no marketing";

export interface Violation {
  readonly invariant: InvariantName;
  readonly text: string;
}

const ENDS: ReadonlySet<MessageStatus> = new Set(["sent", "delivered", "read", "failed", "expired", "suppressed"]);
const ARRIVED: ReadonlySet<MessageStatus> = new Set(["sent", "delivered", "read"]);
const WINDOWS_MS = [1_000, 10_000, 60_000];

export function violationsOf(log: RunLog, rules: RunRules): Violation[] {
  const found: Violation[] = [];
  const note = (invariant: InvariantName) => (text: string) => void found.push({ invariant, text });
  nothingLost(log, note("I1 nothing is lost"));
  nothingInvented(log, note("I2 nothing is invented"));
  nothingTwice(log, rules, note("I3 nothing is sent twice without need"));
  withinLimits(log, rules, note("I4 no limit is exceeded"));
  ledgerTells(log, note("I5 the ledger tells what WhatsApp saw"));
  neverBackwards(log, note("I6 no status goes backwards"));
  ended(log, note("I8 work comes to its end"));
  stopMeansStop(log, rules, note("I9 who said stop gets no marketing"));
  return found;
}

type Note = (text: string) => void;

function nothingLost({ accepted, rows }: RunLog, note: Note): void {
  const byId = rowsById(rows);
  for (const { messageId } of accepted) {
    const row = byId.get(messageId);
    if (row === undefined) note(`${messageId} has no row`);
    else if (!ENDS.has(row.status)) note(`${messageId} is still ${row.status}`);
  }
  if (rows.length !== accepted.length) note(`${rows.length} rows of ${accepted.length} events`);
}

function nothingInvented({ accepted, receipts }: RunLog, note: Note): void {
  const events = new Map(accepted.map((event) => [event.messageId, event]));
  for (const { messageId, phoneNumber, text } of receipts) {
    const event = events.get(messageId);
    if (event === undefined) note(`${messageId} was sent and never accepted`);
    else if (event.phoneNumber !== phoneNumber) note(`${messageId} went to ${phoneNumber}`);
    else if (event.text !== text) note(`${messageId} says "${text}" instead of "${event.text}"`);
  }
}

/** A resend needs a send whose outcome the engine could not know; after an answer on disk there is none. */
function nothingTwice({ receipts, replayed, putBack }: RunLog, { atMostOnce }: RunRules, note: Note): void {
  for (const [messageId, all] of receiptsById(receipts)) {
    const taken = all.filter(({ wamid }) => wamid !== null);
    if (taken.length < 2 || replayed.has(messageId) || putBack.has(messageId)) continue;
    const doubtful = taken.filter(({ isKnown }) => !isKnown).length;
    if (atMostOnce.has(taken[0]?.campaignNumber ?? 0)) note(`${messageId} arrived ${taken.length} times`);
    else if (taken.length - 1 > doubtful) note(`${messageId} arrived ${taken.length} times, ${doubtful} in doubt`);
  }
}

function withinLimits({ receipts }: RunLog, rules: RunRules, note: Note): void {
  const at = (receipt: Receipt): number => receipt.atMs;
  const check = (what: string, times: readonly number[], perSecond: number): void => {
    for (const windowMs of WINDOWS_MS) {
      const most = mostWithin(windowMs, times);
      // A limit below one a window still lets one go.
      const allowed = Math.max(1, Math.floor((perSecond * windowMs) / 1_000));
      if (most > allowed) note(`${what}: ${most} in ${windowMs} ms, allowed are ${allowed}`);
    }
  };
  for (const [senderId, times] of timesBy(receipts, (receipt) => receipt.senderId, at)) {
    check(`number ${senderId}`, times, rules.senders.get(senderId)?.perSecond ?? 0);
  }
  for (const [campaign, times] of timesBy(receipts, (receipt) => String(receipt.campaignNumber), at)) {
    const limit = rules.campaigns.get(Number(campaign));
    if (limit !== undefined) check(`campaign ${campaign}`, times, limit.perSecond);
  }
  const { periodMs, burst } = rules.pair;
  // What WhatsApp refused reached nobody, and does not count between two people.
  const taken = receipts.filter(({ wamid }) => wamid !== null);
  for (const [pair, times] of timesBy(taken, ({ senderId, phoneNumber }) => `${senderId} ${phoneNumber}`, at)) {
    for (const windowMs of WINDOWS_MS) {
      const most = mostWithin(windowMs, times);
      const allowed = burst + Math.floor(windowMs / periodMs);
      if (most > allowed) note(`pair ${pair}: ${most} in ${windowMs} ms, allowed are ${allowed}`);
    }
  }
}

function ledgerTells({ rows, receipts }: RunLog, note: Note): void {
  const received = receiptsById(receipts);
  for (const row of rows) {
    const all = received.get(row.messageId) ?? [];
    const wamids = all.flatMap(({ wamid }) => wamid ?? []);
    if (ARRIVED.has(row.status) && wamids.length === 0) note(`${row.messageId} is ${row.status} and never arrived`);
    if (row.wamid !== "" && !wamids.includes(row.wamid)) note(`${row.messageId} has the wamid of nobody, ${row.wamid}`);
    if (ARRIVED.has(row.status) && row.wamid === "") note(`${row.messageId} is ${row.status} without a wamid`);
    // A refusal for the pace's sake costs no attempt.
    const attempts = Math.max(0, ...all.map(({ attempt, wamid }) => (wamid === null ? 0 : attempt)));
    if (row.attempts < attempts)
      note(`${row.messageId} counts ${row.attempts} attempts, WhatsApp took attempt ${attempts}`);
    const text = all[0]?.text;
    if (text !== undefined && row.message !== text)
      note(`${row.messageId} reads "${row.message}", WhatsApp got "${text}"`);
  }
  const csv = parseCsv(CSV_HEADER + rows.map((row) => csvRow(row)).join(""));
  const shown = new Map(csv.map((row) => [row["message_id"], row["status"]]));
  for (const { messageId, status } of rows) {
    if (shown.get(messageId) !== status) note(`the CSV shows ${messageId} as ${shown.get(messageId)}, not ${status}`);
  }
}

function neverBackwards({ rows, updates, history }: RunLog, note: Note): void {
  const rank = (status: MessageStatus): number => (status === "read" ? 2 : status === "delivered" ? 1 : 0);
  const proved = new Map<MessageId, number>();
  for (const { messageId, status } of updates) {
    proved.set(messageId, Math.max(proved.get(messageId) ?? 0, rank(status)));
  }
  for (const { messageId, status } of rows) {
    if (rank(status) !== (proved.get(messageId) ?? 0)) {
      note(`${messageId} ended as ${status}; its webhooks come to rank ${proved.get(messageId) ?? 0}`);
    }
  }
  for (const [messageId, statuses] of history) {
    statuses.forEach((status, index) => {
      const before = statuses[index - 1];
      if (before !== undefined && rank(status) < rank(before)) note(`${messageId} went from ${before} to ${status}`);
    });
  }
}

function ended({ waiting, inMemory }: RunLog, note: Note): void {
  if (waiting > 0) note(`${waiting} messages still wait long after all went well again`);
  if (inMemory > 0) note(`${inMemory} messages are left in memory`);
}

function stopMeansStop({ receipts, stopped }: RunLog, { marketing }: RunRules, note: Note): void {
  for (const { messageId, campaignNumber, phoneNumber, atMs } of receipts) {
    const sinceMs = stopped.get(phoneNumber);
    if (sinceMs !== undefined && marketing.has(campaignNumber) && atMs >= sinceMs) {
      note(`${messageId} went to ${phoneNumber}, who had stopped marketing`);
    }
  }
}

function rowsById(rows: readonly MessageRecord[]): Map<MessageId, MessageRecord> {
  return new Map(rows.map((row) => [row.messageId, row]));
}

function receiptsById(receipts: readonly Receipt[]): Map<MessageId, Receipt[]> {
  const byId = new Map<MessageId, Receipt[]>();
  for (const receipt of receipts) {
    const known = byId.get(receipt.messageId);
    if (known === undefined) byId.set(receipt.messageId, [receipt]);
    else known.push(receipt);
  }
  return byId;
}
