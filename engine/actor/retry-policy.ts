// When a message that certainly was not sent is tried again, and how much of a number retries may use.
//
// Waits double with the attempts and are drawn from their whole range ("full jitter"), so that messages which failed
// together do not come back together. The budget keeps an outage from being answered with a storm: retries get at
// most a tenth of what fresh messages get, and a trickle so that a quiet number is not stuck.

/** Dispatches of one message, at most, that cost an attempt. */
export const ATTEMPTS_MAX = 8;

const RETRY_BASE_MS = 1000;
const RETRY_CAP_MS = 300_000;

/** @returns epoch milliseconds. `attempt`: the one that just failed, from 1. */
export function nextAttemptAtMs(retry: { attempt: number; nowMs: number; random: () => number }): number {
  return retry.nowMs + Math.ceil(retry.random() * retryDelayMsMax(retry.attempt));
}

/** The wait without its jitter. */
export function retryDelayMsMax(attempt: number): number {
  return Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** (attempt - 1));
}

/** Times are monotonic milliseconds. Changed in place. */
export interface RetryBudget {
  tokens: number;
  refilledAtMs: number;
}

const TOKENS_PER_SEND = 0.1;
const TOKENS_PER_MS = 1 / 1000;
/** The small allowance: what a number may retry at once after a quiet time. */
const TOKENS_REST = 20;
/** What busy times can save up: about a minute of a number with 80 messages a second. */
const TOKENS_MAX = 500;

export function createRetryBudget(nowMs: number): RetryBudget {
  return { tokens: TOKENS_REST, refilledAtMs: nowMs };
}

/** A fresh message was sent. */
export function earnRetry(budget: RetryBudget): void {
  if (budget.tokens < TOKENS_MAX) budget.tokens += TOKENS_PER_SEND;
}

export function retryFreeAtMs(budget: RetryBudget, nowMs: number): number {
  refill(budget, nowMs);
  return budget.tokens >= 1 ? nowMs : nowMs + Math.ceil((1 - budget.tokens) / TOKENS_PER_MS);
}

/** Only after {@link retryFreeAtMs} said now. */
export function spendRetry(budget: RetryBudget): void {
  budget.tokens -= 1;
}

function refill(budget: RetryBudget, nowMs: number): void {
  if (budget.tokens < TOKENS_REST) {
    budget.tokens = Math.min(TOKENS_REST, budget.tokens + (nowMs - budget.refilledAtMs) * TOKENS_PER_MS);
  }
  budget.refilledAtMs = nowMs;
}
