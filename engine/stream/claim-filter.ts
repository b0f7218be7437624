// A filter of claim keys: "surely new" for nearly every new event, without a look-up on disk.
//
// A chain of Bloom filters, each with room for twice the keys of the one before, so an hour with ten claims costs
// 8 KiB and one with a million two bytes a claim. 16 bits and 6 probes a key: about 1 wrong "maybe" in 1,000, and
// never a wrong "no". A wrong "maybe" costs one look-up.

const BITS_PER_KEY = 16;
const PROBES = 6;
/** A power of two, so that a bit's place is a mask away. */
const FIRST_BLOCK_KEYS = 4096;

interface Block {
  readonly bits: Uint8Array;
  readonly mask: number;
  readonly keysMax: number;
  keys: number;
}

export class ClaimFilter {
  /** Takes the next keys; always the last of #blocks. */
  #open: Block = createBlock(FIRST_BLOCK_KEYS);
  readonly #blocks: Block[] = [this.#open];

  /** Memory held, in bytes. */
  get bytes(): number {
    return this.#blocks.reduce((sum, block) => sum + block.bits.length, 0);
  }

  /** Adds a key, given as two independent hashes of 32 bits. */
  add(first: number, second: number): void {
    if (this.#open.keys === this.#open.keysMax) {
      this.#open = createBlock(this.#open.keysMax * 2);
      this.#blocks.push(this.#open);
    }
    const block = this.#open;
    block.keys += 1;
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = placeOf(block, first, second, probe);
      block.bits[bit >>> 3] = (block.bits[bit >>> 3] ?? 0) | (1 << (bit & 7));
    }
  }

  /** False: the key was certainly never added. */
  mayHave(first: number, second: number): boolean {
    for (const block of this.#blocks) if (blockMayHave(block, first, second)) return true;
    return false;
  }
}

function createBlock(keysMax: number): Block {
  const bits = keysMax * BITS_PER_KEY;
  return { bits: new Uint8Array(bits / 8), mask: bits - 1, keysMax, keys: 0 };
}

function blockMayHave(block: Block, first: number, second: number): boolean {
  for (let probe = 0; probe < PROBES; probe++) {
    const bit = placeOf(block, first, second, probe);
    if (((block.bits[bit >>> 3] ?? 0) & (1 << (bit & 7))) === 0) return false;
  }
  return true;
}

/** Double hashing (Kirsch and Mitzenmacher 2006); odd steps reach every bit of a power of two. */
function placeOf(block: Block, first: number, second: number, probe: number): number {
  return ((first + Math.imul(probe, second | 1)) & block.mask) >>> 0;
}
