// A million statuses, each told twice, in an order of chance: every message ends where the same statuses, told once and
// in the order in which they happened, bring it, and on the way no message ever goes back.
//
// VOLLEY_STATUSES sets another number, VOLLEY_SEED repeats a run.

import assert from "node:assert/strict";
import { test } from "node:test";

import { encodeRecord } from "../../engine/ledger/record.ts";
import { mergeStatus } from "../../engine/ledger/status-merge.ts";
import type { MessageId } from "../../engine/message/ids.ts";
import type { MessageRecord, TimelineEntry } from "../../engine/message/message-record.ts";
import type { DeliveryStatus, StatusUpdate } from "../../engine/message/status-update.ts";
import type { MessageStatus } from "../../engine/message/status.ts";
import { chance } from "../support/chance.ts";
import { idOf, NOON_MS, PLACES, recordOf } from "./fixtures.ts";

const STATUSES = Number(process.env["VOLLEY_STATUSES"] ?? 1_000_000);
const SEED = Number(process.env["VOLLEY_SEED"] ?? Date.now() % 1_000_000);
const OF_A_MESSAGE_MAX = 7;
const SECONDS = 600;

const TOLD: readonly DeliveryStatus[] = ["sent", "delivered", "read", "failed"];
const CODES = [131_026, 131_047, 131_049];
const PRICES = ["", "utility", "marketing", "marketing_lite"];
/** What was told, message by message: a few bytes each, so that a million of them are few. */
class Statuses {
  readonly #message = new Uint32Array(STATUSES);
  readonly #second = new Uint16Array(STATUSES);
  /** Status, attempt, code and price, two bits each. */
  readonly #what = new Uint8Array(STATUSES);
  /** Of each message the place of its first one; behind the last message the number of all. */
  readonly firsts: readonly number[];

  constructor(below: (below: number) => number) {
    const firsts = [0];
    for (let at = 0; at < STATUSES;) {
      const end = Math.min(STATUSES, at + 1 + below(OF_A_MESSAGE_MAX));
      for (; at < end; at++) {
        this.#message[at] = firsts.length - 1;
        this.#second[at] = below(SECONDS);
        this.#what[at] = below(256);
      }
      firsts.push(at);
    }
    this.firsts = firsts;
  }

  /** Each one twice, shuffled, as places; then message by message, in the order of their arrival. */
  arrivals(below: (below: number) => number): Uint32Array {
    const arrivals = new Uint32Array(2 * STATUSES).map((_, at) => at >>> 1);
    for (let at = arrivals.length - 1; at > 0; at--) {
      const other = below(at + 1);
      const one = arrivals[at] ?? 0;
      arrivals[at] = arrivals[other] ?? 0;
      arrivals[other] = one;
    }
    // A message sees nothing of others: taken one after the other, only one record is needed at a time.
    const next = this.firsts.map((first) => 2 * first);
    const grouped = new Uint32Array(arrivals.length);
    for (const place of arrivals) {
      const message = this.#message[place] ?? 0;
      grouped[next[message] ?? 0] = place;
      next[message] = (next[message] ?? 0) + 1;
    }
    return grouped;
  }

  /** Of three attempts at most, the third as often as two of the others. */
  at(place: number, messageId: MessageId): StatusUpdate {
    const what = this.#what[place] ?? 0;
    const status = TOLD[what & 3] ?? "sent";
    const attempt = Math.max(1, (what >>> 2) & 3);
    const isFailure = status === "failed";
    return {
      messageId,
      attempt,
      status,
      wamid: `wamid.${attempt}`,
      atMs: NOON_MS + (this.#second[place] ?? 0) * 1_000,
      errorCode: isFailure ? (CODES[(what >>> 4) & 3] ?? null) : null,
      errorReason: isFailure ? "It did not arrive." : "",
      pricingCategory: PRICES[what >>> 6] ?? "",
    };
  }
}

const answer: TimelineEntry = { atMs: NOON_MS + 1_700, status: "sent", attempt: 1, errorCode: null, detail: "" };
const taken = { wamid: "wamid.1", sentAtMs: answer.atMs, timeline: [answer] };

/** The messages before the first status: under way, in doubt, answered, given up, and sent once more. */
const BEGINNINGS: readonly Partial<MessageRecord>[] = [
  { status: "dispatched", attempts: 1 },
  { status: "uncertain", attempts: 1, dueAtMs: NOON_MS + 60_000 },
  { status: "dispatched", attempts: 2 },
  { status: "held", attempts: 1, wamid: "wamid.1", timeline: [{ ...answer, status: "held" }] },
  { status: "sent", attempts: 1, ...taken },
  { status: "expired", attempts: 1, failedAtMs: NOON_MS + 300_000, ...taken },
  { status: "expired", attempts: 1, failedAtMs: NOON_MS + 300_000 },
  { status: "queued", attempts: 1, closedAttempts: 1, timeline: [answer] },
  { status: "dispatched", attempts: 2, closedAttempts: 1, timeline: [answer] },
  { status: "retrying", attempts: 2, closedAttempts: 2, dueAtMs: NOON_MS + 60_000 },
];

function beginningOf(message: number): MessageRecord {
  return recordOf(idOf(message), { dispatchedAtMs: NOON_MS + 500, ...BEGINNINGS[message % BEGINNINGS.length] });
}

/** The end, told from all that was told at once. */
function statusAfter(record: MessageRecord, told: readonly StatusUpdate[]): MessageStatus {
  const has = (status: DeliveryStatus, attemptFrom = 1): boolean =>
    told.some((update) => update.status === status && update.attempt >= attemptFrom);
  if (has("read")) return "read";
  if (has("delivered")) return "delivered";
  if (has("failed", Math.max(record.attempts, record.closedAttempts + 1))) return "failed";
  const isKnown = record.status === "expired" && record.sentAtMs > 0;
  return has("sent", record.closedAttempts + 1) && !isKnown ? "sent" : record.status;
}

function fold(record: MessageRecord, told: readonly StatusUpdate[]): MessageRecord {
  let state = record;
  for (const update of told) {
    const next = mergeStatus(state, update);
    if (PLACES[next.status] < PLACES[state.status]) assert.fail(`${state.status} became ${next.status}`);
    state = next;
  }
  return state;
}

test(`${STATUSES.toLocaleString("en")} statuses told twice and in any order leave what they leave in theirs`, (t) => {
  t.diagnostic(`VOLLEY_SEED=${SEED}`);
  const below = chance(SEED);
  const statuses = new Statuses(below);
  const arrivals = statuses.arrivals(below);
  const ends = new Map<MessageStatus, number>();
  let mergeMs = 0;
  for (let message = 0; message < statuses.firsts.length - 1; message++) {
    const first = statuses.firsts[message] ?? 0;
    const end = statuses.firsts[message + 1] ?? first;
    const record = beginningOf(message);
    const told = Array.from({ length: end - first }, (_, at) => statuses.at(first + at, record.messageId));
    const arrived = Array.from(arrivals.subarray(2 * first, 2 * end), (place) => statuses.at(place, record.messageId));
    const startMs = performance.now();
    const state = fold(record, arrived);
    mergeMs += performance.now() - startMs;
    const inOrder = fold(
      record,
      told.toSorted((a, b) => a.atMs - b.atMs),
    );
    const isSame = Buffer.compare(encodeRecord(state), encodeRecord(inOrder)) === 0;
    if (!isSame) assert.deepEqual(state, inOrder, `message ${message}`);
    assert.equal(state.status, statusAfter(record, told), `message ${message}`);
    ends.set(state.status, (ends.get(state.status) ?? 0) + 1);
  }
  const perSecond = Math.round((2 * STATUSES * 1_000) / mergeMs);
  t.diagnostic(`${perSecond.toLocaleString("en")} statuses/s merged, ${statuses.firsts.length - 1} messages`);
  t.diagnostic(`ended as ${[...ends].map(([status, count]) => `${status} ${count}`).join(", ")}`);
  assert.ok(["read", "delivered", "failed", "sent", "expired"].every((status) => ends.has(status as MessageStatus)));
});
