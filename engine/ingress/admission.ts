// How fast one API key may trigger: the generic cell rate algorithm, one number a key. The number is the theoretical
// arrival time (TAT): when the key would be idle again if its events were evenly spaced.
// https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm

export type Admission =
  | {
      readonly kind: "allowed";
      /** Events a second, which is also the burst. */
      readonly limit: number;
      /** How many more would be taken right now. */
      readonly remaining: number;
      /** Whole seconds until `remaining` is back at `limit`. */
      readonly resetSeconds: number;
    }
  | {
      readonly kind: "refused";
      readonly limit: number;
      readonly remaining: number;
      readonly resetSeconds: number;
      /** Whole seconds, at least 1, after which the same call would be taken. */
      readonly retryAfterSeconds: number;
    };

/**
 * Takes `cost` events of the key, or none of them. A cost above the burst counts as the burst, so that a long array
 * can pass at all. `nowMs` is monotonic.
 */
export type Admit = (keyId: string, cost: number, nowMs: number) => Admission;

export interface AdmissionOptions {
  /** Events a second for each key; the burst is one second's worth. Asked at each call, so it may change. */
  readonly perSecond: () => number;
  /** How many keys are remembered. Default {@link KEYS_MAX}. */
  readonly keysMax?: number;
}

/** Far more than an operator creates; a key beyond it costs another its memory, never its access. */
const KEYS_MAX = 10_000;

const BURST_MS = 1000;
/** Sums of fractions of a millisecond may miss the burst by their rounding. */
const ROUNDING_MS = 1e-6;

export function createAdmission(options: AdmissionOptions): Admit {
  const keysMax = options.keysMax ?? KEYS_MAX;
  const tatByKey = new Map<string, number>();

  return (keyId, cost, nowMs) => {
    const limit = Math.max(1, options.perSecond());
    const eventMs = BURST_MS / limit;
    const tatMs = Math.max(tatByKey.get(keyId) ?? 0, nowMs);
    const nextTatMs = tatMs + Math.min(cost, limit) * eventMs;
    const excessMs = nextTatMs - nowMs - BURST_MS;
    if (excessMs > ROUNDING_MS) return refused(limit, eventMs, tatMs - nowMs, excessMs);
    if (tatByKey.size >= keysMax && !tatByKey.has(keyId)) makeRoom(tatByKey, keysMax, nowMs);
    tatByKey.set(keyId, nextTatMs);
    return {
      kind: "allowed",
      limit,
      remaining: remaining(eventMs, nextTatMs - nowMs),
      resetSeconds: Math.ceil((nextTatMs - nowMs) / 1000),
    };
  };
}

function refused(limit: number, eventMs: number, usedMs: number, excessMs: number): Admission {
  return {
    kind: "refused",
    limit,
    remaining: remaining(eventMs, usedMs),
    resetSeconds: Math.ceil(usedMs / 1000),
    retryAfterSeconds: Math.max(1, Math.ceil(excessMs / 1000)),
  };
}

function remaining(eventMs: number, usedMs: number): number {
  return Math.max(0, Math.floor((BURST_MS - usedMs + ROUNDING_MS) / eventMs));
}

/** Drops keys that are idle, which changes nothing for them; if none is, the one that came first. */
function makeRoom(tatByKey: Map<string, number>, keysMax: number, nowMs: number): void {
  for (const [keyId, tatMs] of tatByKey) if (tatMs <= nowMs) tatByKey.delete(keyId);
  const [first] = tatByKey.keys();
  if (tatByKey.size >= keysMax && first !== undefined) tatByKey.delete(first);
}
