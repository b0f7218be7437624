// Collects a request body that comes in pieces. The limit holds for the running sum, whatever Content-Length said, and
// the pieces are copied into one growing buffer: a body cut into single bytes must not become a million objects.

/** First allocation; most bodies that come in pieces fit. */
const FIRST_BYTES = 16 * 1024;

export class BodyBuffer {
  readonly #bytesMax: number;
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes offered so far, those beyond the limit included. */
  get length(): number {
    return this.#length;
  }

  /** Memory it takes now. */
  get bytesHeld(): number {
    return this.#bytes.length;
  }

  get isOverLimit(): boolean {
    return this.#length > this.#bytesMax;
  }

  /** Copies the piece. Beyond the limit it only counts, and gives back what it held. */
  append(piece: Uint8Array): void {
    const start = this.#length;
    this.#length += piece.length;
    if (this.isOverLimit) {
      this.#bytes = Buffer.alloc(0);
      return;
    }
    if (this.#length > this.#bytes.length) this.#grow(start);
    this.#bytes.set(piece, start);
  }

  /** The whole body. Asks for a body within the limit. */
  take(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(usedBytes: number): void {
    const wanted = Math.max(this.#length, this.#bytes.length * 2, Math.min(FIRST_BYTES, this.#bytesMax));
    const grown = Buffer.allocUnsafeSlow(Math.min(wanted, this.#bytesMax));
    grown.set(this.#bytes.subarray(0, usedBytes));
    this.#bytes = grown;
  }
}
