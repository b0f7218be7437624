// How fast one number, or one campaign, may send: never more than its limit in any second, and at least 99 % of it
// when there is enough to send.
//
// Two rules together:
// - Smoothing (GCRA): one timestamp that every message moves on by an interval. Spreads messages over the second
//   instead of sending all of them at its beginning. It runs CATCH_UP faster than the limit, to make up for stalls.
// - A window: message k waits until one window after message k − N *reached* Meta. This is the limit itself.
//
// Meta counts arrivals, and we know only when a message left and when its answer came. Measured against the smallest
// round trip of late, it arrived at most (round trip − smallest) later than the quickest would have. Waiting out that
// delay makes the limit safe against stalls of the network, of Meta and of our own threads, but an answer may also be
// late because Meta thought long, and then waiting wastes the number. So what message k loses against message k − N
// comes out of an allowance of LOSS_MS a message (0.9 % of a second): first what cannot be helped (late ticks, commits
// of uneven length between decision and departure), then delays, saved up for stalls over a second's worth of messages.

import assert from "node:assert/strict";

import { createRecentMinimum, observe } from "./recent-minimum.ts";
import type { RecentMinimum } from "./recent-minimum.ts";

export interface PaceSettings {
  /** Above 0; may be fractional. */
  readonly perSecond: number;
  /** How long a rest is made up for by sending at once. Default 50. */
  readonly burstMs?: number;
}

/** Times are monotonic milliseconds. Owned by one actor, changed in place. */
export interface Pace {
  readonly perSecond: number;
  readonly intervalMs: number;
  readonly burstMs: number;
  /** No `windowMs` ever holds more than `windowCount` arrivals: 1 s and the rate, for a whole rate. */
  readonly windowCount: number;
  readonly windowMs: number;
  /** By ticket modulo windowCount, like the next two: when it was decided. */
  readonly takenAtMs: Float64Array;
  /** When it left; until that is known, when it should. */
  readonly sentAtMs: Float64Array;
  /** Until its answer came; 0 before that. */
  readonly roundTripMs: Float64Array;
  /** Tickets taken so far; the next ticket's number. */
  taken: number;
  /** Tickets whose messages have left. */
  departed: number;
  /** The theoretical arrival time of GCRA. */
  smoothAtMs: number;
  /** What the last message waited for: those behind it cannot go before. */
  gateAtMs: number;
  /** Milliseconds of delay that may still be waited out; see the top. */
  allowanceMs: number;
  readonly roundTrip: RecentMinimum;
  /** From decision to departure: what a decision may come early. */
  readonly lag: RecentMinimum;
}

const COLUMNS = ["takenAtMs", "sentAtMs", "roundTripMs"] as const;

const BURST_MS = 50;
const CATCH_UP = 1.05;
/** For clocks that count in whole milliseconds on the other side. */
const MARGIN_MS = 1;
/** What a message may lose against the one a window before, on average: 1000 / 1009 is 99.1 %. */
const LOSS_MS = 9;
/** A delay that is always waited out: the smallest round trip of late is not the smallest possible one. */
const DELAY_MS = 4;
/** Commits that take longer, always, cost some of the rate. */
const LEAD_MS_MAX = 50;
/** Departures before the smallest lag is believed: the next one must not be smaller by much. */
const LEAD_SAMPLES_MIN = 100;
/** A tick later than this found nothing to send before: it lost nothing. */
const LATE_TICK_MS_MAX = 5;
/** A window is an array of this many numbers, so the rate needs a bound; Meta's highest is 1,000. */
const PER_SECOND_MAX = 1_000_000;

export function createPace(settings: PaceSettings): Pace {
  const perSecond = Math.min(settings.perSecond, PER_SECOND_MAX);
  const windowCount = Math.max(1, Math.floor(perSecond));
  return {
    perSecond,
    intervalMs: 1000 / (perSecond * CATCH_UP),
    burstMs: settings.burstMs ?? BURST_MS,
    windowCount,
    windowMs: (windowCount / perSecond) * 1000,
    takenAtMs: new Float64Array(windowCount),
    sentAtMs: new Float64Array(windowCount),
    roundTripMs: new Float64Array(windowCount),
    taken: 0,
    departed: 0,
    smoothAtMs: -Infinity,
    gateAtMs: -Infinity,
    // The first sends open connections: they are the most likely of all to be late.
    allowanceMs: (LOSS_MS * windowCount) / 2,
    roundTrip: createRecentMinimum(),
    lag: createRecentMinimum(),
  };
}

/** Another rate from now on, without forgetting what was just sent. Tickets stay valid. */
export function changedPace(pace: Pace, settings: PaceSettings): Pace {
  const { taken, departed: left, smoothAtMs, gateAtMs, roundTrip, lag } = pace;
  const changed = { ...createPace(settings), taken, departed: left, smoothAtMs, gateAtMs, roundTrip, lag };
  // Tickets that the old window no longer knew lie before its oldest one, so they may count as long ago.
  for (const column of COLUMNS) {
    changed[column].fill(-Infinity);
    const known = Math.min(taken, pace.windowCount, changed.windowCount);
    for (let ticket = taken - known; ticket < taken; ticket++) {
      changed[column][ticket % changed.windowCount] = pace[column][ticket % pace.windowCount] ?? 0;
    }
  }
  return changed;
}

/** The earliest time at which {@link take} succeeds; in the past when it would at once. */
export function nextAtMs(pace: Pace): number {
  return Math.max(pace.smoothAtMs - pace.burstMs, windowAtMs(pace) - leadMs(pace));
}

/** True when one message may leave now; it then has the ticket `pace.taken - 1`. */
export function take(pace: Pace, nowMs: number): boolean {
  const openAtMs = windowAtMs(pace);
  const lead = leadMs(pace);
  const leavesAtMs = nowMs + lead;
  if (leavesAtMs < openAtMs || nowMs < pace.smoothAtMs - pace.burstMs) return false;
  const slot = pace.taken % pace.windowCount;
  const earliest = earliestAtMs(pace, slot);
  if (pace.taken >= pace.windowCount && earliest > -Infinity) {
    const lateMs = leavesAtMs - openAtMs;
    earn(pace, LOSS_MS - MARGIN_MS - (openAtMs - earliest) - (lateMs > LATE_TICK_MS_MAX ? 0 : lateMs));
  }
  pace.gateAtMs = openAtMs;
  pace.smoothAtMs = Math.max(pace.smoothAtMs, nowMs) + pace.intervalMs;
  pace.takenAtMs[slot] = nowMs;
  place(pace, slot, leavesAtMs);
  pace.taken++;
  return true;
}

/** The next `count` messages that took a ticket have left by `sentAtMs`, which a commit may make later than the ticket. */
export function departed(pace: Pace, sentAtMs: number, count: number): void {
  const end = Math.min(pace.taken, pace.departed + count);
  const oldest = Math.max(pace.departed, pace.taken - pace.windowCount);
  for (let ticket = oldest; ticket < end; ticket++) {
    const slot = ticket % pace.windowCount;
    const lateMs = sentAtMs - (pace.sentAtMs[slot] ?? 0);
    // In the first window nobody waited for a predecessor, so nothing was lost against one.
    if (lateMs > 0 && ticket >= pace.windowCount) earn(pace, -lateMs);
    if (ticket === end - 1) observe(pace.lag, sentAtMs, sentAtMs - (pace.takenAtMs[slot] ?? 0));
    place(pace, slot, sentAtMs);
  }
  pace.departed = end;
}

/**
 * A run before this one sent a message at `atMs`: given in their order, before anything is taken. One out of order
 * counts as sent with the one given before it.
 */
export function recall(pace: Pace, atMs: number): void {
  assert.equal(pace.departed, pace.taken, "an earlier run is recalled after this one began to send");
  const before = pace.taken === 0 ? -Infinity : (pace.sentAtMs[(pace.taken - 1) % pace.windowCount] ?? 0);
  const sentAtMs = Math.max(atMs, before);
  const slot = pace.taken % pace.windowCount;
  pace.takenAtMs[slot] = sentAtMs;
  place(pace, slot, sentAtMs);
  pace.smoothAtMs = Math.max(pace.smoothAtMs, sentAtMs) + pace.intervalMs;
  pace.taken++;
  pace.departed = pace.taken;
}

/** Meta answered the message with this ticket. */
export function arrived(pace: Pace, ticket: number, sentAtMs: number, roundTripMs: number): void {
  observe(pace.roundTrip, sentAtMs, roundTripMs);
  if (ticket < pace.taken - pace.windowCount) return;
  const slot = ticket % pace.windowCount;
  pace.sentAtMs[slot] = sentAtMs;
  pace.roundTripMs[slot] = roundTripMs;
}

function place(pace: Pace, slot: number, sentAtMs: number): void {
  pace.sentAtMs[slot] = sentAtMs;
  pace.roundTripMs[slot] = 0;
}

/**
 * How much later than the quickest way the message can have reached Meta. Asked when it matters, a window later: the
 * smallest round trip is then known better than when the answer came.
 */
function delayMs(pace: Pace, slot: number): number {
  return Math.max(DELAY_MS, (pace.roundTripMs[slot] ?? 0) - pace.roundTrip.value);
}

/** How much earlier than the departure a decision may be. */
function leadMs(pace: Pace): number {
  if (pace.lag.count < LEAD_SAMPLES_MIN || pace.lag.value > LEAD_MS_MAX) return 0;
  return Math.max(0, pace.lag.value);
}

/**
 * A delay of D holds up every message of the next D milliseconds, each for what is left of it: D² / 2 intervals.
 * So the square root of the allowance is the longest delay that it pays for.
 */
function windowAtMs(pace: Pace): number {
  // The message a window before has not left: a commit takes long, or nothing may leave. When it does leave is not known.
  if (pace.taken - pace.departed >= pace.windowCount) return Infinity;
  if (pace.taken < pace.windowCount) return -Infinity;
  const slot = pace.taken % pace.windowCount;
  const delayMsMax = Math.max(DELAY_MS, Math.sqrt((2000 / pace.perSecond) * Math.max(0, pace.allowanceMs)));
  return Math.max(pace.gateAtMs, earliestAtMs(pace, slot) + Math.min(delayMs(pace, slot), delayMsMax));
}

/** When the window would open if the message in the slot had travelled as quickly as any. */
function earliestAtMs(pace: Pace, slot: number): number {
  return (pace.sentAtMs[slot] ?? 0) + MARGIN_MS + pace.windowMs;
}

function earn(pace: Pace, earnedMs: number): void {
  const savedMsMax = LOSS_MS * pace.windowCount;
  pace.allowanceMs = Math.max(-savedMsMax, Math.min(savedMsMax, pace.allowanceMs + earnedMs));
}
