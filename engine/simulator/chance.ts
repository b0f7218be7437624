// Chance as an argument: the simulator's whole behaviour follows from one seed, so a failing run can be run again.

/** Draws the next number of a sequence: at least 0, below 1. */
export type Chance = () => number;

const UINT32 = 2 ** 32;
const WARM_UP_DRAWS = 12;

/**
 * The sfc32 generator: fast, small, and good enough for failure mixes.
 * @param seed any number; only its lower 53 bits count.
 */
export function createChance(seed: number): Chance {
  let a = Math.floor(seed / UINT32) >>> 0;
  let b = seed >>> 0;
  let c = 0x9e3779b9;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return (sum >>> 0) / UINT32;
  };
  // Near seeds begin with near numbers; a few draws part them.
  for (let draw = 0; draw < WARM_UP_DRAWS; draw++) next();
  return next;
}
