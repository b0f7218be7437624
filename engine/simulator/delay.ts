// How long something takes: a fixed time, an even spread, or the long-tailed spread that networks have.

import type { Chance } from "./chance.ts";

/** Milliseconds; or evenly between two bounds; or log-normal with this median and 99th percentile. */
export type Delay =
  | number
  | { readonly minMs: number; readonly maxMs: number }
  | { readonly medianMs: number; readonly p99Ms: number };

/** Draws one delay in milliseconds, never negative. */
export type DelayDraw = (chance: Chance) => number;

/** Standard deviations between the median and the 99th percentile of a normal distribution. */
const P99_DEVIATIONS = 2.326;
/** A log-normal tail has no end; a test must. */
const TAIL_FACTOR_MAX = 10;

export function compileDelay(delay: Delay): DelayDraw {
  if (typeof delay === "number") return () => delay;
  if ("minMs" in delay) {
    const { minMs, maxMs } = delay;
    return (chance) => minMs + chance() * (maxMs - minMs);
  }
  const { medianMs, p99Ms } = delay;
  const sigma = Math.log(p99Ms / medianMs) / P99_DEVIATIONS;
  const longestMs = p99Ms * TAIL_FACTOR_MAX;
  return (chance) => Math.min(longestMs, medianMs * Math.exp(sigma * normal(chance)));
}

/** Box–Muller: two even draws make one of the standard normal distribution. */
function normal(chance: Chance): number {
  return Math.sqrt(-2 * Math.log(1 - chance())) * Math.cos(2 * Math.PI * chance());
}
